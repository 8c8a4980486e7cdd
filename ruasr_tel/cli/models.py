"""`models`: what there is, and bringing it, checking it, packing it, taking it out again."""

import asyncio
import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.markup import escape

from ruasr_tel.app_models import wanted as wanted_models
from ruasr_tel.cli.common import (
    UNUSABLE,
    ConfigOption,
    SetOption,
    err,
    one_sentence,
    out,
    read_config,
)
from ruasr_tel.config import Config
from ruasr_tel.engines.process import EngineProcess
from ruasr_tel.errors import ConfigError, ModelLoadError, ModelPullError
from ruasr_tel.language.choice import parse
from ruasr_tel.log import set_up_logging
from ruasr_tel.models import pull as installing
from ruasr_tel.models.catalog import Catalog, Model, default_models_dir, to_spec
from ruasr_tel.models.entries import ModelEntry, Precision
from ruasr_tel.models.machine import Machine, fits, this_machine
from ruasr_tel.models.probe import megabytes

models = typer.Typer(help="Recognition models.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="A model's name, or one of its other names.")]
_COMMERCIAL = {
    True: "commercial use allowed",
    False: "no commercial use",
    None: "commercial use unclear",
}


class Precisions(StrEnum):
    """Which files of a model that is published twice."""

    AUTO = "auto"
    INT8 = "int8"
    FULL = "full"
    ANY = "any"


@models.command("list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Print the known models: which are here, their size, licence and accuracy, what fits."""
    with one_sentence():
        loaded, catalog = _open(config, settings)
        used = _used(catalog, loaded)
        machine = this_machine()
        states = [_state_of(catalog, entry, used) for entry in catalog.entries]
    if as_json:
        out.print_json(json.dumps([_described(each, machine) for each in states]))
        return
    cuda = "CUDA" if machine.cuda else "no CUDA"
    out.print(f"[dim]this machine: {machine.memory_mb / 1000:.1f} GB of memory, {cuda}[/]")
    for state in states:
        _show(state, catalog, machine)


@models.command()
def pull(
    name: NameArgument,
    origin: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A folder, or an archive of `models pack`, in place of a network."
        ),
    ] = None,
    precision: Annotated[
        Precisions,
        typer.Option(help="int8 for CPUs, full for CUDA, any for both; auto by engine.provider."),
    ] = Precisions.AUTO,
    accept_licence: Annotated[
        bool, typer.Option(help="For licences that do not plainly allow commercial use.")
    ] = False,
    load: Annotated[bool, typer.Option(help="Load it for a try before it is installed.")] = True,
    force: Annotated[bool, typer.Option(help="Bring it again though it is here.")] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Bring a model, check it, and install it whole or not at all.

    A download that was interrupted goes on where it stopped.
    """
    with one_sentence():
        loaded, catalog = _open(config, settings)
        entry = _entry(catalog, name)
        wanted = _precision(precision, loaded)
        if not force and _is_whole(catalog, entry, wanted):
            out.print(
                f"{entry.name} is in {catalog.folder_of(entry)}, whole; --force brings it again"
            )
            return
        _say_licence(entry)
        options = installing.PullOptions(
            origin,
            wanted,
            loaded.models.endpoint or os.environ.get("HF_ENDPOINT") or None,
            loaded.models.archive_mirror,
            accept_licence,
        )
        probe = (lambda model: _try(model, loaded)) if load and entry.recognises else None
        try:
            model = installing.pull(catalog, entry, options, probe, _tell)
        except KeyboardInterrupt:
            raise ModelPullError("interrupted: nothing was installed; the same goes on") from None
    out.print(f"{entry.name} is in {model.folder}; use it with engine.model: {entry.name}")


@models.command()
def pack(
    name: NameArgument,
    target: Annotated[
        Path | None, typer.Option("--output", "-o", help="The archive; NAME.tar unless given.")
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Write an installed model to an archive, for `models pull --from` on another machine."""
    with one_sentence():
        _, catalog = _open(config, settings)
        model = _installed(catalog, _entry(catalog, name))
        archive = target or Path(f"{model.entry.name}.tar")
        installing.pack(model, archive)
    out.print(f"{archive}, {megabytes(archive.stat().st_size)}", markup=False)


@models.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models; all that are here unless given.")
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Check every file of installed models; exit code 2 if one is not as it should be."""
    with one_sentence():
        _, catalog = _open(config, settings)
        entries = [_entry(catalog, name) for name in names or ()]
        if not entries:
            entries = [each for each in catalog.entries if catalog.folder_of(each).is_dir()]
        sound = [_verified(catalog, entry) for entry in entries]
    if not all(sound):
        raise typer.Exit(UNUSABLE)


@models.command()
def remove(
    name: NameArgument,
    force: Annotated[bool, typer.Option(help="Though the configuration names it.")] = False,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Delete an installed model."""
    with one_sentence():
        loaded, catalog = _open(config, settings)
        entry = _entry(catalog, name)
        if catalog.folder_of(entry).resolve() in _used(catalog, loaded) and not force:
            raise ModelPullError(
                f"the configuration names {entry.name}; set another one first, or add --force"
            )
        freed = installing.remove(catalog, entry)
    out.print(f"{entry.name} is removed, {megabytes(freed)} are free")


@dataclass(frozen=True, slots=True)
class _State:
    """How a model of the catalogue stands on this machine."""

    entry: ModelEntry
    folder: Path
    here: bool
    fault: str | None
    used: bool

    def size_bytes(self) -> int:
        files = [path for path in self.folder.rglob("*") if path.is_file()] if self.here else []
        return sum(path.stat().st_size for path in files)


def _open(config: Path | None, settings: list[str] | None) -> tuple[Config, Catalog]:
    loaded = read_config(config, settings).config
    return loaded, Catalog.load(loaded.models.dir or default_models_dir())


def _entry(catalog: Catalog, name: str) -> ModelEntry:
    entry = catalog.entry(name)
    if entry is None:
        raise ConfigError(catalog.unknown(name))
    return entry


def _installed(catalog: Catalog, entry: ModelEntry) -> Model:
    folder = catalog.folder_of(entry)
    if not folder.is_dir():
        raise ModelPullError(
            f"{entry.name} is not in {folder}; bring it with: {catalog.bring_command(entry)}"
        )
    return Model(entry, folder)


def _used(catalog: Catalog, config: Config) -> set[Path]:
    """Return the folders of all models that the configuration names, here or not."""
    known = {name: catalog.entry(name) for name in wanted_models(config).names}
    return {
        (catalog.folder_of(entry) if entry else Path(name).expanduser()).resolve()
        for name, entry in known.items()
    }


def _state_of(catalog: Catalog, entry: ModelEntry, used: set[Path]) -> _State:
    folder = catalog.folder_of(entry)
    fault = None
    if folder.is_dir():
        try:
            Model(entry, folder).look()
        except ModelLoadError as error:
            fault = str(error)
    return _State(entry, folder, folder.is_dir(), fault, folder.resolve() in used)


def _show(state: _State, catalog: Catalog, machine: Machine) -> None:
    entry = state.entry
    also = f", also {' or '.join(entry.aliases)}" if entry.aliases else ""
    where = "" if state.here else ", not here"
    used = ", in use" if state.used else ""
    licence = f"{entry.licence}: {_COMMERCIAL[entry.commercial]}"
    out.print(f"[bold]{escape(entry.name + also)}[/] ({licence}{where}{used})")
    engines = " or ".join((entry.engine, *entry.other_engines))
    limits = f"{entry.segment.min_s:g} to {entry.segment.max_s:g} s"
    traits = "; streaming" * entry.streaming + "; with punctuation" * entry.punctuation
    size = megabytes(state.size_bytes()) if state.here else _to_download(entry)
    out.print(f"    {size}; {_need(entry, machine)}; {engines}; {limits}{traits}", markup=False)
    if entry.lm:
        named = " and ".join(one.path for one in parse(entry.lm))
        out.print(f"    language model: {named}", markup=False)
    out.print(f"    {entry.accuracy}", markup=False)
    if state.fault:
        out.print(f"    [red]not whole:[/] {escape(state.fault)}")
    if state.fault or not state.here:
        out.print(f"    bring it: {catalog.bring_command(entry)}", markup=False)


def _to_download(entry: ModelEntry) -> str:
    size = entry.download_bytes()
    if size is not None:
        return f"{megabytes(size)} to download"
    about = f"about {entry.about_mb} MB" if entry.about_mb else "size unpublished to us,"
    return f"{about} to download"


def _need(entry: ModelEntry, machine: Machine) -> str:
    verdict = {True: "fits this machine", False: "too much for this machine"}
    need = fits(entry, machine)
    if need is None:
        return "memory not measured"
    return f"{entry.memory_mb} MB of memory: {verdict[need]}"


def _described(state: _State, machine: Machine) -> dict[str, Any]:
    """Return everything that is known of a model, for programs."""
    entry = state.entry
    known = entry.model_dump(mode="json", exclude={"files", "content", "calibration"})
    return {
        **known,
        "installed": state.here and state.fault is None,
        "fault": state.fault,
        "in_use": state.used,
        "path": str(state.folder),
        "installed_bytes": state.size_bytes(),
        "download_bytes": entry.download_bytes(),
        "fits_memory": fits(entry, machine),
        "cuda": machine.cuda,
    }


def _say_licence(entry: ModelEntry) -> None:
    where = entry.licence_source or entry.source.page
    err.print(
        f"{escape(entry.name)}: licence {entry.licence}, {_COMMERCIAL[entry.commercial]}: {where}"
    )


def _precision(asked: Precisions, config: Config) -> Precision:
    if asked is Precisions.AUTO:
        return "full" if config.engine.provider == "cuda" else "int8"
    return cast(Precision, asked.value)


def _try(model: Model, config: Config) -> None:
    """Load a model in a process of its own and let it decode a second of audio."""

    async def start() -> None:
        engine = EngineProcess(to_spec(model, config.engine.provider), config.process)
        try:
            await engine.start()
        finally:
            await engine.close()

    set_up_logging(config.log.model_copy(update={"level": "error"}))
    try:
        asyncio.run(start())
    except ConfigError as error:  # of this machine, not of the model
        err.print(f"[yellow]warning:[/] it was not loaded for a try: {escape(str(error))}")


def _tell(sentence: str) -> None:
    err.print(f"[dim]{escape(sentence)}[/]")


def _is_whole(catalog: Catalog, entry: ModelEntry, precision: Precision) -> bool:
    """Return whether a model is here as it should be; say what is wrong with it if not."""
    model = Model(entry, catalog.folder_of(entry))
    if not model.folder.is_dir():
        return False
    try:
        installing.verify(model)
    except ModelLoadError as error:
        err.print(f"[yellow]warning:[/] {escape(str(error))}")
        return False
    missing = installing.lacking(model, precision)
    if missing:
        _tell(f"{model.folder} has no {', '.join(missing)}")
    return not missing


def _verified(catalog: Catalog, entry: ModelEntry) -> bool:
    try:
        against = installing.verify(_installed(catalog, entry))
    except (ModelLoadError, ModelPullError) as error:
        out.print(f"[red]bad[/]  {escape(entry.name)}: {escape(str(error))}")
        return False
    out.print(f"[green]ok[/]   {escape(entry.name)}, by {escape(against)}")
    return True
