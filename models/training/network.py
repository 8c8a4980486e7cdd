"""The network: GigaAM's CTC interface on the encoder of Whisper.

`(features (B, 64, T), lengths (B,)) -> log probabilities (B, T/4, 34)`, the blank last. Two
convolutions and a few transformer blocks hear 50 frames a second, as Whisper's do (Radford et al.
2022); then two frames become one, and the blocks after it cost half. Of the 64 bins the lower 46
are read, those below 4 kHz, and each utterance's own level is taken out of every bin, so that the
line's gain and tilt, the caller's loudness and the front end cancel.

Not for streaming: the level and the attention look at the whole utterance.

The names of the modules are those in the checkpoints.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.batches import BLANK, TOKENS

HEARD_BINS = 46
_LOWEST = -16.0  # log of float32's epsilon, rounded: what silence gives
_SCALE = 0.3  # log-mel to about unit variance
_LOUD_SLOPE = 2.0  # how clearly louder frames set the level
_LONGEST_PERIOD = 10_000
_HIDDEN = -1e4  # added to the attention of what lies behind an utterance


@dataclass(frozen=True, slots=True)
class Size:
    """How large the network is; the defaults are Whisper base's.

    Attributes:
        d: width of the blocks.
        heads: of the attention; they share the width.
        fine: blocks at 50 frames a second.
        middle: blocks at 25 before the first output, which is for training only.
        last: blocks after it.
        drop: share of dropped activations.
    """

    d: int = 512
    heads: int = 8
    fine: int = 2
    middle: int = 2
    last: int = 2
    drop: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class Block(nn.Module):
    """One transformer block, normalised before: x (B, T, D), bias (B, 1, 1, T) to (B, T, D)."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        d = size.d
        self.heads = size.heads
        self.ln1, self.qkv, self.proj = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.ln2, self.up, self.down = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.drop = nn.Dropout(size.drop)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Return the block's sum with its input."""
        batch, frames, d = x.shape
        query, key, value = (
            each.reshape(batch, frames, self.heads, d // self.heads).transpose(1, 2)
            for each in self.qkv(self.ln1(x)).chunk(3, -1)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype))
        x = x + self.drop(self.proj(mixed.transpose(1, 2).reshape(batch, frames, d)))
        return x + self.drop(self.down(functional.gelu(self.up(self.ln2(x)))))


class Network(nn.Module):
    """The whole network.

    Args:
        size: how large.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        d = size.d
        self.c1 = nn.Conv1d(HEARD_BINS, d, 3, padding=1)
        self.c2 = nn.Conv1d(d, d, 3, stride=2, padding=1)
        self.fine = nn.ModuleList(Block(size) for _ in range(size.fine))
        self.fold = nn.Linear(2 * d, d)
        self.middle = nn.ModuleList(Block(size) for _ in range(size.middle))
        self.lnm, self.mid = nn.LayerNorm(d), nn.Linear(d, len(TOKENS))
        self.last = nn.ModuleList(Block(size) for _ in range(size.last))
        self.ln, self.out = nn.LayerNorm(d), nn.Linear(d, len(TOKENS))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return log probabilities, shape (B, T/4, 34); see `both` for what is trained."""
        return self._hear(features, lengths)[0]

    def both(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log probabilities of the end and of the middle, both (B, T/4, 34).

        Args:
            features: (B, 64, T), log-mel energies.
            lengths: (B,), frames of each; what lies behind is not heard.
        """
        end, middle = self._hear(features, lengths)
        return end, functional.log_softmax(self.mid(self.lnm(middle)), -1)

    def _hear(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x, mask = heard(features, lengths)
        x = functional.gelu(self.c1(x)) * mask
        x = functional.gelu(self.c2(x)).transpose(1, 2)
        mask = mask[:, :, ::2]
        batch, frames, d = x.shape
        x = (x + positions(x)) * mask.transpose(1, 2)
        bias = (1 - mask)[:, None] * _HIDDEN
        for block in self.fine:
            x = block(x, bias)
        pairs = (frames + 1) // 2
        even = functional.pad(x * mask.transpose(1, 2), (0, 0, 0, 1))[:, : pairs * 2]
        x = self.fold(even.reshape(batch, pairs, 2 * d))
        bias = bias[:, :, :, ::2]
        for block in self.middle:
            x = block(x, bias)
        middle = x
        for block in self.last:
            x = block(x, bias)
        return functional.log_softmax(self.out(self.ln(x)), -1), middle


def heard(features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Return features without their level, (B, 46, T), and what is speech's, (B, 1, T), 1 or 0.

    Args:
        features: (B, 64, T), log-mel energies.
        lengths: (B,), frames of each.
    """
    x = features[:, :HEARD_BINS].clamp(min=_LOWEST)
    at = torch.arange(x.shape[2], device=x.device)[None]
    mask = (at < lengths[:, None]).to(x.dtype)[:, None]
    energy = x.mean(1, keepdim=True)
    mean = (energy * mask).sum(2, keepdim=True) / mask.sum(2, keepdim=True)
    loud = torch.sigmoid(_LOUD_SLOPE * (energy - mean)) * mask
    level = (x * loud).sum(2, keepdim=True) / (loud.sum(2, keepdim=True) + 1e-3)
    return (x - level) * _SCALE * mask, mask


def positions(x: Tensor) -> Tensor:
    """Return Whisper's encodings of the places in x (B, frames, d): (frames, d), sines first."""
    half = x.shape[2] // 2
    steps = torch.arange(half, device=x.device, dtype=torch.float32)
    periods = torch.exp(steps * (-math.log(_LONGEST_PERIOD) / (half - 1)))
    at = torch.ones_like(x[0, :, :1], dtype=torch.float32).cumsum(0) - 1
    angles = at * periods[None]
    return torch.cat([angles.sin(), angles.cos()], 1).to(x.dtype)


def ctc_loss(
    scores: tuple[Tensor, Tensor], frames: Tensor, labels: Tensor, lengths: Tensor
) -> tuple[Tensor, float]:
    """Return the loss to train on, with a share of the middle's, and the end's own a letter.

    Args:
        scores: of `Network.both`, float32.
        frames: output frames of each utterance, (B,), on the CPU.
        labels: of all, one after another.
        lengths: labels of each, (B,), on the CPU.
    """
    end, middle = (
        functional.ctc_loss(
            each.transpose(0, 1), labels, frames, lengths, BLANK, "sum", zero_infinity=True
        )
        / lengths.sum()
        for each in scores
    )
    return end + _MIDDLE_SHARE * middle, float(end.detach())


_MIDDLE_SHARE = 0.3  # of the loss on the middle (intermediate CTC: Lee and Watanabe 2021)


def disagreement(scores: Tensor, frames: Tensor) -> Tensor:
    """Return by how much two views of the same utterances are heard otherwise, in all frames.

    Each view learns to be what the other one is (consistency-regularised CTC: Yao et al. 2024).

    Args:
        scores: log probabilities, (2 B, T, 34): the first views, then the second ones.
        frames: output frames of each, (2 B,).
    """
    first, second = scores.chunk(2)
    other = torch.cat([second, first]).detach()
    apart = functional.kl_div(scores, other, reduction="none", log_target=True).sum(-1)
    heard = torch.arange(scores.shape[1], device=scores.device)[None] < frames[:, None]
    return (apart * heard).sum()


def greedy(scores: Tensor, frames: Sequence[int]) -> list[str]:
    """Return the best letters of each utterance without repeats and blanks.

    Args:
        scores: (B, T, 34).
        frames: of each utterance.
    """
    texts = []
    for row, count in zip(scores.argmax(-1).tolist(), frames, strict=True):
        kept = [
            TOKENS[one]
            for one, before in zip(row[:count], [BLANK, *row], strict=False)
            if one not in (before, BLANK)
        ]
        texts.append("".join(kept).strip())
    return texts
