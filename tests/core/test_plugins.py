from collections.abc import Iterator
from pathlib import Path

import pytest

from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import ADAPTER_GROUP, Adapter, Server, adapters
from ruasr_tel.testing import running_calls

FOREIGN = """
from pydantic import BaseModel
from ruasr_tel.plugins import Adapter

class Config(BaseModel):
    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 0

ADAPTER = Adapter("carrier_pigeon", Config, lambda config, calls: None)
"""


@pytest.fixture
def foreign_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install a third party's distribution with one adapter, as pip would lay it out."""
    info = tmp_path / "pigeons-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{ADAPTER_GROUP}]\ncarrier_pigeon = pigeons_for_ruasr_tel:ADAPTER\n"
    )
    (tmp_path / "pigeons_for_ruasr_tel.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(tmp_path)
    adapters.cache_clear()
    yield
    adapters.cache_clear()


def test_the_doors_of_this_distribution_are_found() -> None:
    assert {"audiosocket", "rest", "vosk_ws"} <= set(adapters())


@pytest.mark.usefixtures("foreign_door")
def test_a_third_party_adds_a_door_by_entry_point() -> None:
    assert "carrier_pigeon" in adapters()
    assert list(adapters()) == sorted(adapters())
    assert adapters()["carrier_pigeon"].phone is None


@pytest.mark.parametrize("name", ["audiosocket", "rest", "vosk_ws"])
async def test_an_adapter_offers_a_section_a_door_and_maybe_a_phone(name: str) -> None:
    adapter = adapters()[name]
    assert isinstance(adapter, Adapter)
    assert adapter.name == name
    assert adapter.config.model_config.get("extra") == "forbid"
    assert adapter.config.model_config.get("frozen")
    assert {"enabled", "host", "port"} <= set(adapter.config.model_fields)
    assert (adapter.phone is not None) == (name != "rest")
    async with running_calls() as calls:
        door = adapter.create(adapter.config(), Server(calls, Hub(), Metrics()))
        assert "127.0.0.1" in door.url
        await door.close()  # also one that never listened
