"""Where speech comes from and under which terms. Only permissive terms are trained on. Pure."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from ruasr_tel.errors import ConfigError

PERMISSIVE = {
    "CC0-1.0": "public domain",
    "CC-BY-3.0": "attribution",
    "CC-BY-4.0": "attribution",
    "MIT": "notice",
    "Apache-2.0": "notice",
    "BSD-2-Clause": "notice",
    "BSD-3-Clause": "notice",
    "LicenseRef-festvox-ru": "notice; text in Debian's /usr/share/doc/festvox-ru/copyright",
    "LicenseRef-program-output": "a program's output, which its own licence does not cover",
}
"""SPDX identifier -> what it asks for. Share-alike, non-commercial, no-derivatives and unclear
terms are not here on purpose: a model learnt from them could not be handed on freely."""


class Voice(StrEnum):
    """What kind of speaker it is."""

    REAL = "real"
    SYNTHETIC = "synthetic"


def check_terms(what: str, origin: str, licence: str, attribution: str) -> None:
    """Refuse terms that are not permissive, and unnamed authors.

    Args:
        what: for the sentence.
        origin: package and version, or address.
        licence: SPDX identifier.
        attribution: whom to name.

    Raises:
        ConfigError: says what is wrong.
    """
    if licence not in PERMISSIVE:
        raise ConfigError(
            f"{what} is under {licence or 'no stated licence'!r}, which is not on the list of "
            f"permissive ones: {', '.join(sorted(PERMISSIVE))}"
        )
    if not attribution.strip() or not origin.strip():
        raise ConfigError(f"{what} needs its origin and whom to name")


@dataclass(frozen=True, slots=True)
class Source:
    """One origin of speech.

    Attributes:
        name: short; part of file names.
        voice: real or synthetic.
        origin: package and version, or address.
        licence: SPDX identifier.
        attribution: whom to name.
    """

    name: str
    voice: Voice
    origin: str
    licence: str
    attribution: str

    def check(self) -> None:
        """Refuse terms that are not permissive, and unnamed authors.

        Raises:
            ConfigError: says what is wrong.
        """
        check_terms(f"speech of {self.name!r}", self.origin, self.licence, self.attribution)

    def to_json(self) -> dict[str, str]:
        """Return it as plain values."""
        return {key: str(value) for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, fields: object) -> "Source":
        """Return the source that `to_json` wrote, checked.

        Raises:
            ConfigError: a field is missing, or the terms are not permissive.
        """
        names = ("name", "voice", "origin", "licence", "attribution")
        if not isinstance(fields, dict) or not all(isinstance(fields.get(n), str) for n in names):
            raise ConfigError(f"a source needs {', '.join(names)}")
        if fields["voice"] not in list(Voice):
            raise ConfigError(f"a voice is {' or '.join(Voice)}, not {fields['voice']!r}")
        named = {name: fields[name] for name in names if name != "voice"}
        source = cls(voice=Voice(fields["voice"]), **named)
        source.check()
        return source


WHISPER_BASE = "Whisper base's encoder"
"""What a network that began with its weights says of itself (`whisper.py`; MIT, (c) 2022 OpenAI).
"""

_SHMYREV = "Nickolay V. Shmyrev (c) 2005"
PROMPTS = Source(
    "prompts",
    Voice.REAL,
    "Debian asterisk-core-sounds-ru-wav 1.6.1",
    "CC-BY-3.0",
    "(c) 2010 Maxim; provided by Maxim Topal, ivrvoice.ru",
)
FESTVOX = Source("festvox", Voice.REAL, "Debian festvox-ru 0.5", "LicenseRef-festvox-ru", _SHMYREV)
PROMPTS_SPLICED = replace(
    PROMPTS, name="prompts-spliced", origin=f"{PROMPTS.origin}, words in another order"
)
FESTVOX_SPLICED = replace(
    FESTVOX, name="festvox-spliced", origin=f"{FESTVOX.origin}, words in another order"
)
SPLICED = {PROMPTS: PROMPTS_SPLICED, FESTVOX: FESTVOX_SPLICED}
"""Recordings -> what is spliced of them (`splices.py`)."""
FESTIVAL = Source(
    "festival",
    Voice.SYNTHETIC,
    "Festival with Debian festvox-ru 0.5, its held-out recordings taken out",
    "LicenseRef-festvox-ru",
    _SHMYREV,
)
RU_TTS = Source(
    "ru_tts",
    Voice.SYNTHETIC,
    "PyPI retro-ru-tts 1.0.7",
    "MIT",
    "Loginov Andrey and the ru_tts authors",
)
ESPEAK = Source(
    "espeak",
    Voice.SYNTHETIC,
    "Debian espeak-ng",
    "LicenseRef-program-output",
    "the eSpeak NG authors (the program is GPL-3.0-or-later)",
)
ALL = (PROMPTS, FESTVOX, PROMPTS_SPLICED, FESTVOX_SPLICED, FESTIVAL, RU_TTS, ESPEAK)
