"""The configuration says what carries the audio."""

import pytest

from ruasr_tel.metrics import Metrics
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media import create_media


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "RtpMedia"),
        ({"encapsulation": "audiosocket"}, "AudioSocketMedia"),
        ({"encapsulation": "websocket"}, "CallingMedia"),
        ({"encapsulation": "websocket", "websocket_client": "ruasr"}, "CalledMedia"),
    ],
)
def test_each_encapsulation_has_its_own(settings: dict[str, str], name: str) -> None:
    config = AriConfig.model_validate(settings)
    media = create_media(config, lambda _kind, _said: None, Metrics())
    assert type(media).__name__ == name
