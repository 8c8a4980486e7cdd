"""Every kind of bad recording over the real door and the real jobs: a named state, and a reason."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web

from ruasr_tel.audio.codec import Encoding, encode
from ruasr_tel.audio.reader import DecodingConfig, Reader
from ruasr_tel.errors import DeliveryError
from ruasr_tel.recordings import handover, recognise
from ruasr_tel.recordings.addresses import AddressRules, networks
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.deliver import WebhookConfig
from ruasr_tel.recordings.durable import Errand
from ruasr_tel.recordings.fetch import FetchConfig
from ruasr_tel.testing import TIMEOUT_S, phrase, silence, tone
from ruasr_tel.types import Samples
from tests.adapters.rest.whole import Whole, whole_server
from tests.core.recordings.peers import End, Host, Reply, answer, host, names
from tests.core.recordings.sounds import quiet, write_silent_flac, write_wav

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "127.0.0.2"
"""Where the host of these tests is; the configuration permits it and no other address inside."""
LONGEST_S = 1500
SEGFAULT = b"BOOM"
"""At the end of a file, it ends its decoder; a real file that does so is one that FFmpeg's next
version reads."""
FRAGILE = f"""
import ctypes, sys
from ruasr_tel.audio import decoder
answer = decoder._answer
def fragile(sock, request, source):
    source.read().endswith({SEGFAULT!r}) and ctypes.string_at(0)
    source.seek(0)
    answer(sock, request, source)
decoder._answer = fragile
decoder.main(sys.argv[1:])
"""


class Fragile(Reader):
    def __init__(self, config: DecodingConfig) -> None:
        super().__init__(config, (sys.executable, "-c", FRAGILE))


@dataclass
class Bad:
    """A server, and a host that has nothing good."""

    server: Whole
    host: Host
    files: dict[str, bytes]

    def reply(self, head: str) -> Reply:
        path = head.split()[1]
        if path in self.files:
            return Reply(answer(self.files[path]))
        if path == "/page.wav":
            return Reply(answer(b"<!doctype html><p>Sign in", "Content-Type: audio/wav"))
        if path == "/inside.wav":
            url = self.host.url("/call.wav", host="127.0.0.1")
            return Reply(answer(b"", f"Location: {url}", status="302 Found"))
        if path == "/huge.wav":
            return Reply(answer(b"RIFF", "Content-Length: 2000000001", length=False))
        if path == "/liar.wav":
            body = self.files["/call.wav"]
            return Reply(answer(body, "Content-Length: 1999999999", length=False), End.RESET)
        return Reply(answer(b"no", status="404 Not Found"))


def files(folder: Path) -> dict[str, bytes]:
    """What the host has, by path."""
    voice, path = phrase((1.0, 1.0)), folder / "x.wav"

    def wav(*channels: Samples, rate_hz: int = 8000) -> bytes:
        return write_wav(path, *channels, rate_hz=rate_hz).read_bytes()

    def alaw(audio: Samples, keep: int) -> bytes:
        """A WAV in A-law whose header promises more than there is (RFC 2361, tag 6)."""
        data = encode(audio, Encoding.PCMA)
        form = (6).to_bytes(2, "little") + (1).to_bytes(2, "little")
        form += (8000).to_bytes(4, "little") * 2 + (1).to_bytes(2, "little")
        form += (8).to_bytes(2, "little")
        head = b"WAVEfmt " + len(form).to_bytes(4, "little") + form
        head += b"fact" + (4).to_bytes(4, "little") + len(data).to_bytes(4, "little")
        head += b"data" + len(data).to_bytes(4, "little")
        return b"RIFF" + (len(head) + len(data)).to_bytes(4, "little") + head + data[:keep]

    eight = [np.concatenate([quiet(n * 0.5), tone(1.0), quiet(4.0 - n * 0.5)]) for n in range(8)]
    return {
        "/call.wav": wav(voice),
        "/empty.wav": b"",
        "/cut.wav": alaw(np.concatenate([voice, tone(2.0)]), 16_000),
        "/nothing.wav": wav(quiet(0.0)),
        "/eight.wav": wav(*eight),
        "/slow.wav": wav(np.concatenate([tone(1.0, 4000), silence(1.0, 4000)]), rate_hz=4000),
        "/bomb.flac": write_silent_flac(folder / "x.flac", 2, 7200).read_bytes(),
        "/boom.wav": wav(voice) + SEGFAULT,
    }


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bad(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bad]:
    folder = tmp_path_factory.mktemp("bad")
    lookup = names(records_example=HOST, office_example="10.1.2.3")
    rules = AddressRules(networks([f"{HOST}/32"]), lookup=lookup)
    fetching = FetchConfig(allow_cidrs=[f"{HOST}/32"], max_resumes=1, resume_delay_s=0)
    limits = RecordingsConfig(max_audio_s=LONGEST_S, fetch_attempts=1, recognise_attempts=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FetchConfig, "address_rules", lambda self: rules)
        patch.setattr(recognise, "Reader", Fragile)
        async with (
            host(Reply(b""), address=HOST) as peer,
            whole_server(folder, limits, fetching, WebhookConfig()) as server,
        ):
            bad = Bad(server, peer, files(folder))
            peer.replies = [bad.reply]
            before = children_of_ours()
            yield bad
            await nothing_is_left(bad, before)


def children_of_ours() -> set[str]:
    """Return the ids of the processes that this one has started (proc(5))."""
    threads = Path("/proc/self/task").glob("*/children")
    return {child for each in threads for child in each.read_text().split()}


async def nothing_is_left(bad: Bad, before: set[str]) -> None:
    """After everything, the server has no work, no half file and no process that it had not."""
    server = bad.server
    assert await server.bulk.idle(TIMEOUT_S)
    async with asyncio.timeout(TIMEOUT_S):  # an errand ends a moment after its recording
        while any((await server.json("GET", "/v1/status"))["queues"].values()):
            pass
    folder = server.folder / "recordings"
    assert list((folder / "uploads").iterdir()) == []
    assert list(folder.glob("*/*.part")) == []
    assert children_of_ours() <= before


async def healthy(server: Whole) -> None:
    for path in ("/healthz", "/readyz"):
        async with server.client.get(path) as response:
            assert response.status == HTTPStatus.OK


URL = "http://records.example:{port}"
BROKEN = "the transfer from records.example broke off again and again, the last time after "

FAILS = [
    ("http://records.example:{closed}/a.wav", "records.example cannot be reached: connection ref"),
    ("http://nowhere.example/a.wav", "the host nowhere.example does not exist"),
    (f"{URL}/none.wav", "records.example has no such file (HTTP 404)"),
    (f"{URL}/page.wav", "records.example answered with a web page, not audio"),
    (f"{URL}/empty.wav", "the file is empty"),
    (f"{URL}/nothing.wav", "nothing.wav: no audio could be read (empty)"),
    (f"{URL}/bomb.flac", f"the recording is longer than {LONGEST_S} s (recordings.max_audio_s)"),
    (
        f"{URL}/inside.wav",
        "records.example sends us on, but 127.0.0.1 leads to this server itself (loopback), where "
        "this server may not connect; an administrator can permit it (allow_cidrs)",
    ),
    (
        "http://office.example/a.wav",
        "office.example leads to a private network, where this server may not connect; an "
        "administrator can permit it (allow_cidrs)",
    ),
    (
        "http://user:secret@records.example:{port}/call.wav",
        "the URL holds a user name or a password, which would end up in logs; take it out, an "
        "administrator can set it for the host (credentials)",
    ),
    (f"{URL}/huge.wav", "the file is larger than the 2000 MB that are taken (max_bytes)"),
    (f"{URL}/liar.wav", BROKEN),
    (
        f"{URL}/boom.wav",
        "boom.wav: reading it ended the decoder (killed by SIGSEGV); the file is damaged, or made "
        "to do harm",
    ),
]


@pytest.mark.parametrize(("url", "reason"), FAILS, ids=lambda each: each.rpartition("/")[2][:20])
async def test_what_cannot_be_a_recording_fails_with_a_reason_for_people(
    bad: Bad, url: str, reason: str, unused_tcp_port: int
) -> None:
    asked = {"url": url.format(port=bad.host.port, closed=unused_tcp_port)}
    shown = await bad.server.json("POST", "/v1/recordings?wait=60", 200, json=asked)
    assert (shown["state"], shown["result"]) == ("failed", None)
    assert shown["reason"].startswith(reason)
    assert "secret" not in shown["reason"]
    assert str(bad.server.folder) not in shown["reason"]
    await healthy(bad.server)


async def recognised(bad: Bad, path: str, **wishes: Any) -> Any:
    asked = {"url": bad.host.url(path), **wishes}
    shown = await bad.server.json("POST", "/v1/recordings?wait=60", 200, json=asked)
    assert (shown["state"], shown["reason"]) == ("done", None)
    await healthy(bad.server)
    return shown["result"]


def said(result: Any) -> list[str]:
    return [turn["text"] for turn in result["turns"]]


async def test_of_a_file_that_is_cut_the_rest_is_recognised_and_the_loss_is_named(
    bad: Bad,
) -> None:
    result = await recognised(bad, "/cut.wav")
    assert said(result) == ["слово слово"]
    assert result["transcript"]["fault"] == "ends after 2.0 s of 4.0 s declared"


async def test_eight_channels_are_mixed_or_eight_parties_as_ordered(bad: Bad) -> None:
    assert {turn["channel"] for turn in (await recognised(bad, "/eight.wav"))["turns"]} == {0}
    split = await recognised(bad, "/eight.wav", channels="split")
    assert {turn["channel"] for turn in split["turns"]} == set(range(8))


async def test_a_rate_of_4000_is_recognised(bad: Bad) -> None:
    result = await recognised(bad, "/slow.wav")
    assert said(result) == ["слово слово"]
    assert result["duration_s"] == pytest.approx(2.0, abs=0.01)


class Receiver:
    """Answers 500 for the first hour of a clock that is not the wall's."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.times_s: list[float] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        await request.read()
        self.times_s.append(self.now_s)
        return web.Response(status=500 if self.now_s < 3600 else 200)

    def pause(
        self, failure: DeliveryError, errand: Errand, config: WebhookConfig, now_s: float
    ) -> float | None:
        """Let the clock leap over the wait that there would be."""
        at_s = errand.since_s + self.now_s
        after_s = handover_pause_s(failure, errand, config, at_s)
        assert after_s is not None, "given up within the hour"
        self.now_s += after_s
        return 0.0


handover_pause_s = handover.pause_s


@pytest_asyncio.fixture(loop_scope="module")
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    monkeypatch.setattr(handover, "pause_s", receiver.pause)
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    receiver.url = f"http://records.example:{runner.addresses[0][1]}/hook"
    yield receiver
    await runner.cleanup()


async def test_a_callback_that_answers_500_for_an_hour_gets_the_result_and_delays_nobody(
    bad: Bad, receiver: Receiver
) -> None:
    asked = {"url": bad.host.url("/call.wav"), "callback_url": receiver.url}
    shown = await bad.server.json("POST", "/v1/recordings?wait=60", 200, json=asked)
    assert shown["state"] in ("delivering", "done")
    assert said(shown["result"]) == ["слово слово"]
    assert said(await recognised(bad, "/call.wav")) == ["слово слово"]
    address = f"/v1/recordings/{shown['id']}"
    async with bad.server.client.get(f"{address}/events") as response:
        assert '"state": "done"' in await response.text()
    shown = await bad.server.json("GET", address)
    assert (shown["state"], shown["reason"]) == ("done", None)
    assert receiver.times_s[-2] < 3600 <= receiver.times_s[-1] < 2 * 3600 + 600
    # 5 s, 10 s, … with half of each by chance: ten doublings are more than an hour
    assert 9 <= len(receiver.times_s) <= 13
