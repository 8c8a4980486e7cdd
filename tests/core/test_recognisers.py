"""Models that run, are lent, and change while calls have them."""

import asyncio
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.scripted import create
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.events import CallEnded, Final, Partial
from ruasr_tel.metrics import Metrics
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.profile import DEFAULT_PROFILES, Profile
from ruasr_tel.recognisers import Loan, Recogniser, Recognisers, Wanted
from ruasr_tel.scheduler import Scheduler, SchedulerConfig
from ruasr_tel.testing import TIMEOUT_S, Recorder, ThreadHost, phrase
from ruasr_tel.types import CallId
from ruasr_tel.vad import VadBatcher, VadConfig
from ruasr_tel.vad.energy import EnergyVad

MODELS: Mapping[str, Mapping[str, bool | str]] = {
    "words": {},
    "measure": {"answer": "measure"},
    "live": {"streaming": True},
}


class Counted(Recogniser):
    """Counts how often it was stopped."""

    stops = 0

    async def stop(self) -> None:
        self.stops += 1
        assert not self.calls, "stopped under a call"
        await super().stop()


class Loader:
    """Loads scripted models; `bad` does not load, `gone` is not there."""

    def __init__(self) -> None:
        self.loaded: list[Counted] = []

    def key(self, name: str) -> str:
        if name == "gone":
            raise ModelLoadError("gone is not on this machine")
        return name.removesuffix("-alias")

    async def load(self, name: str) -> Recogniser:
        key = self.key(name)
        if key == "bad":
            raise ModelLoadError("bad cannot decode one second of noise")
        engine = create(EngineSpec("scripted", key, options=MODELS[key]))
        scheduler = Scheduler(ThreadHost(engine), SchedulerConfig())
        await scheduler.start()
        self.loaded.append(Counted(key, (key, f"{key}-alias"), scheduler))
        return self.loaded[-1]

    def running(self) -> list[str]:
        return [each.key for each in self.loaded if not each.stops]


async def settled() -> None:
    """Let tasks that unload models run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_model_named_twice_is_loaded_once() -> None:
    loader, recognisers = Loader(), Recognisers()
    wanted = Wanted("words", ["words-alias", "measure"], {"profiles.x.partials.model": "live"})
    await recognisers.use(wanted, loader)
    assert loader.running() == ["words", "measure", "live"]
    assert recognisers.default.key == "words"
    assert recognisers.get(None) is recognisers.get("words-alias") is recognisers.default
    assert set(recognisers) == {f"{key}{end}" for key in MODELS for end in ("", "-alias")}
    assert len(recognisers) == 6
    assert "live" in recognisers
    with pytest.raises(ConfigError) as refused:
        recognisers.get("vosk5")
    assert str(refused.value).startswith("this server has no model 'vosk5'; it has words, ")
    await recognisers.close()
    assert [each.stops for each in loader.loaded] == [1, 1, 1]


async def test_a_loan_has_a_stream_where_there_is_one() -> None:
    recognisers = Recognisers()
    await recognisers.use(Wanted("words", ["live"]), Loader())
    words, live = recognisers.get("words"), recognisers.get("live")
    for finals, partials, streams in (
        (None, None, None),
        ("live", None, live),
        (None, "live", live),
    ):
        loan = recognisers.lend(finals, partials)
        assert (loan.finals, loan.streams) == (recognisers.get(finals), streams)
        assert live.calls == (streams is live)
        loan.give_back()
        loan.give_back()
        assert (words.calls, live.calls) == (0, 0)
    await recognisers.close()


@pytest.mark.parametrize(
    ("wanted", "error", "reason"),
    [
        (Wanted("bad"), ModelLoadError, "bad cannot decode one second of noise"),
        (Wanted("measure", ["gone"]), ModelLoadError, "gone is not on this machine"),
        (Wanted("measure", ["bad"]), ModelLoadError, "bad cannot decode one second of noise"),
        (
            Wanted("measure", (), {"profiles.x.partials.model": "measure"}),
            ConfigError,
            "profiles.x.partials.model is 'measure', which hears whole segments only; name a "
            "streaming model, or leave it out: partials then come from the profile's own model",
        ),
    ],
)
async def test_a_change_that_fails_changes_nothing(
    wanted: Wanted, error: type[Exception], reason: str
) -> None:
    loader, recognisers = Loader(), Recognisers()
    await recognisers.use(Wanted("words"), loader)
    before = recognisers.default
    with pytest.raises(error) as refused:
        await recognisers.use(wanted, loader)
    assert str(refused.value) == reason
    assert recognisers.default is before
    assert loader.running() == ["words"]
    await recognisers.close()


async def test_the_old_model_goes_with_its_last_call() -> None:
    loader, told = Loader(), list[tuple[str, int]]()
    recognisers = Recognisers(lambda name, calls: told.append((name, calls)))
    await recognisers.use(Wanted("words"), loader)
    first, second = recognisers.lend(), recognisers.lend()
    await recognisers.use(Wanted("measure"), loader)
    third = recognisers.lend()
    assert [each.key for each in recognisers.running] == ["measure", "words"]
    assert "words" not in recognisers
    first.give_back()
    await settled()
    assert loader.running() == ["words", "measure"]
    second.give_back()
    await settled()
    assert loader.running() == ["measure"]
    third.give_back()
    assert told == [
        *(("words", 1), ("words", 2), ("measure", 1)),
        *(("words", 1), ("words", 0), ("measure", 0)),
    ]
    await recognisers.close()


async def test_a_model_that_is_wanted_again_while_it_retires_is_not_loaded_twice() -> None:
    loader, recognisers = Loader(), Recognisers()
    await recognisers.use(Wanted("words"), loader)
    loan = recognisers.lend()
    await recognisers.use(Wanted("measure"), loader)
    await recognisers.use(Wanted("words"), loader)
    await settled()
    assert [each.key for each in loader.loaded] == ["words", "measure"]
    assert loader.running() == ["words"]
    loan.give_back()
    await settled()
    assert loader.running() == ["words"]
    await recognisers.close()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("lend", "back", "use")),
        st.sampled_from(("words", "measure", "live", "bad", "gone")),
        st.integers(0, 5),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=40)
@given(steps=STEPS)
def test_whatever_is_lent_runs_and_whatever_nobody_wants_does_not(
    steps: list[tuple[str, str, int]],
) -> None:
    asyncio.run(play(steps))


async def play(steps: Collection[tuple[str, str, int]]) -> None:
    loader, recognisers, loans = Loader(), Recognisers(), list[Loan]()
    await recognisers.use(Wanted("words"), loader)
    for what, name, which in steps:
        if what == "lend":
            loans.append(recognisers.lend(None))
        elif what == "back" and loans:
            loans.pop(which % len(loans)).give_back()
        elif what == "use":
            before = recognisers.default
            try:
                await recognisers.use(Wanted(name), loader)
            except ModelLoadError:
                assert recognisers.default is before
            else:
                assert recognisers.default.key == name
        await settled()
        lent = {loan.finals.key for loan in loans}
        assert set(loader.running()) == lent | {recognisers.default.key}
        assert len(loader.running()) == len(set(loader.running()))
    for loan in loans:
        loan.give_back()
    await recognisers.close()
    assert {each.stops for each in loader.loaded} == {1}


# Calls


async def test_a_reload_under_30_calls_loses_no_final() -> None:
    loader, recorder, metrics = Loader(), Recorder(), Metrics()
    recognisers = Recognisers(lambda name, calls: metrics.model_calls.labels(name).set(calls))
    await recognisers.use(Wanted("words"), loader)
    batcher = VadBatcher(EnergyVad(), VadConfig(tick_ms=1))
    await batcher.start()
    calls = Calls(*(CallsConfig(), dict(DEFAULT_PROFILES), recognisers, batcher, recorder, metrics))
    await calls.start()
    legs = []
    for number in range(40):
        if number == 30:
            assert metrics.registry.get_sample_value(*serving("words")) == 30
            with pytest.raises(ModelLoadError):
                await recognisers.use(Wanted("bad"), loader)
            await recognisers.use(Wanted("measure"), loader)
        call = calls.open(door="test", call_id=CallId(str(number)), peer="here")
        leg = call.open_leg(8000)
        leg.push(phrase((0.7, 1.0)))
        legs.append((call, leg))
    for _, leg in legs:
        leg.push(phrase((1.2, 0.4)))
    assert metrics.registry.get_sample_value(*serving("words")) == 30
    assert metrics.registry.get_sample_value(*serving("measure")) == 10
    async with asyncio.timeout(TIMEOUT_S):
        await asyncio.gather(*(call.end("hangup") for call, _ in legs))
    await settled()
    assert loader.running() == ["measure"]
    await calls.close()
    await batcher.close()
    await recognisers.close()
    for number in range(40):
        finals = [each for each in recorder.of(Final) if each.call_id == str(number)]
        assert [final.segment for final in finals] == [0, 1]
        assert {final.error for final in finals} == {None}
        first_words = {final.text.split()[0] for final in finals}
        assert first_words == {"слово" if number < 30 else "отсчётов"}
    ledgers = [end.ledgers.values() for end in recorder.of(CallEnded)]
    assert len(ledgers) == 40
    assert {ledger.difference for of_call in ledgers for ledger in of_call} == {0}


def serving(model: str) -> tuple[str, dict[str, str]]:
    return "ruasr_model_calls_active", {"model": model}


async def test_a_profile_may_have_partials_of_one_model_and_finals_of_another() -> None:
    recorder = Recorder()
    profile = Profile(model="measure", partials=PartialsConfig(model="live"))
    recognisers = Recognisers()
    await recognisers.use(Wanted("words", ["measure"], {"x": "live"}), Loader())
    batcher = VadBatcher(EnergyVad(), VadConfig(tick_ms=1))
    await batcher.start()
    profiles = {"default": Profile(), "both": profile}
    calls = Calls(CallsConfig(), profiles, recognisers, batcher, recorder, Metrics())
    assert calls.engine_info("both").model == "measure"
    call = calls.open(door="test", call_id=CallId("c"), peer="here", profile="both")
    call.open_leg(8000).push(phrase((1.0, 0.1)))
    (partial,) = await recorder.until(Partial)
    assert set(partial.text.split()) == {"слово"}
    async with asyncio.timeout(TIMEOUT_S):
        await call.end("hangup")
    (final,) = recorder.of(Final)
    assert final.text.startswith("отсчётов ")
    assert recognisers.get("live").calls == 0
    await calls.close()
    await batcher.close()
    await recognisers.close()
