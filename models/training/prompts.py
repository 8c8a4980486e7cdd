"""The real prompts of Debian's asterisk-core-sounds-ru-wav: all that are not held out."""

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from rapidfuzz import fuzz

from models.training import guard
from models.training.audio import read_wav, to_8k
from models.training.russian import clean
from models.training.shards import RATE_HZ, Utterance
from ruasr_tel.errors import ConfigError

SOUNDS = Path("/usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU")
TRANSCRIPTS = Path("/usr/share/doc/asterisk-core-sounds-ru/core-sounds-ru.txt.gz")

_LINE = re.compile(r"^([\w/\-]+):\s*(.*)")
_MISPRINTS = {
    "первoe": "первое",
    "октрября": "октября",
    "конференци ": "конференции ",
    "завршить": "завершить",
    "увеличиения": "увеличения",
    "взёздочка": "звездочка",
}
_SPELLED = re.compile(r"^(letters/(a|e|u|at)$|spy-|is$)")
"""Prompts of which the transcript is not what is said (heard by us)."""
_LONGEST_S, _SHORTEST_S = 25.0, 0.2
_ALIKE = 80.0  # per cent, for sentences of more than 12 letters
_TELLING_LETTERS = 12


def transcripts(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield prompt and clean text of a `core-sounds` list, without those whose text is not literal.

    Args:
        lines: as in the package: `folder/name: text`.
    """
    for line in lines:
        found = _LINE.match(line.strip())
        if found is None:
            continue
        name, text = found[1], re.sub(r"^[\w\-]+: ", "", found[2])
        for wrong, right in _MISPRINTS.items():
            text = text.replace(wrong, right)
        noted = re.search(r"[<(\[]", text) and not name.startswith("letters/")
        text = re.sub(r"\[.*?\]", "", text)
        if noted or re.search(r"[A-Za-z]", text) or _SPELLED.match(name) or not clean(text):
            continue
        yield name, clean(text)


def resembles(text: str, held_out: Iterable[str]) -> bool:
    """Return whether a prompt says nearly what a held-out one says."""
    return any(
        text == held
        or (min(len(text), len(held)) > _TELLING_LETTERS and fuzz.ratio(text, held) > _ALIKE)
        for held in held_out
    )


def utterances(sounds: Path = SOUNDS, texts: Path = TRANSCRIPTS) -> Iterator[Utterance]:
    """Yield the prompts that may be trained on.

    Raises:
        ConfigError: the package is not installed.
    """
    held_out = guard.texts([guard.PROMPTS])
    names = {str(Path(audio).relative_to(SOUNDS)) for audio, _ in guard.rows([guard.PROMPTS])}
    try:
        lines = gzip.decompress(texts.read_bytes()).decode("utf-8").splitlines()
    except (OSError, gzip.BadGzipFile) as exc:
        packages = "asterisk-core-sounds-ru and asterisk-core-sounds-ru-wav"
        raise ConfigError(f"no prompts: install Debian's {packages} ({exc})") from exc
    for name, text in transcripts(lines):
        path = sounds / f"{name}.wav"
        if f"{name}.wav" in names or resembles(text, held_out) or not path.is_file():
            continue
        samples = to_8k(*read_wav(path))
        if _SHORTEST_S < len(samples) / RATE_HZ < _LONGEST_S:
            yield Utterance(samples, text, "prompts")
