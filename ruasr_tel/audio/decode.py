"""Reads any recording that FFmpeg knows, as a stream of int16 blocks.

The only module that knows PyAV. A server reads files of strangers by reader.py, which has this done
in a process of its own: FFmpeg is not safe with files that were made to do harm.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePath
from types import TracebackType
from typing import BinaryIO, Self

import av
import numpy as np

from ruasr_tel.errors import AudioFormatError
from ruasr_tel.types import Block

# Files without a header are told apart by their name alone. Extensions and rates as in asterisk
# formats/format_pcm.c, format_sln.c and format_gsm.c.
_HEADERLESS = {
    **dict.fromkeys((".alaw", ".al", ".alw"), ("alaw", 8000)),
    **dict.fromkeys((".ulaw", ".ul", ".ulw", ".mu", ".pcm"), ("mulaw", 8000)),
    **dict.fromkeys((".sln", ".raw"), ("s16le", 8000)),
    **{f".sln{khz}": ("s16le", khz * 1000) for khz in (12, 16, 24, 32, 48, 96, 192)},
    ".sln44": ("s16le", 44100),
    ".g722": ("g722", 16000),
    ".gsm": ("gsm", 8000),
}

# A playlist or a concat script names other files and addresses; no protocol is called this, so
# FFmpeg opens nothing but the file it was given (ffmpeg-protocols, option protocol_whitelist).
_NOTHING_ELSE = {"protocol_whitelist": "none"}

_SHORT_PART, _SHORT_S = 0.02, 0.5
"""A recording that ends before both 98 % and half a second of its declared length is cut short;
FFmpeg's own estimates (MP3 without a length) and codec delays stay within."""

_TIMED = {"matroska", "mov", "mpegts", "ogg"}
"""FFmpeg's containers whose packets or pages bring a time of their own, WebM and MP4 among them.
Others count, for some codecs wrongly: 30 s of G.722 in AVI end after 80 min (our measurement)."""
_HOLE_S = 0.02
"""Timestamps that are later than the audio before them by more than this are a hole: a packet of
Opus. Less is how containers round and recorders tremble."""
_HOLE_MAX_S = 3600.0
"""Later by more than this they are taken to be wrong, and to begin anew, as they are where they go
back by more than a second: files of live streams that were put together (our choice)."""
_BACK_S = 1.0
_SILENCE_SAMPLES = 8192
"""Of a hole in one block."""


class Recording:
    """An open recording; close it, or use it in a `with` block.

    Args:
        source: the file, open for reading bytes; the recording closes it.
        name: what to call it in errors; its suffix tells what a file without a header holds.
        sample_rate_hz: wanted rate, or None for the recording's own.

    Attributes:
        channels: number of audio channels.
        sample_rate_hz: rate of the blocks; another one may be set before the first.
        declared_s: length in seconds as the file states or lets estimate it, or None.
        fault: after the last block: what could not be read, or None when all was read.

    Raises:
        AudioFormatError: the file is empty or holds no audio; names the file and the reason.
    """

    def __init__(self, source: BinaryIO, name: str, sample_rate_hz: int | None = None) -> None:
        self._source, self._name = source, name
        try:
            container_format, options = _guess(name)
            self._container = av.open(source, "r", format=container_format, options=options)
        except (av.FFmpegError, OSError) as exc:
            source.close()
            raise AudioFormatError(f"{name}: not a recording that can be read ({exc})") from exc
        try:
            self._stream = self._container.streams.audio[0]
        except IndexError:
            self.close()
            raise AudioFormatError(f"{name}: holds no audio") from None
        self.channels: int = self._stream.codec_context.channels
        self.sample_rate_hz = sample_rate_hz or self._stream.codec_context.sample_rate
        duration, unit = self._stream.duration, self._stream.time_base
        self.declared_s = float(duration * unit) if duration and unit else None
        self.fault: str | None = None
        self._faults: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; no block can be read any more."""
        self._container.close()
        self._source.close()

    def blocks(self) -> Iterator[Block]:
        """Yield the audio in order, once, a few thousand samples at a time.

        Damaged parts are left out and a cut recording ends early; `fault` then says so. (Of a PCM
        WAV, FFmpeg takes the file's size for the length: cut, it is whole, only shorter.) Where the
        timestamps leave a hole of up to an hour, as for speech alone that was sent (Opus DTX) or
        packets that were lost, there is silence.

        Raises:
            AudioFormatError: not one sample could be decoded; names the file and the reason.
        """
        samples = 0
        for block in self._resampled():
            samples += block.shape[1]
            yield block
        self._check_length(samples / self.sample_rate_hz)
        self.fault = "; ".join(self._faults) or None
        if not samples:
            reason = self.fault or "empty"
            raise AudioFormatError(f"{self._name}: no audio could be read ({reason})")

    def _resampled(self) -> Iterator[Block]:
        """Yield the decoded audio as int16 at the wanted rate, its holes filled."""
        layout, rate_hz = self._stream.codec_context.layout, self.sample_rate_hz
        # Packed, for `to_ndarray` of a planar frame of 8 or more channels reads past the frame's
        # planes and ends the process (PyAV 18.1, tests/core/audio/test_decode.py).
        open_resampler = partial(av.AudioResampler, format="s16", layout=layout, rate=rate_hz)
        resampler, timeline = open_resampler(), _Timeline()
        timed = self._container.format.name.split(",")[0] in _TIMED
        try:
            for frame in self._frames():
                if timed and (missing_s := timeline.missing_before(frame)):
                    yield from map(_samples, resampler.resample(None))
                    yield from _silence(self.channels, round(missing_s * rate_hz))
                    resampler = open_resampler()
                yield from map(_samples, resampler.resample(frame))
            yield from map(_samples, resampler.resample(None))
        except (av.FFmpegError, ValueError) as exc:  # PyAV: a frame of another rate or layout
            self._faults.append(f"stopped where the format changes ({exc})")
        if timeline.left_out:
            self._faults.append(
                f"{timeline.left_out} holes of over {_HOLE_MAX_S / 60:g} min in its timestamps "
                "left out"
            )

    def _frames(self) -> Iterator[av.AudioFrame]:
        """Yield the decoded frames; damaged packets are counted and left out."""
        damaged = 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    damaged += 1
                    continue
                yield from frames
        except (av.FFmpegError, OSError) as exc:
            self._faults.append(f"reading stopped ({exc})")
        if damaged:
            self._faults.append(f"{damaged} damaged packets left out")

    def _check_length(self, decoded_s: float) -> None:
        """Note it when the recording is clearly shorter than it declares."""
        missing_s = (self.declared_s or 0.0) - decoded_s
        if missing_s > _SHORT_S and missing_s > _SHORT_PART * decoded_s:
            self._faults.append(f"ends after {decoded_s:.1f} s of {self.declared_s:.1f} s declared")


class _Timeline:
    """Compares timestamps with the audio that there was.

    Attributes:
        left_out: holes that are too long to be true.
    """

    def __init__(self) -> None:
        self.left_out = 0
        self._due_s: float | None = None  # when the next frame begins if nothing is missing

    def missing_before(self, frame: av.AudioFrame) -> float:
        """Return the seconds of audio that are missing before the next frame; 0 if none are."""
        at_s = frame.time
        late_s = 0.0 if at_s is None or self._due_s is None else at_s - self._due_s
        is_hole = _HOLE_S < late_s <= _HOLE_MAX_S
        self.left_out += late_s > _HOLE_MAX_S
        if self._due_s is None or not -_BACK_S <= late_s <= _HOLE_S:
            self._due_s = at_s
        if self._due_s is not None:
            self._due_s += frame.samples / frame.sample_rate
        return late_s if is_hole else 0.0


def open_recording(path: Path, sample_rate_hz: int | None = None) -> Recording:
    """Open a recording of any format FFmpeg reads.

    WAV with PCM, G.711 or GSM, MP3, Ogg, FLAC, M4A and so on, and Asterisk's files without a
    header: `.alaw`, `.ulaw`, `.sln`, `.sln16`, `.gsm`, `.g722`.

    Args:
        path: the file.
        sample_rate_hz: wanted rate, or None for the recording's own.

    Raises:
        AudioFormatError: it is missing, unreadable, empty or no audio; names file and reason.
    """
    try:
        source = path.open("rb")
    except OSError as exc:
        raise AudioFormatError(f"{path}: {exc.strerror}") from exc
    return Recording(source, str(path), sample_rate_hz)


def joined(blocks: Iterable[Block], least_bytes: int) -> Iterator[Block]:
    """Yield the same audio in blocks of at least so many bytes, but for the last."""
    waiting: list[Block] = []
    held = 0
    for block in blocks:
        waiting.append(block)
        held += block.nbytes
        if held >= least_bytes:
            yield np.concatenate(waiting, axis=1)
            waiting, held = [], 0
    if waiting:
        yield np.concatenate(waiting, axis=1)


def _guess(name: str) -> tuple[str | None, dict[str, str]]:
    """Return FFmpeg's format for a file of this name (None: its head tells) and the options."""
    known = _HEADERLESS.get(PurePath(name).suffix.lower())
    if known is None:
        return None, dict(_NOTHING_ELSE)
    return known[0], {**_NOTHING_ELSE, "sample_rate": str(known[1])}


def _silence(channels: int, samples: int) -> Iterator[Block]:
    for begin in range(0, samples, _SILENCE_SAMPLES):
        yield np.zeros((channels, min(_SILENCE_SAMPLES, samples - begin)), np.int16)


def _samples(frame: av.AudioFrame) -> Block:
    """Return the samples of a frame in format s16, channel by channel."""
    packed = frame.to_ndarray().reshape(frame.samples, -1)
    return np.ascontiguousarray(packed.T, dtype=np.int16)
