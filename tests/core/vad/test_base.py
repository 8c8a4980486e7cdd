import pytest
from pydantic import ValidationError

from ruasr_tel.vad.base import VAD_RATE_HZ, WINDOW_SAMPLES, VadConfig


def test_a_tick_is_one_window_by_default() -> None:
    assert VadConfig().tick_ms == WINDOW_SAMPLES * 1000 / VAD_RATE_HZ


def test_the_silero_model_that_comes_with_us_is_the_default() -> None:
    assert VadConfig() == VadConfig(engine="silero", model=None)


@pytest.mark.parametrize("values", [{"engine": "webrtc"}, {"tick_ms": 0}, {"threshold": 0.5}])
def test_what_makes_no_sense_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VadConfig.model_validate(values)
