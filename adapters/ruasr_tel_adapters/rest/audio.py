"""The audio of a recording for a player, and its outline for a picture."""

import asyncio
import mimetypes
from collections import OrderedDict
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from ruasr_tel.audio.reader import Reader
from ruasr_tel.errors import AudioFormatError
from ruasr_tel.recordings.recognise import RecogniseConfig
from ruasr_tel_adapters.rest.api import API
from ruasr_tel_adapters.rest.operations import JSON, Answer, Operation
from ruasr_tel_adapters.rest.problems import Problem
from ruasr_tel_adapters.rest.reading import read_query
from ruasr_tel_adapters.rest.recordings import TAG, find, jobs

RATE_HZ: Final = 8000
"""Rate at which an outline is taken: that of a telephone line."""
STEP: Final = 160
"""Samples of which one peak is kept while reading: 20 ms."""
KEPT: Final = 64
"""Outlines kept in memory, 4000 points of two channels each at most: 32 MB as Python floats."""

AT_ONCE: Final = 4
"""Files of which outlines are made at once: a long one holds up no other, and each takes a
process."""

_ANY: Final = "application/octet-stream"


class PeaksQuery(BaseModel):
    """How fine an outline is."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    points: int = Field(1000, ge=1, le=4000)
    """Most points of one channel."""


class Peaks(BaseModel):
    """The outline of a recording."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    duration_s: float
    """Length of the audio that could be read, at most `recordings.max_audio_s`."""
    channels: list[list[float]]
    """For each channel its peaks, 0..1, at equal distances."""


class Outlines:
    """Makes outlines, few at a time and one of each file, and keeps the last ones."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int], Peaks] = OrderedDict()
        self._turns: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def of(self, path: Path, points: int, limits: RecogniseConfig) -> Peaks:
        """Return the outline of a file.

        Raises:
            AudioFormatError: it cannot be read.
        """
        key = path, points
        async with self._turns.setdefault(path, asyncio.Lock()):
            if key not in self._kept:
                async with self._room:
                    self._kept[key] = await asyncio.to_thread(outline, path, points, limits)
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


OUTLINES = web.AppKey("OUTLINES", Outlines)


def outline(path: Path, points: int, limits: RecogniseConfig) -> Peaks:
    """Return the peaks of a file. Blocking; memory grows by one number per 20 ms and channel.

    Args:
        path: the file.
        points: most peaks of one channel.
        limits: its audio past `max_audio_s` is left out.

    Raises:
        AudioFormatError: it cannot be read.
    """
    fine: list[npt.NDArray[np.int32]] = []
    rest = np.zeros((0, 0), np.int16)
    samples, most = 0, round(limits.max_audio_s * RATE_HZ)
    with Reader(limits.decoding) as reader:
        for whole_block in reader.open_path(path, RATE_HZ, RATE_HZ).blocks():
            block = whole_block[:, : most - samples]
            samples += block.shape[1]
            held = np.concatenate((rest, block), axis=1) if rest.size else block
            whole = held.shape[1] // STEP * STEP
            fine.append(_peaks(held[:, :whole], STEP))
            rest = held[:, whole:]
            if samples == most:
                break
    if rest.size:
        fine.append(_peaks(rest, rest.shape[1]))
    peaks = np.concatenate(fine, axis=1)
    step = -(-peaks.shape[1] // points)
    short = -peaks.shape[1] % step
    coarse = np.pad(peaks, ((0, 0), (0, short))).reshape(len(peaks), -1, step).max(axis=2)
    channels = np.minimum(coarse / 32767, 1).round(3).tolist()
    return Peaks(duration_s=samples / RATE_HZ, channels=channels)


def _peaks(block: npt.NDArray[np.int16], step: int) -> npt.NDArray[np.int32]:
    """Return the largest magnitude of every `step` samples, shape (channels, n / step)."""
    peaks: npt.NDArray[np.int32] = (
        np.abs(block.astype(np.int32)).reshape(len(block), -1, step).max(axis=2)
    )
    return peaks


async def get_audio(request: web.Request) -> web.StreamResponse:
    """Send the file, or the part of it that Range asks for."""
    path, name = await _file(request)
    kind = mimetypes.guess_type(name)[0] or _ANY
    headers = {
        "Content-Type": kind if kind.startswith(("audio/", "video/")) else _ANY,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
    }
    return web.FileResponse(path, headers=headers)


async def get_peaks(request: web.Request) -> web.StreamResponse:
    """Return the outline of a recording."""
    query = read_query(request, PeaksQuery)
    path, _ = await _file(request)
    try:
        limits = jobs(request.app[API]).config
        peaks = await request.app[OUTLINES].of(path, query.points, limits)
    except AudioFormatError as error:
        raise Problem(409, f"it holds no audio that can be read ({error})") from error
    return web.Response(text=peaks.model_dump_json(), content_type=JSON)


async def _file(request: web.Request) -> tuple[Path, str]:
    recording = await find(request)
    path = await asyncio.to_thread(jobs(request.app[API]).audio, recording.id)
    if path is None or not await asyncio.to_thread(path.is_file):
        raise Problem(404, "the audio is not here: not fetched yet, or not kept")
    return path, recording.order.name or path.name


_ID = {"id": "The recording, a UUID."}

OPERATIONS = (
    Operation(
        "GET",
        "/v1/recordings/{id}/audio",
        get_audio,
        TAG,
        "Listen to a recording",
        {
            200: Answer("The file as it came.", {"*/*": None}),
            206: Answer("The part that `Range` asks for.", {"*/*": None}),
            304: Answer("The client has it."),
            416: Answer("It has no such part."),
        },
        (404, 422, 503),
        path_fields=_ID,
    ),
    Operation(
        "GET",
        "/v1/recordings/{id}/peaks",
        get_peaks,
        TAG,
        "The outline of a recording, for a picture",
        {200: Answer("The outline.", {JSON: Peaks})},
        (404, 409, 422, 503),
        query=PeaksQuery,
        path_fields=_ID,
    ),
)
