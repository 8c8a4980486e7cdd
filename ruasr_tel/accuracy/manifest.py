"""Which recordings to hear, and what is said in them."""

import json
from dataclasses import dataclass
from pathlib import Path

from ruasr_tel.errors import ConfigError

_JSON_AUDIO = ("audio", "audio_filepath", "audio_path", "path", "file")
_JSON_TEXT = ("text", "transcript", "sentence")
"""Names of the two fields in common manifests: NeMo, GigaAM and Golos, Common Voice."""


@dataclass(frozen=True, slots=True)
class Item:
    """One recording.

    Attributes:
        path: the file.
        text: what is said in it.
    """

    path: Path
    text: str


def read_manifest(path: Path) -> list[Item]:
    """Return what a manifest lists, in order.

    A `.jsonl` or `.json` file has an object a line; any other is a table with tabs: the file first,
    the transcript last, whatever lies between is skipped. A first line whose file does not exist is
    a heading. Relative paths count from the manifest's folder, or from a folder `wav` in it.

    Raises:
        ConfigError: it cannot be read, is empty, or a line is wrong; names the line.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"manifest {path} cannot be read: {exc}") from exc
    parse = _from_json if path.suffix in (".jsonl", ".json") else _from_table
    items: list[Item] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        audio, text = parse(line, where)
        found = _find(path.parent, audio)
        if found is not None:
            items.append(Item(found, text))
        elif number > 1 or parse is _from_json:
            raise ConfigError(f"{where}: there is no recording {audio}")
    if not items:
        raise ConfigError(f"manifest {path} lists no recording")
    return items


def _from_table(line: str, where: str) -> tuple[str, str]:
    cells = line.split("\t")
    if len(cells) < 2:
        raise ConfigError(f"{where}: expected the file, a tab and the transcript")
    return cells[0], cells[-1]


def _from_json(line: str, where: str) -> tuple[str, str]:
    try:
        entry = json.loads(line)
    except ValueError as exc:
        raise ConfigError(f"{where} is not JSON: {exc}") from exc
    if isinstance(entry, dict):
        audio = next((entry[key] for key in _JSON_AUDIO if isinstance(entry.get(key), str)), None)
        text = next((entry[key] for key in _JSON_TEXT if isinstance(entry.get(key), str)), None)
        if audio is not None and text is not None:
            return audio, text
    names, texts = " or ".join(_JSON_AUDIO), " or ".join(_JSON_TEXT)
    raise ConfigError(f"{where}: expected an object with {names}, and {texts}")


def _find(folder: Path, audio: str) -> Path | None:
    return next((p for p in (folder / audio, folder / "wav" / audio) if p.is_file()), None)
