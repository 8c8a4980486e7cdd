"""Text to messages and back; nothing that a peer sends raises anything but ProtocolError."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ruasr_tel.errors import ProtocolError
from ruasr_tel_adapters.aeap.wire import (
    TEXT_CHARS_MAX,
    Request,
    Response,
    Result,
    answer,
    answer_results,
    answer_setup,
    asked,
    codecs,
    parse,
    push_results,
    refuse,
    settings,
)

RECORDED = Path(__file__).parents[2] / "data/aeap/asterisk.jsonl"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


def test_what_asterisk_sends() -> None:
    messages = [parse(line) for line in RECORDED.read_text("utf-8").splitlines()]
    kinds = [(type(message).__name__, message.name) for message in messages]
    assert kinds == [
        ("Request", "setup"),
        ("Request", "set"),
        ("Request", "set"),
        ("Request", "get"),
        ("Response", "set"),
    ]
    setup, named, pressed, got, taken = messages
    assert isinstance(setup, Request)
    assert codecs(setup) == ("slin",)
    assert settings(setup) == {"language": "ru-RU"}
    assert isinstance(named, Request)
    assert list(settings(named)) == ["call_id"]
    assert isinstance(pressed, Request)
    assert settings(pressed) == {"dtmf": "12"}
    assert isinstance(got, Request)
    assert asked(got) == ("profile",)
    assert isinstance(taken, Response)
    assert (taken.id, taken.error) == ("ruasr-1", None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("hello", "text that is not JSON: 'hello'"),
        ("[]", "JSON that is not an object: '[]'"),
        ("{}", "an object that is neither request nor response: '{}'"),
        ('{"request":5}', "an object that is neither request nor response: '{\"request\":5}'"),
        (" " * TEXT_CHARS_MAX + "1", f"text of {TEXT_CHARS_MAX + 1} characters, at most 65536"),
        ("[" * 60_000, "text that is not JSON"),
    ],
)
def test_what_is_no_message(text: str, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(text)
    assert str(caught.value).startswith(error)


@examples(max_examples=60)
@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_a_message_or_a_protocol_error(text: str) -> None:
    try:
        message = parse(text)
    except ProtocolError:
        return
    assert isinstance(message, Request | Response)


@examples(max_examples=40)
@given(JSON, JSON, st.none() | st.text())
def test_any_body_has_codecs_settings_and_names(inner: object, other: object, number: str) -> None:
    body = {"request": "setup", "id": number, "codecs": inner, "params": other}
    request = parse(json.dumps(body))
    assert isinstance(request, Request)
    assert request.id == number
    assert all(isinstance(name, str) for name in codecs(request) + asked(request))
    assert all(isinstance(value, str) for value in settings(request).values())


def test_answers_repeat_the_id_and_results_come_worst_first() -> None:
    request = Request("setup", "7", {})
    assert answer(request) == '{"response":"setup","id":"7"}'
    assert answer(Request("set", None, {})) == '{"response":"set"}'
    assert answer_setup(request, "slin") == (
        '{"response":"setup","id":"7","codecs":[{"name":"slin"}]}'
    )
    assert refuse(request, "нет") == '{"response":"setup","id":"7","error_msg":"нет"}'
    results = (Result("да", 90), Result("дай", 5, 1))
    listed = (
        '[{"text":"дай","score":5,"grammar":"","best":1},'
        '{"text":"да","score":90,"grammar":"","best":0}]'
    )
    assert answer_results(Request("get", "8", {}), results) == (
        f'{{"response":"get","id":"8","params":{{"results":{listed}}}}}'
    )
    assert push_results("r-1", results) == (
        f'{{"request":"set","id":"r-1","params":{{"results":{listed}}}}}'
    )
