"""How far a text is from what was said."""

from collections.abc import Mapping
from pathlib import Path

TRANSCRIPTS = Path(__file__).parents[1] / "data/transcripts.tsv"


def transcripts() -> Mapping[str, str]:
    """Return the words of each prompt by file name."""
    rows = (line.split("\t") for line in TRANSCRIPTS.read_text("utf-8").splitlines())
    return {file: words for file, _, words in rows}


def character_error(heard: str, said: str) -> float:
    """Return the edit distance per letter of what was said; spaces do not count."""
    heard, said = heard.replace(" ", ""), said.replace(" ", "")
    row = list(range(len(heard) + 1))
    for count, letter in enumerate(said, 1):
        above, row = row, [count]
        for at, other in enumerate(heard, 1):
            row.append(min(above[at] + 1, row[-1] + 1, above[at - 1] + (letter != other)))
    return row[-1] / len(said)
