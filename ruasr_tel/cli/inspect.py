"""`models`, `doctor` and `config`: what is there, and whether it can work."""

import asyncio
import contextlib
import os
import platform
import socket
from collections.abc import Iterator
from importlib import metadata
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ruasr_tel.app import find_model, make_engine, make_vad
from ruasr_tel.cli.common import (
    UNUSABLE,
    ConfigOption,
    SetOption,
    err,
    one_sentence,
    out,
    read_config,
)
from ruasr_tel.config import Config, config_tree
from ruasr_tel.config_show import reference, to_yaml
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.plugins import adapters

models = typer.Typer(help="Recognition models.", no_args_is_help=True)
config = typer.Typer(help="The configuration.", no_args_is_help=True)


@config.command("show")
def show(config: ConfigOption = None, settings: SetOption = None) -> None:
    """Print the effective configuration as YAML, and where each value came from."""
    with one_sentence():
        loaded = read_config(config, settings)
        for warning in loaded.warnings:
            err.print(f"[yellow]warning:[/] {escape(warning)}")
        out.print(to_yaml(loaded), markup=False, end="")


@config.command("docs")
def docs() -> None:
    """Print the reference of every key as Markdown; docs/configuration.md is this."""
    with one_sentence():
        out.print(reference(config_tree()), markup=False, end="")


@models.command("list")
def list_models(config: ConfigOption = None, settings: SetOption = None) -> None:
    """Print the known models: whether they are here, their licence, how accurate they are."""
    with one_sentence():
        loaded = read_config(config, settings)
        catalog, chosen = find_model(loaded.config)
        table = Table("model", "here", "licence", "accuracy", "to bring it")
        for entry in catalog.entries:
            here = catalog.folder_of(entry).is_dir()
            table.add_row(
                " / ".join([entry.name, *entry.aliases]),
                "in use" if entry.name == chosen.entry.name else "yes" if here else "no",
                entry.licence,
                entry.accuracy,
                "" if here else catalog.bring_command(entry),
            )
        out.print(table)


def doctor(
    model: Annotated[str | None, typer.Option(help="Name or folder of the model.")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Check the configuration, the model, the detector and the ports; say what to do.

    Exit code 2 if the configuration or the model cannot be used, 1 if a port is taken.
    """
    with one_sentence():
        loaded = read_config(config, settings, engine__model=model)
        for warning in loaded.warnings:
            err.print(f"[yellow]warning:[/] {escape(warning)}")
        _versions()
        healthy = _model(loaded.config)
        free = _ports(loaded.config)
    if not healthy:
        raise typer.Exit(UNUSABLE)
    if not free:
        raise typer.Exit(1)


def _versions() -> None:
    _good(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs")
    packages = ("onnxruntime", "sherpa-onnx", "websockets", "numpy")
    _good(", ".join(f"{name} {metadata.version(name)}" for name in packages))


def _model(config: Config) -> bool:
    """Check the model without, then with loading it; return whether it can be used."""
    try:
        catalog, chosen = find_model(config)
        for check in chosen.check():
            _good(str(check))
        make_vad(config, catalog.models_dir)
        _good("voice activity detector loads")
        asyncio.run(_load(config))
    except (ConfigError, ModelLoadError) as error:
        _bad(str(error))
        return False
    notice = catalog.embedded_notice(chosen)
    if notice:
        err.print(f"[yellow]note:[/] {escape(notice)}")
    return True


async def _load(config: Config) -> None:
    _, chosen = find_model(config)
    engine = make_engine(config, chosen)
    try:
        info = await engine.start()
        _good(f"{info.model} loads and decodes a second of audio, on {info.provider}")
    finally:
        await engine.close()


def _ports(config: Config) -> bool:
    free = True
    for name in adapters():
        door = config.door(name)
        if not door.enabled:
            continue
        with _listening(door.host, door.port) as problem:
            if problem is None:
                _good(f"{name} can listen on {door.host}:{door.port}")
            else:
                free = False
                _bad(
                    f"{name} cannot listen on {door.host}:{door.port}: {problem}; stop what "
                    f"listens there (`ss -ltnp`), or set doors.{name}.port"
                )
    return free


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[str | None]:
    try:
        with socket.create_server((host, port)):
            yield None
    except OSError as error:
        yield error.strerror


def _good(text: str) -> None:
    out.print(f"[green]ok[/]   {escape(text)}")


def _bad(text: str) -> None:
    out.print(f"[red]bad[/]  {escape(text)}")
