import numpy as np
import pytest

from ruasr_tel.audio.codec import Encoding, encode
from ruasr_tel.errors import ConfigError
from ruasr_tel.events import CallEnded
from ruasr_tel.live import Ear, check_profile, free_id
from ruasr_tel.testing import Recorder, running_calls, tone
from ruasr_tel.types import CallId


async def test_a_name_in_use_gets_a_number() -> None:
    async with running_calls() as calls:
        names = []
        for _ in range(3):
            names.append(free_id(CallId("a"), calls))
            calls.open(door="test", call_id=names[-1], peer="")
        assert names == ["a", "a#2", "a#3"]
        assert free_id(CallId("b"), calls) == "b"


async def test_a_profile_that_is_not_there_is_an_error_of_the_doors_section() -> None:
    async with running_calls() as calls:
        check_profile("lift", None, calls)
        with pytest.raises(ConfigError, match=r"^doors\.lift\.profile: there is no profile 'gone'"):
            check_profile("lift", "gone", calls)


@pytest.mark.parametrize("encoding", Encoding)
async def test_bytes_become_samples_of_the_leg_however_they_are_cut(encoding: Encoding) -> None:
    events = Recorder()
    data = encode(tone(0.2), encoding)
    async with running_calls(publish=events) as calls:
        call = calls.open(door="test", call_id=CallId("a"), peer="")
        ear = Ear(call.open_leg(8000), encoding, max_backlog_s=60)
        for at in range(0, len(data), 333):
            ear.hear(data[at : at + 333])
        assert ear.leg.clock_s == 0.2
        await call.end("test")
    (ledger,) = events.of(CallEnded)[0].ledgers.values()
    assert (ledger.received, ledger.dropped) == (1600, {})


async def test_what_waits_too_long_is_dropped_and_accounted_for() -> None:
    events = Recorder()
    second = encode(tone(1.0), Encoding.SLIN)
    async with running_calls(publish=events, tick_ms=500) as calls:
        call = calls.open(door="test", call_id=CallId("a"), peer="")
        ear = Ear(call.open_leg(8000), Encoding.SLIN, max_backlog_s=1.5)
        for _ in range(4):  # nothing is scored meanwhile: the loop does not run
            ear.hear(second)
        await call.end("test")
    (ledger,) = events.of(CallEnded)[0].ledgers.values()
    assert (ledger.received, ledger.dropped, ledger.difference) == (32000, {"backlog": 16000}, 0)
    assert np.isclose(ledger.decoded + ledger.silence, 16000)
