"""The network: GigaAM's CTC interface on convolutions alone.

`(features (B, 64, T), lengths (B,)) -> log probabilities (B, T/4, 34)`, the blank last. Blocks are
ConvNeXt's (Liu et al. 2022) with squeeze-and-excitation over the speech; the middle ones run at an
eighth of the frame rate with one skip around them: more parameters and a wider view for the same
arithmetic. Of the 64 bins the lower 46 are read, those below 4 kHz, and each utterance's own level
is taken out, so that the line's gain and the caller's loudness cancel.

Not for streaming: the level and the excitation look at the whole utterance, and the convolutions
look as far ahead as back.

The names of the modules are those in the checkpoints.
"""

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


@dataclass(frozen=True, slots=True)
class Size:
    """How large the network is.

    Attributes:
        d: width of the outer blocks.
        d2: of the middle ones.
        n1: blocks before the middle.
        n2: blocks in the middle.
        n3: blocks after it.
        k: width of the outer convolutions, in frames of 40 ms.
        k2: of the middle ones, in frames of 80 ms.
        e: expansion inside a block.
        drop: share of dropped activations.
    """

    d: int = 192
    d2: int = 256
    n1: int = 2
    n2: int = 10
    n3: int = 2
    k: int = 11
    k2: int = 11
    e: int = 3
    drop: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class Block(nn.Module):
    """One ConvNeXt block: x (B, T, D), mask (B, T, 1), frames (B, 1) to (B, T, D)."""

    def __init__(self, d: int, k: int, size: Size, *, excited: bool) -> None:
        super().__init__()
        self.dw = nn.Conv1d(d, d, k, padding=k // 2, groups=d)
        self.ln = nn.LayerNorm(d)
        self.up, self.down = nn.Linear(d, d * size.e), nn.Linear(d * size.e, d)
        squeeze = (nn.Linear(d, d // 4), nn.ReLU(), nn.Linear(d // 4, d))
        self.se = nn.Sequential(*squeeze) if excited else None
        self.drop = nn.Dropout(size.drop)
        self.scale = nn.Parameter(torch.full((d,), 0.5))

    def forward(self, x: Tensor, mask: Tensor, frames: Tensor) -> Tensor:
        """Return the block's sum with its input."""
        y = self.dw((x * mask).transpose(1, 2)).transpose(1, 2)
        y = self.down(self.drop(functional.relu(self.up(self.ln(y)))))
        if self.se is not None:
            y = y * torch.sigmoid(self.se((y * mask).sum(1) / frames))[:, None]
        return x + y * self.scale


class Network(nn.Module):
    """The whole network.

    Args:
        size: how large.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        d, d2 = size.d, size.d2
        self.c1 = nn.Conv1d(HEARD_BINS, d // 2, 5, stride=2, padding=2)
        self.c2 = nn.Conv1d(d // 2, d, 5, stride=2, padding=2)
        self.ln0 = nn.LayerNorm(d)
        self.b1 = _blocks(size.n1, d, size.k, size, excited=True)
        self.lnd, self.dn = nn.LayerNorm(d), nn.Linear(2 * d, d2)
        self.b2 = _blocks(size.n2, d2, size.k2, size, excited=True)
        self.lnm, self.mid = nn.LayerNorm(d2), nn.Linear(d2, 2 * len(TOKENS))
        self.upl = nn.Linear(d2, 2 * d)
        self.b3 = _blocks(size.n3, d, size.k, size, excited=False)
        self.ln1 = nn.LayerNorm(d)
        self.out = nn.Linear(d, len(TOKENS))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return log probabilities, shape (B, T/4, 34); see `both` for what is trained."""
        return self.both(features, lengths)[0]

    def both(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log probabilities of the end and of the middle, both (B, T/4, 34).

        Args:
            features: (B, 64, T), log-mel energies.
            lengths: (B,), frames of each; what lies behind is not heard.
        """
        x, mask = self._heard(features, lengths)
        frames = mask.sum(1) + 1e-3
        x = self.ln0(x.transpose(1, 2))
        for block in self.b1:
            x = block(x, mask, frames)
        batch, steps, d = x.shape
        pairs = (steps + 1) // 2
        even = functional.pad(self.lnd(x) * mask, (0, 0, 0, 1))[:, : pairs * 2]
        y = self.dn(even.reshape(batch, pairs, 2 * d))
        rare = mask[:, ::2]
        for block in self.b2:
            y = block(y, rare, rare.sum(1) + 1e-3)
        y = self.lnm(y)
        x = x + self.upl(y).reshape(batch, pairs * 2, d)[:, :steps]
        for block in self.b3:
            x = block(x, mask, frames)
        middle = self.mid(y).reshape(batch, pairs * 2, -1)[:, :steps]
        end = self.out(self.ln1(x))
        return functional.log_softmax(end, -1), functional.log_softmax(middle, -1)

    def _heard(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return subsampled features (B, d, T/4) without their level, and the mask (B, T/4, 1)."""
        x = features[:, :HEARD_BINS].clamp(min=_LOWEST)
        at = torch.arange(x.shape[2], device=x.device)[None]
        mask = (at < lengths[:, None]).to(x.dtype)[:, None]
        energy = x.mean(1, keepdim=True)
        mean = (energy * mask).sum(2, keepdim=True) / mask.sum(2, keepdim=True)
        loud = torch.sigmoid(_LOUD_SLOPE * (energy - mean)) * mask
        level = (x * loud).sum(2, keepdim=True) / (loud.sum(2, keepdim=True) + 1e-3)
        x = functional.relu(self.c1((x - level) * _SCALE * mask)) * mask[:, :, ::2]
        x = functional.relu(self.c2(x))
        return x, mask[:, :, ::2][:, :, ::2].transpose(1, 2)


def _blocks(count: int, d: int, k: int, size: Size, *, excited: bool) -> nn.ModuleList:
    """Return blocks; of excited ones every second is."""
    return nn.ModuleList(Block(d, k, size, excited=excited and at % 2 == 1) for at in range(count))


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
