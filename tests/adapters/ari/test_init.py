"""The door is found by its entry point."""

from importlib.metadata import entry_points

from ruasr_tel_adapters.ari import ADAPTER, AriConfig


def test_the_entry_point_is_the_adapter() -> None:
    (entry,) = entry_points(group="ruasr_tel.adapters", name="ari")
    assert entry.load() is ADAPTER
    assert (ADAPTER.name, ADAPTER.config, ADAPTER.phone) == ("ari", AriConfig, None)
