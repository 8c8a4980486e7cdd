"""Working models in a folder, and ways to break them: the embedded ones, next to nothing inside.

So small (tests/tiny.py), because each of a hundred faults is loaded by every engine and check.
"""

import math
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import TensorProto, helper

from ruasr_tel.models.catalog import Catalog
from tests.tiny import shrink

Damage = Callable[[Path], None]
Port = tuple[str, int, list[int | str]]
"""Name, type and shape of an input; of an output where the name begins with `>`."""

MODELS_DIR = Path(__file__).parents[2] / "models"
CTC, TRANSDUCER, NEMO = "nemo_ctc", "transducer", "nemo_transducer"
EMBEDDED = {CTC: "ru-mini-ctc-8k", TRANSDUCER: "ru-mini-transducer-8k"}


def hearing_model(folder: Path, family: str) -> Path:
    """Put the embedded model of `family` into `folder`."""
    folder.mkdir(parents=True)
    for path in Catalog.load(MODELS_DIR).resolve(EMBEDDED[family]).files().values():
        shutil.copy(path, folder)
    return folder


def good_model(folder: Path, family: str) -> Path:
    """Put a working model of `family` into `folder`; it hears nothing that was said."""
    folder.mkdir(parents=True)
    for name, content in _files(family).items():
        (folder / name).write_bytes(content)
    return folder


@cache
def _files(family: str) -> dict[str, bytes]:
    """Return the files of a working model by name."""
    with TemporaryDirectory() as made:
        folder = Path(made) / family
        if family == NEMO:
            folder.mkdir()
            _write_nemo_transducer(folder)
        else:
            shrink(hearing_model(folder, family))
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def write(name: str, content: bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


def edit(name: str, change: Callable[[bytes], bytes]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return damage


def remove(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def folder_instead(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def copy(source: str, target: str) -> Damage:
    def damage(folder: Path) -> None:
        shutil.copy(folder / source, folder / target)

    return damage


def other_family(source: str, family: str, target: str) -> Damage:
    def damage(folder: Path) -> None:
        other = Catalog.load(MODELS_DIR).resolve(EMBEDDED[family])
        shutil.copy(other.folder / source, folder / target)

    return damage


def metadata(name: str, key: str, value: str | None) -> Damage:
    """Set metadata `key`, or remove it where `value` is None."""

    def damage(folder: Path) -> None:
        model = onnx.load(folder / name)
        kept = {prop.key: prop.value for prop in model.metadata_props if prop.key != key}
        if value is not None:
            kept[key] = value
        helper.set_model_props(model, kept)
        onnx.save(model, folder / name)

    return damage


def tokens(change: Callable[[list[str]], list[str]]) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "tokens.txt"
        lines = change(path.read_text("utf-8").splitlines())
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")

    return damage


def network(name: str, *ports: Port) -> Damage:
    """Put a network with these ports in place of `name`, with the metadata of the old one."""

    def damage(folder: Path) -> None:
        kept = {prop.key: prop.value for prop in onnx.load(folder / name).metadata_props}
        onnx.save(constant_network(kept, *ports), folder / name)

    return damage


def constant_network(metadata: dict[str, str], *ports: Port) -> onnx.ModelProto:
    """Return a network whose outputs are zeros of their shapes (free lengths are 1)."""
    inputs, outputs, nodes = [], [], []
    for name, kind, shape in ports:
        info = helper.make_tensor_value_info(name.lstrip(">"), kind, shape)
        if not name.startswith(">"):
            inputs.append(info)
            continue
        outputs.append(info)
        size = [length if isinstance(length, int) else 1 for length in shape]
        zeros = helper.make_tensor(f"{name}_value", kind, size, [0] * math.prod(size))
        nodes.append(helper.make_node("Constant", [], [info.name], value=zeros))
    padding = "padding " * 40  # no real network is shorter than the smallest we accept
    graph = helper.make_graph(nodes, "constant", inputs, outputs, doc_string=padding)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    return model


_F, _I32, _I64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
_NEMO_METADATA = {
    "vocab_size": "33",
    "subsampling_factor": "4",
    "pred_rnn_layers": "1",
    "pred_hidden": "2",
    "normalize_type": "",
    "model_type": "EncDecRNNTBPEModel",
    "is_giga_am": "1",
}
_NEMO_NETWORKS: dict[str, list[Port]] = {
    "encoder.onnx": [
        ("audio_signal", _F, ["B", 64, "T"]),
        ("length", _I64, ["B"]),
        (">outputs", _F, ["B", 8, "T"]),
        (">encoded_lengths", _I64, ["B"]),
    ],
    "decoder.onnx": [
        ("targets", _I32, ["B", "U"]),
        ("target_length", _I32, ["B"]),
        ("h", _F, [1, "B", 2]),
        ("c", _F, [1, "B", 2]),
        (">dec", _F, ["B", 4, "U"]),
        (">dec_length", _I32, ["B"]),
        (">h_next", _F, [1, "B", 2]),
        (">c_next", _F, [1, "B", 2]),
    ],
    "joiner.onnx": [
        ("enc", _F, ["B", 8, 1]),
        ("dec", _F, ["B", 4, 1]),
        (">joint", _F, ["B", 1, 1, 34]),
    ],
}


def _write_nemo_transducer(folder: Path) -> None:
    """Write networks in NeMo's transducer layout; what they answer means nothing."""
    for name, ports in _NEMO_NETWORKS.items():
        metadata = _NEMO_METADATA if name == "encoder.onnx" else {}
        onnx.save(constant_network(metadata, *ports), folder / name)
    good = Catalog.load(MODELS_DIR).resolve(EMBEDDED[CTC])
    shutil.copy(good.folder / "tokens.txt", folder)
