import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest

from ruasr_tel import testing
from ruasr_tel.engines import scripted
from ruasr_tel.errors import DecodeError
from ruasr_tel.events import CallEnded, CallStarted, Event, Final
from ruasr_tel.metrics import Metrics
from ruasr_tel.testing import Recorder, phrase, running_calls, scripted_host, tone
from ruasr_tel.types import CallId


def started(call_id: str) -> CallStarted:
    return CallStarted(CallId(call_id), datetime.now(UTC), "test", "", "default")


async def test_a_recorder_lets_a_test_wait_for_what_comes() -> None:
    recorder = Recorder()
    waiting = asyncio.create_task(recorder.until(CallStarted, 2))
    recorder(started("one"))
    await asyncio.sleep(0)
    assert not waiting.done()
    recorder(started("two"))
    assert [event.call_id for event in await waiting] == ["one", "two"]
    assert recorder.of(CallEnded) == []


async def test_a_recorder_gives_up_on_what_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ruasr_tel.testing.calls.TIMEOUT_S", 0.01)
    with pytest.raises(TimeoutError):
        await Recorder().until(CallStarted)


async def test_a_thread_host_answers_and_says_what_the_engine_could_not() -> None:
    host = scripted_host(answer="measure", sample_rate_hz=16000)
    (answer,) = await host.decode([(tone(0.5, level=5000), 8000)])
    assert answer.text.startswith("отсчётов 8000 пик ")
    assert (host.info.sample_rate_hz, host.slots) == (16000, 2)


@pytest.mark.parametrize("marker", [scripted.RAISES, scripted.CRASHES])
async def test_a_thread_host_turns_every_engine_error_into_ours(marker: int) -> None:
    bad = np.clip(tone(0.5), -marker, marker).astype(np.int16)
    with pytest.raises(DecodeError, match="the segment holds the marker"):
        await scripted_host().decode([(bad, 8000)])


async def test_running_calls_turn_audio_into_finals_with_nothing_installed() -> None:
    published: list[Event] = []
    metrics = Metrics()
    async with running_calls(publish=published.append, metrics=metrics) as calls:
        call = calls.open(door="test", call_id=CallId("c"), peer="")
        call.open_leg(8000).push(phrase((1.0, 1.0)))
    kinds = [type(event).__name__ for event in published]
    assert (kinds[0], kinds[-2], kinds[-1]) == ("CallStarted", "Final", "CallEnded")
    (final,) = [event for event in published if isinstance(event, Final)]
    assert final.text == "слово слово"
    assert metrics.registry.get_sample_value("ruasr_calls_active", {"door": "test"}) == 0


def test_what_is_for_plugin_authors_is_a_list() -> None:
    assert set(testing.__all__) == {
        "TIMEOUT_S",
        "Recorder",
        "ThreadHost",
        "phrase",
        "running_calls",
        "scripted_host",
        "silence",
        "speech_ends",
        "tone",
    }
    assert all(hasattr(testing, name) for name in testing.__all__)
