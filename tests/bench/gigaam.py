"""A network of GigaAM v3 CTC's size and operators with random weights: the same work, no sense.

Written node by node after the public architecture (gigaam's encoder.py with the v3 settings that
sherpa-onnx quotes in scripts/nemo/GigaAM/export-onnx-ctc-v3.py): conv1d subsampling by 4, 16
conformer layers of 768, 16 heads with rotary positions, convolutions of 5 with layer norm. It needs
no torch. Masks are left out: they cost next to nothing. 220 million parameters, quantised as
sherpa-onnx's script does it.
"""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from tests.graph_builder import GraphBuilder
from tests.layouts_online import write_tokens

SIZE, HEADS, LAYERS, WIDER, KERNEL, MEL_BINS = 768, 16, 16, 4, 5, 64
LONGEST = 5000  # pos_emb_max_len
SYMBOLS = (" ", *"абвгдежзийклмнопрстуфхцчшщъыьэюя", "<blk>")
METADATA = {
    "vocab_size": len(SYMBOLS),
    "normalize_type": "",
    "subsampling_factor": 4,
    "model_type": "EncDecCTCModel",
    "version": 1,
    "comment": "v3",
    "is_giga_am": 1,
}


def write_gigaam(folder: Path, layers: int = LAYERS) -> Path:
    """Write model.int8.onnx and tokens.txt unless they are there; return the folder.

    Args:
        folder: where to; made if absent.
        layers: 16 for the real size (213 MB; a minute, and 2.5 GB of memory while it is made).
    """
    if (folder / "tokens.txt").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    full = folder / "full.onnx"
    _Conformer().write(full, layers)
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # "please consider to run pre-processing"
    quantize_dynamic(full, folder / "model.int8.onnx", weight_type=QuantType.QUInt8)
    full.unlink()
    write_tokens(folder / "tokens.txt", SYMBOLS)
    return folder


class _Conformer:
    """Builds the network; arrays are (batch, frames, size) unless it says otherwise."""

    def __init__(self) -> None:
        self._g = GraphBuilder()
        self._random = np.random.default_rng(0)
        g = self._g
        self._heads = g.integers(0, 0, HEADS, SIZE // HEADS)
        self._whole = g.integers(0, 0, SIZE)
        self._half = g.value([0.5])
        angles = np.arange(LONGEST)[:, None] / 5000.0 ** (np.arange(0, 48, 2) / 48)
        turns = np.concatenate([angles, angles], axis=1)[None, :, None]
        self._tables = (g.value(np.cos(turns)), g.value(np.sin(turns)))

    def write(self, path: Path, layers: int) -> None:
        g = self._g
        x = g.input("features", TensorProto.FLOAT, ["batch_size", MEL_BINS, "seq_len"])
        g.input("feature_lengths", TensorProto.INT64, ["batch_size"])
        for channels in (MEL_BINS, SIZE):
            x = g.op("Relu", self._convolution(x, channels, SIZE, KERNEL, stride=2))
        x = g.op("Transpose", x, perm=[0, 2, 1])
        frames = g.op("Gather", g.op("Shape", x), g.integers(1), axis=0)
        begin, axis = g.integers(0), g.integers(1)
        turns = [g.op("Slice", table, begin, frames, axis) for table in self._tables]
        for _ in range(layers):
            x = self._layer(x, turns)
        scores = self._convolution(g.op("Transpose", x, perm=[0, 2, 1]), SIZE, len(SYMBOLS), 1)
        log_probs = g.op("LogSoftmax", g.op("Transpose", scores, perm=[0, 2, 1]), axis=-1)
        g.output(log_probs, "log_probs", TensorProto.FLOAT, ["batch_size", "frames", len(SYMBOLS)])
        g.save(path, **METADATA)

    def _layer(self, x: str, turns: list[str]) -> str:
        g = self._g
        x = g.op("Add", x, g.op("Mul", self._half, self._feed_forward(self._norm(x))))
        x = g.op("Add", x, self._attention(self._norm(x), turns))
        x = g.op("Add", x, self._local(self._norm(x)))
        x = g.op("Add", x, g.op("Mul", self._half, self._feed_forward(self._norm(x))))
        return self._norm(x)

    def _feed_forward(self, x: str) -> str:
        return self._linear(self._swish(self._linear(x, SIZE, WIDER * SIZE)), WIDER * SIZE, SIZE)

    def _attention(self, x: str, turns: list[str]) -> str:
        """Rotary positions are applied before the projections, as in GigaAM."""
        g = self._g
        split = g.op("Reshape", x, self._heads)
        begins, half, ends = g.integers(0), g.integers(SIZE // HEADS // 2), g.integers(SIZE)
        axis = g.integers(3)
        first = g.op("Slice", split, begins, half, axis)
        second = g.op("Slice", split, half, ends, axis)
        turned = g.op("Concat", g.op("Neg", second), first, axis=3)
        cosine, sine = g.op("Mul", split, turns[0]), g.op("Mul", turned, turns[1])
        placed = g.op("Reshape", g.op("Add", cosine, sine), self._whole)
        query, key, value = (
            g.op("Reshape", self._linear(each, SIZE, SIZE), self._heads)
            for each in (placed, placed, x)
        )
        keys = g.op("Transpose", key, perm=[0, 2, 3, 1])
        scores = g.op("MatMul", g.op("Transpose", query, perm=[0, 2, 1, 3]), keys)
        scaled = g.op("Mul", scores, g.value([(SIZE / HEADS) ** -0.5]))
        heard = g.op(
            "MatMul", g.op("Softmax", scaled, axis=-1), g.op("Transpose", value, perm=[0, 2, 1, 3])
        )
        together = g.op("Reshape", g.op("Transpose", heard, perm=[0, 2, 1, 3]), self._whole)
        return self._linear(together, SIZE, SIZE)

    def _local(self, x: str) -> str:
        """The convolution module."""
        g = self._g
        both = self._convolution(g.op("Transpose", x, perm=[0, 2, 1]), SIZE, 2 * SIZE, 1)
        first, second = g.slice(both, 0, SIZE, 1), g.slice(both, SIZE, 2 * SIZE, 1)
        gated = g.op("Mul", first, g.op("Sigmoid", second))
        deep = self._convolution(gated, SIZE, SIZE, KERNEL, group=SIZE)
        normed = self._norm(g.op("Transpose", deep, perm=[0, 2, 1]))
        active = g.op("Transpose", self._swish(normed), perm=[0, 2, 1])
        return g.op("Transpose", self._convolution(active, SIZE, SIZE, 1), perm=[0, 2, 1])

    def _swish(self, x: str) -> str:
        return self._g.op("Mul", x, self._g.op("Sigmoid", x))

    def _norm(self, x: str) -> str:
        scale, shift = self._g.value(np.ones(SIZE)), self._g.value(np.zeros(SIZE))
        return self._g.op("LayerNormalization", x, scale, shift, axis=-1)

    def _linear(self, x: str, takes: int, gives: int) -> str:
        weights = self._weights(takes, (takes, gives))
        return self._g.op("Add", self._g.op("MatMul", x, weights), self._g.value(np.zeros(gives)))

    def _convolution(
        self, x: str, takes: int, gives: int, kernel: int, *, stride: int = 1, group: int = 1
    ) -> str:
        """Return a convolution over (batch, size, frames)."""
        weights = self._weights(takes // group * kernel, (gives, takes // group, kernel))
        return self._g.op(
            "Conv",
            x,
            weights,
            self._g.value(np.zeros(gives)),
            kernel_shape=[kernel],
            strides=[stride],
            pads=[kernel // 2, kernel // 2],
            group=group,
        )

    def _weights(self, fan_in: int, shape: tuple[int, ...]) -> str:
        spread: npt.NDArray[np.float32] = self._random.standard_normal(shape, dtype=np.float32)
        return self._g.value(spread * np.float32(fan_in**-0.5))
