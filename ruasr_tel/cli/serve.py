"""`ruasr-tel serve`: the server."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import uvloop

from ruasr_tel.cli.common import ConfigOption, SetOption, err, one_sentence, read_config
from ruasr_tel.log import is_for_people, set_up_logging

if TYPE_CHECKING:
    from ruasr_tel.app import Running


def serve(config: ConfigOption = None, settings: SetOption = None) -> None:
    """Take calls on every enabled door until SIGTERM or Ctrl-C."""
    with one_sentence():
        loaded = read_config(config, settings)
        set_up_logging(loaded.config.log)
        from ruasr_tel.app import serve as run  # databases and queues: no other command needs them

        on_ready = _say_where if is_for_people(loaded.config.log) else _say_nothing
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(loaded, on_ready, lambda: read_config(config, settings)))


def _say_where(running: "Running") -> None:
    with suppress(OSError):  # the terminal was closed while the model loaded: the server goes on
        for name, url in running.urls.items():
            err.print(f"[bold green]{name}[/] {url}")
        err.print("ready: `ruasr-tel call FILE` plays a file as a PBX would; Ctrl-C stops")


def _say_nothing(_running: "Running") -> None:
    """The log says it to programs."""
