"""Messages in, replies out: to the byte."""

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.events import Word
from ruasr_tel_adapters.vosk_ws.wire import (
    CONTROL_BYTES_MAX,
    INVALID_DATA,
    TEXT_CHARS_MAX,
    UNSUPPORTED_DATA,
    Audio,
    BadMessage,
    ClientMessage,
    Config,
    Eof,
    Other,
    ReplyStyle,
    Reset,
    format_final,
    format_nothing,
    format_partial,
    parse,
)

DATA = Path(__file__).parents[2] / "data" / "vosk_ws"

SPACE = st.text(alphabet=" \t\r\n", max_size=3)
WORDS = (
    Word("один", 0.84, 1.08, 0.987654),
    Word("два", 1.2, 1.5, None),
)


@given(before=SPACE, key=st.sampled_from(["eof", "reset"]), a=SPACE, b=SPACE, after=SPACE)
@pytest.mark.parametrize("binary", [False, True])
def test_eof_and_reset_are_known_in_any_spacing(
    binary: bool, before: str, key: str, a: str, b: str, after: str
) -> None:
    text = f'{before}{{{a}"{key}"{b}:{a}1{b}}}{after}'
    message = parse(text.encode() if binary else text)
    assert message == (Eof() if key == "eof" else Reset())


@pytest.mark.parametrize("value", ["1", "true", '"1"', "2.5"])
def test_eof_may_have_any_true_value(value: str) -> None:
    assert parse(f'{{"eof": {value}}}') == Eof()


@given(data=st.binary(max_size=200))
def test_binary_that_is_no_control_object_is_audio(data: bytes) -> None:
    if data.lstrip()[:1] == b"{":
        data = b"\x00" + data
    assert parse(data) == Audio(data)


@given(
    before=st.binary(min_size=1, max_size=9).filter(lambda data: data.strip() != b""),
    text=st.sampled_from([b'{"eof" : 1}', b'{"reset" : 1}', b'{"config" : {}}']),
)
def test_control_words_inside_audio_are_audio(before: bytes, text: bytes) -> None:
    assert parse(before + text) == Audio(before + text)
    assert parse(text + before) == Audio(text + before)


def test_binary_longer_than_any_control_message_is_audio() -> None:
    longest = b'{"eof":1}'.ljust(CONTROL_BYTES_MAX)
    assert parse(longest) == Eof()
    assert parse(longest + b" ") == Audio(longest + b" ")


@pytest.mark.parametrize("data", [b"{", b"{}", b'{"eof":0}', b'{"config":{}}', b"{\xff\xfe}", b""])
def test_short_binary_that_only_looks_like_control_is_audio(data: bytes) -> None:
    assert parse(data) == Audio(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ "config" : { "sample_rate" : 8000 } }', Config({"sample_rate": 8000})),
        ('{"config" : {"sample_rate" : 48000.0 }}', Config({"sample_rate": 48000.0})),
        ('{"config":{"words":0},"eof":1}', Config({"words": 0})),
        ('{"id" : "7"}', Other()),
        ('{"eof" : 0}', Other()),
        ("{}", Other()),
    ],
)
def test_text_messages(text: str, expected: ClientMessage) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("{config", INVALID_DATA, "config is not a JSON object"),
        ('{"config": [1]}', INVALID_DATA, "config is list, expected an object"),
        ('{"config": null}', INVALID_DATA, "config is NoneType, expected an object"),
        ("", UNSUPPORTED_DATA, "text is not a JSON object"),
        ("hello", UNSUPPORTED_DATA, "text is not a JSON object"),
        ("[1]", UNSUPPORTED_DATA, "text is not a JSON object"),
        ("[" * 100_000, UNSUPPORTED_DATA, "text is not a JSON object"),
        (
            '{"eof":1}'.ljust(TEXT_CHARS_MAX + 1),
            INVALID_DATA,
            "text of 1048577 characters, at most 1048576",
        ),
    ],
)
def test_bad_text_closes_with_a_code_and_a_sentence(text: str, code: int, error: str) -> None:
    with pytest.raises(BadMessage) as caught:
        parse(text)
    assert (caught.value.close_code, str(caught.value)) == (code, error)


@given(text=st.text())
def test_any_text_means_something_or_is_bad(text: str) -> None:
    try:
        message = parse(text)
    except BadMessage:
        return
    assert isinstance(message, Config | Eof | Reset | Other)


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("partial", format_partial("один два")),
        ("partial_empty", format_partial("")),
        ("final_words", format_final("один два", WORDS, ReplyStyle())),
        ("final_no_words", format_final("один два", WORDS, ReplyStyle(words=False))),
        ("final_empty", format_final("", (), ReplyStyle())),
        ("final_nothing", format_nothing(ReplyStyle())),
        (
            "alternatives_words",
            format_final("один два", WORDS, ReplyStyle(alternatives=True), 212.812714),
        ),
        (
            "alternatives_no_words",
            format_final("один два", WORDS, ReplyStyle(words=False, alternatives=True)),
        ),
        ("alternatives_empty", format_final("", (), ReplyStyle(alternatives=True))),
    ],
)
def test_replies_are_vosk_s_own_to_the_byte(name: str, reply: str) -> None:
    golden = json.loads((DATA / "shapes.json").read_text(encoding="utf-8"))
    assert reply == golden[name]


@pytest.mark.parametrize(
    ("reply", "compact"),
    [
        (format_partial("да", compact=True), '{"partial":"да"}'),
        (format_final("да", (), ReplyStyle(compact=True)), '{"text":"да"}'),
        (
            format_final("один", WORDS[:1], ReplyStyle(compact=True)),
            '{"result":[{"conf":0.987654,"end":1.080000,"start":0.840000,"word":"один"}],'
            '"text":"один"}',
        ),
    ],
)
def test_compact_replies_are_one_line(reply: str, compact: str) -> None:
    assert reply == compact


ANY_WORD = st.builds(
    Word,
    text=st.text(min_size=1, max_size=12),
    start_s=st.floats(0, 1e6),
    end_s=st.floats(0, 1e6),
    confidence=st.none() | st.floats(0, 1),
)
ANY_STYLE = st.builds(ReplyStyle, words=st.booleans(), compact=st.booleans())


@given(text=st.text(), words=st.lists(ANY_WORD, max_size=4), style=ANY_STYLE)
def test_a_final_reads_back_whatever_was_said(
    text: str, words: list[Word], style: ReplyStyle
) -> None:
    final = json.loads(format_final(text, words, style))
    assert final["text"] == text
    shown = final.get("result", [])
    assert [word["word"] for word in shown] == [w.text for w in words if style.words]
    assert ("result" in final) == bool(words and style.words)
    for word, said in zip(shown, words, strict=False):
        assert list(word) == ["conf", "end", "start", "word"]
        assert word["start"] == pytest.approx(said.start_s, abs=1e-6)
        assert word["conf"] == pytest.approx(
            1.0 if said.confidence is None else said.confidence, abs=1e-6
        )


@given(text=st.text(alphabet=string.printable + "абвёй"), compact=st.booleans())
def test_a_partial_never_has_text_and_a_final_never_says_partial(text: str, compact: bool) -> None:
    assert json.loads(format_partial(text, compact=compact)) == {"partial": text}
    final = format_final("да", WORDS, ReplyStyle(compact=compact))
    assert "partial" not in final
    assert '""' not in final  # mod_vosk ignores a message with that anywhere
