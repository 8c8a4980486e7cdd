"""What the recipe needs from the machine, and a sentence that names what is missing."""

import importlib.util
import shutil
from collections.abc import Callable, Mapping
from ctypes.util import find_library
from functools import partial

from models.training import festvox, prompts, sentences
from ruasr_tel.errors import ConfigError

Probe = Callable[[], bool]


def _program(name: str) -> Probe:
    return lambda: shutil.which(name) is not None


def _module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


PACKAGES: Mapping[str, Probe] = {
    "asterisk-core-sounds-ru": lambda: prompts.TRANSCRIPTS.is_file(),
    "asterisk-core-sounds-ru-wav": lambda: prompts.SOUNDS.is_dir(),
    "espeak-ng": _program("espeak-ng"),
    "festival": _program("festival"),
    "festvox-ru": lambda: festvox.VOICE.is_dir(),
    "hunspell-ru": lambda: sentences.DICTIONARY.is_file(),
    "libgsm1": lambda: find_library("gsm") is not None,
}
"""Debian package -> whether it is there."""
MODULES: Mapping[str, Probe] = {name: partial(_module, name) for name in ("torch", "onnx")}
"""Python modules of the extra [train]."""


def check(packages: Mapping[str, Probe] = PACKAGES, modules: Mapping[str, Probe] = MODULES) -> None:
    """Refuse to begin without what is needed.

    Args:
        packages: name -> whether it is there.
        modules: the same, of Python.

    Raises:
        ConfigError: names all that is missing and how to get it.
    """
    lacking = [name for name, there in packages.items() if not there()]
    unknown = [name for name, there in modules.items() if not there()]
    cures = []
    if lacking:
        cures.append(f"apt-get install {' '.join(lacking)}")
    if unknown:
        cures.append(f"pip install -e '.[train]' (for {' and '.join(unknown)})")
    if cures:
        raise ConfigError(f"the recipe needs more than is here: {'; '.join(cures)}")
