"""`ruasr-tel bench`: what a model is worth on one's own recordings."""

import asyncio
import json
import os
import tempfile
import wave
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import typer
from rich.progress import Progress

from ruasr_tel.accuracy import conditions
from ruasr_tel.accuracy.manifest import Item, read_manifest
from ruasr_tel.accuracy.report import Report, to_json, to_svg, to_text
from ruasr_tel.accuracy.score import normalise, score
from ruasr_tel.app_models import recognition
from ruasr_tel.audio.reader import Reader
from ruasr_tel.call import Calls
from ruasr_tel.cli.common import (
    ConfigOption,
    ModelOption,
    ProfileOption,
    SetOption,
    err,
    one_sentence,
    out,
    read_config,
)
from ruasr_tel.cli.transcribe import calls_for_files
from ruasr_tel.config import Config
from ruasr_tel.errors import ConfigError, DecodeError
from ruasr_tel.language.choice import by_name
from ruasr_tel.log import set_up_logging
from ruasr_tel.recordings.model import Channels, Order
from ruasr_tel.recordings.recognise import recognise

bench = typer.Typer(
    name="bench", help="Measure a model on recordings of one's own.", no_args_is_help=True
)

ALL_LINES = ",".join(conditions.names())

ManifestArgument = Annotated[
    Path, typer.Argument(help="Recordings and what is said in them: TSV, or JSON lines.")
]
LinesOption = Annotated[str, typer.Option("--conditions", help="Telephone lines, by commas.")]
EngineOption = Annotated[str | None, typer.Option(help="Which engine runs it.")]
LmsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lm", help="Language models, or none; several times: one after another, to compare."
    ),
]
NumbersOption = Annotated[
    bool, typer.Option("--numbers-as-words", help="Compare digits as words (num2words).")
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", help="Write the figures and all texts there.")
]
PlotOption = Annotated[Path | None, typer.Option(help="Draw them there, as SVG.")]
SeedOption = Annotated[int, typer.Option(help="Of lost packets and of the bootstrap.")]


@bench.callback()
def _group() -> None:
    """Keep `wer` a command of its own: typer would drop the name of an only one."""


@bench.command("wer")
def wer(
    manifest: ManifestArgument,
    lines: LinesOption = ALL_LINES,
    profile: ProfileOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    lms: LmsOption = None,
    numbers: NumbersOption = False,
    json_file: JsonOption = None,
    plot: PlotOption = None,
    seed: SeedOption = 0,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Word and letter error rates with 95 % intervals, for clean sound and telephone lines.

    Every recording goes the way of a call: the same voice activity, the same cuts, the same engine
    process. Lines: clean, as it is; alaw, G.711 at 8 kHz; gsm, full rate; loss1, loss3 and loss5,
    A-law with so many percent of the 20 ms packets lost, silence in their place.

    With `--lm none --lm FILE` the same is heard without and with a language model.
    """
    with one_sentence():
        read = partial(read_config, config, settings, engine__model=model, engine__engine=engine)
        set_up_logging(read().config.log.model_copy(update={"level": "error"}))
        configs = {name: read(engine__lm=lm).config for name, lm in _by_name(lms).items()}
        wanted = _wanted(lines)
        items = read_manifest(manifest)
        said = [normalise(item.text, numbers_as_words=numbers) for item in items]
        heard = _together(
            {lm: asyncio.run(_hear(items, wanted, profile, seed, configs[lm])) for lm in configs}
        )
        about = {"profile": profile or "default", "manifest": manifest.name}
        report = _report(heard, said, numbers, seed, **about)
        out.print(to_text(report), markup=False, end="")
        if json_file is not None:
            _write(json_file, _json(report, _texts(items, heard)))
        if plot is not None:
            _write(plot, to_svg(report))


@dataclass(slots=True)
class _Heard:
    """What came out of each condition.

    Attributes:
        engine: the engine's name.
        model: the model's.
        texts: condition -> a text per recording.
        left_out: condition -> why there is none.
        audio_s: seconds of audio in one condition.
    """

    engine: str
    model: str
    texts: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    audio_s: float = 0.0


def _by_name(written: Sequence[str] | None) -> dict[str, str | None]:
    """Return name -> language models to hear with; without any those of the configuration."""
    return {**by_name(written)} if written else {"": None}


def _wanted(lines: str) -> list[str]:
    """Return the conditions that somebody wrote."""
    known = conditions.names()
    wanted = [name.strip() for name in lines.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise ConfigError(f"--conditions takes {', '.join(known)}, not {', '.join(unknown)!r}")
    return wanted


def _together(heard: Mapping[str, _Heard]) -> _Heard:
    """Return what was heard with each language model as one, the conditions named after them."""
    first = next(iter(heard.values()))
    together = _Heard(first.engine, first.model, audio_s=first.audio_s)
    for lm, each in heard.items():
        after = f", lm {lm}" if lm else ""
        together.texts |= {f"{name}{after}": texts for name, texts in each.texts.items()}
        together.left_out |= each.left_out
    return together


async def _hear(
    items: Sequence[Item], wanted: Sequence[str], profile: str | None, seed: int, config: Config
) -> _Heard:
    async with recognition(config) as parts:
        calls = calls_for_files(parts, config)
        info = calls.engine_info(profile)  # an unknown one ends everything, before the first file
        heard = _Heard(info.engine, info.model)
        listener = _Listener(calls, config, Order(channels=Channels.MIX, profile=profile))
        with (
            listener,
            Progress(console=err, transient=True, disable=not err.is_terminal) as progress,
        ):
            for name in wanted:
                bar = progress.add_task(name, total=len(items))
                try:
                    found = await listener.hear(items, name, seed, partial(progress.advance, bar))
                except ConfigError as error:
                    heard.left_out[name] = str(error)
                    continue
                heard.texts[name] = [text for text, _ in found]
                heard.audio_s = sum(audio_s for _, audio_s in found)
    if not heard.texts:
        raise ConfigError("; ".join(heard.left_out.values()))
    return heard


class _Listener:
    """Sends recordings through a line and the recogniser, a few at once."""

    def __init__(self, calls: Calls, config: Config, order: Order) -> None:
        self._calls = calls
        self._config = config.recordings
        self._order = order
        at_once = 2 * (config.engine.threads or os.cpu_count() or 1)
        self._readers = [Reader(self._config.decoding) for _ in range(at_once)]
        self._free: asyncio.Queue[Reader] = asyncio.Queue()
        for reader in self._readers:
            self._free.put_nowait(reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for reader in self._readers:
            reader.kill()  # a thread may still be in it
            reader.close()

    async def hear(
        self, items: Sequence[Item], condition: str, seed: int, done: Callable[[], None]
    ) -> list[tuple[str, float]]:
        """Return text and length in seconds of each recording, in order.

        Raises:
            ConfigError: the condition needs what is not there.
            AudioFormatError: a recording cannot be read.
        """
        conditions.apply(condition, np.zeros(conditions.RATE_HZ, np.int16), seed)  # is it there?
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._one(item, condition, seed + number, done))
                    for number, item in enumerate(items)
                ]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _one(
        self, item: Item, condition: str, seed: int, done: Callable[[], None]
    ) -> tuple[str, float]:
        reader = await self._free.get()
        try:
            with tempfile.TemporaryDirectory(prefix="ruasr-tel-") as folder:
                path = item.path
                if condition != conditions.CLEAN:
                    path = Path(folder, "line.wav")
                    await asyncio.to_thread(_through_line, reader, item.path, path, condition, seed)
                transcript = await recognise(
                    path, self._order, self._calls, lambda _part: None, self._config, reader
                )
        finally:
            self._free.put_nowait(reader)
        done()
        failed = next((one.error for one in transcript.segments if one.error is not None), None)
        if failed is not None:
            raise DecodeError(f"{item.path}: {failed}")
        return " ".join(one.text for one in transcript.segments if one.text), transcript.duration_s


def _through_line(reader: Reader, source: Path, target: Path, condition: str, seed: int) -> None:
    """Write a recording, mixed to one channel, as it comes through a line."""
    recording = reader.open_path(source, conditions.RATE_HZ, conditions.RATE_HZ)
    mixed = [block.mean(axis=0).round().astype(np.int16) for block in recording.blocks()]
    heard = conditions.apply(condition, np.concatenate(mixed), seed)
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(conditions.RATE_HZ)
        file.writeframes(heard.astype("<i2").tobytes())


def _report(heard: _Heard, said: Sequence[str], numbers: bool, seed: int, **about: str) -> Report:
    scores = {
        name: score(
            [
                (one, normalise(text, numbers_as_words=numbers))
                for one, text in zip(said, texts, strict=True)
            ],
            seed,
        )
        for name, texts in heard.texts.items()
    }
    return Report(
        model=heard.model,
        engine=heard.engine,
        audio_s=heard.audio_s,
        numbers_as_words=numbers,
        scores=scores,
        left_out=heard.left_out,
        **about,
    )


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, "utf-8")
    except OSError as exc:
        raise ConfigError(f"{path} cannot be written: {exc.strerror}") from exc


def _json(report: Report, texts: Sequence[Mapping[str, object]]) -> str:
    return json.dumps(to_json(report) | {"texts": texts}, ensure_ascii=False, indent=1) + "\n"


def _texts(items: Sequence[Item], heard: _Heard) -> list[dict[str, object]]:
    return [
        {
            "file": str(item.path),
            "said": item.text,
            "heard": {name: texts[i] for name, texts in heard.texts.items()},
        }
        for i, item in enumerate(items)
    ]
