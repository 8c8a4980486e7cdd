from ruasr_tel.plugins import adapters
from ruasr_tel_adapters.aeap import ADAPTER, AeapConfig


def test_it_is_found_by_its_entry_point() -> None:
    assert adapters()["aeap"] is ADAPTER
    assert ADAPTER.config is AeapConfig
