"""A checkpoint in the layout of GigaAM-CTC, fp32 and int8.

sherpa-onnx's `OfflineRecognizer.from_nemo_ctc` takes it, and the engines `onnx` and `sherpa`;
onnx-asr does under `v2_ctc.onnx` beside `v2_vocab.txt`. Metadata as in sherpa-onnx
scripts/nemo/GigaAM/export-onnx-ctc-v2.py.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from models.training.batches import SUBSAMPLING, TOKENS
from models.training.checkpoint import Checkpoint
from models.training.network import Network
from ruasr_tel.engines.features import MEL_BINS, SHERPA
from ruasr_tel.errors import ConfigError

FULL, SMALL = "model.onnx", "model.int8.onnx"
OPSET = 17
METADATA: Mapping[str, str] = {
    "vocab_size": str(len(TOKENS)),
    "normalize_type": "",
    "subsampling_factor": str(SUBSAMPLING),
    "model_type": "EncDecCTCModel",
    "version": "1",
    "is_giga_am": "1",
    "features": SHERPA,
    "language": "Russian",
    "license": "CC-BY-4.0, see README.md",
}
_CHECKED_FRAMES = (37, 100, 202, 303, 404)
"""Odd and even lengths, also after the halvings: the graph must agree with torch on all."""
_AGREES = 2e-3  # natural log; float32 in another order of sums


def export(checkpoint: Checkpoint, folder: Path) -> None:
    """Write model.onnx, model.int8.onnx, tokens.txt and v2_vocab.txt.

    Args:
        checkpoint: its averaged weights are exported.
        folder: made if it is not there.

    Raises:
        ConfigError: the graph does not agree with the network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    network = checkpoint.network()
    to_onnx(
        network,
        (torch.randn(2, MEL_BINS, 301), torch.tensor([301, 200])),
        folder / FULL,
        inputs={"features": {0: "B", 2: "T"}, "feature_lengths": {0: "B"}},
        outputs={"log_probs": {0: "B", 1: "To"}},
        metadata=METADATA,
    )
    quantised(folder / FULL, folder / SMALL)
    write_tokens(folder / "tokens.txt", TOKENS)
    write_tokens(folder / "v2_vocab.txt", [token.replace(" ", "▁") for token in TOKENS])
    _check(network, folder / FULL)


def to_onnx(
    module: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    *,
    inputs: Mapping[str, Mapping[int, str]],
    outputs: Mapping[str, Mapping[int, str]],
    metadata: Mapping[str, str],
) -> None:
    """Write a torch module as ONNX.

    Args:
        module: in evaluation mode.
        example: inputs to trace it with.
        path: of the file.
        inputs: name -> axes of variable length.
        outputs: the same.
        metadata: for sherpa-onnx.
    """
    with warnings.catch_warnings():  # the tracing exporter is deprecated; the new one fixes axes
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=False,
            dynamic_axes={name: dict(axes) for name, axes in {**inputs, **outputs}.items()},
        )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)


def quantised(full: Path, small: Path) -> None:
    """Write a model with its matrices in signed 8 bits; convolutions stay as they are.

    Signed weights in matrix products only: the fastest of the kinds tried on AVX2 without VNNI
    (our measurement on a network of GigaAM's size).
    """
    quantize_dynamic(full, small, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])


def write_tokens(path: Path, tokens: Sequence[str]) -> None:
    """Write a token and its number a line, as sherpa-onnx reads them."""
    lines = [f"{token} {number}\n" for number, token in enumerate(tokens)]
    path.write_text("".join(lines), "utf-8")


def _check(network: Network, path: Path) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for frames in _CHECKED_FRAMES:
        features, lengths = torch.randn(1, MEL_BINS, frames) - 6, torch.tensor([frames])
        with torch.no_grad():
            expected = network(features, lengths).numpy()
        (found,) = session.run(
            None, {"features": features.numpy(), "feature_lengths": lengths.numpy()}
        )
        if found.shape != expected.shape or np.abs(found - expected).max() > _AGREES:
            raise ConfigError(f"{path} does not agree with its network at {frames} frames")
