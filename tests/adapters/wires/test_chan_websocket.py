"""Control messages, plain and JSON; nothing that a peer sends raises but ProtocolError."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from ruasr_tel.audio.codec import Encoding
from ruasr_tel.errors import ProtocolError
from ruasr_tel_adapters.wires.chan_websocket import (
    COMMAND_BYTES_MAX,
    Command,
    Event,
    Format,
    encode,
    media_start,
    parse,
)

RECORDED = Path(__file__).parents[2] / "data/asterisk_ws"


def lines(name: str) -> list[str]:
    return (RECORDED / name).read_text("utf-8").splitlines()


def test_plain_events_of_a_real_asterisk() -> None:
    start, *digits = map(parse, lines("plain.txt"))
    said = media_start(start)
    assert (said.connection_id, said.channel_id) == ("ruasr", "1795385703.5")
    assert said.channel == "WebSocket/ruasr/0x7fd4a000b2a0"
    assert (said.format, said.frame_bytes) == (Format(Encoding.SLIN, 8000), 320)
    assert (said.variables, start.is_json) == ({}, False)
    assert [(each.name, each.fields["digit"]) for each in digits] == [
        ("DTMF_END", "1"),
        ("DTMF_END", "2"),
    ]


def test_json_events_of_a_real_asterisk() -> None:
    start, one, two, *others = map(parse, lines("json.jsonl"))
    said = media_start(start)
    assert said.variables["RUASR_CALL_ID"] == "7d2848e4-0034-4d72-9942-470ea27c0779"
    assert said.variables["RUASR_PROFILE"] == "default"
    assert start.is_json
    assert (one.fields["digit"], two.fields["channel_id"]) == ("1", "1795385650.23")
    assert [(media_start(each).format, media_start(each).frame_bytes) for each in others] == [
        (Format(Encoding.SLIN, 16000), 640),
        (Format(Encoding.PCMU, 8000), 160),
        (Format(Encoding.PCMA, 8000), 160),
    ]


@pytest.mark.parametrize(
    ("text", "name", "fields"),
    [
        ("MEDIA_XOFF", "MEDIA_XOFF", {}),
        ("MEDIA_MARK_PROCESSED m1", "MEDIA_MARK_PROCESSED", {"correlation_id": "m1"}),
        ("MEDIA_BUFFERING_COMPLETED a b", "MEDIA_BUFFERING_COMPLETED", {"correlation_id": "a b"}),
        (
            "ERROR channel_id:1.2 error_text:Unable: to do it",
            "ERROR",
            {"channel_id": "1.2", "error_text": "Unable: to do it"},
        ),
        (
            "STATUS channel_id:1.2 queue_length:11 queue_full:false",
            "STATUS",
            {"channel_id": "1.2", "queue_length": "11", "queue_full": "false"},
        ),
        (
            '{"event":"STATUS","queue_length":11,"queue_full":false,"x":[1]}',
            "STATUS",
            {"queue_length": "11", "queue_full": "false"},
        ),
    ],
)
def test_other_events(text: str, name: str, fields: dict[str, str]) -> None:
    assert parse(text) == Event(name, fields, {}, text.startswith("{"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "text that is no control message: ''"),
        ("hello", "text that is no control message: 'hello'"),
        ("{", "text that is not JSON: '{'"),
        ("[1]", "JSON that is not an object: '[1]'"),
        ('{"event":1}', "an object without an event: '{\"event\":1}'"),
    ],
)
def test_what_is_no_event(text: str, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(text)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("DTMF_END digit:1", "'DTMF_END' before MEDIA_START"),
        ("MEDIA_START format:opus", "format 'opus' is not served; dial with c(slin), or one of "),
        ("MEDIA_START", "format '' is not served; dial with c(slin), or one of slin, slin12, "),
    ],
)
def test_what_begins_no_call(text: str, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        media_start(parse(text))
    assert str(caught.value).startswith(error)


@examples(max_examples=80)
@given(st.text() | st.from_regex(r"[A-Z_]+( [a-z_]+:\S*| \S+)*", fullmatch=True))
def test_any_text_is_an_event_or_a_protocol_error(text: str) -> None:
    try:
        event = parse(text)
        media_start(event)
    except ProtocolError:
        return
    assert event.name == "MEDIA_START"


@pytest.mark.parametrize("command", Command)
def test_commands_in_both_forms(command: Command) -> None:
    assert json.loads(encode(command, is_json=True)) == {"command": command.value}
    if command is Command.SET_MEDIA_DIRECTION:
        assert json.loads(encode(command, is_json=True, value="in"))["direction"] == "in"
        with pytest.raises(ValueError, match="in JSON only"):
            encode(command, is_json=False, value="in")
    else:
        assert encode(command, is_json=False) == command.value


def test_a_command_has_a_value_only_where_there_is_one_and_stays_short() -> None:
    assert encode(Command.MARK_MEDIA, is_json=False, value="m1") == "MARK_MEDIA m1"
    assert encode(Command.MARK_MEDIA, is_json=True, value="m1") == (
        '{"command":"MARK_MEDIA","correlation_id":"m1"}'
    )
    with pytest.raises(ValueError, match="HANGUP takes no value"):
        encode(Command.HANGUP, is_json=True, value="m1")
    longest = COMMAND_BYTES_MAX - len("MARK_MEDIA ")
    assert len(encode(Command.MARK_MEDIA, is_json=False, value="x" * longest)) == 127
    with pytest.raises(ValueError, match="a command of 128 bytes, at most 127"):
        encode(Command.MARK_MEDIA, is_json=False, value="x" * (longest + 1))
