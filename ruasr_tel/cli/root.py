"""`ruasr-tel`: the commands by name."""

import codecs
import io
import sys
from typing import Annotated

import typer

from ruasr_tel import __version__
from ruasr_tel.cli import (
    bench,
    call,
    history,
    inspect,
    lm,
    models,
    recordings,
    serve,
    service,
    transcribe,
    use,
)
from ruasr_tel.cli.common import out

app = typer.Typer(
    name="ruasr-tel",
    help="Telephony plugin server: calls of Asterisk and FreeSWITCH in, Russian text out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("transcribe")(transcribe.transcribe)
app.command("call")(call.call)
app.command("doctor")(inspect.doctor)
models.models.command("use")(use.use)
app.command("install-service")(service.install_service)
app.add_typer(models.models, name="models")
app.add_typer(inspect.config, name="config")
app.add_typer(recordings.recordings, name="recordings")
app.add_typer(bench.bench, name="bench")
app.add_typer(history.history, name="history")
app.add_typer(lm.lm, name="lm")


def _version(wanted: bool) -> None:
    if wanted:
        out.print(f"ruasr-tel {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print it and leave."),
    ] = False,
) -> None:
    """Calls of Asterisk and FreeSWITCH in, Russian text out."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            _take_any_text(stream)
    app()


def _take_any_text(stream: io.TextIOWrapper) -> None:
    """Have a stream print Russian in a locale that knows ASCII alone, as Python does itself.

    PEP 538 and 540 read such a locale (C, POSIX) as one that nobody chose; they can be switched
    off. What another locale's encoding lacks is escaped.
    """
    is_ascii = codecs.lookup(stream.encoding).name == "ascii"
    stream.reconfigure(encoding="utf-8" if is_ascii else None, errors="backslashreplace")
