"""What every command shares: the consoles, the configuration options, the exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from ruasr_tel.config import Loaded, load_config
from ruasr_tel.errors import ConfigError, ModelLoadError, RuasrError

out = Console(highlight=False, soft_wrap=True)
"""Results: standard output."""
err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Everything else: standard error."""

FAILED = 1
UNUSABLE = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="YAML file; RUASR_CONFIG names one, too.", metavar="FILE"),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", help="Override one key: --set engine.threads=4", metavar="KEY=VALUE"
    ),
]

ModelOption = Annotated[str | None, typer.Option(help="Name or folder of the model.")]
ProfileOption = Annotated[str | None, typer.Option(help="How to listen.")]


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong on standard error and end with a code."""
    err.print(f"[bold red]error:[/] {escape(sentence)}")
    raise typer.Exit(code)


@contextmanager
def one_sentence() -> Iterator[None]:
    """Turn an error of ours into its sentence and its exit code."""
    try:
        yield
    except (ConfigError, ModelLoadError) as error:
        fail(str(error), UNUSABLE)
    except RuasrError as error:
        fail(str(error))


def read_config(config: Path | None, settings: list[str] | None, **more: object) -> Loaded:
    """Return the effective configuration.

    Args:
        config: the YAML file, or None.
        settings: `key=value` overrides of the command line.
        more: further overrides by key, with `__` for the dots; None is none.

    Raises:
        ConfigError: it cannot be used.
    """
    overrides: dict[str, object] = {}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set takes KEY=VALUE, like engine.threads=4, not {setting!r}")
        overrides[key.strip()] = value.strip()
    overrides |= {name.replace("__", "."): each for name, each in more.items() if each is not None}
    return load_config(config, overrides=overrides)
