"""Sentences that are measured on and therefore never trained on."""

from collections.abc import Iterable
from pathlib import Path

from models.training.russian import clean
from ruasr_tel.errors import ConfigError

FOLDER = Path(__file__).parent / "held_out"
PROMPTS = FOLDER / "prompts.tsv"
"""Prompts of Debian's asterisk-core-sounds-ru-wav, drawn by clusters of similar sentences."""
FESTVOX = FOLDER / "festvox.tsv"
"""Recordings of Debian's festvox-ru."""
MANIFESTS = (PROMPTS, FESTVOX)
"""As `ruasr-tel bench wer` reads them: the installed recording, a tab, what is said in it."""

UNSEEN = FOLDER / "unseen.txt"
"""Sentences for a voice that nothing is trained on (`unseen.py`), one a line."""

_TELLING_WORDS = 4  # from so many words on, a longer sentence must not even hold the held-out one


def texts(manifests: Iterable[Path] = MANIFESTS) -> list[str]:
    """Return the clean sentences of manifests, in order.

    Raises:
        ConfigError: a manifest cannot be read.
    """
    return [clean(text) for _, text in rows(manifests)]


def recordings(manifest: Path) -> set[str]:
    """Return the names of a manifest's recordings, without folder and ending.

    Raises:
        ConfigError: the manifest cannot be read.
    """
    return {Path(audio).stem for audio, _ in rows([manifest])}


def rows(manifests: Iterable[Path]) -> list[tuple[str, str]]:
    """Return recording and sentence of every line; the recordings need not be installed.

    Raises:
        ConfigError: a manifest cannot be read, or a line is not two cells.
    """
    found = []
    for manifest in manifests:
        try:
            lines = manifest.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"held-out manifest {manifest} cannot be read: {exc}") from exc
        for number, line in enumerate(lines, 1):
            audio, tab, text = line.partition("\t")
            if not tab or not text.strip():
                raise ConfigError(f"{manifest}, line {number}: expected file, tab, transcript")
            found.append((audio, text))
    return found


def unseen() -> list[str]:
    """Return the sentences of UNSEEN.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return UNSEEN.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"held-out sentences {UNSEEN} cannot be read: {exc}") from exc


def everything() -> list[str]:
    """Return every sentence that must not be trained on.

    Raises:
        ConfigError: a list cannot be read.
    """
    return [*texts(), *unseen()]


class Guard:
    """Knows what must not be trained on.

    Args:
        sentences: held out, clean.
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        self._whole = frozenset(sentences)
        self._telling = [s for s in self._whole if len(s.split()) >= _TELLING_WORDS]

    def forbids(self, sentence: str) -> bool:
        """Return whether a clean sentence is held out or holds a longer held-out one."""
        around = f" {sentence} "
        return sentence in self._whole or any(f" {held} " in around for held in self._telling)
