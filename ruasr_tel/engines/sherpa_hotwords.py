"""Phrases in the form that sherpa-onnx's transducers take them. Pure but for one file read.

Its traps (csrc/utils.cc, our measurements): a letter that tokens.txt does not have is dropped and
the rest boosted; of a vocabulary of letters the space is not encoded, so that two words would be
boosted as one; CTC with hotwords ends the process; greedy search ignores them.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.engines.kept import KeptLists
from ruasr_tel.engines.phrases import clean, fold, unspellable
from ruasr_tel.engines.pieces import read_pieces

PIECES_NAMES = ("bpe.vocab", "unigram_500.vocab")
"""What icefall and sherpa-onnx call the exported list of word pieces with scores."""
MODEL_NAME = "bpe.model"
"""What the list is exported from; alphacep's models bring it beside tokens.txt."""


class Hotwords:
    """Writes phrases for one model.

    Args:
        symbols: of its tokens.txt.
        pieces: its list of word pieces, or their sentencepiece model; None: it spells in letters.
    """

    def __init__(self, symbols: Sequence[str], pieces: Path | None = None) -> None:
        self._symbols = symbols
        self.pieces = pieces
        self._written = KeptLists(self._write)

    def write(self, phrases: Sequence[str], boost: float) -> str:
        """Return what `create_stream(hotwords=…)` takes; empty if no phrase can be spelled.

        A phrase with a letter that the model does not have is left out, which is said on stderr,
        once a list. Where the model spells in letters, a phrase's words are preferred one by one.

        Args:
            phrases: as their owner writes them.
            boost: natural log per token.
        """
        return self._written.get(DecodeOptions(phrases=tuple(phrases), boost=boost))

    def _write(self, options: DecodeOptions) -> str:
        spelled, boost = clean(options.phrases), options.boost
        for phrase in unspellable(spelled, self._symbols):
            written = spelled.pop(phrase)
            sys.stderr.write(f"phrase left out, the model has not all its letters: {written}\n")
        if not boost:
            return ""
        units = list(spelled)
        if self.pieces is None:
            units = list(dict.fromkeys(word for phrase in units for word in phrase.split()))
        return "/".join(f"{unit} :{boost:.2f}" for unit in units)

    @contextmanager
    def spelling(self) -> Iterator[dict[str, str]]:
        """Give what a recogniser that takes phrases is made with, for as long as it is loaded."""
        if self.pieces is None:
            yield {}
        elif self.pieces.suffix != ".model":
            yield {"modeling_unit": "bpe", "bpe_vocab": str(self.pieces)}
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / PIECES_NAMES[0]
                lines = (f"{piece}\t{score}\n" for piece, score in read_pieces(self.pieces))
                path.write_text("".join(lines), "utf-8")
                yield {"modeling_unit": "bpe", "bpe_vocab": str(path)}


def hotwords_for(symbols: Sequence[str], folder: Path) -> Hotwords | None:
    """Return how a model's phrases are written, or None if nobody can tell.

    Args:
        symbols: of its tokens.txt.
        folder: where tokens.txt lies; a model of word pieces needs one of PIECES_NAMES or
            MODEL_NAME there.
    """
    if all(
        len(fold(symbol).strip()) <= 1 for symbol in symbols if not symbol.startswith(("<", "#"))
    ):
        return Hotwords(symbols)
    for name in PIECES_NAMES:
        if _is_list_of_pieces(folder / name):
            return Hotwords(symbols, folder / name)
    if _is_model_of_pieces(folder / MODEL_NAME):
        return Hotwords(symbols, folder / MODEL_NAME)
    return None


def _is_model_of_pieces(path: Path) -> bool:
    try:
        return bool(read_pieces(path))
    except (OSError, ValueError):
        return False


def _is_list_of_pieces(path: Path) -> bool:
    """Return whether a file is a piece, a tab and a number a line; others end the process."""
    try:
        lines = path.read_text("utf-8").splitlines()
        return bool(lines) and all(float(line.split("\t")[1]) <= 0 for line in lines)
    except (OSError, ValueError, IndexError):
        return False
