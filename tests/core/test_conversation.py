"""One call by itself: what it tells of its legs."""

import asyncio

from ruasr_tel.conversation import Call
from ruasr_tel.events import CallEnded, Dtmf
from ruasr_tel.testing import TIMEOUT_S, Recorder, running_calls, silence
from ruasr_tel.types import CallId


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
