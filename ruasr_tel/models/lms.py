"""Where the language models of a decode lie, and what the engine is told of them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ruasr_tel.engines import language
from ruasr_tel.engines.ctc_search import LED_WIDTH
from ruasr_tel.language.choice import parse, write
from ruasr_tel.models import probe

Options = Mapping[str, str | int | float | bool]


def find(written: str, folder: Path) -> str:
    """Return language models with the paths of their files.

    A name or relative path counts from the model's folder, else from the working directory.

    Args:
        written: as `choice.parse` takes it.
        folder: of the model that they are for.

    Raises:
        ConfigError: a number in it is none.
    """
    return write(replace(one, path=str(_place(one.path, folder))) for one in parse(written))


def options(
    folder: Path, lm: str, others: Iterable[str] = (), width: int = LED_WIDTH
) -> dict[str, str | int | float | bool]:
    """Return what an engine is told of language models, with `to_spec`'s options.

    Args:
        folder: of the model that they are for.
        lm: for every caller that asks for no other.
        others: those that callers may ask for, `DecodeOptions.lm`.
        width: prefixes that the search keeps.

    Raises:
        ConfigError: a number in one of them is none.
    """
    named = {each: find(each, folder) for each in others}
    return language.options(find(lm, folder) if parse(lm) else "", named, width)


def state(told: Options) -> str:
    """Return what changes when one of the files does: sizes and times of change."""
    chosen = language.choices(told).values()
    return probe.state(Path(one.path) for choices in chosen for one in choices)


def _place(path: str, folder: Path) -> Path:
    """Return the file meant: below the folder if it is there."""
    named = Path(path).expanduser()
    return folder / named if (folder / named).is_file() else named.absolute()
