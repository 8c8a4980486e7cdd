from ruasr_tel.plugins import adapters
from ruasr_tel.websocket import Listener
from ruasr_tel_adapters import vosk_ws
from ruasr_tel_adapters.vosk_ws import ADAPTER, VoskWsConfig
from tests.adapters.vosk_ws.fake_calls import FakeCalls


def test_the_adapter_is_what_the_entry_point_loads() -> None:
    assert adapters()["vosk_ws"] is ADAPTER


def test_the_adapter_makes_a_door_from_its_section() -> None:
    config = ADAPTER.config.model_validate({"host": "::1", "port": 2701})
    door = ADAPTER.create(config, FakeCalls().server)
    assert isinstance(config, VoskWsConfig)
    assert isinstance(door, Listener)
    assert door.url == "ws://[::1]:2701"


def test_the_public_names() -> None:
    assert vosk_ws.__all__ == ["ADAPTER", "VoskWsConfig", "create"]
