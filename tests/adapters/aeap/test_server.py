import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from ruasr_tel.errors import ConfigError
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing import running_calls
from ruasr_tel_adapters.aeap import AeapConfig, create


async def test_an_unknown_profile_of_the_door_is_a_config_error() -> None:
    async with running_calls() as calls:
        with pytest.raises(ConfigError, match=r"^doors.aeap.profile: there is no profile 'nope'"):
            create(AeapConfig(profile="nope"), Server(calls, Hub(), Metrics()))


async def test_another_subprotocol_is_refused() -> None:
    async with running_calls() as calls:
        door = create(AeapConfig(port=0), Server(calls, Hub(), Metrics()))
        await door.start()
        try:
            with pytest.raises(InvalidStatus) as caught:
                await connect(door.url).__aenter__()
        finally:
            await door.close()
    assert caught.value.response.body == b"subprotocol none, expected speech_to_text\n"
