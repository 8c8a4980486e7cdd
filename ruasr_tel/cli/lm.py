"""`lm`: language models from one's own text, and what they are worth."""

import gzip
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ruasr_tel.accuracy.score import normalise
from ruasr_tel.cli.common import err, one_sentence, out
from ruasr_tel.errors import ConfigError
from ruasr_tel.language import packed
from ruasr_tel.language.kneser_ney import estimate
from ruasr_tel.language.ngrams import MARKS, NGrams
from ruasr_tel.language.text import SPACE, Kind, kind_of, sentences, units

lm = typer.Typer(help="Language models of one's own text.", no_args_is_help=True)

ORDERS = {Kind.WORD: 3, Kind.CHAR: 6}
"""Longest n-grams unless asked for others (docs/language-models.md)."""
_GZIP = b"\x1f\x8b"

TextsArgument = Annotated[
    list[Path], typer.Argument(help="Text in UTF-8, a sentence or more a line; gzip or plain.")
]
NumbersOption = Annotated[
    bool, typer.Option("--numbers-as-words", help="Digits become words (num2words).")
]


@lm.command()
def build(
    texts: TextsArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="ARPA, gzip if named *.gz; *.npz loads fast.")
    ],
    kind: Annotated[
        Kind, typer.Option(help="Words, or letters: for models that misspell.")
    ] = Kind.WORD,
    order: Annotated[
        int | None, typer.Option(min=1, max=12, help="Longest n-gram: 3 words, 6 letters.")
    ] = None,
    prune: Annotated[
        str,
        typer.Option(help="Leave out n-grams that occur so often or less, by order: 0,0,1"),
    ] = "0",
    numbers: NumbersOption = False,
) -> None:
    """Count a text and write a language model: ARPA or packed, modified Kneser-Ney smoothing.

    The text is written as models write theirs: lower case, ё as е, letters only; a word with a
    digit is an unknown one.
    """
    with one_sentence():
        limits = _limits(prune)
        said = [units(text, kind) for text in _read(texts, numbers=numbers)]
        try:
            model = estimate(said, order or ORDERS[kind], limits)
        except ValueError as exc:
            raise ConfigError(f"no language model comes of this: {exc}") from exc
        try:
            packed.write(model, output)
        except OSError as exc:
            raise ConfigError(f"{output} cannot be written: {exc.strerror}") from exc
        counts = ", ".join(f"{count} of {n}" for n, count in enumerate(model.counts, start=1))
        size_mb = output.stat().st_size / 1e6
        named = "words" if kind is Kind.WORD else "letters"
        err.print(
            escape(
                f"{output}: {len(said)} sentences; n-grams by {named}: {counts}; {size_mb:.1f} MB"
            )
        )


@lm.command("eval")
def evaluate(
    model: Annotated[Path, typer.Argument(help="ARPA, plain or gzip, or *.npz.")],
    texts: TextsArgument,
    numbers: NumbersOption = False,
) -> None:
    """Print how well a language model foretells a text: its perplexity, and the unknown words."""
    with one_sentence():
        found = packed.read(model)
        kind = kind_of(word for word in found.words if word not in MARKS)
        said = [units(text, kind) for text in _read(texts, numbers=numbers)]
        for line in _figures(found, kind, said):
            out.print(line, markup=False)


def _figures(model: NGrams, kind: Kind, said: Sequence[Sequence[str]]) -> list[str]:
    walker = model.walker()
    known = set(model.words)
    named = "words" if kind is Kind.WORD else "letters"
    total = inside = 0.0
    count = unknown = letters = 0
    for sentence in said:
        log_probs = walker.each(sentence)
        flags = [unit not in known or unit in MARKS for unit in sentence]
        total -= sum(log_probs)
        inside -= sum(p for p, out_of in zip(log_probs, (*flags, False), strict=True) if not out_of)
        count += len(log_probs)
        unknown += sum(flags)
        letters += sum(1 if unit == SPACE else len(unit) for unit in sentence)
        letters += len(sentence) if kind is Kind.WORD else 1  # the spaces, and the end
    if not count:
        raise ConfigError("there is no sentence in this text")
    return [
        f"{kind.value} model of order {model.order}, {len(known) - len(MARKS)} {named} known",
        f"sentences {len(said)}, {named} {count - len(said)}, "
        f"unknown {unknown} ({unknown / max(count - len(said), 1):.2%})",
        f"perplexity {math.exp(total / count):.2f}, "
        f"without unknown {named} {math.exp(inside / (count - unknown)):.2f}, ends of sentences "
        "included",
        f"bits a letter {total / letters / math.log(2):.3f}, spaces and ends included",
    ]


def _limits(prune: str) -> list[int]:
    parts = prune.replace(",", " ").split()
    if not parts or not all(part.isdecimal() for part in parts):
        raise ConfigError(f"--prune takes numbers like 0,0,1, not {prune!r}")
    return [int(part) for part in parts]


def _read(paths: Sequence[Path], *, numbers: bool) -> Iterator[str]:
    """Return the normalised sentences of all files."""
    for path in paths:
        try:
            content = path.read_bytes()
            text = gzip.decompress(content) if content.startswith(_GZIP) else content
            lines = text.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as exc:
            raise ConfigError(f"{path} is no text in UTF-8 (byte {exc.start})") from exc
        except (OSError, EOFError) as exc:
            reason = getattr(exc, "strerror", None) or str(exc)
            raise ConfigError(f"{path} cannot be read: {reason}") from exc
        for sentence in sentences(lines):
            yield normalise(sentence, numbers_as_words=numbers)
