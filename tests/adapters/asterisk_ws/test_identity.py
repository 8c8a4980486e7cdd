import pytest

from ruasr_tel.audio.codec import Encoding
from ruasr_tel.errors import ProtocolError
from ruasr_tel.types import CallId
from ruasr_tel_adapters.asterisk_ws import identity
from ruasr_tel_adapters.asterisk_ws.identity import Name, Registry, Uri, parse_uri
from ruasr_tel_adapters.wires.chan_websocket import Format, MediaStart


def start(channel_id: str = "1.2", **variables: str) -> MediaStart:
    return MediaStart("c", "ch", channel_id, Format(Encoding.SLIN, 8000), 320, variables)


def test_a_uuid_is_believed_once() -> None:
    registry = Registry()
    assert registry.name(start("1.1"), Uri("u"), "x") == Name(CallId("u"))
    assert registry.name(start("1.2"), Uri("u"), "x") == Name(CallId("1.2"), "u")
    assert registry.name(start("1.3"), Uri("w"), "x") == Name(CallId("w"))


def test_the_channels_own_variable_is_certain() -> None:
    registry = Registry()
    said = start(RUASR_CALL_ID="u")
    assert registry.name(said, Uri("stale"), "x").call_id == "u"
    assert registry.name(said, Uri("u"), "x").call_id == "u"
    assert registry.name(start("1.2"), Uri("u"), "x") == Name(CallId("1.2"), "u")
    assert registry.name(start("1.2", RUASR_CALL_ID="bad id"), Uri(), "x").call_id == "1.2"


@pytest.mark.parametrize("channel_id", ["", "a b"])
def test_a_channel_without_an_id_gets_one(channel_id: str) -> None:
    assert Registry().name(start(channel_id), Uri(), "x") == Name(CallId("x"))


def test_uuids_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "REMEMBERED", 2)
    registry = Registry()
    for uuid in ("a", "b", "c"):
        registry.name(start(), Uri(uuid), "x")
    assert registry.name(start(), Uri("a"), "x").call_id == "a"
    assert registry.name(start(), Uri("c"), "x").stale_uuid == "c"


@pytest.mark.parametrize(
    ("target", "uri"),
    [
        ("/media", Uri()),
        ("/media?uuid=a-1&profile=yesno", Uri("a-1", "yesno")),
        ("/?call_id=b", Uri("b")),
    ],
)
def test_what_a_uri_says(target: str, uri: Uri) -> None:
    assert parse_uri(target) == uri


@pytest.mark.parametrize("target", ["/?uuid=a%20b", "/?" + "a=1&" * 65])
def test_what_a_uri_cannot_say(target: str) -> None:
    with pytest.raises(ProtocolError):
        parse_uri(target)
