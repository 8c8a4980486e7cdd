"""Streaming models of the published layouts that hear real Russian: the embedded model inside.

Each keeps what it heard in its state, as many seconds as its window has, and puts the embedded
network over it anew for every chunk; it puts out the frames that have enough sound on both sides.
int8 inside: a network quantises a whole batch with one scale, so texts may differ by a letter from
one batching to another.
"""

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from tests.graph_builder import GraphBuilder
from tests.layouts_online import (
    CHUNK_FRAMES,
    MEL_BINS,
    RATE_HZ,
    SHERPA_TONE_METADATA,
    SUBSAMPLING,
    TONE_CHUNK,
    TONE_FRAMES,
    TONE_LABELS,
    TONE_STATE,
    WINDOW_FRAMES,
    write_states,
    write_tone_symbols,
    zipformer_metadata,
    zipformer_states,
)

MODELS_DIR = Path(__file__).parents[1] / "models"
_TRANSDUCER = MODELS_DIR / "ru-mini-transducer-8k"
_CTC = MODELS_DIR / "ru-mini-ctc-8k/model.int8.onnx"
_I64, _F, _F16, _I32 = TensorProto.INT64, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32
_SYMBOLS = 34  # of the embedded models
_NEVER = -30.0

HISTORY = 256
"""Feature frames of 10 ms that the zipformer remembers; whole chunks, whole frames of the embedded
network (40 ms)."""
LATE = 16
"""Feature frames by which it is late, beside the 13 that it looks ahead: 0.29 s in all."""


def write_speech_zipformer(folder: Path) -> Path:
    """Write a streaming zipformer2 transducer that hears Russian; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    g = GraphBuilder()
    states = zipformer_states(HISTORY, dim=4)
    x = g.input("x", _F, ["N", WINDOW_FRAMES, MEL_BINS])
    for name, (shape, kind) in states.items():
        g.input(name, kind, list(shape))
    before = g.op("Transpose", "cached_key_0", perm=[1, 0, 2])
    seen = g.op("Min", "processed_lens", g.integers(HISTORY))
    begin = g.op("Sub", g.integers(HISTORY), seen)
    sound = _left_aligned(g, g.op("Concat", before, x, axis=1), begin, HISTORY + WINDOW_FRAMES)
    length = g.op("Add", seen, g.integers(WINDOW_FRAMES))
    feeds = {"x": sound, "x_lens": length}
    inside = g.network(_TRANSDUCER / "encoder.int8.onnx", "inside_", feeds, "encoder_out")
    steps = g.integers(*range(0, CHUNK_FRAMES, SUBSAMPLING))
    place = g.op("Add", g.op("Unsqueeze", seen, g.integers(1)), steps)
    place = g.op("Sub", place, g.integers(LATE))
    heard = _at(g, inside, place, blank=0)
    g.output(heard, "encoder_out", _F, ["N", CHUNK_FRAMES // SUBSAMPLING, _SYMBOLS])
    chunk = g.slice(x, 0, CHUNK_FRAMES, 1)
    kept = g.slice(g.op("Concat", before, chunk, axis=1), CHUNK_FRAMES, HISTORY + CHUNK_FRAMES, 1)
    write_states(g, states, {"cached_key_0": g.op("Transpose", kept, perm=[1, 0, 2])})
    g.save(folder / "encoder.onnx", **zipformer_metadata(HISTORY, dim=4))
    for name in ("decoder.onnx", "joiner.onnx", "tokens.txt"):
        shutil.copy(_TRANSDUCER / name, folder)
    return folder


_WINDOW, _HOP, _FFT = 200, 80, 256  # 25 ms, 10 ms at 8 kHz; as sherpa-onnx's 512 at 16 kHz
_TAIL = _WINDOW - _HOP
_BINS, _INSIDE_BINS = 46, 64  # the embedded network reads the lower 46 of 64 bins only
_NEW = TONE_CHUNK // _HOP
_TONE_HISTORY = 300
_FULL = _TONE_HISTORY // _NEW
_GRID = 8
"""A window begins at a multiple of so many feature frames, and so of the embedded network's four:
else the same sound would be heard on another grid in every chunk."""
_BIAS = 33
"""Feature frames from a sound to the frame that says it: T-one's MEAN_TIME_BIAS of 0.33 s."""


def write_speech_tone(folder: Path) -> Path:
    """Write a T-one that hears Russian, as sherpa-onnx exports it; return the folder.

    Its state: the chunks so far (those of a full history go round in four), the end of the last
    chunk, and the features of the last 3 s.
    """
    folder.mkdir(parents=True, exist_ok=True)
    g = GraphBuilder()
    signal = g.input("signal", _I32, ["batch_size", TONE_CHUNK, 1])
    state = g.input("state", _F16, ["batch_size", TONE_STATE])
    values = g.op("Cast", state, to=_F)
    count = g.op("Cast", g.op("Squeeze", g.slice(values, 0, 1, 1), g.integers(1)), to=_I64)
    tail = g.slice(values, 1, 1 + _TAIL, 1)
    end = 1 + _TAIL + _TONE_HISTORY * _BINS
    before = g.op(
        "Reshape", g.slice(values, 1 + _TAIL, end, 1), g.integers(0, _TONE_HISTORY, _BINS)
    )
    scaled = g.op("Div", g.op("Cast", signal, to=_F), g.value([32768.0]))
    samples = g.op("Concat", tail, g.op("Squeeze", scaled, g.integers(2)), axis=1)
    everything = g.op("Concat", before, _features(g, samples), axis=1)
    log_probs = _tone_inside(g, everything, count)
    g.output(log_probs, "logprobs", _F, ["batch_size", TONE_FRAMES, len(TONE_LABELS) + 1])
    size = _TAIL + TONE_CHUNK
    kept = [
        g.op("Unsqueeze", g.op("Cast", _next_count(g, count), to=_F), g.integers(1)),
        g.slice(samples, size - _TAIL, size, 1),
        g.op(
            "Reshape",
            g.slice(everything, _NEW, _NEW + _TONE_HISTORY, 1),
            g.integers(0, _TONE_HISTORY * _BINS),
        ),
        g.slice(values, end, TONE_STATE, 1),
    ]
    following = g.op("Cast", g.op("Concat", *kept, axis=1), to=_F16)
    g.output(following, "state_next", _F16, ["batch_size", TONE_STATE])
    g.save(folder / "model.onnx", **SHERPA_TONE_METADATA)
    write_tone_symbols(folder, sherpa=True)
    return folder


def _tone_inside(g: GraphBuilder, everything: str, count: str) -> str:
    """Return (b, 10, 35) log probabilities of history and chunk (b, 630, 46), the count-th one."""
    begun = g.op("Mul", count, g.integers(_NEW))
    forgotten = g.op("Max", g.op("Sub", begun, g.integers(_TONE_HISTORY)), g.integers(0))
    up = g.op("Div", g.op("Add", forgotten, g.integers(_GRID - 1)), g.integers(_GRID))
    start = g.op("Mul", up, g.integers(_GRID))
    begin = g.op("Add", g.op("Sub", start, begun), g.integers(_TONE_HISTORY))
    sound = _left_aligned(g, everything, begin, _TONE_HISTORY + _NEW)
    length = g.op("Sub", g.op("Add", begun, g.integers(_NEW)), start)
    padding = g.integers(0, 0, 0, 0, 0, _INSIDE_BINS - _BINS)
    features = g.op("Transpose", g.op("Pad", sound, padding), perm=[0, 2, 1])
    feeds = {"features": features, "feature_lengths": length}
    inside = g.network(_CTC, "inside_", feeds, "log_probs")
    late = g.op("Unsqueeze", g.op("Sub", begun, start), g.integers(1))
    steps = g.integers(*(3 * frame - _BIAS for frame in range(TONE_FRAMES)))
    heard = _at(g, inside, g.op("Add", late, steps), blank=_SYMBOLS - 1)
    wide = g.op("Pad", heard, g.integers(0, 0, 0, 0, 0, 1), g.value(_NEVER))
    own = [" ", *(chr(code) for code in range(ord("а"), ord("я") + 1))]
    order = [own.index(label) if label in own else _SYMBOLS for label in TONE_LABELS]
    return g.op("Gather", wide, g.integers(*order, _SYMBOLS - 1), axis=2)


def _next_count(g: GraphBuilder, count: str) -> str:
    """Count on; of a full history only what decides about the grid, so that it stays small."""
    more = g.op("Add", count, g.integers(1))
    over = g.op("GreaterOrEqual", more, g.integers(_FULL + 4))
    return g.op("Where", over, g.integers(_FULL), more)


def _features(g: GraphBuilder, samples: str) -> str:
    """Return (b, 30, 46) log mel features of (b, 2520) samples, as kaldi has them at 16 kHz."""
    turns = np.outer(np.arange(_FFT // 2 + 1), np.arange(_WINDOW)) * 2 * np.pi / _FFT
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    basis = np.concatenate([np.cos(turns) * hann, np.sin(turns) * hann])[:, np.newaxis]
    parts = g.op("Conv", g.op("Unsqueeze", samples, g.integers(1)), g.value(basis), strides=[_HOP])
    power = g.op("Mul", parts, parts)
    energy = g.op("MatMul", g.value(np.concatenate([_mel(), _mel()], axis=1)), power)
    logs = g.op("Log", g.op("Max", energy, g.value([np.finfo(np.float32).eps])))
    return g.op("Transpose", logs, perm=[0, 2, 1])


def _mel() -> npt.NDArray[np.float64]:
    """Return (46, 129): kaldi's triangles, 64 of them from 0 to 8000 Hz, the lower 46."""
    mel = 1127.0 * np.log1p(np.arange(_FFT // 2 + 1) * RATE_HZ / _FFT / 700.0)
    corners = np.linspace(0, 1127.0 * np.log1p(8000.0 / 700.0), _INSIDE_BINS + 2)[:, np.newaxis]
    low, middle, high = corners[:_BINS], corners[1 : _BINS + 1], corners[2 : _BINS + 2]
    rising, falling = (mel - low) / (middle - low), (high - mel) / (high - middle)
    return np.asarray(np.clip(np.minimum(rising, falling), 0, None))


def _left_aligned(g: GraphBuilder, frames: str, begin: str, count: int) -> str:
    """Return frames (b, count, d) moved left, so that frame `begin` (b,) of each row is first."""
    first = g.op("Unsqueeze", begin, g.integers(1))
    place = g.op("Add", first, g.integers(*range(count)))
    return _rows(g, frames, g.op("Min", place, g.integers(count - 1)))


def _at(g: GraphBuilder, log_probs: str, place: str, blank: int) -> str:
    """Return the frames (b, n, symbols) at feature frames `place` (b, n); blanks before 0."""
    known = g.op("Max", place, g.integers(0))
    heard = _rows(g, log_probs, g.op("Div", known, g.integers(SUBSAMPLING)))
    nothing = np.full((1, 1, _SYMBOLS), _NEVER)
    nothing[..., blank] = 0.0
    early = g.op("Unsqueeze", g.op("Less", place, g.integers(0)), g.integers(2))
    return g.op("Where", early, g.value(nothing), heard)


def _rows(g: GraphBuilder, frames: str, place: str) -> str:
    """Return frames (b, n, d) at indices (b, n) of each row."""
    return g.op("GatherND", frames, g.op("Unsqueeze", place, g.integers(2)), batch_dims=1)
