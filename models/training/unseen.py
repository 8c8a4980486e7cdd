"""Test recordings of a synthetic voice that nothing is trained on: RHVoice's Irina.

The voice's terms do not fit training, so it is heard in evaluations only and its recordings are
not handed on. RHVoice is in neither Debian nor, built, in the package registries: build it from its
source (README.md says how).
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from models.training import guard
from ruasr_tel.errors import ConfigError

VOICE = "irina"
PROGRAM = "RHVoice-test"


def speak(folder: Path, sentences: Sequence[str] | None = None, voice: str = VOICE) -> Path:
    """Write recordings and their manifest; return the manifest.

    Args:
        folder: for both.
        sentences: or None: those of `held_out/unseen.txt`.
        voice: of RHVoice.

    Raises:
        ConfigError: RHVoice or the voice is not there.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise ConfigError(f"no program {PROGRAM}: models/training/README.md says how to build it")
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, sentence in enumerate(guard.unseen() if sentences is None else sentences):
        path = folder / f"{number:03}.wav"
        command = [program, "-p", voice, "-o", str(path)]
        ran = subprocess.run(command, input=sentence.encode(), capture_output=True, check=False)
        if ran.returncode or not path.is_file():
            raise ConfigError(f"{PROGRAM} did not speak as {voice}: {ran.stderr.decode()[:200]}")
        rows.append(f"{path.name}\t{sentence}\n")
    manifest = folder / "manifest.tsv"
    manifest.write_text("".join(rows), "utf-8")
    return manifest
