r"""Language models as files: ARPA, plain or gzip, as every toolkit writes it.

The format is that of SRILM's ngram-format(5): `\data\`, the count of each order, then for each
order `\N-grams:` and lines of log10 probability, words, log10 back-off weight; `\end\`.
"""

import gzip
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, cast

import numpy as np

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.language.ngrams import BEGIN, END, MARKS, UNKNOWN, Doubles, Ints, NGrams

LN10 = math.log(10.0)
_GZIP = b"\x1f\x8b"
_LFS = "version https://git-lfs.github.com"
UNKNOWN_LOG10 = -100.0
"""Of a mark that the file has not: kenlm lm/config.cc, unknown_missing_logprob."""
_DATA = "\\data\\"
_PREFACE_LINES = 100
"""Lines before it that a toolkit may write about itself (our choice)."""
_MARK_NAMES = {"<UNK>": UNKNOWN, "<S>": BEGIN, "</S>": END, "[unk]": UNKNOWN}
"""Other names of the marks: SRILM's -unk and CMU's toolkit write capitals."""
_EMPTY = (
    np.zeros(0, np.int64),
    np.zeros(1, np.float32),
    np.zeros(1, np.float32),
    np.zeros(1, np.int64),
)
"""An NGrams of no words: its root."""


def read(path: Path) -> NGrams:
    """Return the language model in a file.

    Raises:
        ModelLoadError: it is missing, cut off or no ARPA; names the file, the line and the cure.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(_GZIP)) == _GZIP
        with _opened(path, packed) as lines:
            return _Reader(path, lines).read()
    except FileNotFoundError as exc:
        raise ModelLoadError(
            f"language model {path} is not there; make it with `ruasr-tel lm build`, or leave it "
            "out with `none`"
        ) from exc
    except UnicodeDecodeError as exc:
        raise ModelLoadError(
            f"language model {path} is no ARPA text in UTF-8 (byte {exc.start}); kenlm's binary "
            "files are not read: give the ARPA file that they were made from"
        ) from exc
    except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
        raise ModelLoadError(
            f"language model {path} is cut off or damaged ({exc}); fetch or build it again"
        ) from exc
    except OSError as exc:
        raise ModelLoadError(f"language model {path} cannot be read: {exc.strerror}") from exc


def write(model: NGrams, path: Path) -> None:
    """Write a model as ARPA, gzip if the name ends in `.gz`.

    Raises:
        OSError: it cannot be written.
    """
    with _opened(path, path.suffix == ".gz", "w") as file:
        file.write("\\data\\\n")
        for order, count in enumerate(model.counts, start=1):
            file.write(f"ngram {order}={count}\n")
        names: list[str] = [""]
        for order, (first, after) in enumerate(pairwise(model.firsts), start=1):
            file.write(f"\n\\{order}-grams:\n")
            names.extend(_names(model, names, first, after))
            last = order == model.order
            for node in range(first, after):
                weight = "" if last else f"\t{_number(model.backoffs[node])}"
                file.write(f"{_number(model.log_probs[node])}\t{names[node]}{weight}\n")
        file.write("\n\\end\\\n")


@contextmanager
def _opened(path: Path, packed: bool, mode: str = "r") -> Iterator[IO[str]]:
    with ExitStack() as stack:
        raw: IO[bytes] = stack.enter_context(path.open(f"{mode}b"))
        if packed:  # no name and no time in it: the same model is the same file
            file = stack.enter_context(gzip.GzipFile("", f"{mode}b", fileobj=raw, mtime=0))
            raw = cast(IO[bytes], file)
        yield stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8", newline="\n"))


def _names(model: NGrams, names: Sequence[str], first: int, after: int) -> list[str]:
    parents, words = np.divmod(model.keys[first - 1 : after - 1], len(model.words))
    return [
        f"{names[parent]} {model.words[word]}" if parent else model.words[word]
        for parent, word in zip(parents.tolist(), words.tolist(), strict=True)
    ]


def _number(natural: float) -> str:
    """Return a natural logarithm as log10 with the digits that float32 has of it."""
    return f"{natural / LN10:.6g}"


class _Reader:
    """Reads one file."""

    def __init__(self, path: Path, lines: IO[str]) -> None:
        self._path = path
        self._lines = lines
        self._number = 0

    def read(self) -> NGrams:
        counts = self._counts()
        grams: list[_Grams] = []
        for order, count in enumerate(counts, start=1):
            self._expect(f"\\{order}-grams:")
            grams.append(self._section(order, count))
        self._expect("\\end\\")
        grams[0] = _with_marks(grams[0])
        try:
            return _put_together(grams)
        except ValueError as exc:
            raise self._error(f"{exc}: make it again") from exc

    def _counts(self) -> list[int]:
        """Return how many n-grams of each order the file announces."""
        first = self._next()
        if first.startswith(_LFS):
            raise self._error("is a Git LFS pointer, not the file: run `git lfs pull`")
        while first and first != _DATA and self._number < _PREFACE_LINES:
            first = self._next()
        if first != _DATA:
            raise self._error(f"has no line {_DATA}: it is no ARPA file")
        counts: list[int] = []
        for line in self._lines:
            self._number += 1
            if not line.strip():
                break
            order, _, count = line.removeprefix("ngram").strip().partition("=")
            if order.strip() != str(len(counts) + 1) or not count.strip().isdecimal():
                raise self._error(f"has {line.strip()[:60]!r} where `ngram N=count` belongs")
            counts.append(int(count))
        if not counts or not counts[0]:
            raise self._error("announces no words")
        return counts

    def _section(self, order: int, count: int) -> "_Grams":
        rows = [line.split() for line in islice(self._lines, count)]
        self._number += len(rows)
        bad = next((i for i, row in enumerate(rows) if not order < len(row) < order + 3), None)
        if bad is not None and (not rows[bad] or rows[bad][0].startswith("\\")):
            raise self._error(f"has {bad} {order}-grams and announces {count}: it is cut off")
        if bad is not None:
            self._number += bad + 1 - count
            raise self._error(f"has {' '.join(rows[bad])[:60]!r} where a {order}-gram belongs")
        if len(rows) < count:
            raise self._error(f"has {len(rows)} {order}-grams and announces {count}: it is cut off")
        try:
            log_probs = np.array([row[0] for row in rows], dtype=np.float64)
            backoffs = np.array(
                [row[order + 1] if row[order + 1 :] else "0" for row in rows], float
            )
        except ValueError as exc:
            raise self._error(f"has among its {order}-grams what is no number ({exc})") from exc
        return _Grams([row[1 : order + 1] for row in rows], log_probs, backoffs)

    def _expect(self, title: str) -> None:
        found = self._next()
        if not found:
            raise self._error(f"ends before {title}: it is cut off")
        if found != title:
            raise self._error(f"has {found[:60]!r} where {title} belongs")

    def _next(self) -> str:
        """Return the next line that holds something, empty after the last."""
        for line in self._lines:
            self._number += 1
            if line.strip():
                return line.strip()
        return ""

    def _error(self, fault: str) -> ModelLoadError:
        return ModelLoadError(f"language model {self._path}, line {self._number}, {fault}")


@dataclass(frozen=True, slots=True)
class _Grams:
    """The n-grams of one order; log10.

    Attributes:
        texts: their words.
        log_probs: shape (n,).
        backoffs: shape (n,).
    """

    texts: list[list[str]]
    log_probs: Doubles
    backoffs: Doubles


def _with_marks(unigrams: _Grams) -> _Grams:
    """Return the order 1 with all three marks under the names that we have for them."""
    names = [_MARK_NAMES.get(text[0], text[0]) for text in unigrams.texts]
    missing = [mark for mark in MARKS if mark not in names]
    return _Grams(
        [[name] for name in (*names, *missing)],
        np.append(unigrams.log_probs, [UNKNOWN_LOG10] * len(missing)),
        np.append(unigrams.backoffs, [0.0] * len(missing)),
    )


def _put_together(orders: Sequence[_Grams]) -> NGrams:
    """Return the model.

    Raises:
        ValueError: n-grams do not fit together.
    """
    words = tuple(text[0] for text in orders[0].texts)
    ids = {word: number for number, word in enumerate(words)}
    if len(ids) < len(words):
        raise ValueError("has a word twice")
    unknown = ids[UNKNOWN]
    model = NGrams(words, *_EMPTY, (1,))
    for order, grams in enumerate(orders, start=1):
        numbers = [
            [ids.get(_MARK_NAMES.get(word, word), unknown) for word in text] for text in grams.texts
        ]
        model = _longer(model, np.array(numbers, dtype=np.int64).reshape(-1, order), grams)
    return model


def _longer(model: NGrams, texts: Ints, grams: _Grams) -> NGrams:
    """Return the model with the n-grams of the next order.

    Args:
        model: holds all shorter ones.
        texts: ids, shape (n, order).
        grams: their figures.
    """
    parents = np.zeros(len(texts), dtype=np.int64)
    for column in texts[:, :-1].T:
        parents = model.find(parents, column)
        if (parents < 0).any():
            lost = " ".join(model.words[i] for i in texts[int(np.argmin(parents))])
            raise ValueError(f"has the n-gram {lost!r}, but not its beginning")
    keys = parents * len(model.words) + texts[:, -1]
    at = np.argsort(keys)
    if (np.diff(keys[at]) == 0).any():
        raise ValueError(f"has a {texts.shape[1]}-gram twice")
    return NGrams(
        model.words,
        np.concatenate([model.keys, keys[at]]),
        np.concatenate([model.log_probs, (grams.log_probs[at] * LN10).astype(np.float32)]),
        np.concatenate([model.backoffs, (grams.backoffs[at] * LN10).astype(np.float32)]),
        np.concatenate([model.suffixes, _suffixes(model, texts[at])]),
        (*model.firsts, model.firsts[-1] + len(texts)),
    )


def _suffixes(model: NGrams, texts: Ints) -> Ints:
    """Return of each text the node of its longest shorter suffix that is known."""
    found = np.zeros(len(texts), dtype=np.int64)
    for begin in range(texts.shape[1] - 1, 0, -1):
        nodes = np.zeros(len(texts), dtype=np.int64)
        for column in texts[:, begin:].T:
            nodes = np.where(nodes < 0, nodes, model.find(nodes, column))
        found = np.where(nodes > 0, nodes, found)
    return found
