"""PBX clients at the pace of a call; all calls run at once, each test looks at its own."""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from uuid import uuid4

import pytest

from ruasr_tel.testing import TIMEOUT_S
from tests.conformance import telephony_clients as clients
from tests.conformance.bench import Server
from tests.conformance.conftest import SHORT, prompt
from tests.conformance.websocket import WebSocket

KEYWORD = "регистра"
"""In the first of three words, so that partials of half a second's rhythm show it in time."""
LEAD = bytes(2 * 2400)
"""0.3 s of silence, as calls begin: a partial shows what two hypotheses agree in, and the embedded
model hears a first sound without any lead now so, now so."""


PLAIN = (
    "asterisk",
    "asterisk_zero_mask",
    "freeswitch",
    "freeswitch_old",
    "eagi",
    "phpagi",
    "microphone",
)
"""Calls whose results are texts."""


@dataclass
class Outcome:
    """What a client saw of its call."""

    call_id: str
    results: list[str]
    partials: list[str]
    keyword: bool = False


class Calls:
    """One call per client, under way at the same time."""

    def __init__(self, server: Server, pool: ThreadPoolExecutor) -> None:
        self._server = server
        self._pcm = prompt(SHORT)
        self._running: dict[str, Future[Outcome]] = {
            name: pool.submit(getattr(self, name))
            for name in (*PLAIN, "freeswitch_json", "freeswitch_quiet")
        }

    def __getitem__(self, name: str) -> Outcome:
        return self._running[name].result(3 * TIMEOUT_S)

    def asterisk(self, mask: bytes = b"\x01\x02\x03\x04") -> Outcome:
        call_id = str(uuid4())
        headers = {"Sec-WebSocket-Protocol": "ws"}
        socket = WebSocket(self._server.address, f"/?call_id={call_id}", headers, mask)
        speech = clients.ResSpeechVosk(socket)
        for frame in clients.line(self._pcm, lambda: bool(speech.results)):
            speech.write(frame)
        speech.destroy()
        return Outcome(call_id, speech.results, [speech.last_result])

    def asterisk_zero_mask(self) -> Outcome:
        return self.asterisk(bytes(4))

    def freeswitch(
        self, path: str = "/", *, return_json: bool = False, old: bool = False
    ) -> Outcome:
        call_id = str(uuid4())
        socket = WebSocket(self._server.address, f"{path}?call_id={call_id}")
        module = clients.ModVosk(socket, return_json=return_json, old=old)
        for frame in clients.line(self._pcm, lambda: bool(module.results)):
            module.feed(frame)
        module.close()
        return Outcome(call_id, module.results, module.partials)

    def freeswitch_json(self) -> Outcome:
        return self.freeswitch(return_json=True)

    def freeswitch_old(self) -> Outcome:
        return self.freeswitch(old=True)

    def freeswitch_quiet(self) -> Outcome:
        return self.freeswitch("/mod_vosk")

    def eagi(self) -> Outcome:
        call_id = str(uuid4())
        socket = WebSocket(self._server.address, f"/?call_id={call_id}")
        return Outcome(call_id, clients.py_eagi(socket, self._pcm, bool), [])

    def microphone(self) -> Outcome:
        call_id = str(uuid4())
        socket = WebSocket(self._server.address, f"/?call_id={call_id}")
        return Outcome(call_id, clients.py_microphone(socket, self._pcm, bool), [])

    def phpagi(self) -> Outcome:
        call_id = str(uuid4())
        socket = WebSocket(self._server.address, f"/?call_id={call_id}")
        seen, finals = clients.php_agi(socket, LEAD + self._pcm, KEYWORD)
        return Outcome(call_id, finals, [], seen)


@pytest.fixture(scope="module")
def calls(server: Server) -> Iterator[Calls]:
    with ThreadPoolExecutor(16) as pool:
        yield Calls(server, pool)


@pytest.mark.parametrize("name", PLAIN)
def test_the_whole_transcript_arrives(server: Server, calls: Calls, name: str) -> None:
    outcome = calls[name]
    said = " ".join(outcome.results)
    assert said == server.text(outcome.call_id) != ""
    assert KEYWORD in said


def test_freeswitch_gets_the_json_itself_if_asked_for(server: Server, calls: Calls) -> None:
    outcome = calls["freeswitch_json"]
    said = [re.search(r'"text" : "(.+)"', result) for result in outcome.results]
    assert " ".join(found[1] for found in said if found) == server.text(outcome.call_id) != ""


def test_asterisk_and_freeswitch_see_partials_before_the_result(calls: Calls) -> None:
    assert calls["asterisk"].partials != [""]
    assert calls["freeswitch"].partials


def test_an_unchanged_partial_raises_one_event_only(server: Server, calls: Calls) -> None:
    outcome = calls["freeswitch_quiet"]
    assert " ".join(outcome.results) == server.text(outcome.call_id) != ""
    assert len(outcome.partials) == len(set(outcome.partials)) > 0


def test_phpagi_finds_its_keyword_in_a_partial(calls: Calls) -> None:
    assert calls["phpagi"].keyword
