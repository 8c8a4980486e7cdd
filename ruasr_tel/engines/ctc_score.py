"""What a CTC network says of a given text: its probability, and where its tokens lie. Pure.

The forward algorithm and the best alignment of Graves et al., "Connectionist temporal
classification" (ICML 2006), section 4.1, for many texts at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ruasr_tel.engines.ctc import LogProbs

FloatArray = npt.NDArray[np.float64]


def log_probabilities(
    log_probs: LogProbs, sequences: Sequence[Sequence[int]], blank: int
) -> FloatArray:
    """Return of each token sequence its natural log probability, summed over all alignments.

    Probabilities are added as they are and rescaled at every frame, ten times faster than adding
    their logarithms; a sequence that sinks 300 orders of magnitude below its best state is done
    again with logarithms.

    Args:
        log_probs: of a segment, shape (frames, symbols).
        sequences: token ids without blanks; an empty one is silence.
        blank: id of the blank.

    Returns:
        Shape (len(sequences),); minus infinity for one that needs more frames than there are.
    """
    if not len(sequences):
        return np.zeros(0)
    lattice = _Lattice.of(sequences, blank)
    scores = _scaled(log_probs, lattice)
    lost = np.flatnonzero(np.isneginf(scores))
    if len(lost):
        again = _Lattice.of([sequences[i] for i in lost.tolist()], blank)
        scores[lost] = _logarithmic(log_probs, again)
    return scores


def _scaled(log_probs: LogProbs, lattice: "_Lattice") -> FloatArray:
    alpha = np.zeros(lattice.states.shape)
    alpha[:, 0] = 1.0  # as if a blank came before the first frame
    total = np.zeros(len(alpha))
    for row in np.exp(log_probs.astype(np.float64)):
        after = alpha.copy()
        after[:, 1:] += alpha[:, :-1]
        after[:, 2:] += np.where(lattice.skips[:, 2:], alpha[:, :-2], 0.0)
        after *= row[lattice.states]
        scale = after.max(axis=1)
        scale[scale <= 0.0] = 1.0
        alpha = after / scale[:, None]
        total += np.log(scale)
    last, before = lattice.ends(alpha, 0.0)
    with np.errstate(divide="ignore"):
        scores: FloatArray = total + np.log(last + before)
    return scores


def _logarithmic(log_probs: LogProbs, lattice: "_Lattice") -> FloatArray:
    alpha = np.full(lattice.states.shape, -np.inf)
    alpha[:, 0] = 0.0
    for row in log_probs.astype(np.float64):
        after = alpha.copy()
        after[:, 1:] = np.logaddexp(after[:, 1:], alpha[:, :-1])
        skipped = np.where(lattice.skips[:, 2:], alpha[:, :-2], -np.inf)
        after[:, 2:] = np.logaddexp(after[:, 2:], skipped)
        alpha = after + row[lattice.states]
    scores: FloatArray = np.logaddexp(*lattice.ends(alpha, -np.inf))
    return scores


@dataclass(frozen=True, slots=True)
class _Lattice:
    """The states of sequences: blank, token, blank, … blank.

    Attributes:
        states: symbol of each state, shape (sequences, longest); the rest is blanks.
        skips: whether a state may follow the one two before, same shape.
        last: index of each sequence's last state.
    """

    states: npt.NDArray[np.intp]
    skips: npt.NDArray[np.bool_]
    last: npt.NDArray[np.intp]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], blank: int) -> "_Lattice":
        longest = max(map(len, sequences))
        states = np.full((len(sequences), 2 * longest + 1), blank, dtype=np.intp)
        for row, sequence in zip(states, sequences, strict=True):
            row[1 : 2 * len(sequence) : 2] = sequence
        skips = np.zeros(states.shape, dtype=np.bool_)
        skips[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
        return cls(states, skips, np.array([2 * len(one) for one in sequences], dtype=np.intp))

    def ends(self, alpha: FloatArray, nothing: float) -> tuple[FloatArray, FloatArray]:
        """Return alpha of each sequence's last blank, and of the token before it."""
        rows = np.arange(len(alpha))
        before = alpha[rows, np.maximum(self.last - 1, 0)]
        return alpha[rows, self.last], np.where(self.last > 0, before, nothing)


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where the tokens of a text lie.

    Attributes:
        starts: first frame of each token.
        log_probs: natural log probability of each token, the sum over its frames.
    """

    starts: tuple[int, ...]
    log_probs: tuple[float, ...]


def align(log_probs: LogProbs, sequence: Sequence[int], blank: int) -> Alignment:
    """Return the most probable alignment of one token sequence.

    Args:
        log_probs: of a segment, shape (frames, symbols).
        sequence: token ids without blanks.
        blank: id of the blank.

    Raises:
        ValueError: the sequence needs more frames than there are.
    """
    lattice = _Lattice.of([sequence], blank)
    states, skips = lattice.states[0], lattice.skips[0]
    emitted = log_probs[:, states].astype(np.float64)
    score = np.full(len(states), -np.inf)
    score[0] = 0.0
    came = np.zeros(emitted.shape, dtype=np.int8)  # how many states the best way advanced
    for t, row in enumerate(emitted):
        ways = np.full((3, len(states)), -np.inf)
        ways[0], ways[1, 1:] = score, score[:-1]
        ways[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        came[t] = ways.argmax(axis=0)
        score = ways.max(axis=0) + row
    state = len(states) - 1
    if state and score[state - 1] > score[state]:
        state -= 1
    if not np.isfinite(score[state]):
        raise ValueError(f"{len(sequence)} tokens do not fit into {len(log_probs)} frames")
    starts, sums = [0] * len(sequence), [0.0] * len(sequence)
    for t in range(len(emitted) - 1, -1, -1):
        if state % 2:
            starts[state // 2] = t
            sums[state // 2] += float(emitted[t, state])
        state -= int(came[t, state])
    return Alignment(tuple(starts), tuple(sums))
