"""The Vosk WebSocket protocol as values: what a message means, and the bytes of every reply.

Messages as vosk-server websocket/asr_server.py takes them, with tolerant spellings; replies as
vosk-api src/recognizer.cc builds them and src/json.h prints them: two-space indent, a space on both
sides of the colon, keys in alphabetical order, six decimals, UTF-8 not escaped. Some clients search
replies for substrings, so these bytes matter.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ruasr_tel.errors import ProtocolError
from ruasr_tel.events import Word

CONTROL_BYTES_MAX = 64
"""Longest binary message that is looked at as `{"eof" : 1}`: 2 ms of audio or less at 16 kHz."""

TEXT_CHARS_MAX = 2**20
"""Longest text message: the message limit of vosk-server, the default of websockets.serve."""

UNSUPPORTED_DATA = 1003
INVALID_DATA = 1007
"""RFC 6455 7.4.1. Errors are close codes, never JSON: jigasi ends on objects it does not know."""


class BadMessage(ProtocolError):
    """A text message that means nothing here; the connection closes with `close_code`."""

    def __init__(self, message: str, close_code: int = INVALID_DATA) -> None:
        super().__init__(message)
        self.close_code = close_code


@dataclass(frozen=True, slots=True)
class Config:
    """`{"config": {...}}`: settings; the only message without a reply."""

    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Eof:
    """`{"eof" : 1}`: no more audio; one last final, then close 1000."""


@dataclass(frozen=True, slots=True)
class Reset:
    """`{"reset" : 1}`: one final of everything so far; the connection goes on."""


@dataclass(frozen=True, slots=True)
class Audio:
    """PCM in the client's own framing: any length, odd and empty included."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Other:
    """A JSON object of some other meaning (clients send ids); answered like empty audio."""


ClientMessage: TypeAlias = Config | Eof | Reset | Audio | Other


def parse(message: str | bytes) -> ClientMessage:
    """Return what a client's message means; binary messages always mean something.

    Raises:
        BadMessage: a text message that is no JSON object, or has an unusable `config`.
    """
    if isinstance(message, bytes):
        return _parse_binary(message)
    parsed = _load_object(message)
    if parsed is None:
        raise _bad_text(message)
    if "config" in parsed:
        values = parsed["config"]
        if not isinstance(values, dict):
            raise BadMessage(f"config is {type(values).__name__}, expected an object")
        return Config(values)
    return _control(parsed) or Other()


def _parse_binary(data: bytes) -> ClientMessage:
    """Tell `{"eof" : 1}` sent as binary (vosk-server issue 97) from audio."""
    if len(data) > CONTROL_BYTES_MAX or not data.lstrip().startswith(b"{"):
        return Audio(data)
    return _control(_load_object(data) or {}) or Audio(data)


def _control(parsed: Mapping[str, object]) -> Eof | Reset | None:
    if parsed.get("eof"):
        return Eof()
    if parsed.get("reset"):
        return Reset()
    return None


def _load_object(message: str | bytes) -> dict[str, object] | None:
    if len(message) > TEXT_CHARS_MAX:
        return None
    try:
        parsed = json.loads(message)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        return None
    return parsed if isinstance(parsed, dict) else None


def _bad_text(message: str) -> BadMessage:
    if len(message) > TEXT_CHARS_MAX:
        return BadMessage(f"text of {len(message)} characters, at most {TEXT_CHARS_MAX}")
    if "config" in message:
        return BadMessage("config is not a JSON object")
    return BadMessage("text is not a JSON object", UNSUPPORTED_DATA)


@dataclass(frozen=True, slots=True)
class ReplyStyle:
    """How finals look.

    Attributes:
        words: whether a final lists its words under `result`.
        alternatives: the `alternatives` shape of `max_alternatives` above 0.
        compact: one line without spaces; for clients that parse JSON and never search it.
    """

    words: bool = True
    alternatives: bool = False
    compact: bool = False


def format_partial(text: str, *, compact: bool = False) -> str:
    """Return a partial reply; it never has the key `text`."""
    return _dump({"partial": text}, compact=compact)


def format_nothing(style: ReplyStyle) -> str:
    """Return the final of no audio at all, as `Recognizer::StoreEmptyReturn` spells it."""
    if style.alternatives:
        return '{"alternatives" : [{"text": "", "confidence" : 1.0}] }'
    return '{"text": ""}'


@dataclass(frozen=True, slots=True)
class Reading:
    """One entry of the `alternatives` shape.

    Attributes:
        text: the text.
        words: its words.
        confidence: 0..1, or None where the model gives none.
    """

    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None


def format_final(
    text: str,
    words: Sequence[Word],
    style: ReplyStyle,
    confidence: float | None = None,
    others: Sequence[Reading] = (),
) -> str:
    """Return a final reply.

    Args:
        text: the text, possibly empty.
        words: its words; without any there is no key `result`, never an empty list.
        style: which shape.
        confidence: 0..1, used by the alternatives shape alone; its clients need a number.
        others: what else may have been said, best first; of the alternatives shape alone, too.
    """
    if not style.alternatives:
        return _dump(_utterance(text, words, style, with_conf=True), compact=style.compact)
    if not text and not others:
        return format_nothing(style)
    listed = [
        _utterance(one.text, one.words, style, with_conf=False)
        | {"confidence": _confidence(one.confidence)}
        for one in (Reading(text, tuple(words), confidence), *others)
    ]
    return _dump({"alternatives": listed}, compact=style.compact)


def _utterance(
    text: str, words: Iterable[Word], style: ReplyStyle, *, with_conf: bool
) -> dict[str, object]:
    listed = [_word(word, with_conf) for word in words] if style.words else []
    return {"result": listed, "text": text} if listed else {"text": text}


def _word(word: Word, with_conf: bool) -> dict[str, object]:
    shown: dict[str, object] = {
        "end": float(word.end_s),
        "start": float(word.start_s),
        "word": word.text,
    }
    if with_conf:
        shown["conf"] = _confidence(word.confidence)
    return shown


def _confidence(value: float | None) -> float:
    """Vosk clients need a number: 1.000000 stands for "the model gives none"."""
    return 1.0 if value is None else float(value)


def _dump(value: object, depth: int = 1, *, compact: bool = False) -> str:
    """Print like `JSON::dump` of vosk-api src/json.h, or on one line.

    Args:
        value: dict, list, str or float.
        depth: nesting, counted as json.h does: a list is one level of its own.
        compact: one line without spaces.
    """
    colon, comma, line = (":", ",", "") if compact else (" : ", ", ", "\n")
    if isinstance(value, dict):
        pad, end = ("", "") if compact else ("  " * depth, "  " * (depth - 1))
        items = (
            f'{pad}"{key}"{colon}{_dump(value[key], depth + 1, compact=compact)}'
            for key in sorted(value)
        )
        return f"{{{line}{f',{line}'.join(items)}{line}{end}}}"
    if isinstance(value, list):
        return f"[{comma.join(_dump(item, depth + 1, compact=compact) for item in value)}]"
    if isinstance(value, float):
        return f"{value:.6f}"
    return json.dumps(value, ensure_ascii=False)
