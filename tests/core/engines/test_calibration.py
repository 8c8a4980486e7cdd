import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    EngineInfo,
    EngineSpec,
    Hypothesis,
    Piece,
)
from ruasr_tel.engines.calibration import LEAST, OPTION, Calibration, calibrated, read, write
from ruasr_tel.errors import ConfigError
from ruasr_tel.models.catalog import Catalog, to_spec
from ruasr_tel.types import Waveform
from tests.core.broken_models import MODELS_DIR

KNOTS = ((0.5, 0.1), (0.8, 0.4), (0.9, 0.8))
SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=5).map(sorted)


def word(text: str, *log_probs: float) -> Hypothesis:
    return Hypothesis(text, tuple(text), tuple(map(float, range(len(text)))), log_probs)


@pytest.mark.parametrize(
    ("raw", "share"),
    [(0.0, 0.1), (0.5, 0.1), (0.65, 0.25), (0.8, 0.4), (0.85, 0.6), (0.9, 0.8), (1.0, 0.8)],
)
def test_a_line_through_the_knots(raw: float, share: float) -> None:
    assert Calibration(KNOTS).confidence(raw) == pytest.approx(share)


@settings(deadline=None)
@given(shares=SHARES, raws=st.lists(st.floats(0, 1), min_size=2).map(sorted))
def test_surer_is_never_less(shares: list[float], raws: list[float]) -> None:
    knots = tuple((0.1 + 0.15 * i, share) for i, share in enumerate(shares))
    found = [Calibration(knots).confidence(raw) for raw in raws]
    assert found == sorted(found)
    assert all(shares[0] <= one <= shares[-1] for one in found)


def test_every_word_has_the_mean_that_the_line_gives() -> None:
    said = word("да но", math.log(0.64), math.log(1.0), -9.0, math.log(0.9), math.log(0.9))
    found = Calibration(KNOTS).apply(said)
    assert found.log_probs is not None
    assert [math.exp(one) for one in found.log_probs] == pytest.approx(
        [0.4, 0.4, math.exp(-9.0), 0.8, 0.8]  # the space is no word's
    )
    assert (found.text, found.tokens, found.starts_s) == (said.text, said.tokens, said.starts_s)


def test_nothing_is_so_wrong_that_it_has_no_logarithm() -> None:
    (level,) = Calibration(((0.5, 0.0),)).apply(word("а", -1.0)).log_probs or ()
    assert level == pytest.approx(math.log(LEAST))


def test_other_readings_are_calibrated_too_and_none_stays_none() -> None:
    said = Hypothesis("да", alternatives=(word("а", math.log(0.9)),))
    found = Calibration(KNOTS).apply(said)
    assert found.log_probs is None
    assert found.alternatives[0].log_probs == pytest.approx((math.log(0.8),))


@pytest.mark.parametrize(
    "knots", [(), ((0.5, 0.5), (0.5, 0.6)), ((0.4, 0.5), (0.5, 0.4)), ((0.5, 1.5),)]
)
def test_a_line_that_does_not_rise_is_none(knots: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ConfigError, match="has no knots that rise from 0 to 1"):
        Calibration(knots)


def spec(**options: str) -> EngineSpec:
    return EngineSpec("scripted", "mine", options=options)


def test_it_travels_in_the_spec() -> None:
    assert read(spec(calibration=write(KNOTS))) == Calibration(KNOTS)
    assert read(spec()) is None
    for wrong in ("a:b", "0.5", "1:2:3"):
        with pytest.raises(ConfigError, match="is not a list of raw:share"):
            read(spec(calibration=wrong))


@pytest.mark.parametrize("name", ["ru-mini-ctc-8k", "ru-mini-transducer-8k"])
def test_the_embedded_models_have_one(name: str) -> None:
    found = to_spec(Catalog.load(MODELS_DIR).resolve(name))
    assert OPTION in found.options
    calibration = read(found)
    assert calibration is not None
    assert calibration.confidence(1.0) < 0.97  # even its surest words are wrong one time in 22


class Fake:
    """Says one word, whole or streaming."""

    info = EngineInfo("fake", "mine", 16000, confidence=True, streaming=True)

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        return [word("а", math.log(0.9)) for _ in segments]

    def open_stream(self, options: DecodeOptions = PLAIN) -> object:
        return options

    def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
        return [word("а", math.log(0.8)) for _ in pieces]


def test_an_engine_with_a_calibration_gives_shares_of_right_words() -> None:
    engine = Fake()
    assert calibrated(engine, spec()) is engine
    sober = calibrated(engine, spec(calibration=write(KNOTS)))
    assert sober.info == engine.info
    audio = np.zeros(10, dtype=np.float32)
    (whole,) = sober.decode([audio])
    assert whole.log_probs == pytest.approx((math.log(0.8),))
    stream = sober.open_stream(PLAIN)  # type: ignore[attr-defined]  # a streaming one
    (part,) = sober.advance([Piece(stream, audio)])  # type: ignore[attr-defined]  # likewise
    assert part.log_probs == pytest.approx((math.log(0.4),))
