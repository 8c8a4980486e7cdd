"""Phrases that an order or its profile asks for, through the embedded model on engine onnx."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from ruasr_tel.app_models import recognition
from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.config import Config
from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.metrics import Metrics
from ruasr_tel.profile import DEFAULT_PROFILES, Profile
from ruasr_tel.recordings.model import Order
from ruasr_tel.recordings.recognise import RecogniseConfig, bulk_profiles, recognise
from ruasr_tel.scheduler import Priority

PROMPT = Path(__file__).parents[2] / "data/wav/agent-alreadyon.wav"
SAID = ("этот агент уже зарегистрирован", "введите номер агента и нажмите решетку")


@asynccontextmanager
async def embedded(**profiles: Profile) -> AsyncIterator[Calls]:
    config = Config()
    async with recognition(config) as parts:
        assert parts.recognisers.default.info.engine == "onnx"
        yield Calls(
            CallsConfig(),
            bulk_profiles({**DEFAULT_PROFILES, **profiles}),
            parts.recognisers,
            parts.batcher,
            lambda _event: None,
            Metrics(),
            priority=Priority.BULK,
        )


async def heard(calls: Calls, order: Order) -> list[str]:
    found = await recognise(PROMPT, order, calls, lambda _share: None, RecogniseConfig())
    return [segment.text for segment in found.segments]


async def test_what_is_heard_changes_with_the_phrases() -> None:
    listed = Profile(phrases=SAID, closed=True)
    async with embedded(menu=listed) as calls:
        (free,) = await heard(calls, Order())
        (closed,) = await heard(calls, Order(phrases=SAID, closed=True))
        assert await heard(calls, Order(profile="menu")) == [closed]
        assert await heard(calls, Order(profile="menu", phrases=())) == [free]
    assert "оператор" in free
    assert closed == " ".join(SAID)


def test_what_an_order_leaves_out_is_the_profiles() -> None:
    profile = DecodeOptions(("да", "нет"), closed=True, boost=2.0, alternatives=3)
    assert Order().asks(profile) is profile
    own = DecodeOptions(("алло",), closed=False, boost=2.0, alternatives=3)
    assert Order(phrases=("алло",)).asks(profile) == own
    assert Order(phrases=("алло",), closed=True).asks(profile) == replace(own, closed=True)
    assert Order(boost=0.5).asks(profile) == replace(profile, boost=0.5)
    assert Order(closed=False).asks(profile) == replace(profile, closed=False)
