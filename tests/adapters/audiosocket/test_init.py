from typing import cast

from ruasr_tel.call import Calls
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server, adapters
from ruasr_tel_adapters import audiosocket
from ruasr_tel_adapters.audiosocket import ADAPTER, AudioSocketConfig, AudioSocketDoor
from tests.adapters.audiosocket.fakes import FakeCalls


def test_the_adapter_is_what_the_entry_point_loads() -> None:
    assert adapters()["audiosocket"] is ADAPTER


def test_the_adapter_makes_a_door_from_its_section() -> None:
    config = ADAPTER.config.model_validate({"port": 9192})
    door = ADAPTER.create(config, Server(cast(Calls, FakeCalls()), Hub(), Metrics()))
    assert isinstance(config, AudioSocketConfig)
    assert isinstance(door, AudioSocketDoor)
    assert door.url == "tcp://127.0.0.1:9192"


def test_the_public_names() -> None:
    assert audiosocket.__all__ == ["ADAPTER", "AudioSocketConfig", "AudioSocketDoor", "create"]
