"""What following a call's progress costs, and what it hears in recordings of one's own.

RUASR_BENCH_SPEECH and RUASR_BENCH_MUSIC name folders of recordings, searched whole; without them
only the cost is printed. Debian's asterisk-core-sounds-ru-wav and festvox-ru hold speech,
asterisk-moh-opsound-wav music.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ruasr_tel.audio.codec import Decoder, Encoding, encode
from ruasr_tel.audio.decode import open_recording
from ruasr_tel.errors import AudioFormatError
from ruasr_tel.progress.cadence import ToneDetector
from ruasr_tel.progress.music import MusicFinder
from ruasr_tel.types import Samples, Waveform
from tests.bench import report
from tests.bench.rooms import cost_us
from tests.bench.script import RATE_HZ, prompt_samples

PIECE_S = 10
"""Music is judged by pieces of so many seconds, each heard by a new finder."""
AT_MOST_S = 90
"""Of one piece of music."""
BLOCK = 800
"""Samples that are looked at together (`call_progress.TOGETHER_SAMPLES`)."""


def progress() -> None:
    """Print the cost per second of audio, then false alarms and hits in the named folders."""
    report.head("call progress: ms per call and second")
    made = report.table("audio", "tones", "music")
    speech = _scaled(np.concatenate(prompt_samples()))
    for name, audio in (("speech", speech), ("zeros", np.zeros_like(speech))):
        taken = [
            cost_us(partial(_fed, finder, audio)) / 1000 / (len(audio) / RATE_HZ)
            for finder in (ToneDetector, MusicFinder)
        ]
        made.add_row(name, *(f"{ms:.2f}" for ms in taken))
    report.out.print(made)
    _recordings("speech", _false_alarms)
    _recordings("music", _hits)


def _fed(finder: type[ToneDetector] | type[MusicFinder], audio: Waveform) -> None:
    push = finder().push
    for at in range(0, len(audio), BLOCK):
        push(audio[at : at + BLOCK])


def _recordings(kind: str, judge: Callable[[Iterator[Waveform]], str]) -> None:
    """Print what is heard in a folder's recordings, as they are and through telephone lines."""
    folder = os.environ.get(f"RUASR_BENCH_{kind.upper()}")
    if not folder:
        report.out.print(f"RUASR_BENCH_{kind.upper()} names no folder: {kind} is not judged")
        return
    sounds = list(_read(Path(folder)))
    minutes = sum(map(len, sounds)) / RATE_HZ / 60
    report.head(f"{kind}: {len(sounds)} recordings, {minutes:.0f} minutes")
    for name, line in LINES.items():
        report.out.print(f"{name:12} {judge(map(line, sounds))}")


def _read(folder: Path) -> Iterator[Waveform]:
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        try:
            with open_recording(path, RATE_HZ) as recording:
                blocks = list(recording.blocks())
        except AudioFormatError:
            continue  # notes, covers, empty files
        if blocks:
            yield np.concatenate(blocks, axis=1).mean(axis=0, dtype=np.float32) / np.float32(32768)


def _false_alarms(sounds: Iterator[Waveform]) -> str:
    pause = np.zeros(RATE_HZ // 5, np.float32)
    whole = np.concatenate([part for sound in sounds for part in (sound, pause)])
    music, tones = MusicFinder().push(whole), ToneDetector().push(whole)
    return f"taken for music {len(music)}, for tones {len(tones)}"


def _hits(sounds: Iterator[Waveform]) -> str:
    told_s: list[float] = []
    pieces = never = 0
    for sound in sounds:
        found = [MusicFinder().push(piece) for piece in _pieces(sound)]
        pieces += len(found)
        never += not any(found)
        told_s += [each[0].end / RATE_HZ for each in found if each]
    after = f"told after {np.median(told_s):.1f} s (median)" if told_s else "never"
    return f"{len(told_s)} of {pieces} pieces of {PIECE_S} s, {after}; recordings never: {never}"


def _pieces(sound: Waveform) -> Iterator[Waveform]:
    size = PIECE_S * RATE_HZ
    for at in range(0, min(len(sound), AT_MOST_S * RATE_HZ) - size + 1, size):
        yield sound[at : at + size]


def _law(encoding: Encoding, audio: Waveform) -> Waveform:
    samples = (audio.clip(-1, 1) * 32767).astype(np.int16)
    return _scaled(Decoder(encoding).decode(encode(samples, encoding)))


def _scaled(samples: Samples) -> Waveform:
    scaled: Waveform = samples.astype(np.float32) / np.float32(32768)
    return scaled


def _noisy(snr_db: float, audio: Waveform) -> Waveform:
    """Add white noise, so far below the sound where there is any."""
    loud = audio[np.abs(audio) > 1e-3]
    power = float(np.square(loud).mean()) if len(loud) else 0.0
    noise = np.random.default_rng(0).normal(0, (power / 10 ** (snr_db / 10)) ** 0.5, len(audio))
    noisy: Waveform = (audio + noise).astype(np.float32)
    return _law(Encoding.PCMA, noisy)


LINES: Mapping[str, Callable[[Waveform], Waveform]] = {
    "as it is": lambda audio: audio,
    "PCMA": partial(_law, Encoding.PCMA),
    "PCMU": partial(_law, Encoding.PCMU),
    "15 dB noise": partial(_noisy, 15.0),
    "5 dB noise": partial(_noisy, 5.0),
    "20 dB less": lambda audio: _law(Encoding.PCMA, audio * np.float32(0.1)),
    "12 dB more": lambda audio: _law(Encoding.PCMA, audio * np.float32(4)),
}
