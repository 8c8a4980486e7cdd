"""What config messages and URLs set."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.types import CallId
from ruasr_tel_adapters.vosk_ws.config import VoskWsConfig
from ruasr_tel_adapters.vosk_ws.options import (
    PATHS,
    Options,
    UrlSettings,
    change_options,
    default_options,
    parse_url,
)
from ruasr_tel_adapters.vosk_ws.wire import BadMessage, ReplyStyle


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"sample_rate": 16000}, Options(sample_rate_hz=16000)),
        ({"sample_rate": 48000.0}, Options(sample_rate_hz=48000)),
        ({"sample_rate": "11025"}, Options(sample_rate_hz=11025)),
        ({"sample_rate": "8000.0"}, Options(sample_rate_hz=8000)),
        ({"words": 0}, Options(words=False)),
        ({"words": False}, Options(words=False)),
        ({"words": "0"}, Options(words=False)),
        ({"words": " No "}, Options(words=False)),
        ({"words": None}, Options(words=False)),
        ({"words": "1"}, Options()),
        ({"max_alternatives": 20}, Options(max_alternatives=20)),
        ({"max_alternatives": "3"}, Options(max_alternatives=3)),
        ({"phrase_list": ["да", "[unk]", 7]}, Options(phrase_list=("да", "[unk]"))),
        ({"phrase_list": '["да", "нет"]'}, Options(phrase_list=("да", "нет"))),
        ({"phrase_list": "да,нет"}, Options(phrase_list=("да", "нет"))),
        ({"phrase_list": "[" * 100_000}, Options(phrase_list=("[" * 100_000,))),
        ({"phrase_list": 5}, Options(phrase_list=())),
        ({"phrase_list": None}, Options(phrase_list=())),
        ({"phrases": "алло, приём"}, Options(phrases=("алло", " приём"))),
        ({"phrases": ["алло", " "], "boost": "2.5"}, Options(phrases=("алло",), boost=2.5)),
        ({"empty_finals": "0"}, Options(empty_finals=False)),
        ({"format": "compact"}, Options(compact=True)),
        ({"format": "pretty"}, Options()),
        ({"unchanged_partials": "empty"}, Options(repeat_partials=False)),
        ({"empty_partials_after_final": "5"}, Options(empty_partials_after_final=5)),
        ({"empty_final_after_s": "5"}, Options(empty_final_after_s=5.0)),
        ({"max_reply_bytes": 65535}, Options(max_reply_bytes=65535)),
        ({"model": "/etc/passwd", "spk_model": 1, "x": [None]}, Options()),
        ({}, Options()),
    ],
)
def test_settings(values: dict[str, object], expected: Options) -> None:
    assert change_options(Options(), values) == expected


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"sample_rate": "abc"}, "sample_rate: 'abc' is not a number from 1000 to 192000"),
        ({"sample_rate": 0}, "sample_rate: '0' is not a number from 1000 to 192000"),
        ({"sample_rate": -8000}, "sample_rate: '-8000' is not a number from 1000 to 192000"),
        ({"sample_rate": float("nan")}, "sample_rate: 'nan' is not a number from 1000 to 192000"),
        ({"sample_rate": float("inf")}, "sample_rate: 'inf' is not a number from 1000 to 192000"),
        ({"sample_rate": None}, "sample_rate: 'None' is not a number from 1000 to 192000"),
        ({"sample_rate": [8000]}, "sample_rate: '[8000]' is not a number from 1000 to 192000"),
        (
            {"sample_rate": 10**400},
            f"sample_rate: '1{'0' * 39}' is not a number from 1000 to 192000",
        ),
        ({"format": "xml"}, "format: 'xml' is not one of pretty, compact"),
        ({"format": 1}, "format: '1' is not one of pretty, compact"),
        ({"unchanged_partials": "да"}, "unchanged_partials: '\\u0434\\u0430' is not one of "),
        ({"max_reply_bytes": 100}, "max_reply_bytes: '100' is not a number from 256 to 65535"),
    ],
)
def test_a_bad_value_is_named_with_its_key(values: dict[str, object], error: str) -> None:
    with pytest.raises(BadMessage) as caught:
        change_options(Options(), values)
    assert str(caught.value).startswith(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    ["sample_rate", "words", "max_alternatives", "phrase_list", "format", "max_reply_bytes"]
)


@given(values=st.dictionaries(KEYS | st.text(), JSON, max_size=4))
def test_any_config_gives_options_or_a_sentence(values: dict[str, object]) -> None:
    try:
        options = change_options(Options(), values)
    except BadMessage:
        return
    assert options.sample_rate_hz is None or 1000 <= options.sample_rate_hz <= 192000
    assert options.max_alternatives >= 0


def test_settings_of_several_messages_add_up() -> None:
    options = change_options(Options(), {"words": 0, "sample_rate": 16000})
    assert change_options(options, {"sample_rate": 8000}) == Options(
        sample_rate_hz=8000, words=False
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", UrlSettings({})),
        ("", UrlSettings({})),
        ("/8000", UrlSettings({"sample_rate": "8000"})),
        ("/asr/ru/16000/", UrlSettings({"sample_rate": "16000"})),
        ("/asr/ru/", UrlSettings({})),
        ("/v1/77/999999/9999999/٨٠٠٠", UrlSettings({})),
        ("/8000?sample_rate=16000", UrlSettings({"sample_rate": "16000"})),
        ("/mod_vosk?words=1", UrlSettings({**PATHS["mod_vosk"], "words": "1"})),
        ("/?words=0&profile=yesno", UrlSettings({"words": "0", "profile": "yesno"}, "yesno")),
        ("/?profile=", UrlSettings({"profile": ""})),
        ("/?call_id=17.42", UrlSettings({"call_id": "17.42"}, None, CallId("17.42"))),
        ("/?call_id=+7916", UrlSettings({"call_id": "+7916"}, None, CallId("+7916"))),
        ("/?uuid=0f-1e", UrlSettings({"uuid": "0f-1e"}, None, CallId("0f-1e"))),
        ("//[bad?token=%D0%B4", UrlSettings({"token": "д"})),
    ],
)
def test_urls(target: str, expected: UrlSettings) -> None:
    assert parse_url(target) == expected


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/?" + "a=1&" * 65, "more than 64 fields in the URL"),
        (
            "/?call_id=a%2F..%2Fb",
            "call_id: 'a/../b' is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -",
        ),
        (
            f"/?uuid={'x' * 129}",
            f"call_id: '{'x' * 40}' is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -",
        ),
    ],
)
def test_bad_urls(target: str, error: str) -> None:
    with pytest.raises(BadMessage) as caught:
        parse_url(target)
    assert str(caught.value) == error


@given(path=st.text().filter(lambda path: "?" not in path), query=st.text())
def test_any_url_means_something_or_is_bad(path: str, query: str) -> None:
    try:
        url = parse_url(f"{path}?{query}")
    except BadMessage:
        return
    assert url.call_id is None or url.call_id.isascii()


def test_the_door_s_section_gives_the_defaults() -> None:
    assert default_options(VoskWsConfig()) == Options()
    config = VoskWsConfig(
        show_words=False,
        max_alternatives=1,
        format="compact",
        unchanged_partials="empty",
        empty_partials_after_final=3,
        empty_final_after_s=5,
        max_reply_bytes=300,
    )
    assert default_options(config) == Options(
        words=False,
        max_alternatives=1,
        compact=True,
        repeat_partials=False,
        empty_partials_after_final=3,
        empty_final_after_s=5.0,
        max_reply_bytes=300,
    )


def test_style_follows_the_options() -> None:
    assert Options(words=False, max_alternatives=2, compact=True).style == ReplyStyle(
        words=False, alternatives=True, compact=True
    )


LISTED = DecodeOptions(phrases=("алло",), closed=True, boost=2.0, alternatives=3)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, LISTED),
        ({"max_alternatives": 5}, replace(LISTED, alternatives=5)),
        ({"max_alternatives": 10**6}, replace(LISTED, alternatives=100)),
        ({"boost": 1}, replace(LISTED, boost=1.0)),
        ({"phrases": ["да"]}, replace(LISTED, phrases=("да",), closed=False)),
        ({"phrase_list": ["да", "[unk]"]}, replace(LISTED, phrases=("да", "[unk]"))),
        ({"phrase_list": []}, replace(LISTED, phrases=(), closed=False)),
        (
            {"phrase_list": ["ноль  один", "один", "[unk]"], "phrases": ["да"]},
            replace(LISTED, phrases=("ноль один", "один", "[unk]", "ноль")),
        ),
    ],
)
def test_what_the_engine_is_asked(values: dict[str, object], expected: DecodeOptions) -> None:
    assert change_options(Options(), values).asked(LISTED) == expected


def test_the_words_of_a_closed_list_count_as_the_engine_gets_them() -> None:
    words = " ".join(f"слово{n}" for n in range(9_999))
    change_options(Options(), {"phrase_list": [words]})
    change_options(Options(), {"phrases": [f"{words} конец"]})
    says = "a list of 10001 phrases and words, at most 10000 are taken"
    with pytest.raises(BadMessage, match=says):
        change_options(Options(), {"phrase_list": [f"{words} конец"]})


def test_a_list_has_an_end() -> None:
    change_options(Options(), {"phrase_list": ["да"] * 10_000})
    with pytest.raises(BadMessage, match="a list of 10001 phrases, at most 10000 are taken"):
        change_options(Options(), {"phrase_list": ["да"] * 10_001})
