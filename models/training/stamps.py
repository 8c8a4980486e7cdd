"""A real voice that nothing is trained on: the reader of Debian's tuxpaint-stamps-default.

One man who tells children what is in a picture, at his desk, at 44.1 kHz. The package
is under GPL-2, which does not fit training: it is heard in evaluations only.
"""

import re
from pathlib import Path

from models.training.russian import clean
from ruasr_tel.errors import ConfigError

PACKAGE = "tuxpaint-stamps-default"
STAMPS = Path("/usr/share/tuxpaint/stamps")
_SOUND = "_desc_ru.ogg"
_TEXT = re.compile(r"(?m)^ru(?:\.utf8)?=(.*)$")
_LEAST_WORDS = 3  # the many names of animals say little of sentences
_UNSURE = re.compile(r"[0-9A-Za-z]")


def write_manifest(to: Path, stamps: Path = STAMPS) -> int:
    """Write recording and text a line, each text once; return how many.

    Texts with digits or foreign letters are left out: nobody knows how they are read. So are those
    of one word or two.

    Args:
        to: manifest to write.
        stamps: folder of the package.

    Raises:
        ConfigError: the package is not installed.
    """
    rows: dict[str, Path] = {}
    for sound in sorted(stamps.rglob(f"*{_SOUND}")):
        described = sound.with_name(sound.name.removesuffix(_SOUND) + ".txt")
        if not described.is_file():
            continue
        found = _TEXT.search(described.read_text("utf-8", "replace"))
        text = clean(found[1]) if found and not _UNSURE.search(found[1]) else ""
        if len(text.split()) >= _LEAST_WORDS:
            rows.setdefault(text, sound)
    if not rows:
        raise ConfigError(f"no recordings in {stamps}: apt-get install {PACKAGE}")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text("".join(f"{sound}\t{text}\n" for text, sound in rows.items()), "utf-8")
    return len(rows)
