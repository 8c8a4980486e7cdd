"""Synthetic speech: espeak-ng, retro-ru-tts, and Festival with the cleaned festvox-ru voice."""

import io
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from models.training import sources
from models.training.audio import levelled, read_wav, to_8k, trimmed
from models.training.shards import RATE_HZ, Utterance
from models.training.sources import Source
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Samples

_SHORTEST_S, _LONGEST_S = 0.25, 14.0
_ESPEAK_VARIANTS = (
    "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "klatt",
    "klatt2", "klatt3", "klatt4", "steph", "steph2", "linda", "anika", "aunty", "belinda",
    "benjamin", "boris", "Andrea", "Alicia", "Annie", "Gene", "Lee", "Michael", "Mike", "adam",
    "david", "edward", "iven", "john", "max", "miguel", "paul", "pedro", "rob", "robert",
    "travis", "victor", "zac", "shelby", "sandro", "quincy", "norbert", "marcelo", "michel",
    "antonio", "Marco", "Mario", "Denis", "Diogo",
)  # fmt: skip
"""Formant variants of Debian's espeak-ng-data 1.51 that speak and are no whisper or croak."""
_RU_TTS_HZ = 10000
_RU_TTS_MALE, _RU_TTS_FEMALE = 3, 7  # flags: points and dots read as such, bit 2 the other voice
_FESTIVAL_AT_ONCE = 100  # sentences a process: loading the voice takes seconds


@dataclass(frozen=True, slots=True)
class Engine:
    """A synthesiser.

    Attributes:
        source: what its speech is and under which terms.
        speak: sentences and a choice of voices to sentence, voice and audio at 8 kHz.
    """

    source: Source
    speak: Callable[[Sequence[str], Random], Iterator[tuple[str, str, Samples]]]


def utterances(engine: Engine, sentences: Sequence[str], seed: int) -> Iterator[Utterance]:
    """Yield what an engine says, at one level, without silence at the ends.

    Args:
        engine: who speaks.
        sentences: clean.
        seed: of the choices of voice, pitch and speed.

    Raises:
        ConfigError: the engine is not installed.
    """
    for sentence, voice, samples in engine.speak(sentences, Random(seed)):
        spoken = trimmed(samples)
        if _SHORTEST_S < len(spoken) / RATE_HZ < _LONGEST_S:
            yield Utterance(levelled(spoken), sentence, voice)


def espeak() -> Engine:
    """Return espeak-ng with its Russian voice in 57 variants, speeds and pitches."""
    return Engine(sources.ESPEAK, _espeak)


def _espeak(sentences: Sequence[str], rng: Random) -> Iterator[tuple[str, str, Samples]]:
    program = _program("espeak-ng", "espeak-ng")
    for sentence in sentences:
        variant = rng.choice(_ESPEAK_VARIANTS)
        speed, pitch = rng.randint(115, 215), rng.randint(20, 80)
        options = ["-v", f"ru+{variant}", "-s", str(speed), "-p", str(pitch), "--stdout"]
        said = subprocess.run([program, *options, "--", sentence], capture_output=True, check=False)
        if said.returncode == 0 and len(said.stdout) > _WAV_HEADER_BYTES:
            yield sentence, f"espeak+{variant}", _from_stream(said.stdout)


_WAV_HEADER_BYTES = 44


def _from_stream(wav: bytes) -> Samples:
    """Return 8 kHz audio of a WAV whose header, written to a pipe, does not know its length."""
    with wave.open(io.BytesIO(wav)) as file:
        rate_hz = file.getframerate()
    body = wav[_WAV_HEADER_BYTES : len(wav) - len(wav) % 2]
    return to_8k(np.frombuffer(body, "<i2").astype(np.int16), rate_hz)


def ru_tts() -> Engine:
    """Return retro-ru-tts: two diphone voices, many speeds, pitches and intonations."""
    return Engine(sources.RU_TTS, _ru_tts)


def _ru_tts(sentences: Sequence[str], rng: Random) -> Iterator[tuple[str, str, Samples]]:
    retro_ru_tts = _load_ru_tts()
    for sentence in sentences:
        flags = rng.choice([_RU_TTS_MALE, _RU_TTS_FEMALE])
        said = retro_ru_tts.synthesize(
            sentence,
            speech_rate=rng.randint(70, 140),
            voice_pitch=rng.randint(70, 150),
            intonation=rng.randint(60, 140),
            general_gap_factor=rng.randint(30, 100),
            flags=flags,
            play=False,
            normalize=False,
        )
        samples = np.frombuffer(said, np.int8).astype(np.int16) * 200  # 8 bits to a good level
        yield sentence, f"ru_tts-{flags}", to_8k(samples.astype(np.int16), _RU_TTS_HZ)


def _load_ru_tts() -> Any:
    """Return the library; a build without the flag can be imported, but not speak."""
    try:
        import retro_ru_tts

        retro_ru_tts.synthesize("да", play=False, normalize=False)
    except (ImportError, SystemError) as exc:
        raise ConfigError(
            "no retro-ru-tts: CFLAGS=-DPY_SSIZE_T_CLEAN pip install --no-binary retro-ru-tts "
            f"--no-cache-dir retro-ru-tts==1.0.7 (from Python 3.10 on it needs this flag) ({exc})"
        ) from exc
    return retro_ru_tts


def festival(voice: Path) -> Engine:
    """Return Festival with a copy of festvox-ru that `units.copy_voice` made.

    Args:
        voice: the copy's folder.
    """
    return Engine(sources.FESTIVAL, lambda sentences, rng: _festival(voice, sentences, rng))


def _festival(
    voice: Path, sentences: Sequence[str], _rng: Random
) -> Iterator[tuple[str, str, Samples]]:
    program = _program("festival", "festival")
    if not (voice / "festvox/msu_ru_nsh_clunits.scm").is_file():
        raise ConfigError(f"no voice in {voice}: run the step `voice` first")
    for first in range(0, len(sentences), _FESTIVAL_AT_ONCE):
        some = sentences[first : first + _FESTIVAL_AT_ONCE]
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "say.scm")
            script.write_text(_script(voice.resolve(), some, Path(folder)), "utf-8")
            subprocess.run([program, "--batch", str(script)], capture_output=True, check=False)
            for number, sentence in enumerate(some):
                path = Path(folder, f"{number}.wav")
                if path.is_file():  # it fails on words that it cannot stress
                    yield sentence, "festival", to_8k(*read_wav(path))


def _script(voice: Path, sentences: Sequence[str], folder: Path) -> str:
    name = "msu_ru_nsh_clunits"
    lines = [
        f'(set! voice-locations (cons (cons \'{name} "{voice}/") voice-locations))',
        f'(load "{voice}/festvox/{name}.scm")',
        f"(voice_{name})",
    ]
    for number, sentence in enumerate(sentences):
        say = f'(utt.save.wave (SynthText "{sentence}") "{folder}/{number}.wav" \'riff)'
        lines.append(f"(unwind-protect {say})")
    return "\n".join(lines) + "\n"


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ConfigError(f"no program {name}: install Debian's {package}")
    return found
