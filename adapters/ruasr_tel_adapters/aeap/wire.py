"""AEAP speech_to_text without I/O: JSON text to requests and responses and back.

Asterisk sends `setup`, `get` and `set` and waits 1 s for each answer; a server sends `set` with
results. An error is a response with `error_msg` (asterisk res/res_speech_aeap.c and
res/res_aeap/message_json.c). Binary messages are audio in the codec of the setup.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ruasr_tel.audio.codec import Encoding
from ruasr_tel.errors import ProtocolError

VERSION: Final = "0.1.0"
"""SPEECH_AEAP_VERSION of res_speech_aeap.c, the only one there is."""

CODECS: Final[Mapping[str, Encoding]] = {
    "slin": Encoding.SLIN,
    "ulaw": Encoding.PCMU,
    "alaw": Encoding.PCMA,
}
"""Asterisk's codec names; every slin has the name `slin`, whatever its rate (codec_builtin.c)."""

TEXT_CHARS_MAX: Final = 2**16
"""Longest text message: ten thousand phrases fit, and nothing that Asterisk sends comes near."""


@dataclass(frozen=True, slots=True)
class Request:
    """`{"request": name, "id": id, …}`.

    Attributes:
        name: `setup`, `get`, `set`, or something that is answered with an error.
        id: what the answer repeats; None where the peer sent none.
        body: the whole object.
    """

    name: str
    id: str | None
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """`{"response": name, "id": id, …}`; `error` is its `error_msg`, or None."""

    name: str
    id: str | None
    error: str | None = None
    body: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """One reading of what was said.

    Attributes:
        text: the words.
        score: 0..100.
        best: 0 for the best reading, 1 for the next: the first number of `SPEECH_TEXT(1/0)`.
    """

    text: str
    score: int
    best: int = 0


Message: TypeAlias = Request | Response


def parse(text: str) -> Message:
    """Return what a text message says.

    Raises:
        ProtocolError: it is no JSON object, or neither a request nor a response.
    """
    if len(text) > TEXT_CHARS_MAX:
        raise ProtocolError(f"text of {len(text)} characters, at most {TEXT_CHARS_MAX}")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(f"text that is not JSON: {text[:40]!a}") from None
    if not isinstance(body, dict):
        raise ProtocolError(f"JSON that is not an object: {text[:40]!a}")
    number = body.get("id")
    number = number if isinstance(number, str) else None
    request, response = body.get("request"), body.get("response")
    if isinstance(request, str):
        return Request(request, number, body)
    if isinstance(response, str):
        error = body.get("error_msg")
        return Response(response, number, None if error is None else str(error), body)
    raise ProtocolError(f"an object that is neither request nor response: {text[:40]!a}")


def codecs(request: Request) -> tuple[str, ...]:
    """Return the names of the codecs that a setup offers, in its order."""
    listed = request.body.get("codecs")
    items = listed if isinstance(listed, list) else []
    names = (item.get("name") for item in items if isinstance(item, dict))
    return tuple(name for name in names if isinstance(name, str))


def settings(request: Request) -> dict[str, str]:
    """Return the `params` object of a setup or a set; values become text."""
    params = request.body.get("params")
    items = params.items() if isinstance(params, dict) else ()
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in items}


def asked(request: Request) -> tuple[str, ...]:
    """Return the names of what a get asks for."""
    params = request.body.get("params")
    return (
        tuple(name for name in params if isinstance(name, str)) if isinstance(params, list) else ()
    )


def answer(request: Request, **body: object) -> str:
    """Return the response to a request."""
    return _dump({"response": request.name} | _id(request.id) | body)


def refuse(request: Request, error: str) -> str:
    """Return the response that says why not; Asterisk logs it."""
    return answer(request, error_msg=error)


def answer_setup(request: Request, codec: str) -> str:
    """Return the response that takes a call with one of its codecs."""
    return answer(request, codecs=[{"name": codec}])


def answer_results(request: Request, results: Sequence[Result]) -> str:
    """Return the response to `get results`."""
    return answer(request, params={"results": _results(results)})


def push_results(number: str, results: Sequence[Result]) -> str:
    """Return the request that gives results to Asterisk and ends its SpeechBackground."""
    return _dump({"request": "set", "id": number, "params": {"results": _results(results)}})


def _results(results: Sequence[Result]) -> list[dict[str, object]]:
    """Return the best reading last: Asterisk puts each before those it has (handle_results)."""
    return [
        {"text": each.text, "score": each.score, "grammar": "", "best": each.best}
        for each in reversed(results)
    ]


def _id(number: str | None) -> dict[str, object]:
    return {} if number is None else {"id": number}


def _dump(body: Mapping[str, object]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
