"""What every streaming engine must keep to, whatever its model; each engine's test calls these."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from ruasr_tel.engines.base import Hypothesis, Piece, StreamingEngine
from ruasr_tel.types import Waveform

CUTS = st.lists(st.integers(0, 2**16), max_size=8)
"""Where a stream's audio is cut, modulo its length."""
SECONDS = st.floats(0.0, 1.6)
SEEDS = st.integers(0, 2**16)


def babble(rate_hz: int, seconds: float, seed: int) -> Waveform:
    """Noise of another level every 70 ms, which no chunk is a multiple of."""
    random = np.random.default_rng(seed)
    count = int(seconds * rate_hz)
    step = rate_hz * 7 // 100
    levels = 10 ** random.uniform(-3.5, -0.1, count // step + 1)
    noise = random.uniform(-1, 1, count) * np.repeat(levels, step)[:count]
    whole = np.rint(noise * 32767) / 32768  # as int16 from a call
    return whole.astype(np.float32)


def split(samples: Waveform, cuts: Sequence[int]) -> list[Waveform]:
    """Cut audio; some pieces may be empty."""
    places = sorted(cut % (len(samples) + 1) for cut in cuts)
    return [samples[begin:end] for begin, end in pairwise([0, *places, len(samples)])]


def hear(engine: StreamingEngine, pieces: Sequence[Waveform]) -> list[Hypothesis]:
    """Push one stream's pieces; return what the engine said after each."""
    stream = engine.open_stream()
    last = len(pieces) - 1
    return [
        engine.advance([Piece(stream, piece, last=index == last)])[0]
        for index, piece in enumerate(pieces)
    ]


def check_any_split(engine: StreamingEngine, samples: Waveform, cuts: Sequence[int]) -> None:
    """The text does not depend on how the audio was cut, and `decode` gives it, too."""
    (whole,) = engine.decode([samples])
    said = hear(engine, split(samples, cuts))
    assert said[-1] == whole
    for earlier, later in pairwise(said):  # greedy search: what was said stays said
        assert later.tokens[: len(earlier.tokens)] == earlier.tokens


def check_times(engine: StreamingEngine, samples: Waveform) -> None:
    """Every token has a time and a log probability; times grow and lie within the audio."""
    (heard,) = engine.decode([samples])
    assert len(heard.starts_s) == len(heard.tokens)
    assert list(heard.starts_s) == sorted(heard.starts_s)
    assert all(0 <= at <= len(samples) / engine.info.sample_rate_hz for at in heard.starts_s)
    assert heard.log_probs is not None
    assert len(heard.log_probs) == len(heard.tokens)
    assert all(value <= 0 for value in heard.log_probs)
    assert heard.text == " ".join("".join(heard.tokens).split())


def check_any_order(
    engine: StreamingEngine, streams: Sequence[Sequence[Waveform]], seed: int
) -> None:
    """Streams that are advanced together, in any grouping, each get their own text.

    Args:
        engine: under test.
        streams: pieces of each stream.
        seed: of the grouping.
    """
    alone = [hear(engine, pieces)[-1] for pieces in streams]
    random = np.random.default_rng(seed)
    handles = [engine.open_stream() for _ in streams]
    position = [0] * len(streams)
    final: dict[int, Hypothesis] = {}
    while len(final) < len(streams):
        waiting = [index for index in range(len(streams)) if index not in final]
        chosen = [index for index in random.permutation(waiting) if random.random() < 0.7]
        pieces = []
        for index in chosen:
            piece = streams[index][position[index]]
            position[index] += 1
            is_last = position[index] == len(streams[index])
            pieces.append(Piece(handles[index], piece, last=is_last))
        if not pieces:
            continue
        for index, piece, answer in zip(chosen, pieces, engine.advance(pieces), strict=True):
            if piece.last:
                final[index] = answer
    assert [final[index] for index in range(len(streams))] == alone
