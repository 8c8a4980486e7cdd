"""`ruasr-tel models use`: another model for the running server."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ruasr_tel.app_models import find_catalog
from ruasr_tel.cli.common import ConfigOption, SetOption, one_sentence, out, read_config
from ruasr_tel.config import Config
from ruasr_tel.control import ask_to_use


def use(
    name: Annotated[str, typer.Argument(help="A name of the catalogue, or a model's folder.")],
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Let a model take the new calls of the running server; running calls keep theirs.

    It is loaded beside the one that runs and must decode a probe. If it cannot be used, nothing
    changes, the reason is told, and the exit code is 2.
    """
    with one_sentence():
        read = read_config(config, settings).config
        out.print(asyncio.run(ask_to_use(read.control.path(), _told(name, read))), markup=False)


def _told(name: str, config: Config) -> str:
    """Return what to tell the server: of a folder its whole path, for it works in another one."""
    folder = Path(name).expanduser()
    if not folder.is_dir() or find_catalog(config).entry(name):
        return name
    return str(folder.absolute())
