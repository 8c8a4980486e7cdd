from collections.abc import AsyncIterator

import pytest

from ruasr_tel.call import Calls
from ruasr_tel.errors import ProtocolError
from ruasr_tel.testing import running_calls
from ruasr_tel_adapters.aeap.config import AeapConfig
from ruasr_tel_adapters.aeap.settings import Reader, Settings


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    async with running_calls() as running:
        yield running


async def test_what_a_peer_can_say(calls: Calls) -> None:
    reader = Reader(AeapConfig(profile="digits"), calls)
    assert reader.defaults() == Settings(profile="digits")
    values = {"language": "ru-RU", "profile": " yesno ", "uuid": "a-1", "sample_rate": "16000"}
    said = reader.change(reader.defaults(), values | {"enable_audio_logging": "1"})
    assert said == Settings("ru-RU", "yesno", said.call_id, 16000)
    assert said.call_id == "a-1"
    emptied = {"language": "", "profile": "", "call_id": "", "sample_rate": "8000"}
    assert reader.change(said, emptied) == reader.defaults()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("language", "en-US", "language: 'en-US' is not served; doors.aeap.languages has ru, ru-"),
        ("profile", "sing", "profile: there is no profile 'sing'; known profiles: default, "),
        ("call_id", "a b", "call_id: 'a b' is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -"),
        ("sample_rate", "11025", "sample_rate: '11025' is not one of 8000, 12000, 16000, "),
    ],
)
async def test_what_cannot_be(calls: Calls, name: str, value: str, error: str) -> None:
    reader = Reader(AeapConfig(), calls)
    with pytest.raises(ProtocolError) as caught:
        reader.change(reader.defaults(), {name: value})
    assert str(caught.value).startswith(error)
