"""How soon a start of speech is told, in audio: with the frame that completes its last window."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.boundary import BoundaryConfig
from ruasr_tel.events import SpeechStarted
from ruasr_tel.leg import Leg
from ruasr_tel.profile import Profile
from ruasr_tel.testing import Recorder, running_calls
from ruasr_tel.types import CallId, Waveform
from ruasr_tel.vad.base import WINDOW_SAMPLES, Probabilities, VadState

QUIET_WINDOWS = 20


class LoudVad:
    """Hears speech in every window that is not silent."""

    def new_state(self) -> VadState:
        return VadState()

    def score(self, work: Sequence[tuple[VadState, Waveform]]) -> list[Probabilities]:
        return [np.abs(part).max(axis=1, initial=0).astype(np.float32) * 2 for _, part in work]


def answer(leg: Leg) -> None:
    """Score what waits at the leg, as the batcher does."""
    windows = leg.take_windows()
    if len(windows):
        (probabilities,) = LoudVad().score([(leg.vad_state, windows)])
        leg.on_probabilities(probabilities.tolist())


@settings(max_examples=12, deadline=None)
@given(
    needed=st.integers(1, 4),
    rate_hz=st.sampled_from([8000, 16000]),
    frame_ms=st.sampled_from([10, 20, 30]),
    into_window=st.integers(0, WINDOW_SAMPLES - 1),
)
async def test_a_start_is_told_with_the_frame_that_completes_its_last_window(
    needed: int, rate_hz: int, frame_ms: int, into_window: int
) -> None:
    recorder = Recorder()
    profile = Profile(boundary=BoundaryConfig(start_windows=needed))
    async with running_calls(profiles={"default": profile}, vad=LoudVad()) as calls:
        with pytest.MonkeyPatch.context() as patch:
            call = calls.open(door="test", call_id=CallId("c"), peer="", on_event=recorder)
            leg = call.open_leg(rate_hz)
            calls._batcher.remove(leg)  # no ticks but the test's
            patch.setattr(calls._batcher, "hurry", answer)
            first = QUIET_WINDOWS * WINDOW_SAMPLES + into_window
            audio = np.zeros((QUIET_WINDOWS + 8) * WINDOW_SAMPLES * (rate_hz // 8000), np.int16)
            audio[first * (rate_hz // 8000) :] = 16_000
            frame = rate_hz * frame_ms // 1000
            pushed = 0
            while not recorder.of(SpeechStarted):
                leg.push(audio[pushed : pushed + frame])
                pushed += frame
                if pushed < (QUIET_WINDOWS + 1) * WINDOW_SAMPLES * rate_hz // 8000 + frame:
                    answer(leg)  # ticks go on until the first window of speech was looked at
        last_s = (QUIET_WINDOWS + needed) * WINDOW_SAMPLES / 8000
        assert last_s <= pushed / rate_hz < last_s + frame_ms / 1000 + 0.002  # the filter's 1 ms
        await call.end("hangup")
