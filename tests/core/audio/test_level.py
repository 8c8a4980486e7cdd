import numpy as np
import pytest

from ruasr_tel.audio.level import QUIETEST_DB, level_db


@pytest.mark.parametrize(
    ("mean_square", "expected"),
    [
        (32768.0**2, 0.0),
        (3276.8**2, -20.0),
        (1.0, -90.309),
        (0.0, QUIETEST_DB),
        (1e-9, QUIETEST_DB),
    ],
)
def test_a_level_counts_from_full_scale(mean_square: float, expected: float) -> None:
    assert level_db(mean_square) == pytest.approx(expected, abs=0.001)


def test_no_audio_is_above_it() -> None:
    loudest = np.full(100, -32768, np.int16).astype(np.float64)
    assert level_db(float((loudest**2).mean())) == 0.0
