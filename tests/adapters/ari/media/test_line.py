"""Where Asterisk is told to send audio."""

import pytest

from ruasr_tel.errors import ConfigError
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media.line import host_port, own_address


def test_an_address_of_six_has_brackets() -> None:
    assert (host_port("::1", 5), host_port("asr.example", 5)) == ("[::1]:5", "asr.example:5")


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "127.0.0.1"),
        ({"host": "0.0.0.0"}, "127.0.0.1"),
        ({"host": "0.0.0.0", "advertise": "asr.example"}, "asr.example"),
    ],
)
async def test_a_door_on_every_address_finds_the_one_towards_asterisk(
    settings: dict[str, object], address: str
) -> None:
    assert await own_address(AriConfig.model_validate(settings)) == address


async def test_without_a_way_to_asterisk_the_operator_is_told_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"doors\.ari\.advertise is not set"):
        await own_address(AriConfig(host="0.0.0.0", url="http://[::ffff:0:0:0:1%nowhere]:1/ari"))
