"""The best path through a CTC network's output, as the output comes."""

from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.engines.ctc import LogProbs, Vocabulary


class GreedyPath:
    """The most probable symbol of each frame, repeats and blanks taken out.

    Frames pushed in any portions give what `ctc.GreedyCtc` gives for all of them at once, and
    nothing is kept of them but the tokens.

    Args:
        vocabulary: of the network.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._previous = vocabulary.blank
        self._frames_seen = 0
        self._tokens: list[str] = []
        self._frames: list[int] = []
        self._log_probs: list[float] = []

    def push(self, log_probs: LogProbs) -> None:
        """Hear the next frames.

        Args:
            log_probs: shape (n, symbols), n >= 0.
        """
        best = log_probs.argmax(axis=1)
        for symbol, row in zip(best.tolist(), log_probs, strict=True):
            self._step(symbol, float(row[symbol]))

    def hypothesis(self, frame_s: float) -> Hypothesis:
        """Return the path so far.

        Args:
            frame_s: seconds from one frame to the next; frame 0 begins at 0.
        """
        return Hypothesis(
            text=self._vocabulary.text(self._tokens),
            tokens=tuple(self._tokens),
            starts_s=tuple(frame * frame_s for frame in self._frames),
            log_probs=tuple(self._log_probs),
        )

    def _step(self, symbol: int, log_prob: float) -> None:
        if symbol == self._vocabulary.blank:
            pass
        elif symbol == self._previous:
            self._log_probs[-1] += log_prob
        else:
            self._tokens.append(self._vocabulary.symbols[symbol])
            self._frames.append(self._frames_seen)
            self._log_probs.append(log_prob)
        self._previous = symbol
        self._frames_seen += 1
