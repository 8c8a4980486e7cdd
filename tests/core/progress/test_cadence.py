import wave
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.events import Progress
from ruasr_tel.progress.cadence import Heard, ToneDetector
from ruasr_tel.types import Waveform
from tests.core.progress.sounds import sounds

Parts = list[tuple[float, float]]

RING: Parts = [(425, 1.0), (0, 4.0)]
SIT: Parts = [(950, 0.33), (1400, 0.33), (1800, 0.33), (0, 1.0)]
SOUNDS: dict[str, tuple[Parts, list[Progress]]] = {
    "ringback": (RING * 2, [Progress.RINGBACK] * 2),
    "busy": ([(425, 0.35), (0, 0.35)] * 5, [Progress.BUSY]),
    "slow busy": ([(425, 0.4), (0, 0.4)] * 5, [Progress.BUSY]),
    "congestion": ([(425, 0.175), (0, 0.175)] * 8, [Progress.CONGESTION]),
    "slow congestion": ([(425, 0.2), (0, 0.2)] * 8, [Progress.CONGESTION]),
    "information": (SIT, [Progress.SIT]),
    "information, again and again": (
        [*SIT[:3], (0, 1.0), *SIT[:3], (0, 1.0), *SIT[:3], (0, 3.0), *SIT],
        [Progress.SIT] * 2,
    ),
    "information, pauses": (
        [(950, 0.33), (0, 0.03), (1400, 0.33), (0, 0.03), (1800, 0.33), (0, 1.0)],
        [Progress.SIT],
    ),
    "short beep": ([(0, 0.5), (1000, 0.2), (0, 0.5)], [Progress.BEEP]),
    "long beep": ([(0, 0.5), (2000, 1.2), (0, 0.5)], [Progress.BEEP]),
    "low beep": ([(0, 0.5), (400, 0.5), (0, 0.5)], [Progress.BEEP]),
    "fax calls": ([(1100, 0.5), (0, 3.0)] * 2, [Progress.BEEP, Progress.FAX_CALLING]),
    "fax answers": ([(0, 0.2), (2100, 3.0), (0, 0.5)], [Progress.FAX_ANSWERING]),
    "ringback, then busy": (
        [*RING, *[(425, 0.35), (0, 0.35)] * 4],
        [Progress.RINGBACK, Progress.BUSY],
    ),
    "busy twice": (
        [*[(425, 0.35), (0, 0.35)] * 4, (0, 3.0), *[(425, 0.35), (0, 0.35)] * 4],
        [Progress.BUSY] * 2,
    ),
    "dial tone": ([(425, 4.0), (0, 1.0)], []),
    "two tones, no beep": ([(1000, 0.4), (0, 0.1), (1400, 0.4), (0, 1.0)], []),
    "too long for a beep": ([(1000, 2.0), (0, 1.0)], []),
}


def heard(audio: Waveform) -> list[Heard]:
    return ToneDetector().push(audio)


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_of_a_network(name: str) -> None:
    parts, kinds = SOUNDS[name]
    assert [each.kind for each in heard(sounds(*parts))] == kinds


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(set(SOUNDS) - {"low beep"})),  # 1.5 % off it is no beep any more
    level_db=st.floats(-40, -3),
    off=st.floats(0.985, 1.015),
    noise=st.booleans(),
)
def test_sounds_of_a_network_at_any_level_off_frequency_and_in_noise(
    name: str, level_db: float, off: float, noise: bool
) -> None:
    parts, kinds = SOUNDS[name]
    audio = sounds(*parts, level_db=level_db, off=off, noise=noise)
    assert [each.kind for each in heard(audio)] == kinds


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(sorted(SOUNDS)), cuts=st.lists(st.floats(0, 1), max_size=30))
def test_any_split_of_the_audio_gives_the_same_events(name: str, cuts: list[float]) -> None:
    audio = sounds(*SOUNDS[name][0], noise=True)
    detector = ToneDetector()
    marks = [0, *sorted(round(cut * len(audio)) for cut in cuts), len(audio)]
    split = [each for at, end in pairwise(marks) for each in detector.push(audio[at:end])]
    assert [(each.kind, each.start, each.end) for each in split] == [
        (each.kind, each.start, each.end) for each in heard(audio)
    ]


def test_a_ring_has_its_times_and_frequency() -> None:
    (ring,) = heard(sounds((0, 1.0), *RING))
    assert ring.start == pytest.approx(8000, abs=240)
    assert ring.end == pytest.approx(16000, abs=240)
    assert ring.hz == pytest.approx(425, abs=2)


def test_prompts_hold_none(request: pytest.FixtureRequest) -> None:
    found = sorted((request.config.rootpath / "tests/data/wav").glob("*.wav"))
    assert found
    for path in found:
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert heard(samples.astype(np.float32) / np.float32(32768)) == [], path.name
