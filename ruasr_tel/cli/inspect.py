"""`doctor` and `config`: what is there, and whether it can work."""

import asyncio
import contextlib
import errno
import os
import platform
import socket
from importlib import metadata
from typing import Any

import typer
from rich.markup import escape

from ruasr_tel.app_models import Chosen, ModelLoader, find_catalog, make_vad, wanted
from ruasr_tel.cli.common import (
    UNUSABLE,
    ConfigOption,
    ModelOption,
    SetOption,
    err,
    one_sentence,
    out,
    read_config,
)
from ruasr_tel.config import Config, config_tree
from ruasr_tel.config_show import reference, to_yaml
from ruasr_tel.engines import cuda
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.log import set_up_logging
from ruasr_tel.plugins import adapters
from ruasr_tel.recognisers import Recognisers

PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnx-asr", "sherpa-onnx", "websockets", "numpy")
"""Whose versions decide what works."""
ON_ONNXRUNTIME = frozenset({"onnx", "tone"})
"""Engines whose CUDA is that of the onnxruntime installed here; sherpa-onnx brings its own."""

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


def doctor(
    model: ModelOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Check the configuration, the models, the detector and the ports; say what to do.

    Exit code 2 if the configuration or a model cannot be used, 1 if a port is taken.
    """
    with one_sentence():
        loaded = read_config(config, settings, engine__model=model)
        set_up_logging(loaded.config.log.model_copy(update={"level": "error"}))
        for warning in loaded.warnings:
            err.print(f"[yellow]warning:[/] {escape(warning)}")
        _versions()
        healthy = _models(loaded.config)
        free = _ports(loaded.config)
    if not healthy:
        raise typer.Exit(UNUSABLE)
    if not free:
        raise typer.Exit(1)


def _versions() -> None:
    _good(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs")
    _good(", ".join(f"{name} {found}" for name in PACKAGES if (found := _installed(name))))


def _installed(name: str) -> str:
    """Return a distribution's version; of the two onnxruntimes one is missing, as it should."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _cuda(provider: str) -> None:
    """Say what there is of CUDA, where it is wanted, for the engines on onnxruntime."""
    findings = cuda.explain(cuda.gather())
    if provider == "cpu" or (provider == "auto" and not findings[0].good):
        return
    for finding in findings:
        if finding.good:
            _good(finding.text)
        elif provider == "cuda":
            _bad(finding.text)
        else:
            _note(finding.text)


def _models(config: Config) -> bool:
    """Check all models without, then with loading them; return whether they can be used."""
    try:
        catalog = find_catalog(config)
        loader = ModelLoader(config, catalog)
        chosen = [_chosen(loader, name) for name in dict.fromkeys(wanted(config).names)]
        if any(each and each.engine in ON_ONNXRUNTIME for each in chosen):
            _cuda(config.engine.provider)
        make_vad(config, catalog.models_dir)
        _good("voice activity detector loads")
        if not all(chosen):
            return False
        asyncio.run(_load(config, loader))
    except (ConfigError, ModelLoadError) as error:
        _bad(str(error))
        return False
    notice = catalog.embedded_notice(loader.choose(config.engine.model).model)
    if notice:
        _note(notice)
    return True


def _chosen(loader: ModelLoader, name: str) -> Chosen | None:
    """Return a model whose files are in order, or None."""
    try:
        chosen = loader.choose(name)
        for check in chosen.model.check(chosen.config.engine.provider):
            _good(f"{chosen.model.entry.name}, {check}")
    except (ConfigError, ModelLoadError) as error:
        _bad(str(error))
        return None
    if chosen.notice:
        _note(chosen.notice)
    return chosen


async def _load(config: Config, loader: ModelLoader) -> None:
    """Load all models together, as the server does."""
    recognisers = Recognisers()
    try:
        await recognisers.use(wanted(config), loader)
        for each in recognisers.running:
            info = each.info
            _good(f"{info.model} loads and decodes a second of audio, on {info.provider}")
            if info.fallback:
                _note(info.fallback)
    finally:
        await recognisers.close()


def _ports(config: Config) -> bool:
    """Try every address the server would listen on, all at once; return whether all are free."""
    wanted = {f"doors.{name}": config.door(name) for name in adapters()}
    wanted["metrics"] = config.metrics
    with contextlib.ExitStack() as held:
        tried = [_listens(key, each, held) for key, each in wanted.items() if each.enabled]
    return all(tried)


def _listens(key: str, section: Any, held: contextlib.ExitStack) -> bool:
    host, port = section.host, section.port
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        held.enter_context(socket.create_server((host, port), family=family))
    except OSError as error:
        # socket.create_server appends " (while attempting to bind on address ...)".
        reason = str(error.strerror).partition(" (while")[0]
        cure = f"set {key}.host and {key}.port to a free address of this machine"
        if error.errno == errno.EADDRINUSE:
            cure = f"stop what listens there (`ss -ltnp`), or set {key}.port"
        _bad(f"{key} cannot listen on {host}:{port}: {reason}; {cure}")
        return False
    _good(f"{key} can listen on {host}:{port}")
    return True


def _good(text: str) -> None:
    out.print(f"[green]ok[/]   {escape(text)}")


def _note(text: str) -> None:
    err.print(f"[yellow]note:[/] {escape(text)}")


def _bad(text: str) -> None:
    out.print(f"[red]bad[/]  {escape(text)}")
