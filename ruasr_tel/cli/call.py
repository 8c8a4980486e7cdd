"""`ruasr-tel call`: a simulated phone plays files into a running server, as a PBX would."""

import asyncio
import contextlib
import json
import statistics
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np
import typer
from rich.markup import escape

from ruasr_tel.audio.reader import Reader
from ruasr_tel.cli.common import ConfigOption, SetOption, fail, one_sentence, out, read_config
from ruasr_tel.config import Config
from ruasr_tel.errors import ConfigError, ProtocolError
from ruasr_tel.plugins import Heard, Phone, PhoneCall, adapters
from ruasr_tel.testing import speech_ends
from ruasr_tel.types import Samples

RATE_HZ = 8000
"""What a telephone line carries."""
ENDED_WITHIN_S = 30.0
"""Longest wait for the last events of a call after it was played."""
FOLLOW_S = 0.02
"""How often the events file is looked at; the error of the delays that are read from it."""
_SLACK_S = 0.15
"""A final's end may lie this much before the labelled end of speech that it answers."""


@dataclass
class Line:
    """One simulated call and what was heard of it."""

    name: str
    samples: Samples
    call_id: str = field(default_factory=lambda: str(uuid4()))
    started_s: float = 0.0
    finals: list[Heard] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    pace: float = 1.0
    shown: str = ""

    def hear(self, heard: Heard) -> None:
        """Print what came back and, of a final, how long after the end of speech it came."""
        at_s = heard.mono_s - self.started_s
        where = f"[dim]{escape(self.name)} {at_s:6.2f} s[/]"
        if not heard.text:
            return
        if not heard.final:
            if heard.text != self.shown:
                out.print(f"{where} partial {escape(heard.text)}")
            self.shown = heard.text
            return
        self.finals.append(heard)
        delay_s = self._delay_s(heard)
        told = "" if delay_s is None else f" [dim]{delay_s:.2f} s after the end of speech[/]"
        out.print(f"{where} [bold]final   {escape(heard.text)}[/]{told}")

    def _delay_s(self, heard: Heard) -> float | None:
        """From the end of speech, labelled by energy, to the final that holds it."""
        if heard.end_s is None:
            return None
        ends = [e for e in speech_ends(self.samples, RATE_HZ) if e <= heard.end_s + _SLACK_S]
        if not ends:
            return None
        delay_s = heard.mono_s - (self.started_s + ends[-1] / self.pace)
        self.delays_s.append(delay_s)
        return delay_s


def call(
    files: Annotated[list[Path], typer.Argument(help="Recordings to play.", metavar="FILE…")],
    door: Annotated[str, typer.Option(help="vosk_ws (vosk) or audiosocket.")] = "vosk",
    calls: Annotated[
        int, typer.Option(min=1, max=1000, help="Calls at once, at least one a file.")
    ] = 1,
    pace: Annotated[float, typer.Option(min=0.1, max=100, help="1.0 is a call's pace.")] = 1.0,
    url: Annotated[
        str | None, typer.Option(help="Where the door is, if not as configured.")
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="The server's JSON Lines of events; AudioSocket carries no text back."),
    ] = None,
    profile: Annotated[str | None, typer.Option(help="How the server shall listen.")] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Play files into a running server as a PBX would; print what comes back, and how soon."""
    with one_sentence():
        loaded = read_config(config, settings)
        phone, where = _phone(door, url, loaded.config)
        follow = None if phone.hears else events or loaded.config.sinks.jsonl.path
        if not phone.hears and follow is None:
            raise ConfigError(
                f"{door} carries no text back: name the server's events file with --events, "
                "the one that its sinks.jsonl.path says"
            )
        count = max(calls, len(files))
        lines = [_line(files[i % len(files)], i, count, pace) for i in range(count)]
        try:
            asyncio.run(_play(lines, phone, where, profile, follow))
        except OSError as error:
            fail(f"{where}: {error.strerror or error}; is `ruasr-tel serve` running?")
        except ProtocolError as error:
            fail(f"{where}: {error}")
    _summary(lines)
    if not all(line.finals for line in lines):
        fail("a call came back without text")


def _phone(door: str, url: str | None, config: Config) -> tuple[Phone, str]:
    name = {"vosk": "vosk_ws"}.get(door, door)
    adapter = adapters().get(name)
    if adapter is None or adapter.phone is None:
        known = ", ".join(name for name, each in adapters().items() if each.phone)
        raise ConfigError(f"no simulated phone for door {door!r}; there are: {known}")
    if url is not None:
        return adapter.phone, _checked(url)
    section = config.door(name)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(section.host, section.host)
    address = f"[{host}]:{section.port}" if ":" in host else f"{host}:{section.port}"
    return adapter.phone, f"{adapter.phone.scheme}://{address}"


def _checked(url: str) -> str:
    """Return an address of a door that was given on the command line.

    Raises:
        ConfigError: it has no host or no port.
    """
    with contextlib.suppress(ValueError):  # a port that is no number
        address = urlsplit(url)
        if address.hostname and address.port:
            return url
    raise ConfigError(
        f"--url is {url!r}; it must be as `ruasr-tel serve` prints it, like ws://127.0.0.1:2700"
    )


def _line(file: Path, number: int, calls: int, pace: float) -> Line:
    with Reader() as reader:
        recording = reader.open_path(file, RATE_HZ, RATE_HZ)
        audio = np.concatenate([block.mean(axis=0) for block in recording.blocks()])
    name = file.stem if calls == 1 else f"{number + 1:>3} {file.stem}"
    return Line(name, audio.astype(np.int16), pace=pace)


async def _play(
    lines: list[Line], phone: Phone, url: str, profile: str | None, events: Path | None
) -> None:
    following = asyncio.create_task(_follow(Tail(events), lines)) if events else None
    try:
        await asyncio.gather(*(_one(line, phone, url, profile) for line in lines))
        if following:
            await _last_events(following, lines)
    finally:
        if following:
            following.cancel()


async def _last_events(following: "asyncio.Task[None]", lines: list[Line]) -> None:
    """Wait until the events of every call are there.

    Raises:
        ProtocolError: they did not come.
    """
    ended = asyncio.gather(*(line.ended.wait() for line in lines))
    tasks = (following, asyncio.ensure_future(ended))
    await asyncio.wait(tasks, timeout=ENDED_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    if following.done():
        following.result()  # raises why
    missing = sum(not line.ended.is_set() for line in lines)
    if missing:
        ended.cancel()
        raise ProtocolError(
            f"{missing} call(s) did not end in the events file within {ENDED_WITHIN_S:g} s; "
            "it must be the one that the server's sinks.jsonl.path says"
        )


async def _one(line: Line, phone: Phone, url: str, profile: str | None) -> None:
    def started(mono_s: float) -> None:
        line.started_s = mono_s

    await phone.play(
        PhoneCall(url, line.call_id, line.samples, RATE_HZ, line.pace, profile, line.hear, started)
    )


async def _follow(tail: "Tail", lines: list[Line]) -> None:
    """Take the events of our calls out of the server's file as it writes them."""
    ours = {line.call_id: line for line in lines}
    while True:
        for event in tail.read():
            line = ours.get(str(event["call_id"]))
            if line is not None:
                _hear_event(line, event)
        await asyncio.sleep(FOLLOW_S)


def _hear_event(line: Line, event: dict[str, Any]) -> None:
    if event["event"] == "CallEnded":
        line.ended.set()
    elif event["event"] in ("Partial", "Final"):
        late_s = (datetime.now(UTC) - datetime.fromisoformat(event["at"])).total_seconds()
        came_s = time.monotonic() - late_s
        line.hear(Heard(event["text"], event["event"] == "Final", event["end_s"], came_s))


class Tail:
    """What is appended to a file of JSON lines from now on; the file may not be there yet.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0

    def read(self) -> list[dict[str, Any]]:
        """Return the lines that were completed since the last look, parsed.

        Raises:
            ConfigError: it is not a file of events.
        """
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole, _, _ = file.read().rpartition(b"\n")
        self._at += len(whole) + 1 if whole else 0
        try:
            return [json.loads(line) for line in whole.splitlines()]
        except ValueError as error:
            raise ConfigError(f"{self._path} is no file of events: {error}") from error


def _summary(lines: list[Line]) -> None:
    delays = sorted(delay for line in lines for delay in line.delays_s)
    finals = sum(len(line.finals) for line in lines)
    told = ""
    if delays:
        p95 = delays[min(len(delays) - 1, int(0.95 * len(delays)))]
        told = (
            f"; end of speech to final: median {statistics.median(delays):.2f} s, p95 {p95:.2f} s"
        )
    out.print(f"{len(lines)} call(s), {finals} final(s){told}")
