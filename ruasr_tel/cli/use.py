"""`ruasr-tel models use`: another model for the running server."""

import asyncio
from typing import Annotated

import typer

from ruasr_tel.cli.common import ConfigOption, SetOption, one_sentence, out, read_config
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
        socket = read_config(config, settings).config.control.path()
        out.print(asyncio.run(ask_to_use(socket, name)), markup=False)
