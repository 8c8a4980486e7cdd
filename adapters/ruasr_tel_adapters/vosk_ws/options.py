"""What one connection wants: the door's defaults, then its URL, then its config messages."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, unquote

from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.profile import MAX_ALTERNATIVES, MAX_PHRASES
from ruasr_tel.types import CallId
from ruasr_tel_adapters.vosk_ws.config import (
    RATE_MAX_HZ,
    RATE_MIN_HZ,
    REPLY_BYTES_MAX,
    REPLY_BYTES_MIN,
    VoskWsConfig,
)
from ruasr_tel_adapters.vosk_ws.wire import BadMessage, ReplyStyle

_CALL_ID = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)
_URL_FIELDS_MAX = 64


@dataclass(frozen=True, slots=True)
class Options:
    """What one connection does now; a config message makes a new one.

    Attributes:
        sample_rate_hz: what the client said, or None: its WAV header or the door's default decides.
        words: whether finals list their words.
        max_alternatives: above 0, the alternatives shape.
        phrase_list: what alone can be said, as Vosk's grammar has it; None: what the profile says.
        phrases: what is to be preferred, unless there is a `phrase_list`; None: likewise.
        boost: how much; None: likewise.
        compact: one-line JSON.
        repeat_partials: answer an unchanged partial again; otherwise with an empty one.
        empty_partials_after_final: replies after a final that are empty partials.
        empty_finals: whether a final without text ends a partial that the client saw.
        empty_final_after_s: silence after which an empty final is given; 0 is never.
        max_reply_bytes: longest reply in UTF-8 bytes.
    """

    sample_rate_hz: int | None = None
    words: bool = True
    max_alternatives: int = 0
    phrase_list: tuple[str, ...] | None = None
    phrases: tuple[str, ...] | None = None
    boost: float | None = None
    compact: bool = False
    repeat_partials: bool = True
    empty_partials_after_final: int = 2
    empty_finals: bool = True
    empty_final_after_s: float = 0.0
    max_reply_bytes: int = 4095

    @property
    def style(self) -> ReplyStyle:
        """How finals look."""
        return ReplyStyle(
            words=self.words, alternatives=self.max_alternatives > 0, compact=self.compact
        )

    def asked(self, profile: DecodeOptions) -> DecodeOptions:
        """Return what to ask of the engine.

        Args:
            profile: what the connection's profile asks for; what the client says goes over it.
        """
        most = min(max(profile.alternatives, self.max_alternatives), MAX_ALTERNATIVES)
        asked = replace(profile, alternatives=most)
        if self.boost is not None:
            asked = replace(asked, boost=self.boost)
        if self.phrases is not None:
            asked = replace(asked, phrases=self.phrases, closed=False)
        if self.phrase_list is not None:
            phrases = _grammar(self.phrase_list)
            asked = replace(asked, phrases=phrases, closed=bool(phrases))
        return asked


def _grammar(phrase_list: Sequence[str]) -> tuple[str, ...]:
    """Return a list and its single words.

    Vosk lets the words of a list follow each other freely and prefers them as they stand together
    (vosk-api src/language_model.cc: a bigram with back-off). vosk-server's own test_words.py names
    all digits in one phrase and means any of them.
    """
    words = [word for phrase in phrase_list for word in phrase.split()]
    return tuple(dict.fromkeys((*(" ".join(each.split()) for each in phrase_list), *words)))


def default_options(config: VoskWsConfig) -> Options:
    """Return the options of a connection that says nothing."""
    return Options(
        words=config.show_words,
        max_alternatives=config.max_alternatives,
        compact=config.format == "compact",
        repeat_partials=config.unchanged_partials == "repeat",
        empty_partials_after_final=config.empty_partials_after_final,
        empty_final_after_s=config.empty_final_after_s,
        max_reply_bytes=config.max_reply_bytes,
    )


def change_options(options: Options, values: Mapping[str, object]) -> Options:
    """Return the options with a client's wishes applied; unknown keys change nothing.

    Args:
        options: what was true so far.
        values: from a config message (any JSON type) or a URL query (strings).

    Raises:
        BadMessage: a known key has a value it cannot have; the message names both.
    """
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key in _SETTINGS:
            field, read = _SETTINGS[key]
            try:
                changes[field] = read(value)
            except ValueError as exc:
                raise BadMessage(f"{key}: {str(value)[:40]!a} {exc}") from None
    return replace(options, **changes)


def _number(low: float, high: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        number = math.nan
        if isinstance(value, int | float | str):
            with suppress(ValueError, OverflowError):
                number = float(value)
        if not low <= number <= high:  # NaN is never between
            raise ValueError(f"is not a number from {low:g} to {high:g}")
        return number

    return read


def _integer(low: int, high: int) -> Callable[[object], int]:
    number = _number(low, high)
    return lambda value: round(number(value))


def _flag(value: object) -> bool:
    """Vosk takes `bool(value)`; the words for "no" are false here, in a URL everything is text."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no", "off")
    return bool(value)


def _phrases(value: object) -> tuple[str, ...]:
    """Take a JSON list, a list as text, or commas; anything else is no list, never an error."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = str(value).split(",")
    items = value if isinstance(value, list) else []
    phrases = tuple(item for item in items if isinstance(item, str) and item.strip())
    if len(phrases) > MAX_PHRASES:
        raise BadMessage(f"a list of {len(phrases)} phrases, at most {MAX_PHRASES} are taken")
    return phrases


def _phrase_list(value: object) -> tuple[str, ...]:
    """Take a list as `_phrases` does; its words count, too, for the engine gets them."""
    phrases = _phrases(value)
    if (count := len(_grammar(phrases))) > MAX_PHRASES:
        raise BadMessage(f"a list of {count} phrases and words, at most {MAX_PHRASES} are taken")
    return phrases


def _choice(**choices: bool) -> Callable[[object], bool]:
    def read(value: object) -> bool:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return choices[value]

    return read


_SETTINGS: dict[str, tuple[str, Callable[[object], object]]] = {
    "sample_rate": ("sample_rate_hz", _integer(RATE_MIN_HZ, RATE_MAX_HZ)),
    "words": ("words", _flag),
    "max_alternatives": ("max_alternatives", _integer(0, 2**31)),
    "phrase_list": ("phrase_list", _phrase_list),
    "phrases": ("phrases", _phrases),
    "boost": ("boost", _number(0.0, 100.0)),
    "format": ("compact", _choice(pretty=False, compact=True)),
    "unchanged_partials": ("repeat_partials", _choice(repeat=True, empty=False)),
    "empty_partials_after_final": ("empty_partials_after_final", _integer(0, 100)),
    "empty_finals": ("empty_finals", _flag),
    "empty_final_after_s": ("empty_final_after_s", _number(0.0, 60.0)),
    "max_reply_bytes": ("max_reply_bytes", _integer(REPLY_BYTES_MIN, REPLY_BYTES_MAX)),
}
"""Key in config or URL -> field of Options and how to read it."""


PATHS: Mapping[str, Mapping[str, str]] = {
    "mod_vosk": {
        "unchanged_partials": "empty",  # vosk-server#243: each repeated one is an event
        "empty_partials_after_final": "2",  # a partial overwrites a final that is not read yet
        "empty_finals": "0",  # before December 2020 an empty final is taken for an answer
        "empty_final_after_s": "0",  # likewise
        "words": "0",  # its return-json 0 does not look at them
    },
}
"""Settings of clients that can say nothing but their URL, by path segment (FreeSWITCH mod_vosk,
commit d118d67e, mod_vosk.c: vosk_asr_feed and vosk_asr_check_results)."""


@dataclass(frozen=True, slots=True)
class UrlSettings:
    """What a connection's URL says.

    Attributes:
        values: the settings for `change_options`.
        profile: the profile it names, or None.
        call_id: the PBX's name of the call, or None.
    """

    values: Mapping[str, str]
    profile: str | None = None
    call_id: CallId | None = None


def parse_url(target: str) -> UrlSettings:
    """Return what a request target such as `/8000?words=0&profile=yesno` sets.

    A path segment that is a rate sets it, one of `PATHS` sets what that client needs, others mean
    nothing; a later query wins.

    Args:
        target: path and query, as in the HTTP request line.

    Raises:
        BadMessage: too many fields, or a call id with characters that have no place in one.
    """
    path, _, query = target.partition("?")
    values: dict[str, str] = {}
    for segment in unquote(path).split("/"):
        values.update(PATHS.get(segment, {}))
        if segment.isascii() and segment.isdigit() and _is_rate(segment):
            values["sample_rate"] = segment
    try:
        query = query.replace("=+", "=%2B")  # a telephone number's plus, no space
        values.update(parse_qsl(query, keep_blank_values=True, max_num_fields=_URL_FIELDS_MAX))
    except ValueError:
        raise BadMessage(f"more than {_URL_FIELDS_MAX} fields in the URL") from None
    call_id = values.get("call_id") or values.get("uuid")
    if call_id and not _CALL_ID.fullmatch(call_id):
        raise BadMessage(f"call_id: {call_id[:40]!a} is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -")
    return UrlSettings(values, values.get("profile") or None, CallId(call_id) if call_id else None)


def _is_rate(segment: str) -> bool:
    return len(segment) <= 6 and RATE_MIN_HZ <= int(segment) <= RATE_MAX_HZ
