from pathlib import Path

import pytest

from ruasr_tel.errors import ConfigError, PortTaken
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server, adapters
from ruasr_tel.testing import running_calls
from ruasr_tel_adapters.rest import ADAPTER, RestConfig, RestDoor
from tests.adapters.rest.fakes import Rest


def test_the_adapter_is_found() -> None:
    assert adapters()["rest"] is ADAPTER
    assert RestConfig().port == 49153


async def test_a_taken_port_is_named(rest: Rest) -> None:
    port = int(rest.door.url.rpartition(":")[2])
    async with running_calls() as calls:
        door = RestDoor(RestConfig(port=port), Server(calls, Hub(), Metrics()))
        with pytest.raises(PortTaken, match=rf"http://127.0.0.1:{port} \(doors.rest\) is in use"):
            await door.start()
        await door.close()


async def test_an_address_that_is_not_ours_is_named() -> None:
    async with running_calls() as calls:
        door = RestDoor(RestConfig(host="192.0.2.1", port=0), Server(calls, Hub(), Metrics()))
        with pytest.raises(ConfigError, match="cannot listen on http://192"):
            await door.start()


def test_an_address_of_version_6_is_written_as_in_urls(tmp_path: Path) -> None:
    server = Server(None, Hub(), Metrics())  # type: ignore[arg-type]  # nobody calls
    assert RestDoor(RestConfig(host="::1", port=1), server).url == "http://[::1]:1"


async def test_a_closed_door_is_closed(rest: Rest) -> None:
    await rest.door.close()
    await rest.door.close()
