"""`ruasr-tel`, whose legs also write every sample they get into a folder: audio is not an event.

python -m tests.asterisk.tapped FOLDER serve --config FILE
"""

import sys
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from ruasr_tel.cli import main
from ruasr_tel.leg import Leg
from ruasr_tel.types import Samples

SUFFIX = ".s16"
"""A file per leg: its samples as they came, int16 of this machine's order."""


def file_of(folder: Path, leg_id: str) -> Path:
    """Return where the audio of a leg is written."""
    return folder / f"{quote(leg_id, safe='')}{SUFFIX}"


def tap(folder: Path) -> None:
    """Let every leg write down what it gets, at once: whoever is killed has written it."""
    files: dict[str, BinaryIO] = {}
    push = Leg.push

    def tapped(leg: Leg, samples: Samples) -> None:
        if leg.leg_id not in files:
            files[leg.leg_id] = file_of(folder, leg.leg_id).open("ab", buffering=0)
        files[leg.leg_id].write(samples.tobytes())
        push(leg, samples)

    setattr(Leg, "push", tapped)  # noqa: B010 - a patch: the one thing that no operator can see


if __name__ == "__main__":
    tap(Path(sys.argv.pop(1)))
    main()
