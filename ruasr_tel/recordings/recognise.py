"""A recording to text: its channels become the legs of one call, heard as fast as they decode.

The file is read as a stream and never held: what grows with its length is one level per 20 ms and
channel, and the text.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import Field

from ruasr_tel.audio.reader import DecodingConfig, Reader, Reading
from ruasr_tel.call import Call, Calls
from ruasr_tel.errors import AudioFormatError
from ruasr_tel.events import Event, Final
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.profile import Profile
from ruasr_tel.recordings.levels import Levels, same_party
from ruasr_tel.recordings.model import Channels, Order, Segment, Transcript
from ruasr_tel.section import Section
from ruasr_tel.types import Block, CallId, Samples

T = TypeVar("T")

AHEAD_S = 60.0
"""Audio of one channel that may wait for the engine, in seconds: at most 6 MB at 48 kHz."""
PORTION_S = 1.0
"""Audio handed from the decoder's thread to the legs at once: one hop per second of recording."""
LOWEST_HZ, HIGHEST_HZ = 8000, 48_000
"""Rates at which a leg takes audio as it is; other recordings are resampled while decoding."""
DOOR = "recording"
"""What calls and metrics name as their door."""

_ending: set[asyncio.Task[None]] = set()


class RecogniseConfig(Section):
    """Limits of what one recording may hold."""

    max_audio_s: float = Field(43_200.0, gt=0, le=604_800)
    """Longest recording in seconds, by its decoded audio: a small file can unpack to days."""
    max_channels: int = Field(16, ge=1, le=255)
    """Most channels that are recognised one by one; a file with more can be mixed."""
    decoding: DecodingConfig = DecodingConfig()
    """Limits of the process that decodes it."""


def bulk_profiles(profiles: Mapping[str, Profile]) -> dict[str, Profile]:
    """Return the profiles as recordings use them: nobody watches, so there are no partials."""
    quiet = PartialsConfig(enabled=False)
    return {name: each.model_copy(update={"partials": quiet}) for name, each in profiles.items()}


async def recognise(
    path: Path,
    order: Order,
    calls: Calls,
    on_progress: Callable[[float], None],
    config: RecogniseConfig,
    reader: Reader | None = None,
) -> Transcript:
    """Return everything that is said in a file. Cancelling stops it within a second of audio.

    Args:
        path: the file; its suffix tells what a file without a header holds.
        order: channels and profile.
        calls: of priority BULK, with `bulk_profiles`, not started: a file's audio is never late,
            so no clock may end its utterances.
        on_progress: told 0..1 as it is heard; not told where the length is unknown.
        config: limits.
        reader: that is kept for the next recording, which saves the 0.3 s of CPU that a decoder's
            start takes (our measurement); killed if this one fails. None: one of its own, as a
            stranger's file should have.

    Raises:
        AudioFormatError: no audio in it, or more than the limits allow; the text says which.
        DecoderDied: the file ended the decoder, or brought it to a standstill.
        ConfigError: unknown profile.
        Overloaded: no room for it now.
    """
    finals: list[Final] = []

    def keep(event: Event) -> None:
        if isinstance(event, Final):
            finals.append(event)

    async with _opened(path, config, reader) as file:
        recording = file.recording
        split = await file.do(wants_split, file, order.channels, config)
        call = calls.open(
            door=DOOR,
            call_id=CallId(f"recording-{uuid.uuid4()}"),
            peer="",
            profile=order.profile,
            model=order.model,
            on_event=keep,
            options=order.asks(calls.profile(order.profile).options),
        )
        legs = recording.channels if split else 1
        levels = Levels(legs, recording.sample_rate_hz)
        try:
            await _play(file, split, call, levels, on_progress, config)
        except BaseException:
            _end_behind(call)
            raise
        await call.end("eof")
    segments = (_segment(final, levels) for final in finals)
    ordered = tuple(sorted(segments, key=lambda each: (each.start_s, each.channel)))
    return Transcript(levels.duration_s, legs, ordered, recording.fault)


@dataclass(frozen=True, slots=True)
class File:
    """A recording that is being read.

    Attributes:
        path: where it is.
        recording: the same, opened.
        scout: a second reader, for what must be known of it first.
        pool: the one thread in which both are used.
    """

    path: Path
    recording: Reading
    scout: Reader
    pool: ThreadPoolExecutor

    async def do(self, work: Callable[..., T], *args: Any) -> T:
        """Return what some blocking work with it returns."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work, *args)


@asynccontextmanager
async def _opened(path: Path, config: RecogniseConfig, kept: Reader | None) -> AsyncIterator[File]:
    """Open a recording at its own rate, or at the nearest one that a leg takes."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="recording")
    reader, scout = kept or Reader(config.decoding), Reader(config.decoding)
    done_with = [reader, scout]
    opening = pool.submit(reader.open_path, path, LOWEST_HZ, HIGHEST_HZ)
    try:
        yield File(path, await asyncio.wrap_future(opening), scout, pool)
        if kept is not None:
            done_with.remove(kept)
    finally:
        for each in done_with:
            each.kill()  # if the thread waits for a block, it goes on
            pool.submit(each.close)
        pool.shutdown(wait=False)


def wants_split(file: File, channels: Channels, config: RecogniseConfig) -> bool:
    """Return whether each channel is a party of its own. Blocking: may read the whole file.

    Raises:
        AudioFormatError: it cannot be read, or has more channels than are recognised one by one.
    """
    count = file.recording.channels
    if channels is Channels.SPLIT and count > config.max_channels:
        raise AudioFormatError(
            f"the recording has {count} channels, more than {config.max_channels} "
            "(recordings.max_channels); order `mix`"
        )
    if channels is Channels.AUTO and count == 2:
        return _differ(file.scout.open_path(file.path, LOWEST_HZ, HIGHEST_HZ), config)
    return channels is Channels.SPLIT and count > 1


def _differ(recording: Reading, config: RecogniseConfig) -> bool:
    """Return whether two channels are two parties."""
    heard_s = 0.0
    for block in portions(recording):
        if not same_party(block):
            return True
        heard_s += block.shape[1] / recording.sample_rate_hz
        _check_length(heard_s, config)
    return False


def portions(recording: Reading) -> Iterator[Block]:
    """Yield a recording's blocks joined to about PORTION_S each. Blocking."""
    enough = int(PORTION_S * recording.sample_rate_hz)
    waiting: list[Block] = []
    samples = 0
    for block in recording.blocks():
        waiting.append(block)
        samples += block.shape[1]
        if samples >= enough:
            yield np.concatenate(waiting, axis=1)
            waiting, samples = [], 0
    if waiting:
        yield np.concatenate(waiting, axis=1)


async def _play(
    file: "File",
    split: bool,
    call: Call,
    levels: Levels,
    on_progress: Callable[[float], None],
    config: RecogniseConfig,
) -> None:
    recording, blocks = file.recording, portions(file.recording)
    legs = [call.open_leg(recording.sample_rate_hz, c) for c in range(levels.channels)]
    while (block := await file.do(next, blocks, None)) is not None:
        parties = list(block) if split else [mixed(block)]
        levels.push(parties)
        _check_length(levels.duration_s, config)
        for leg, samples in zip(legs, parties, strict=True):
            leg.push(samples)
        for leg in legs:
            await leg.backlog_below(AHEAD_S)
        if recording.declared_s:
            on_progress(min(1.0, levels.duration_s / recording.declared_s))


def mixed(block: Block) -> Samples:
    """Return the mean of all channels, int16, shape (n,)."""
    samples: Samples = block[0]
    if len(block) > 1:
        samples = np.rint(block.mean(axis=0, dtype=np.float32)).astype(np.int16)
    return samples


def _check_length(heard_s: float, config: RecogniseConfig) -> None:
    if heard_s > config.max_audio_s:
        raise AudioFormatError(
            f"the recording is longer than {config.max_audio_s:g} s (recordings.max_audio_s)"
        )


def _end_behind(call: Call) -> None:
    """End a call that nobody waits for any more: what the engine holds of it must still land."""
    task = asyncio.create_task(call.end("cancelled"))
    _ending.add(task)
    task.add_done_callback(_ending.discard)


def _segment(final: Final, levels: Levels) -> Segment:
    channel = channel_of(final)
    spans = [(word.start_s, word.end_s) for word in final.words] or [(final.start_s, final.end_s)]
    others = [c for c in range(levels.channels) if c != channel]
    return Segment(
        channel,
        final.start_s,
        final.end_s,
        final.text,
        final.words,
        final.confidence,
        levels.mean_db(channel, spans),
        max((db for c in others if (db := levels.mean_db(c, spans)) is not None), default=None),
        final.error,
    )


def channel_of(final: Final) -> int:
    """Return the audio channel that a final was heard on."""
    return int(final.leg_id.rpartition("/")[2])
