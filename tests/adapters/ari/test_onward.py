"""Nobody is left waiting in the application: every channel goes on, once, with a status."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineSpec, Hypothesis
from ruasr_tel.engines.scripted import create as create_engine
from ruasr_tel.events import CallEnded, CallStarted, Final
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing.calls import TIMEOUT_S, ThreadHost, running_calls
from ruasr_tel.types import Samples
from ruasr_tel_adapters.ari import AriConfig, create, onward, server, tap
from ruasr_tel_adapters.ari.onward import Onward
from ruasr_tel_adapters.ari.rest import Ari
from tests.adapters.ari.bench import CHANNEL, SECOND, bridged, house, left, rtp
from tests.adapters.ari.fake_ari import FakeAri, fake_ari

OTHER = "1795346040.2"
ASK = ("mode=ask", "parties=caller")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onward, "AGAIN_S", 0.01)
    monkeypatch.setattr(server, "STRAY_S", 0.05)
    monkeypatch.setattr(tap, "LAST_WORDS_S", 0.1)


async def went_on(pbx: FakeAri, status: str, channel_id: str = CHANNEL) -> None:
    """Wait until a channel is in its dialplan again, and look at its status."""
    await pbx.until(lambda: channel_id not in pbx.in_app)
    assert pbx.variables[channel_id].get("RUASR_STATUS") == status


def tries(pbx: FakeAri, channel_id: str) -> int:
    return len(pbx.posted(f"channels/{channel_id}/continue"))


def media(pbx: FakeAri) -> str:
    return next(each for each in pbx.channels if each.startswith("ruasr.ruasr.media.in."))


# What takes an audio line away, or Asterisk.


async def test_an_audio_line_that_dies_under_a_question_does_not_keep_the_caller() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "mode=ask")
        await bridged(at.pbx)
        await at.pbx.hang_up(media(at.pbx))
        await went_on(at.pbx, "failed")
        assert left(at.pbx) == []


async def test_an_outage_in_which_an_audio_line_died_does_not_keep_the_caller() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "mode=ask")
        await bridged(at.pbx)
        del at.pbx.channels[media(at.pbx)]  # nobody is told
        await at.pbx.drop_connections()
        await went_on(at.pbx, "failed")
    (ended,) = at.heard.of(CallEnded)
    assert ended.reason == "pbx restarted"


@pytest.mark.parametrize(
    ("args", "status"), [((), None), (("mode=ask", "timeout=0.01"), "timeout")]
)
async def test_a_refused_continue_is_tried_again_until_it_is_done(
    args: tuple[str, ...], status: str | None
) -> None:
    async with house() as at:
        at.pbx.fail = {"continue": 503}
        with capture_logs() as logs:
            await at.pbx.call(CHANNEL, *args)
            await at.pbx.until(lambda: tries(at.pbx, CHANNEL) > 2)
        assert CHANNEL in at.pbx.in_app
        at.pbx.fail = {}
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        assert at.pbx.variables[CHANNEL].get("RUASR_STATUS") == status
    said = [line["event"] for line in logs]
    assert said.count("ari does not send a channel on; it is tried again") == 1


async def test_a_caller_whose_time_ran_out_while_ari_was_away_goes_on_after_it() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "mode=ask", "timeout=0.05")
        await bridged(at.pbx)
        at.pbx.fail = {"": 503}
        await at.pbx.drop_connections()
        await at.heard.until(CallEnded)
        await at.pbx.until(lambda: tries(at.pbx, CHANNEL))
        at.pbx.fail = {}
        await went_on(at.pbx, "timeout")


async def test_whoever_waited_for_a_killed_server_goes_on_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "STRAY_S", TIMEOUT_S / 50)  # enough for an event on its way
    async with fake_ari() as pbx, running_calls() as calls:
        for channel_id, app_data in ((CHANNEL, "ruasr,mode=ask"), ("1.1", "ruasr-2"), ("1.2", "")):
            dialplan = {"app_name": "Stasis" if app_data else "Dial", "app_data": app_data}
            pbx.channels[channel_id] = {"id": channel_id, "dialplan": dialplan}
            pbx.variables[channel_id] = {}
            pbx.in_app.add(channel_id)
        config = AriConfig.model_validate({"url": pbx.url, "password": "secret"})
        door = create(config, Server(calls, Hub(), Metrics()))
        await pbx.call(OTHER, "mode=hold")  # its StasisStart is still on its way
        await door.start()
        await door.connected.wait()
        await pbx.enter(OTHER, "mode=hold")
        await went_on(pbx, "failed")
        await bridged(pbx)
        assert pbx.in_app >= {"1.1", "1.2", OTHER}
        await door.close()
        assert pbx.in_app == {"1.1", "1.2"}


# Sending on, by itself.


@asynccontextmanager
async def sending() -> AsyncIterator[tuple[FakeAri, Onward]]:
    async with fake_ari() as pbx:
        await pbx.call(CHANNEL)
        ari = Ari(AriConfig.model_validate({"url": pbx.url, "password": "secret"}))
        await ari.open()
        sender = Onward(ari)
        trying = asyncio.create_task(sender.keep_trying())
        try:
            yield pbx, sender
        finally:
            trying.cancel()
            await ari.close()


async def test_what_is_tried_again_has_its_variables() -> None:
    async with sending() as (pbx, sender):
        pbx.fail = {CHANNEL: 503}
        await sender.send(CHANNEL, {"RUASR_STATUS": "final"})
        pbx.fail = {}
        await went_on(pbx, "final")


async def test_who_is_not_there_or_went_on_is_not_tried_again() -> None:
    async with sending() as (pbx, sender):
        await sender.send("nobody", {})  # 404
        await sender.send(CHANNEL, {})
        await sender.send(CHANNEL, {})  # 409
        await pbx.call(OTHER)
        await pbx.call("1795346040.3")
        pbx.fail = {"continue": 503}
        await sender.send(OTHER, {})
        await pbx.until(lambda: tries(pbx, OTHER) > 2)
        sender.forget(OTHER)
        before = tries(pbx, OTHER)
        await sender.send("1795346040.3", {})
        await pbx.until(lambda: tries(pbx, "1795346040.3") > 3)
        assert tries(pbx, OTHER) <= before + 1  # one was on its way
    assert (tries(pbx, "nobody"), tries(pbx, CHANNEL)) == (1, 2)


# One visit after the other.


async def test_a_second_question_is_asked_though_the_first_ones_end_is_not_answered_yet() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, *ASK)
        await bridged(at.pbx, 1)
        at.pbx.silent = f"{CHANNEL}/continue"
        rtp(SECOND, at.pbx.media("in")["external_host"])
        await went_on(at.pbx, "final")
        await at.pbx.enter(CHANNEL, *ASK, "timeout=0.05")
        await at.heard.until(CallStarted, 2)
        at.pbx.silent = None
        at.pbx.speaks.set()
        await went_on(at.pbx, "timeout")
        assert left(at.pbx) == []


async def test_a_question_to_a_channel_that_is_listened_to_is_refused_and_said_so() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL)
        await bridged(at.pbx)
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        at.pbx.variables[CHANNEL]["RUASR_STATUS"] = "final"  # of an earlier question
        with capture_logs() as logs:
            await at.pbx.enter(CHANNEL, *ASK)
            await went_on(at.pbx, "refused")
        assert len(at.calls) == 1
    assert any("does not ask a channel" in line["event"] for line in logs)


async def test_a_channel_that_is_listened_to_can_be_held_later() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "parties=caller")
        await bridged(at.pbx, 1)
        rtp(SECOND, at.pbx.media("in")["external_host"])
        (final,) = await at.heard.until(Final)
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        await at.pbx.enter(CHANNEL, "mode=hold")
        await at.pbx.until(lambda: "RUASR_FINALS" in at.pbx.variables[CHANNEL])
        assert at.pbx.variables[CHANNEL]["RUASR_TEXT"] == final.text
        await at.pbx.call(OTHER, "loud")
        await went_on(at.pbx, "failed", OTHER)  # so would the other have done by now
        assert CHANNEL in at.pbx.in_app
    assert CHANNEL not in at.pbx.in_app  # the door was closed: the dialplan goes on


async def test_a_channel_that_was_taken_elsewhere_is_nothing_of_ours() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "mode=ask")
        await bridged(at.pbx)
        await at.pbx.leave(CHANNEL)
        at.pbx.in_app.add(CHANNEL)  # another program's application: `continue` would do there, too
        await at.heard.until(CallEnded)
        await at.pbx.until(lambda: not left(at.pbx))
    assert not tries(at.pbx, CHANNEL)


# What is said, and when.


async def test_bad_arguments_and_a_stopping_server_have_a_status() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "mode=ask", "timeout=99999")
        await went_on(at.pbx, "failed")
        await at.door.stop_accepting()
        await at.pbx.call(OTHER, "mode=ask")
        await went_on(at.pbx, "refused", OTHER)


async def test_what_is_said_to_the_one_who_is_asked_is_no_answer() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "mode=ask")
        await bridged(at.pbx)
        rtp(SECOND, at.pbx.media("out")["external_host"])
        await at.pbx.until(lambda: "RUASR_CALLEE_TEXT" in at.pbx.variables[CHANNEL])
        rtp(SECOND, at.pbx.media("in")["external_host"])
        await went_on(at.pbx, "final")
        assert at.pbx.variables[CHANNEL]["RUASR_TEXT"]


class HangingHost(ThreadHost):
    """An engine that begins a decode and does not end it before it is told to."""

    def __init__(self) -> None:
        super().__init__(create_engine(EngineSpec("scripted", "scripted")))
        self.begun, self.ends = asyncio.Event(), asyncio.Event()

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        self.begun.set()
        await self.ends.wait()
        return await super().decode(batch, options)


async def test_an_engine_that_hangs_does_not_keep_the_caller() -> None:
    host = HangingHost()
    async with house(host=host) as at:
        await at.pbx.call(CHANNEL, *ASK, "timeout=0.3")
        await bridged(at.pbx, 1)
        rtp(SECOND, at.pbx.media("in")["external_host"])
        await asyncio.wait_for(host.begun.wait(), TIMEOUT_S)
        await went_on(at.pbx, "timeout")
        assert not at.heard.of(CallEnded)
        host.ends.set()
        await at.heard.until(CallEnded)
        assert at.heard.of(Final)  # late, but not lost


async def test_an_asterisk_that_says_nothing_is_asked_once_and_the_call_ends() -> None:
    async with house(request_timeout_s=0.5) as at:
        await at.pbx.call(CHANNEL, "mode=hold")
        await bridged(at.pbx)
        at.pbx.silent = "bridges/"
        closing = asyncio.create_task(at.door.close())
        await at.heard.until(CallEnded)
        await closing
        at.pbx.speaks.set()
        assert [method for method, _, _ in at.pbx.requests].count("DELETE") == 1


@pytest.mark.parametrize("kind", ["snoop", "media"])
async def test_what_comes_after_it_was_given_up_is_deleted(kind: str) -> None:
    async with house() as at:
        at.pbx.fail = {"/snoop/": 504}
        await at.pbx.call(CHANNEL)
        await went_on(at.pbx, "failed")
        (path,) = [path for _, path, _ in at.pbx.requests if "/snoop/" in path]
        late = path.rpartition("/")[2].replace("snoop", kind)
        at.pbx.channels[late] = {"id": late}
        await at.pbx.enter(late)
        await at.pbx.until(lambda: late not in at.pbx.channels)
