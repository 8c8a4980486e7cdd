"""Jobs end to end: real store, real queues, scripted engine, a receiver and a host on loopback."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from ruasr_tel.engines import scripted
from ruasr_tel.errors import ConfigError, Overloaded, StoreError
from ruasr_tel.recordings import jobs as module
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.deliver import DELIVERY_HEADER, SIGNATURE_HEADER, WebhookConfig, verify
from ruasr_tel.recordings.jobs import ORPHAN_S, Recordings
from ruasr_tel.recordings.model import Channels, Order, State
from ruasr_tel.store import Store
from ruasr_tel.testing import TIMEOUT_S, phrase, scripted_host, silence, tone
from tests.core.recordings.kit import ended, running, upload
from tests.core.recordings.sounds import write_wav

SECRET = "s3cret"


@dataclass
class Peer:
    """A host of recordings and a receiver of results; `answers` are its next statuses."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((dict(request.headers), await request.read()))
        self.more.set()
        return web.Response(status=self.answers.pop(0) if self.answers else 204)

    async def give(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.asked.append(name)
        if name == "hangs":
            await self.over.wait()
        if self.answers:
            return web.Response(status=self.answers.pop(0))
        if name not in self.files:
            return web.Response(status=404)
        return web.Response(body=self.files[name], content_type="audio/wav")


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    app = web.Application()
    app.router.add_post("/hook", peer.take)
    app.router.add_get("/{name}", peer.give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    await web.TCPSite(runner, "127.0.0.2", port).start()
    peer.url = f"http://127.0.0.1:{port}"
    yield peer
    peer.over.set()
    await runner.cleanup()


async def nothing_queued(recordings: Recordings) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while any((await recordings.queued()).values()):
            pass


async def test_an_upload_becomes_a_dialogue(tmp_path: Path) -> None:
    async with running(tmp_path) as recordings:
        order = Order(upload=upload(recordings), name="вчера.wav", metadata={"n": 1})
        accepted, created = await recordings.submit(order)
        assert created
        assert (accepted.state, accepted.progress) == (State.QUEUED, 0.0)
        assert not (recordings.uploads / "in.tmp").exists()
        done = await ended(recordings, accepted.id)
        assert (done.state, done.progress, done.reason) == (State.DONE, 1.0, None)
        assert done.result is not None
        assert [turn.text for turn in done.result.turns] == ["слово слово"]
        assert done.order.metadata == {"n": 1}
        assert recordings.audio(done.id) == recordings.config.folder() / done.id / "audio.wav"
        recordings.forget([done.id])
        assert recordings.audio(done.id) is None
        await nothing_queued(recordings)


async def test_phrases_of_an_order_reach_the_engine(tmp_path: Path) -> None:
    able = scripted_host(hotwords=True, closed_lists=True)
    async with running(tmp_path, host=able) as recordings:
        for heard, asked in (
            ("алло слово", Order(phrases=("алло",))),
            ("нет", Order(phrases=("да", "нет"), closed=True)),
        ):
            order = replace(asked, upload=upload(recordings))
            accepted, _ = await recordings.submit(order)
            done = await ended(recordings, accepted.id)
            assert done.result is not None
            assert [turn.text for turn in done.result.turns] == [heard]


async def test_a_url_is_fetched_recognised_and_delivered_with_a_signature(
    tmp_path: Path, peer: Peer
) -> None:
    peer.files["call.wav"] = write_wav(tmp_path / "call.wav", phrase((1.0, 1.0))).read_bytes()
    order = Order(
        url=f"{peer.url}/call.wav",
        callback_url=f"{peer.url}/hook",
        callback_secret=SECRET,
        metadata={"case": 7},
    )
    async with running(tmp_path) as recordings:
        accepted, _ = await recordings.submit(order)
        done = await ended(recordings, accepted.id)
    assert done.state is State.DONE
    assert done.order.callback_secret is None
    [(headers, body)] = peer.received
    assert headers[DELIVERY_HEADER] == accepted.id
    signature = headers[SIGNATURE_HEADER]
    sent_s = int(signature.partition(",")[0].removeprefix("t="))
    assert verify(SECRET, signature, body, now_s=sent_s)
    told = json.loads(body)
    assert (told["event"], told["id"], told["state"]) == ("recording.done", accepted.id, "done")
    assert told["metadata"] == {"case": 7}
    assert [turn["text"] for turn in told["result"]["turns"]] == ["слово слово"]


async def test_a_receiver_that_fails_gets_the_result_later_and_holds_up_nobody(
    tmp_path: Path, peer: Peer
) -> None:
    peer.answers = [500, 503]
    async with running(tmp_path) as recordings:
        hooked = Order(upload=upload(recordings), callback_url=f"{peer.url}/hook")
        first, _ = await recordings.submit(hooked)
        second, _ = await recordings.submit(Order(upload=upload(recordings)))
        assert (await ended(recordings, second.id)).state is State.DONE
        done = await ended(recordings, first.id)
    assert (done.state, done.reason) == (State.DONE, None)
    assert len(peer.received) == 3
    assert len({headers[DELIVERY_HEADER] for headers, _ in peer.received}) == 1


async def test_a_result_nobody_takes_is_kept_and_says_so(tmp_path: Path, peer: Peer) -> None:
    peer.answers = [500] * 100
    never = WebhookConfig(give_up_after_h=0)
    async with running(tmp_path, webhooks=never) as recordings:
        hooked = Order(upload=upload(recordings), callback_url=f"{peer.url}/hook")
        accepted, _ = await recordings.submit(hooked)
        done = await ended(recordings, accepted.id)
    assert done.state is State.DONE
    assert done.result is not None
    assert done.reason == (
        "the result could not be delivered: 127.0.0.1 did not take the delivery (HTTP 500)"
    )


async def test_a_failure_is_delivered_too(tmp_path: Path, peer: Peer) -> None:
    order = Order(url=f"{peer.url}/none.wav", callback_url=f"{peer.url}/hook")
    async with running(tmp_path) as recordings:
        accepted, _ = await recordings.submit(order)
        failed = await ended(recordings, accepted.id)
        async with asyncio.timeout(TIMEOUT_S):
            await peer.more.wait()
    assert failed.state is State.FAILED
    assert failed.reason is not None
    assert "404" in failed.reason
    told = json.loads(peer.received[0][1])
    assert (told["event"], told["reason"]) == ("recording.failed", failed.reason)
    assert told["result"] is None


async def test_what_is_no_recording_fails_with_a_reason_that_names_no_path(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as recordings:
        page = recordings.uploads / "page"
        page.write_text("<html>404</html>")
        accepted, _ = await recordings.submit(Order(upload=page, name="call.wav"))
        failed = await ended(recordings, accepted.id)
    assert failed.state is State.FAILED
    assert failed.reason is not None
    assert failed.reason.startswith("call.wav: not a recording that can be read")
    assert str(tmp_path) not in failed.reason


async def test_an_address_inside_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as recordings:
        accepted, _ = await recordings.submit(Order(url="http://10.0.0.1/call.wav"))
        failed = await ended(recordings, accepted.id)
    assert failed.state is State.FAILED
    assert failed.reason is not None
    assert "10.0.0.1" in failed.reason


async def test_an_idempotency_key_returns_the_first_recording(tmp_path: Path) -> None:
    async with running(tmp_path) as recordings:
        order = Order(upload=upload(recordings), idempotency_key="monday")
        first, created = await recordings.submit(order)
        again = Order(upload=upload(recordings), idempotency_key="monday")
        second, created_again = await recordings.submit(again)
        assert (created, created_again) == (True, False)
        assert second.id == first.id
        await ended(recordings, first.id)
        page = await recordings.list()
        assert [each.id for each in page.items] == [first.id]
        kept = {path.name for path in recordings.config.folder().iterdir() if path.is_dir()}
        assert kept == {"uploads", first.id}


async def test_orders_that_cannot_be_are_refused(tmp_path: Path) -> None:
    async with running(tmp_path, RecordingsConfig(max_waiting=1, concurrency=1)) as recordings:
        with pytest.raises(ConfigError, match="there is no profile 'opera'"):
            await recordings.submit(Order(url="http://h/", profile="opera"))
        with pytest.raises(ConfigError, match="no model 'whisper'; it has scripted"):
            await recordings.submit(Order(url="http://h/", model="whisper"))
        with pytest.raises(ValueError, match="an order has a URL or an upload"):
            await recordings.submit(Order())
        known = Order(upload=upload(recordings), model="scripted", idempotency_key="k")
        first, _ = await recordings.submit(known)
        again, created = await recordings.submit(replace(known, upload=upload(recordings)))
        assert (again.id, created) == (first.id, False)
        assert list(recordings.uploads.iterdir()) == []
        with pytest.raises(Overloaded) as refused:
            await recordings.submit(Order(url="http://h/"))
        assert str(refused.value) == (
            "1 recordings wait or run, the limit (recordings.max_waiting)"
        )
        await ended(recordings, first.id)
        second, _ = await recordings.submit(Order(upload=upload(recordings)))
        await ended(recordings, second.id)


async def test_cancelling_stops_the_work_and_waiting(tmp_path: Path) -> None:
    slow = scripted_host(delay_s=0.05)
    async with running(tmp_path, RecordingsConfig(concurrency=1), host=slow) as recordings:
        long = Order(upload=upload(recordings, *[(0.5, 1.0)] * 1000))
        at_work, _ = await recordings.submit(long)
        waiting, _ = await recordings.submit(Order(upload=upload(recordings)))
        async with asyncio.timeout(TIMEOUT_S):
            async for _, event in recordings.follow(at_work.id):
                if event["state"] == "recognising":
                    break
        assert await recordings.cancel(waiting.id)
        assert await recordings.cancel(at_work.id)
        assert not await recordings.cancel(at_work.id)
        for id in (at_work.id, waiting.id):
            cancelled = await ended(recordings, id)
            assert (cancelled.state, cancelled.result) == (State.CANCELLED, None)
        following, _ = await recordings.submit(Order(upload=upload(recordings)))
        assert (await ended(recordings, following.id)).state is State.DONE
        assert not await recordings.cancel("6f1b1f4e-0000-4000-8000-000000000000")


async def test_a_stop_in_the_middle_goes_on_after_the_start(tmp_path: Path) -> None:
    slow = scripted_host(delay_s=0.5)
    async with running(tmp_path, host=slow) as recordings:
        order = Order(upload=upload(recordings, *[(0.5, 1.0)] * 50))
        accepted, _ = await recordings.submit(order)
        async with asyncio.timeout(TIMEOUT_S):
            async for seen, event in recordings.follow(accepted.id):
                if event["state"] == "recognising":
                    last = seen
                    break
    async with running(tmp_path) as recordings:
        async with asyncio.timeout(2 * TIMEOUT_S):
            states = [event["state"] async for _, event in recordings.follow(accepted.id, last)]
        assert states[-1] == "done"
        done = await recordings.get(accepted.id)
    assert done is not None
    assert done.result is not None
    assert len(done.result.transcript.segments) == 50


async def test_what_was_accepted_and_not_enqueued_is_taken_up(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/ruasr.db")
    await store.open()
    path = write_wav(tmp_path / "in.wav", phrase((1.0, 1.0)))
    id = "6f1b1f4e-0000-4000-8000-000000000001"
    (tmp_path / "recordings" / id).mkdir(parents=True)
    path.replace(tmp_path / "recordings" / id / "audio.wav")
    await store.add_recording(id, Order(upload=path), store.now())
    async with running(tmp_path, store=store) as recordings:
        assert (await ended(recordings, id)).state is State.DONE
    await store.close()


async def test_files_that_a_purge_left_behind_go_at_the_next_start(tmp_path: Path) -> None:
    async with running(tmp_path) as recordings:
        accepted, _ = await recordings.submit(Order(upload=upload(recordings)))
        await ended(recordings, accepted.id)
    folder = tmp_path / "recordings"
    orphan, fresh = (folder / f"6f1b1f4e-0000-4000-8000-00000000000{n}" for n in (1, 2))
    orphan.mkdir()
    fresh.mkdir()
    long_ago_s = time.time() - ORPHAN_S - 60
    for old in (orphan, folder / accepted.id):
        os.utime(old, (long_ago_s, long_ago_s))
    async with running(tmp_path) as recordings:
        assert not orphan.exists()
        assert fresh.exists()
        assert recordings.audio(accepted.id) is not None


async def test_files_that_nobody_knows_go_while_the_server_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.01)
    async with running(tmp_path) as recordings:
        orphan = recordings.config.folder() / "6f1b1f4e-0000-4000-8000-000000000001"
        orphan.mkdir()
        os.utime(orphan, (0, 0))
        async with asyncio.timeout(TIMEOUT_S):
            while orphan.exists():
                await recordings.get(orphan.name)


async def test_an_order_that_the_store_does_not_take_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def locked(*_order: object) -> None:
        raise StoreError("the database is locked")

    async with running(tmp_path) as recordings:
        monkeypatch.setattr(Store, "add_recording", locked)
        with pytest.raises(StoreError, match="the database is locked"):
            await recordings.submit(Order(upload=upload(recordings)))
        kept = [path.name for path in recordings.config.folder().iterdir() if path.is_dir()]
        assert kept == ["uploads"]
        assert list(recordings.uploads.iterdir()) == []


async def test_a_host_that_hangs_holds_up_neither_uploads_nor_another_host(
    tmp_path: Path, peer: Peer
) -> None:
    peer.files["call.wav"] = write_wav(tmp_path / "in.wav", phrase((1.0, 1.0))).read_bytes()
    async with running(tmp_path, RecordingsConfig(concurrency=1)) as recordings:
        stuck, _ = await recordings.submit(Order(url=f"{peer.url}/hangs"))
        async with asyncio.timeout(TIMEOUT_S):
            async for _, event in recordings.follow(stuck.id):
                if event["state"] == "fetching":
                    break
        assert (await recordings.queued())["recording"] == 1
        behind, _ = await recordings.submit(Order(url=f"{peer.url}/call.wav"))
        uploaded, _ = await recordings.submit(Order(upload=upload(recordings)))
        other = peer.url.replace("127.0.0.1", "127.0.0.2")
        fetched, _ = await recordings.submit(Order(url=f"{other}/call.wav"))
        for id in (uploaded.id, fetched.id):
            assert (await ended(recordings, id)).state is State.DONE
        held = await recordings.get(behind.id)
        assert held is not None
        assert held.state is State.QUEUED


async def test_only_so_many_begin_in_a_minute(tmp_path: Path) -> None:
    async with running(tmp_path, RecordingsConfig(per_minute=2)) as recordings:
        ids = []
        for _ in range(4):
            accepted, _ = await recordings.submit(Order(upload=upload(recordings)))
            ids.append(accepted.id)
        for id in ids[:2]:
            assert (await ended(recordings, id)).state is State.DONE
        for id in ids[2:]:
            held = await recordings.wait(id, 1.0)
            assert held.state is State.QUEUED


async def test_an_engine_that_answers_nothing_is_tried_again_and_then_named(
    tmp_path: Path,
) -> None:
    config = RecordingsConfig(recognise_attempts=1)
    async with running(tmp_path, config) as recordings:
        bad = tone(1.0, level=scripted.RAISES)
        path = write_wav(recordings.uploads / "in", np.concatenate([bad, silence(1.0)]))
        accepted, _ = await recordings.submit(Order(upload=path, channels=Channels.MIX))
        failed = await ended(recordings, accepted.id)
    assert failed.state is State.FAILED
    assert failed.reason == "nothing could be recognised: the segment holds the marker RAISES"


async def test_audio_goes_where_it_is_not_to_be_kept(tmp_path: Path) -> None:
    async with running(tmp_path, RecordingsConfig(keep_audio=False)) as recordings:
        accepted, _ = await recordings.submit(Order(upload=upload(recordings)))
        await ended(recordings, accepted.id)
        await nothing_queued(recordings)
        assert recordings.audio(accepted.id) is None
