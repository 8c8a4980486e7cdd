"""What one connection wants: the setup's params, then those of sets."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ruasr_tel.call import Calls
from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.errors import ConfigError, ProtocolError
from ruasr_tel.profile import MAX_ALTERNATIVES, MAX_PHRASES
from ruasr_tel.types import CallId
from ruasr_tel_adapters.aeap.config import AeapConfig

RATES_HZ: Final = (8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000)
"""Those of Asterisk's slin formats (main/codec_builtin.c)."""

_CALL_ID = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settings:
    """How to listen.

    Attributes:
        language: as the peer said it, or empty.
        profile: a profile's name, or None: what was announced, the door's or the server's default.
        call_id: the PBX's name of the call, or None.
        sample_rate_hz: of the audio; Asterisk calls every slin `slin`.
        phrases: to prefer, or None: the profile's.
        closed: whether nothing else can be heard, or None: as the profile says.
        alternatives: readings of a segment at most, or None: as the profile says.
        model: for finals, one that runs, or None: the profile's.
    """

    language: str = ""
    profile: str | None = None
    call_id: CallId | None = None
    sample_rate_hz: int = 8_000
    phrases: tuple[str, ...] | None = None
    closed: bool | None = None
    alternatives: int | None = None
    model: str | None = None

    def options(self, profile: DecodeOptions) -> DecodeOptions:
        """Return what to ask of the engine: the profile's wishes under the peer's."""
        return replace(
            profile,
            phrases=profile.phrases if self.phrases is None else self.phrases,
            closed=profile.closed if self.closed is None else self.closed,
            alternatives=profile.alternatives if self.alternatives is None else self.alternatives,
        )

    def differs_in_options_only(self, other: "Settings") -> bool:
        """Whether what changed can change in the middle of a call."""
        return self == replace(
            other, phrases=self.phrases, closed=self.closed, alternatives=self.alternatives
        )


class Reader:
    """Reads settings from a peer's words.

    Args:
        config: the door's section.
        calls: knows the profiles.
    """

    def __init__(self, config: AeapConfig, calls: Calls) -> None:
        self._config = config
        self._calls = calls
        self._known: dict[str, tuple[str, Callable[[str], object]]] = {
            "language": ("language", self._language),
            "profile": ("profile", self._profile),
            "model": ("model", self._model),
            "call_id": ("call_id", _call_id),
            "uuid": ("call_id", _call_id),
            "sample_rate": ("sample_rate_hz", _rate),
            "phrases": ("phrases", _phrases),
            "closed": ("closed", _flag),
            "alternatives": ("alternatives", _alternatives),
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that means something."""
        return tuple(self._known)

    def change(self, settings: Settings, values: Mapping[str, str]) -> Settings:
        """Return the settings with a peer's wishes; names without a meaning change nothing.

        Raises:
            ProtocolError: a value that cannot be; the sentence says what can.
        """
        changes: dict[str, Any] = {}
        for name, value in values.items():
            if name in self._known:
                field, read = self._known[name]
                try:
                    changes[field] = read(value.strip())
                except (ValueError, ConfigError) as error:
                    raise ProtocolError(f"{name}: {error}") from error
        return replace(settings, **changes)

    def _language(self, value: str) -> str:
        if value and value not in self._config.languages:
            known = ", ".join(self._config.languages)
            raise ValueError(f"{value[:40]!a} is not served; doors.aeap.languages has {known}")
        return value

    def _profile(self, value: str) -> str | None:
        self._calls.profile(value or None)
        return value or None

    def _model(self, value: str) -> str | None:
        """Take a model that runs; another one, or one that is overloaded, is refused."""
        self._calls.admit(value or None)
        return value or None


def _call_id(value: str) -> CallId | None:
    if value and not _CALL_ID.fullmatch(value):
        raise ValueError(f"{value[:40]!a} is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -")
    return CallId(value) if value else None


def _rate(value: str) -> int:
    if value not in map(str, RATES_HZ):
        raise ValueError(f"{value[:40]!a} is not one of {', '.join(map(str, RATES_HZ))}")
    return int(value)


def _phrases(value: str) -> tuple[str, ...]:
    """Take a JSON list, or commas; empty: nothing is preferred."""
    items: object = value.split(",")
    if value.startswith("["):
        try:
            items = json.loads(value)
        except ValueError:
            raise ValueError(f"{value[:40]!a} is not a JSON list") from None
    texts = [str(item) for item in items] if isinstance(items, list) else []
    found = tuple(" ".join(text.lower().split()) for text in texts if text.strip())
    if len(found) > MAX_PHRASES:
        raise ValueError(f"{len(found)} phrases, at most {MAX_PHRASES}")
    return found


def _flag(value: str) -> bool:
    return value.lower() not in ("", "0", "false", "no", "off")


def _alternatives(value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", value) or not 1 <= int(value) <= MAX_ALTERNATIVES:
        raise ValueError(f"{value[:40]!a} is not a number from 1 to {MAX_ALTERNATIVES}")
    return int(value)
