"""What every streaming engine must keep to, on toy models of the published layouts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines import sherpa_online, tone
from ruasr_tel.engines.base import EngineSpec, StreamingEngine
from tests.core.engines.streaming_rules import (
    CUTS,
    SECONDS,
    SEEDS,
    babble,
    check_any_order,
    check_any_split,
    check_times,
    split,
)
from tests.layouts_online import write_toy_tone, write_toy_zipformer


@pytest.fixture(scope="module", params=["tone", "sherpa_online"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> StreamingEngine:
    folder = tmp_path_factory.mktemp("toy")
    options = {"batch_size": 3}  # more streams than that make several batches
    if request.param == "tone":
        write_toy_tone(folder)
        return tone.create(EngineSpec("tone", "toy", folder, "t_one", options=options))
    write_toy_zipformer(folder)
    spec = EngineSpec("sherpa_online", "toy", folder, "online_transducer", options=options)
    return sherpa_online.create(spec)


@settings(max_examples=25, deadline=None)
@given(seconds=SECONDS, seed=SEEDS, cuts=CUTS)
def test_any_split_of_the_audio_gives_the_same_text(
    engine: StreamingEngine, seconds: float, seed: int, cuts: list[int]
) -> None:
    check_any_split(engine, babble(engine.info.sample_rate_hz, seconds, seed), cuts)


@settings(max_examples=15, deadline=None)
@given(streams=st.lists(st.tuples(SECONDS, SEEDS, CUTS), min_size=1, max_size=7), seed=SEEDS)
def test_any_order_and_batching_gives_each_stream_its_text(
    engine: StreamingEngine, streams: list[tuple[float, int, list[int]]], seed: int
) -> None:
    pieces = [split(babble(engine.info.sample_rate_hz, *audio), cuts) for *audio, cuts in streams]  # type: ignore[arg-type]
    check_any_order(engine, pieces, seed)


@settings(max_examples=10, deadline=None)
@given(seconds=SECONDS, seed=SEEDS)
def test_times_grow(engine: StreamingEngine, seconds: float, seed: int) -> None:
    check_times(engine, babble(engine.info.sample_rate_hz, seconds, seed))
