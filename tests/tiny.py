"""Networks of published layouts with next to nothing inside: what leaks is not their arithmetic."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

HEARS = {"log_probs": "bct", "encoder_out": "btc"}
"""Tensors that a small model's acoustics end in, and the order of axes of its features."""
KERNEL, SUBSAMPLING = 5, 4
BLANK_BIAS = 5.0
"""So much surer are the random scores of the blank that about every third frame has a token."""


def shrink(folder: Path) -> None:
    """Replace the acoustics of the models in a folder by one random convolution each.

    Args:
        folder: with a model of tests/layouts.py or an embedded one; others stay.
    """
    for path in folder.rglob("*.onnx"):
        model = onnx.load(path)
        made = {name for node in model.graph.node for name in node.output}
        for name, axes in HEARS.items():
            if name in made:
                _replace(model, name, axes)
                onnx.save(model, path)


def _replace(model: onnx.ModelProto, name: str, axes: str) -> None:
    """Make the tensor `name`, (batch, frames / 4, symbols), of the first input directly."""
    graph = model.graph
    features = graph.input[0]
    bins = features.type.tensor_type.shape.dim[axes.index("c")].dim_value
    source, steps = features.name, []
    if axes == "btc":
        source = "tiny_bct"
        steps.append(helper.make_node("Transpose", [features.name], [source], perm=[0, 2, 1]))
    steps += [
        helper.make_node(
            "Conv",
            [source, "tiny_weights", "tiny_bias"],
            ["tiny_scores"],
            strides=[SUBSAMPLING],
            pads=[KERNEL // 2, KERNEL // 2],
        ),
        helper.make_node("Transpose", ["tiny_scores"], ["tiny_frames"], perm=[0, 2, 1]),
        helper.make_node("LogSoftmax", ["tiny_frames"], [name], axis=-1),
    ]
    kept = _without(model, name)
    del graph.node[:]
    graph.node.extend([*steps, *kept])
    used = {each for node in kept for each in node.input}
    weights = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    random = np.random.default_rng(0)
    symbols = 34  # of the embedded models, the blank first or last
    values = random.normal(0, 0.1, (symbols, bins, KERNEL)).astype(np.float32)
    bias = np.zeros(symbols, dtype=np.float32)
    bias[[0, -1]] = BLANK_BIAS
    tiny = {"tiny_weights": values, "tiny_bias": bias}
    weights += [numpy_helper.from_array(value, key) for key, value in tiny.items()]
    graph.initializer.extend(weights)


def _without(model: onnx.ModelProto, name: str) -> list[onnx.NodeProto]:
    """Return the nodes that the outputs need, in order, when somebody else makes `name`."""
    makers = {made: node for node in model.graph.node for made in node.output if made != name}
    wanted = [port.name for port in model.graph.output]
    needed: set[str] = set()
    while wanted:
        node = makers.get(wanted.pop())
        if node is not None and node.output[0] not in needed:
            needed.add(node.output[0])
            wanted += node.input
    return [node for node in model.graph.node if node.output[0] in needed]
