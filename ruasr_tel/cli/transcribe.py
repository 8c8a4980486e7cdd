"""`ruasr-tel transcribe`: recordings to text, through the same path as a call."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ruasr_tel.app_models import Recognition, recognition
from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.cli.common import (
    FAILED,
    ConfigOption,
    ModelOption,
    ProfileOption,
    SetOption,
    err,
    one_sentence,
    out,
    read_config,
)
from ruasr_tel.config import Config
from ruasr_tel.errors import AudioFormatError, FetchError
from ruasr_tel.log import set_up_logging
from ruasr_tel.metrics import Metrics
from ruasr_tel.recordings.dialogue import make_dialogue
from ruasr_tel.recordings.fetch import fetch
from ruasr_tel.recordings.files import suffix
from ruasr_tel.recordings.model import Channels, Dialogue, Order, Segment
from ruasr_tel.recordings.recognise import bulk_profiles, recognise
from ruasr_tel.recordings.render import Form, render, to_json
from ruasr_tel.scheduler import Priority

PATIENCE_S = 600.0
"""Longest wait for the engine; nobody but us uses it."""


def transcribe(
    sources: Annotated[
        list[str],
        typer.Argument(help="Recordings in any format: files, or URLs.", metavar="FILE|URL…"),
    ],
    style: Annotated[Form, typer.Option("--format", "-f", help="What to print.")] = Form.TEXT,
    channels: Annotated[
        Channels, typer.Option(help="auto: two channels that differ are two parties.")
    ] = Channels.AUTO,
    profile: ProfileOption = None,
    model: ModelOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Recognise recordings; two channels that differ are two parties.

    A recording that cannot be had or does not decode, or a stretch of one that the engine fails
    on, is named with the reason on standard error, the others go on, and the exit code is 1. URLs
    are fetched within the limits of `fetch`.
    """
    with one_sentence():
        loaded = read_config(config, settings, engine__model=model)
        # Only what concerns the operator of a one-shot command: no lines about calls.
        set_up_logging(loaded.config.log.model_copy(update={"level": "error"}))
        order = Order(channels=channels, profile=profile)
        failed = asyncio.run(_transcribe(sources, style, order, loaded.config))
    if failed:
        raise typer.Exit(FAILED)


async def _transcribe(sources: list[str], style: Form, order: Order, config: Config) -> bool:
    failed = False
    async with recognition(config) as parts:
        calls = calls_for_files(parts, config)
        calls.profile(order.profile)  # an unknown one ends everything, before the first file
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        ) as progress:
            for source in sources:
                try:
                    dialogue = await _one(source, order, calls, config, progress)
                except (AudioFormatError, FetchError) as error:
                    failed = True
                    err.print(f"[bold red]error:[/] {escape(str(error))}")
                else:
                    failed |= _say_gaps(source, dialogue)
                    out.print(_shown(source, dialogue, style), markup=False, end="")
    return failed


def calls_for_files(parts: Recognition, config: Config) -> Calls:
    """Return where the calls of a one-shot command are opened: nobody hurries them."""
    return Calls(
        CallsConfig(max_wait_s=PATIENCE_S, finish_timeout_s=PATIENCE_S),
        bulk_profiles(config.profiles),
        parts.recognisers,
        parts.batcher,
        lambda _event: None,
        Metrics(),
        priority=Priority.BULK,
    )


async def _one(
    source: str, order: Order, calls: Calls, config: Config, progress: Progress
) -> Dialogue:
    bar = progress.add_task(escape(source), total=1.0)

    def tell(part: float) -> None:
        progress.update(bar, completed=part)

    try:
        async with _here(source, config, tell) as path:
            try:
                transcript = await recognise(path, order, calls, tell, config.recordings)
            except AudioFormatError as error:
                named = str(error).replace(str(path), source)
                raise AudioFormatError(
                    named if source in named else f"{source}: {named}"
                ) from error
    finally:
        progress.remove_task(bar)
    if transcript.fault:
        err.print(f"[yellow]warning:[/] {escape(f'{source}: {transcript.fault}')}")
    return make_dialogue(transcript, config=config.dialogue)


@asynccontextmanager
async def _here(source: str, config: Config, tell: Callable[[float], None]) -> AsyncIterator[Path]:
    """Give the file; that of a URL goes afterwards.

    Raises:
        FetchError: the URL gave no recording; names it.
    """
    if not source.lower().startswith(("http://", "https://")):
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="ruasr-tel-") as folder:
        path = Path(folder, "audio")
        try:
            fetched = await fetch(source, path, config.fetch, progress=tell)
        except FetchError as error:
            raise FetchError(f"{source}: {error}") from error
        named = path.with_name(f"audio{suffix(fetched.name)}")  # tells what a headerless file holds
        await asyncio.to_thread(path.replace, named)
        yield named


def _shown(source: str, dialogue: Dialogue, style: Form) -> str:
    """Return one recording's dialogue in the wanted form; as JSON, it is one line a recording."""
    if style is not Form.JSON:
        return render(dialogue, style)
    line = {
        "file": source,
        "segments": [_listed(segment) for segment in dialogue.transcript.segments],
        "turns": to_json(dialogue)["turns"],
    }
    return json.dumps(line, ensure_ascii=False) + "\n"


def _say_gaps(source: str, dialogue: Dialogue) -> bool:
    """Name the stretches that the engine could not decode; return whether there are any."""
    gaps = [segment for segment in dialogue.transcript.segments if segment.error is not None]
    for gap in gaps:
        where = f"{source}: {gap.start_s:.2f} to {gap.end_s:.2f} s was not recognised: {gap.error}"
        err.print(f"[bold red]error:[/] {escape(where)}")
    return bool(gaps)


def _listed(segment: Segment) -> dict[str, object]:
    return {
        "channel": segment.channel,
        "start": segment.start_s,
        "end": segment.end_s,
        "text": segment.text,
        "confidence": segment.confidence,
        "words": [asdict(word) for word in segment.words],
        "error": segment.error,
    }
