"""`ruasr-tel transcribe`: recordings to text, through the same path as a call."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ruasr_tel.app import Recognition, recognition
from ruasr_tel.audio.decode import Recording, open_recording
from ruasr_tel.call import Call, Calls, CallsConfig
from ruasr_tel.cli.common import (
    FAILED,
    ConfigOption,
    SetOption,
    err,
    one_sentence,
    out,
    read_config,
)
from ruasr_tel.config import Config
from ruasr_tel.errors import AudioFormatError
from ruasr_tel.events import Event, Final
from ruasr_tel.log import set_up_logging
from ruasr_tel.metrics import Metrics
from ruasr_tel.recordings.dialogue import make_dialogue
from ruasr_tel.recordings.model import Segment, Transcript
from ruasr_tel.recordings.render import Form, render, to_json
from ruasr_tel.types import CallId

AHEAD_S = 60.0
"""Audio of one file that may wait for the engine, in seconds: at most 6 MB at 48 kHz."""
LOWEST_HZ, HIGHEST_HZ = 8000, 48_000
"""Rates at which a leg takes audio as it is; other recordings are resampled while decoding."""


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings in any format.", metavar="FILE…")],
    style: Annotated[Form, typer.Option("--format", "-f", help="What to print.")] = Form.TEXT,
    profile: Annotated[str | None, typer.Option(help="How to listen.")] = None,
    model: Annotated[str | None, typer.Option(help="Name or folder of the model.")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Recognise recordings; each channel of a file is one party.

    A file that does not decode is named with the reason on standard error, the others go on, and
    the exit code is 1.
    """
    with one_sentence():
        loaded = read_config(config, settings, engine__model=model)
        # Only what concerns the operator of a one-shot command: no lines about calls.
        set_up_logging(loaded.config.log.model_copy(update={"level": "error"}))
        failed = asyncio.run(_transcribe(files, style, profile, loaded.config))
    if failed:
        raise typer.Exit(FAILED)


async def _transcribe(files: list[Path], style: Form, profile: str | None, config: Config) -> bool:
    failed = False
    async with recognition(config) as parts:
        calls = _calls(parts, config)
        calls.profile(profile)  # an unknown one ends everything, before the first file
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} s"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
        ) as progress:
            for file in files:
                try:
                    finals = await _one(file, calls, profile, progress)
                except AudioFormatError as error:
                    failed = True
                    err.print(f"[bold red]error:[/] {escape(str(error))}")
                else:
                    out.print(_shown(file, finals, style), markup=False, end="")
    return failed


def _calls(parts: Recognition, config: Config) -> Calls:
    limits = CallsConfig(max_wait_s=600, finish_timeout_s=config.calls.finish_timeout_s)
    return Calls(
        limits, parts.profiles, parts.scheduler, parts.batcher, lambda _event: None, Metrics()
    )


async def _one(file: Path, calls: Calls, profile: str | None, progress: Progress) -> list[Final]:
    finals: list[Final] = []

    def keep(event: Event) -> None:
        if isinstance(event, Final):
            finals.append(event)

    with _open(file) as recording:
        bar = progress.add_task(file.name, total=recording.declared_s)
        call = calls.open(
            door="file", call_id=CallId(str(file)), peer="", profile=profile, on_event=keep
        )
        try:
            await _play(recording, call, lambda heard_s: progress.update(bar, completed=heard_s))
        finally:
            await call.end("eof")
            progress.remove_task(bar)
    if recording.fault:
        err.print(f"[yellow]warning:[/] {escape(f'{file}: {recording.fault}')}")
    return sorted(finals, key=lambda final: (final.start_s, final.leg_id))


def _open(file: Path) -> Recording:
    """Open a recording at its own rate, or at the nearest one that a leg takes."""
    recording = open_recording(file)
    rate_hz = min(max(recording.sample_rate_hz, LOWEST_HZ), HIGHEST_HZ)
    if rate_hz == recording.sample_rate_hz:
        return recording
    recording.close()
    return open_recording(file, rate_hz)


async def _play(recording: Recording, call: Call, heard: Callable[[float], None]) -> None:
    legs = [call.open_leg(recording.sample_rate_hz, c) for c in range(recording.channels)]
    blocks = recording.blocks()
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        for leg, samples in zip(legs, block, strict=True):
            leg.push(samples)
        for leg in legs:
            await leg.backlog_below(AHEAD_S)
        heard(legs[0].clock_s)


def _shown(file: Path, finals: list[Final], style: Form) -> str:
    """Return one file's dialogue in the wanted form; as JSON, it is one line a file."""
    segments = tuple(_segment(final) for final in finals)
    channels = max((segment.channel + 1 for segment in segments), default=1)
    duration_s = max((segment.end_s for segment in segments), default=0.0)
    dialogue = make_dialogue(Transcript(duration_s, channels, segments))
    if style is not Form.JSON:
        return render(dialogue, style)
    line = {
        "file": str(file),
        "segments": [_listed(segment) for segment in dialogue.transcript.segments],
        "turns": to_json(dialogue)["turns"],
    }
    return json.dumps(line, ensure_ascii=False) + "\n"


def _segment(final: Final) -> Segment:
    return Segment(
        int(final.leg_id.rpartition("/")[2]),
        final.start_s,
        final.end_s,
        final.text,
        final.words,
        final.confidence,
        error=final.error,
    )


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
