"""The same acoustics in the layout of k2's offline zipformer transducers.

For programs that load only `encoder`, `decoder`, `joiner`. The encoder takes kaldi's 80 bins (20 to
7600 Hz), interpolates the network's 64 (0 to 8000 Hz) from them, and takes out repeats, so that
greedy search (blank 0, at most a symbol a frame) gives what greedy CTC gives but for the
interpolation. There is no prediction network: the decoder's output is 0 and the joiner adds it.

A streaming layout is not possible: see `network.py`.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.training.batches import BLANK, TOKENS
from models.training.checkpoint import Checkpoint
from models.training.export_ctc import quantised, to_onnx, write_tokens
from models.training.network import Network
from ruasr_tel.engines.features import MEL_BINS

KALDI_BINS = 80
_KALDI_LOW_HZ, _KALDI_HIGH_HZ = 20.0, 7600.0
"""sherpa-onnx features.h: low_freq 20, high_freq -400 of 8000 Hz."""
_NEVER = -30.0  # log probability of what must not come
_CONTEXT = 2  # tokens that greedy search hands to a decoder


def export(checkpoint: Checkpoint, folder: Path) -> None:
    """Write encoder, encoder.int8, decoder, joiner and tokens.txt.

    Args:
        checkpoint: its averaged weights are exported.
        folder: made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    one, two = {0: "N"}, {0: "N", 1: "T"}
    to_onnx(
        Encoder(checkpoint.network()).eval(),
        (torch.randn(2, 300, KALDI_BINS), torch.tensor([300, 200])),
        folder / "encoder.onnx",
        inputs={"x": two, "x_lens": one},
        outputs={"encoder_out": {0: "N", 1: "To"}, "encoder_out_lens": one},
        metadata={"model_type": "zipformer2", "version": "1"},
    )
    quantised(folder / "encoder.onnx", folder / "encoder.int8.onnx")
    size = str(len(TOKENS))
    to_onnx(
        Decoder(),
        (torch.zeros(2, _CONTEXT, dtype=torch.long),),
        folder / "decoder.onnx",
        inputs={"y": one},
        outputs={"decoder_out": one},
        metadata={"context_size": str(_CONTEXT), "vocab_size": size},
    )
    to_onnx(
        Joiner(),
        (torch.randn(2, len(TOKENS)), torch.randn(2, len(TOKENS))),
        folder / "joiner.onnx",
        inputs={"encoder_out": one, "decoder_out": one},
        outputs={"logit": one},
        metadata={"joiner_dim": size},
    )
    write_tokens(folder / "tokens.txt", [TOKENS[BLANK], *TOKENS[:BLANK]])


class Encoder(nn.Module):
    """Kaldi's features (N, T, 80) to log probabilities without repeats (N, T/4, 34), blank first.

    Args:
        network: trained.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.mapping = nn.Parameter(torch.from_numpy(mel_mapping()), requires_grad=False)

    def forward(self, x: Tensor, x_lens: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log probabilities and their frames."""
        scores = self.network((x @ self.mapping).transpose(1, 2), x_lens)
        scores = torch.cat([scores[..., BLANK:], scores[..., :BLANK]], -1)
        best = scores.argmax(-1)
        before = torch.cat([torch.zeros_like(best[:, :1]), best[:, :-1]], 1)
        repeated = ((best == before) & (best != 0)).to(scores.dtype)[..., None]
        blank = torch.full((len(TOKENS),), _NEVER)
        blank[0] = 0.0
        return scores * (1 - repeated) + blank * repeated, _halved(_halved(x_lens))


def _halved(frames: Tensor) -> Tensor:
    return (frames + 1) // 2


class Decoder(nn.Module):
    """Tokens (N, 2) to zeros (N, 34)."""

    def forward(self, y: Tensor) -> Tensor:
        """Return zeros that the graph computes from its input, so that it keeps one."""
        zero = y.to(torch.float32).sum(1, keepdim=True) * 0.0
        return zero.expand(-1, len(TOKENS)) + torch.zeros(len(TOKENS))


class Joiner(nn.Module):
    """The encoder's scores and the decoder's zeros to scores."""

    def forward(self, encoder_out: Tensor, decoder_out: Tensor) -> Tensor:
        """Return the encoder's scores."""
        return encoder_out + 0.0 * decoder_out


def mel_mapping() -> np.ndarray:
    """Return weights (80, 64), float32, that interpolate the network's bins from kaldi's."""
    low, high = _mel(_KALDI_LOW_HZ), _mel(_KALDI_HIGH_HZ)
    step = (high - low) / (KALDI_BINS + 1)
    first = low + step
    mapping = np.zeros((KALDI_BINS, MEL_BINS), np.float32)
    for column in range(MEL_BINS):
        place = (_mel(8000.0) * (column + 1) / (MEL_BINS + 1) - first) / step
        row = int(np.clip(np.floor(place), 0, KALDI_BINS - 2))
        share = float(np.clip(place - row, 0, 1))
        mapping[row, column], mapping[row + 1, column] = 1 - share, share
    return mapping


def _mel(hz: float) -> float:
    return float(1127 * np.log(1 + hz / 700))
