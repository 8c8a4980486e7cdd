"""A Festival voice without its held-out recordings: unit selection never plays a piece of them.

Festival's selection trees hold leaves `((NUMBER MEAN_DISTANCE) ...)` under the phone's name, and
the catalogue says which recording the unit `PHONE_NUMBER` was cut from (festvox clunits).
"""

import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from models.training import guard
from models.training.festvox import VOICE
from ruasr_tel.errors import ConfigError

_CATALOGUE = "festival/clunits/msu_ru_nsh.catalogue"
_TREES = "festival/trees/msu_ru_nsh.tree"
_TREE = re.compile(r'(?m)^(?=\("[a-z]+"\s*$)')
_TREE_NAME = re.compile(r'\("([a-z]+)"')
_LEAF = re.compile(r"\(((?:\(\d+ [^()\s]+\)\s*)+)\)")
_UNIT = re.compile(r"\((\d+) ([^()\s]+)\)")


@dataclass(frozen=True, slots=True)
class Removal:
    """What was taken out.

    Attributes:
        trees: the trees' new text.
        kept: units that stay.
        dropped: units that went.
        forced: leaves of held-out units only, which keep one: a tree cannot have an empty leaf.
    """

    trees: str
    kept: int
    dropped: int
    forced: int


def held_out_units(catalogue: Iterable[str], recordings: set[str]) -> set[str]:
    """Return the units cut from recordings; a line is unit, recording and three times."""
    cells = (line.split() for line in catalogue)
    return {each[0] for each in cells if len(each) == 5 and each[1] in recordings}


def without_units(trees: str, units: set[str]) -> Removal:
    """Return selection trees without units.

    Args:
        trees: Festival's file, every tree under the name of its phone.
        units: `PHONE_NUMBER`.
    """
    kept = dropped = forced = 0
    parts = []
    for part in _TREE.split(trees):
        named = _TREE_NAME.match(part)
        phone = named[1] if named else ""

        def leaf(found: re.Match[str], phone: str = phone) -> str:
            nonlocal kept, dropped, forced
            entries = _UNIT.findall(found[1])
            stay = [entry for entry in entries if f"{phone}_{entry[0]}" not in units]
            if not stay:
                stay, forced = entries[:1], forced + 1
            kept, dropped = kept + len(stay), dropped + len(entries) - len(stay)
            return "(" + " ".join(f"({number} {mean})" for number, mean in stay) + ")"

        parts.append(_LEAF.sub(leaf, part))
    return Removal("".join(parts), kept, dropped, forced)


def copy_voice(to: Path, voice: Path = VOICE) -> Removal:
    """Copy a festvox voice without its held-out recordings, their files included.

    Raises:
        ConfigError: the package is not installed, or a held-out unit cannot be taken out.
    """
    held_out = guard.recordings(guard.FESTVOX)
    try:
        catalogue = (voice / _CATALOGUE).read_text("latin-1").splitlines()
        trees = (voice / _TREES).read_text("latin-1")
    except OSError as exc:
        raise ConfigError(f"no voice: install Debian's festvox-ru ({exc})") from exc
    removal = without_units(trees, held_out_units(catalogue, held_out))
    if removal.forced:
        raise ConfigError(f"{removal.forced} leaves of {voice} hold held-out units only")
    shutil.copytree(voice, to, dirs_exist_ok=True, ignore=_files_of(held_out))
    (to / _TREES).write_text(removal.trees, "latin-1")
    return removal


def _files_of(recordings: set[str]) -> Callable[[str, list[str]], set[str]]:
    return lambda _folder, names: {name for name in names if Path(name).stem in recordings}
