"""Small streaming models of exactly the published layouts.

`write_toy_tone` and `write_toy_zipformer` have no trained weights: a frame's symbol says how loud
its sound is and whether the chunk's number is odd, so that every lost, doubled or shifted sample
and every mixed-up state shows in the text. They multiply no matrices: batches of any size give the
same bits.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto

from tests.graph_builder import GraphBuilder

RATE_HZ = 8000
TONE_CHUNK, TONE_STATE, TONE_FRAMES = 2400, 219729, 10  # tone/onnx_wrapper.py, export.py
TONE_LABELS = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя "  # tone/decoder.py, LABELS; then the blank
_BLANK = len(TONE_LABELS)
_I64, _F, _F16, _I32 = TensorProto.INT64, TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32


def write_toy_tone(folder: Path, *, sherpa: bool = True) -> Path:
    """Write a toy T-one; return the folder.

    Frame f of chunk c (240 samples) puts out symbol `loudest // 1000 + (c + f) % 2`, the blank
    where the loudest sample is below 1000; the state counts the chunks, modulo 2.

    Args:
        folder: where to; made if absent.
        sherpa: with metadata and tokens.txt, as sherpa-onnx's scripts/t-one writes them; else with
            vocab.json, as T-one's own repository has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    g = GraphBuilder()
    signal = g.input("signal", _I32, ["batch_size", TONE_CHUNK, 1])
    state = g.input("state", _F16, ["batch_size", TONE_STATE])
    level = g.op("Abs", g.op("Cast", signal, to=_F))
    frames = g.op("Reshape", level, g.integers(0, TONE_FRAMES, -1))
    loudest = g.op("ReduceMax", frames, axes=[2], keepdims=0)  # (b, 10)
    count = g.op("Cast", g.slice(state, 0, 1, 1), to=_F)  # (b, 1)
    step = g.op("Add", count, g.value(np.arange(TONE_FRAMES)[np.newaxis]))
    odd = g.op("Mod", step, g.value([2.0]), fmod=1)
    letter = g.op("Floor", g.op("Div", loudest, g.value([1000.0])))
    heard = g.op("Greater", letter, g.value([0.0]))
    symbol = g.op("Where", heard, g.op("Add", letter, odd), g.value([float(_BLANK)]))
    scores = _scores(g, symbol, _BLANK + 1)
    g.output(scores, "logprobs", _F, ["batch_size", TONE_FRAMES, _BLANK + 1])
    following = g.op("Mod", g.op("Add", count, g.value([1.0])), g.value([2.0]), fmod=1)
    rest = g.slice(state, 1, TONE_STATE, 1)
    kept = g.op("Concat", g.op("Cast", following, to=_F16), rest, axis=1)
    g.output(kept, "state_next", _F16, ["batch_size", TONE_STATE])
    g.save(folder / "model.onnx", **(SHERPA_TONE_METADATA if sherpa else {}))
    write_tone_symbols(folder, sherpa=sherpa)
    return folder


SHERPA_TONE_METADATA: dict[str, object] = {  # sherpa-onnx scripts/t-one/add_meta_data.py
    "model_type": "t-one",
    "language": "Russian",
    "version": 1,
    "maintainer": "k2-fsa",
    "sample_rate": RATE_HZ,
    "frame_length_ms": 300,
    "state_dim": TONE_STATE,
    "comment": "made for tests",
}


def _scores(g: GraphBuilder, symbol: str, count: int, slope: float = 20.0) -> str:
    """Return log probabilities (b, t, count) by their distance from the symbols (b, t)."""
    ids = g.value(np.arange(count)[np.newaxis, np.newaxis])
    distance = g.op("Abs", g.op("Sub", g.op("Unsqueeze", symbol, g.integers(2)), ids))
    falling = g.op("Sub", g.value([-0.01]), g.op("Mul", distance, g.value([slope])))
    return g.op("Max", falling, g.value([-20.0]))


def write_tone_symbols(folder: Path, *, sherpa: bool) -> None:
    """Write tokens.txt as sherpa-onnx, or vocab.json as T-one's own repository has it."""
    names = [*TONE_LABELS, "[PAD]"]
    if sherpa:
        rename = {"[PAD]": "<blk>"}
        lines = [f"{rename.get(name, name)} {index}\n" for index, name in enumerate(names)]
        (folder / "tokens.txt").write_text("".join(lines), "utf-8")
        return
    vocabulary = {"|" if name == " " else name: index for index, name in enumerate(names)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")


CHUNK_FRAMES, WINDOW_FRAMES, MEL_BINS = 32, 45, 80  # icefall export-onnx-streaming.py, chunk 16
SUBSAMPLING = 4
ZIPFORMER_SYMBOLS = ("<blk>", "<unk>", *"абвгдежзиклмнопрст", "▁да", "▁нет")
_JOINER_DIM = 32


def zipformer_states(history: int, dim: int) -> dict[str, tuple[tuple[int | str, ...], int]]:
    """Return name -> (shape, type) of a one-layer encoder's states, as icefall names them.

    Args:
        history: its left_context_len.
        dim: its encoder_dims, a multiple of 4; its keys are as wide as the features.
    """
    kernel = 31
    return {
        "cached_key_0": ((history, "N", MEL_BINS), _F),
        "cached_nonlin_attn_0": ((1, "N", history, 3 * dim // 4), _F),
        "cached_val1_0": ((history, "N", dim), _F),
        "cached_val2_0": ((history, "N", dim), _F),
        "cached_conv1_0": (("N", dim, kernel // 2), _F),
        "cached_conv2_0": (("N", dim, kernel // 2), _F),
        "embed_states": (("N", 128, 3, 19), _F),
        "processed_lens": (("N",), _I64),
    }


def zipformer_metadata(history: int, dim: int) -> dict[str, object]:
    """Return the metadata of that encoder (icefall zipformer/export-onnx-streaming.py)."""
    return {
        "model_type": "zipformer2",
        "version": "1",
        "model_author": "k2-fsa",
        "comment": "streaming zipformer2, made for tests",
        "decode_chunk_len": CHUNK_FRAMES,
        "T": WINDOW_FRAMES,
        "num_encoder_layers": 1,
        "encoder_dims": dim,
        "cnn_module_kernels": 31,
        "left_context_len": history,
        "query_head_dims": MEL_BINS // 4,
        "value_head_dims": dim // 4,
        "num_heads": 4,
    }


def write_toy_zipformer(
    folder: Path, symbols: Sequence[str] = ZIPFORMER_SYMBOLS, slope: float = 20.0
) -> Path:
    """Write a toy streaming zipformer2 transducer; return the folder.

    An encoder frame is one of the symbols by the level of its fourth feature frame, plus what the
    state counts; equal neighbours are one symbol, as the decoder sees what came last.

    Args:
        folder: where to; made if absent.
        symbols: its token list.
        slope: how much less likely, in natural log, is a symbol per place from the best one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    g = GraphBuilder()
    states = zipformer_states(4, MEL_BINS)
    x = g.input("x", _F, ["N", WINDOW_FRAMES, MEL_BINS])
    for name, (shape, kind) in states.items():
        g.input(name, kind, list(shape))
    count = len(symbols)
    frames = g.slice(x, 0, CHUNK_FRAMES, 1)
    every_fourth = g.op(
        "Slice", frames, g.integers(0), g.integers(CHUNK_FRAMES), g.integers(1), g.integers(4)
    )
    level = g.op("ReduceMax", every_fourth, axes=[2], keepdims=0)  # (N, 8), -16 … 5
    index = g.op("Floor", g.op("Add", level, g.value([8.0])))
    turn = g.op("Unsqueeze", g.op("Cast", "processed_lens", to=_F), g.integers(1))
    odd = g.op("Mod", g.op("Div", turn, g.value([float(CHUNK_FRAMES)])), g.value([2.0]), fmod=1)
    heard = g.op("Greater", index, g.value([1.0]))
    symbol = g.op("Where", heard, g.op("Add", index, odd), g.value([0.0]))
    bounded = g.op("Min", symbol, g.value([float(count - 1)]))
    wide = g.op(
        "Pad", _scores(g, bounded, count, slope), g.integers(0, 0, 0, 0, 0, _JOINER_DIM - count)
    )
    g.output(wide, "encoder_out", _F, ["N", CHUNK_FRAMES // SUBSAMPLING, _JOINER_DIM])
    write_states(g, states, {})
    g.save(folder / "encoder.onnx", **zipformer_metadata(4, MEL_BINS))
    _write_toy_decoder(folder / "decoder.onnx", count)
    _write_toy_joiner(folder / "joiner.onnx", count)
    write_tokens(folder / "tokens.txt", symbols)
    return folder


def write_tokens(path: Path, symbols: Sequence[str]) -> None:
    """Write a tokens.txt."""
    lines = [f"{symbol} {index}\n" for index, symbol in enumerate(symbols)]
    path.write_text("".join(lines), "utf-8")


def write_states(
    g: GraphBuilder,
    states: Mapping[str, tuple[tuple[int | str, ...], int]],
    kept: Mapping[str, str],
) -> None:
    """Hand the states on: those in `kept` from there, the count of frames counted, others as is."""
    counted = g.op("Add", "processed_lens", g.integers(CHUNK_FRAMES))
    sources = {name: name for name in states} | {"processed_lens": counted} | dict(kept)
    for name, (shape, kind) in states.items():
        g.output(sources[name], f"new_{name}", kind, list(shape))


def _write_toy_decoder(path: Path, count: int) -> None:
    """A symbol that came last is 25 less likely now, so that a long sound is one symbol."""
    g = GraphBuilder()
    y = g.input("y", _I64, ["N", 2])
    last = g.op("Cast", g.slice(y, 1, 2, 1), to=_F)  # (N, 1)
    ids = g.value(np.arange(_JOINER_DIM)[np.newaxis])
    same = g.op("Less", g.op("Abs", g.op("Sub", last, ids)), g.value([0.5]))
    symbols = g.op("And", same, g.op("Greater", ids, g.value([0.5])))
    penalty = g.op("Where", symbols, g.value([-25.0]), g.value([0.0]))
    g.output(penalty, "decoder_out", _F, ["N", _JOINER_DIM])
    g.save(path, context_size=2, vocab_size=count)


def _write_toy_joiner(path: Path, count: int) -> None:
    g = GraphBuilder()
    encoded = g.input("encoder_out", _F, ["N", _JOINER_DIM])
    decoded = g.input("decoder_out", _F, ["N", _JOINER_DIM])
    logit = g.slice(g.op("Add", encoded, decoded), 0, count, 1)
    g.output(logit, "logit", _F, ["N", count])
    g.save(path, joiner_dim=_JOINER_DIM)
