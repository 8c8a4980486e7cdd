"""What the section refuses."""

import pytest
from pydantic import ValidationError

from ruasr_tel_adapters.audio_stream import ADAPTER, AudioStreamConfig


def test_it_is_off_until_it_is_asked_for() -> None:
    assert not AudioStreamConfig().enabled
    assert ADAPTER.config is AudioStreamConfig


@pytest.mark.parametrize("values", [{"channels": 3}, {"sample_rate": 11_025}, {"ports": 1}])
def test_what_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AudioStreamConfig.model_validate(values)
