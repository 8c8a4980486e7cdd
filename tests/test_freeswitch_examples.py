"""The FreeSWITCH examples: well-formed, their URLs understood by our doors, their programs run."""

import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import lupa
import pytest

from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel_adapters.audio_stream.wire import Settings, parse_url
from ruasr_tel_adapters.vosk_ws.options import Options, change_options
from ruasr_tel_adapters.vosk_ws.options import parse_url as parse_vosk_url

FOLDER = Path(__file__).parents[1] / "dialplan_examples/freeswitch"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.xml")), ids=lambda path: path.name)
def test_xml_is_well_formed_and_every_extension_has_a_condition(path: Path) -> None:
    root = ElementTree.fromstring(path.read_text("utf-8"))
    assert root.tag in ("include", "configuration")
    for extension in root.iter("extension"):
        assert extension.get("name", "").startswith("ruasr_")
        assert [each.get("field") for each in extension.findall("condition")]


def urls(text: str) -> list[str]:
    return re.findall(r"wss?://[^\s\"]+", text)


def test_the_streams_urls_mean_what_their_commands_send() -> None:
    root = ElementTree.fromstring((FOLDER / "audio_stream.xml").read_text("utf-8"))
    actions = [action.get("data", "") for action in root.iter("action")]
    (both,) = [data for data in actions if "stereo 8k" in data]
    (url,) = urls(both.replace("${uuid}", "a-1"))
    parts = urlsplit(url)
    told = parse_url(f"{parts.path}?{parts.query}", Settings(48_000, 1))
    assert (told.sample_rate_hz, told.channels, told.call_id) == (8000, 2, "a-1")
    (caller,) = [data for data in actions if "mono 16k" in data]
    metadata = json.loads(re.search(r"mono 16k (\{.*\})\)", caller).group(1))  # type: ignore[union-attr]
    assert metadata == {"call_id": "${uuid}", "sample_rate": 16_000, "channels": 1}


def test_mod_vosks_url_takes_its_path() -> None:
    root = ElementTree.fromstring((FOLDER / "vosk.conf.xml").read_text("utf-8"))
    params = {each.get("name"): each.get("value", "") for each in root.iter("param")}
    url = params["server-url"]
    assert "/?" not in url
    assert ":" not in url.removeprefix("ws://127.0.0.1:2700")  # libks looks for a port there
    parts = urlsplit(url)
    settings = parse_vosk_url(f"{parts.path}?{parts.query}")
    options = change_options(Options(), settings.values)
    assert (options.repeat_partials, options.words, options.empty_finals) == (False, False, False)
    assert (options.empty_partials_after_final, options.empty_final_after_s) == (2, 0.0)


class Switch:
    """What mod_lua gives a script (`freeswitch` and `session`), as far as the example needs it."""

    def __init__(self, lua: Any, events: list[tuple[str, str | None]]) -> None:
        self.commands: list[str] = []
        self.variables: dict[str, str] = {}
        self._lua = lua
        self._events = events
        self.freeswitch = self._table(
            API=lambda: self._table(executeString=lambda _, command: self.commands.append(command)),
            EventConsumer=lambda *_: self._table(pop=self._pop),
            JSON=lambda: self._table(decode=self._decode),
            consoleLog=lambda *_: None,
        )
        self.session = self._table(
            answer=lambda _: None,
            get_uuid=lambda _: "fs-1",
            ready=lambda _: bool(self._events),
            sleep=lambda *_: None,
            setVariable=lambda _, name, value: self.variables.update({name: value}),
        )

    def _table(self, **fields: Any) -> Any:
        return self._lua.table_from(fields)

    def _pop(self, _: Any, __: int) -> Any:
        if not self._events:
            return None
        call, body = self._events.pop(0)
        return self._table(getHeader=lambda *_: call, getBody=lambda _: body)

    def _decode(self, _: Any, text: str) -> Any:
        try:
            value = json.loads(text)
        except ValueError:
            return None
        return self._lua.table_from(value, recursive=True) if isinstance(value, dict) else value


FINAL = json.dumps({"type": "transcription", "data": {"is_final": True, "text": "да"}})


@pytest.mark.parametrize(
    ("events", "text"),
    [
        (
            [
                ("fs-1", None),
                ("fs-1", "no JSON"),
                ("fs-1", "5"),
                ("fs-1", '{"type": "transcription"}'),
                ("fs-1", '{"type": "transcription", "data": {"is_final": false, "text": "не"}}'),
                ("fs-2", FINAL.replace("да", "другой")),
                ("fs-1", FINAL),
            ],
            "да",
        ),
        ([("fs-2", FINAL)], ""),
    ],
)
def test_lua_leaves_the_first_final_in_a_variable(
    events: list[tuple[str, str | None]], text: str
) -> None:
    lua = lupa.LuaRuntime()
    switch = Switch(lua, events)
    lua.globals().freeswitch, lua.globals().session = switch.freeswitch, switch.session
    lua.execute((FOLDER / "audio_stream.lua").read_text("utf-8"))
    assert switch.variables == {"ruasr_text": text}
    start, stop = switch.commands
    assert re.fullmatch(r"uuid_audio_stream fs-1 start (\S+) mono 8k", start)
    assert urls(start) == ["ws://127.0.0.1:2701/?sample_rate=8k&channels=1&call_id=fs-1"]
    assert stop == "uuid_audio_stream fs-1 stop"


def message(headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = "".join(f"{name}: {value}\n" for name, value in headers.items())
    return lines.encode() + b"\n" + body


def event(body: object) -> bytes:
    said = json.dumps(body, ensure_ascii=False).encode()
    plain = b"Event-Name: CUSTOM\nUnique-ID: fs%2D1\nContent-Length: 9\n\n" + said
    return message({"Content-Length": str(len(plain)), "Content-Type": "text/event-plain"}, plain)


@pytest.mark.parametrize(
    ("answer", "printed", "code"),
    [("+OK accepted", "fs-1 callee: да\nfs-1 caller: не …\n", 0), ("-ERR invalid", "", 1)],
)
def test_the_event_socket_client_prints_what_is_heard(answer: str, printed: str, code: int) -> None:
    final = {"is_final": True, "text": "да", "channel": 1}
    partial = {"is_final": False, "text": "не", "channel": 0}
    got: list[bytes] = []

    def freeswitch(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer:
            peer.sendall(message({"Content-Type": "auth/request"}))
            got.append(peer.recv(1000))
            peer.sendall(message({"Content-Type": "command/reply", "Reply-Text": answer}))
            got.append(peer.recv(1000))
            if not got[1]:  # it took the refusal and left
                return
            peer.sendall(message({"Content-Type": "command/reply", "Reply-Text": "+OK"}))
            for strange in ([1], "text", {"data": "text"}, None):
                peer.sendall(event(strange))
            peer.sendall(event({"type": "transcription", "data": final}) + event(partial))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=freeswitch, args=(server,))
        thread.start()
        port = str(server.getsockname()[1])
        command = [sys.executable, str(FOLDER / "events.py"), "--port", port, "--password", "pw"]
        ran = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        thread.join(TIMEOUT_S)
    assert (ran.stdout.decode(), ran.returncode) == (printed, code)
    assert got[0] == b"auth pw\n\n"
    if code == 0:
        assert got[1].startswith(b"event plain CUSTOM mod_audio_stream::json")
