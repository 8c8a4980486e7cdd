from collections.abc import AsyncIterator

import pytest

from ruasr_tel.call import Calls
from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.errors import ProtocolError
from ruasr_tel.testing import running_calls
from ruasr_tel_adapters.aeap.config import AeapConfig
from ruasr_tel_adapters.aeap.settings import Reader, Settings


@pytest.fixture
async def calls() -> AsyncIterator[Calls]:
    async with running_calls() as running:
        yield running


async def test_what_a_peer_can_say(calls: Calls) -> None:
    reader = Reader(AeapConfig(), calls)
    values = {"language": "ru-RU", "profile": " yesno ", "uuid": "a-1", "sample_rate": "16000"}
    said = reader.change(Settings(), values | {"enable_audio_logging": "1"})
    assert said == Settings("ru-RU", "yesno", said.call_id, 16000)
    assert said.call_id == "a-1"
    emptied = {"language": "", "profile": "", "call_id": "", "sample_rate": "8000"}
    assert reader.change(said, emptied) == Settings()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("language", "en-US", "language: 'en-US' is not served; doors.aeap.languages has ru, ru-"),
        ("profile", "sing", "profile: there is no profile 'sing'; known profiles: default, "),
        ("model", "none", "model: this server has no model 'none'; it has "),
        ("call_id", "a b", "call_id: 'a b' is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -"),
        ("phrases", "[1", "phrases: '[1' is not a JSON list"),
        ("phrases", "а," * 10_001, "phrases: 10001 phrases, at most 10000"),
        ("alternatives", "101", "alternatives: '101' is not a number from 1 to 100"),
        ("sample_rate", "11025", "sample_rate: '11025' is not one of 8000, 12000, 16000, "),
    ],
)
async def test_what_cannot_be(calls: Calls, name: str, value: str, error: str) -> None:
    reader = Reader(AeapConfig(), calls)
    with pytest.raises(ProtocolError) as caught:
        reader.change(Settings(), {name: value})
    assert str(caught.value).startswith(error)


def test_what_a_peer_does_not_say_is_the_profiles() -> None:
    profile = DecodeOptions(("а",), True, 2.0, 3)
    assert Settings().options(profile) == profile
    said = Settings(phrases=("б",), closed=False, alternatives=5)
    assert said.options(profile) == DecodeOptions(("б",), False, 2.0, 5)
    assert said.differs_in_options_only(Settings())
    assert not Settings(profile="yesno").differs_in_options_only(Settings())


async def test_a_list_is_closed_by_a_flag(calls: Calls) -> None:
    reader = Reader(AeapConfig(), calls)
    closed = [reader.change(Settings(), {"closed": word}).closed for word in ("1", "yes", "no")]
    assert closed == [True, True, False]
