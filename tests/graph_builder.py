"""Writes small ONNX networks node by node, for models of published layouts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

OPSET = 17
IR_VERSION = 8


class GraphBuilder:
    """Collects nodes; every method that adds one returns the name of its (first) output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._values: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, kind: int, shape: Sequence[int | str]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, source: str, name: str, kind: int, shape: Sequence[int | str]) -> None:
        self._nodes.append(helper.make_node("Identity", [source], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def value(self, content: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        name = self._fresh("value")
        self._values.append(numpy_helper.from_array(np.asarray(content, dtype=dtype), name))
        return name

    def integers(self, *content: int) -> str:
        return self.value(content, np.int64)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = self._fresh(kind)
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def slice(self, source: str, begin: int, end: int, axis: int) -> str:
        ends = self.integers(*map(int, (end,)))
        return self.op("Slice", source, self.integers(begin), ends, self.integers(axis))

    def network(self, path: Path, prefix: str, feeds: dict[str, str], output: str) -> str:
        """Put the network of a file into this one; return the name of its `output`."""
        model = onnx.load(path)
        renamed = onnx.compose.add_prefix_graph(model.graph, prefix)
        for name, source in feeds.items():
            self._nodes.append(helper.make_node("Identity", [source], [prefix + name]))
        self._nodes.extend(renamed.node)
        self._values.extend(renamed.initializer)
        return prefix + output

    def save(self, path: Path, **metadata: object) -> None:
        graph = helper.make_graph(self._nodes, path.stem, self._inputs, self._outputs, self._values)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
        onnx.checker.check_model(model)
        onnx.save(model, path)

    def _fresh(self, kind: str) -> str:
        self._count += 1
        return f"{kind.lower()}_{self._count}"
