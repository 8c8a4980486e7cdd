"""One call by itself: what it tells of its legs."""

import asyncio

import pytest

from ruasr_tel.conversation import Call
from ruasr_tel.events import CallEnded, Dtmf, Final
from ruasr_tel.testing import TIMEOUT_S, Recorder, running_calls, silence, tone
from ruasr_tel.types import CallId, LegId


async def test_it_numbers_the_legs_of_a_channel_and_tells_keys_at_their_time() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call: Call = calls.open(door="test", call_id=CallId("c"), peer="here", on_event=recorder)
        before, other = call.open_leg(8000), call.open_leg(8000, 1)
        before.push(silence(1.5))
        after = call.open_leg(16000)
        call.dtmf(after, "5")
        assert [leg.leg_id for leg in (before, other, after)] == ["c/0", "c/1", "c/0.2"]
        assert call.legs == [after, other]
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    (digit,) = recorder.of(Dtmf)
    assert (digit.digit, digit.at_s, digit.leg_id) == ("5", 1.5, "c/0.2")
    (end,) = recorder.of(CallEnded)
    assert (end.duration_s, set(end.ledgers)) == (1.5, {"c/0", "c/1", "c/0.2"})


async def test_a_party_comes_later_and_leaves_earlier_than_the_call_ends() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call = calls.open(door="test", call_id=CallId("c"), peer="", on_event=recorder)
        first, later = call.open_leg(8000), call.open_leg(8000, 2, offset_s=4.0)
        later.push(tone(0.6))
        await asyncio.wait_for(call.close_leg(later), TIMEOUT_S)
        assert call.legs == [first]
        (final,) = recorder.of(Final)
        assert 3.5 < final.start_s <= 4.0 < final.end_s
        await asyncio.wait_for(call.close_leg(later), TIMEOUT_S)  # a second time does no harm
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    (end,) = recorder.of(CallEnded)
    assert end.ledgers[LegId("c/2")].received == 4800
    assert [ledger.difference for ledger in end.ledgers.values()] == [0, 0]


async def test_an_ending_call_is_waited_for_and_a_running_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder, may_flush = Recorder(), asyncio.Event()
    async with running_calls() as calls, asyncio.timeout(TIMEOUT_S):
        call = calls.open(door="test", call_id=CallId("c"), peer="", on_event=recorder)
        leg = call.open_leg(8000)
        flush = leg.flush

        async def late() -> None:
            await may_flush.wait()
            await flush()

        monkeypatch.setattr(leg, "flush", late)
        leg.push(tone(1.0))
        await calls.settle(CallId("c"), TIMEOUT_S)
        await calls.settle(CallId("unknown"), TIMEOUT_S)
        ending = asyncio.create_task(call.end("after 1 s"))
        await asyncio.sleep(0)
        await calls.settle(CallId("c"), 0.01)
        assert recorder.of(Final) == []
        may_flush.set()
        await calls.settle(CallId("c"), TIMEOUT_S)
        assert len(recorder.of(Final)) == 1
        assert CallId("c") not in calls
        await ending


async def test_what_was_filled_in_is_received_told_by_reason_and_ends_no_utterance() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call = calls.open(door="test", call_id=CallId("c"), peer="", on_event=recorder)
        leg = call.open_leg(8000)
        leg.push(tone(0.6))
        leg.conceal(240, "lost")
        leg.conceal(0, "lost")
        leg.push(tone(0.6))
        leg.conceal(80, "not sent")
        leg.conceal(160, "lost")
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    (end,) = recorder.of(CallEnded)
    (ledger,) = end.ledgers.values()
    assert ledger.concealed == {"lost": 400, "not sent": 80}
    assert (ledger.received, ledger.difference) == (round(1.2 * 8000) + 480, 0)
    assert len(recorder.of(Final)) == 1


async def test_a_call_ends_although_one_of_its_legs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call = calls.open(door="test", call_id=CallId("c"), peer="", on_event=recorder)
        bad, good = call.open_leg(8000), call.open_leg(8000, 1)
        good.push(tone(0.6))

        async def broken() -> None:
            raise ValueError("a bug")

        monkeypatch.setattr(bad, "flush", broken)
        with pytest.raises(ValueError, match="a bug"):
            await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
        assert len(calls) == 0
    final, end = recorder.of(Final)[0], recorder.of(CallEnded)[0]
    assert (final.leg_id, final.error) == (good.leg_id, None)
    assert (end.finals, set(end.ledgers)) == (1, {bad.leg_id, good.leg_id})
