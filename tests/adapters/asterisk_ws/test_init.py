from ruasr_tel.plugins import adapters
from ruasr_tel_adapters.asterisk_ws import ADAPTER, AsteriskWsConfig


def test_it_is_found_by_its_entry_point() -> None:
    assert adapters()["asterisk_ws"] is ADAPTER
    assert ADAPTER.config is AsteriskWsConfig
