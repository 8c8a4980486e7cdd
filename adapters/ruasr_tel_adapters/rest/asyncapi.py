"""The AsyncAPI 3.0 document of the sockets and event streams, from the events' own types."""

from importlib.metadata import version
from typing import Any, Final, get_args

from pydantic import TypeAdapter

from ruasr_tel.events import Event

REFERENCE: Final = "#/components/schemas/{model}"

_TEXT: Final = {"type": "string"}

_VOSK_CONFIG: Final = {
    "type": "object",
    "required": ["config"],
    "properties": {
        "config": {
            "type": "object",
            "properties": {
                "sample_rate": {"type": "number", "description": "Hz; 8000 if not given."},
                "words": {"type": "boolean", "description": "Whether finals list words."},
                "max_alternatives": {"type": "integer"},
                "phrase_list": {"type": "array", "items": _TEXT},
            },
        }
    },
}
_WORD: Final = {
    "type": "object",
    "properties": {
        "conf": {"type": "number"},
        "start": {"type": "number"},
        "end": {"type": "number"},
        "word": _TEXT,
    },
}
_VOSK_REPLY: Final = {
    "oneOf": [
        {"type": "object", "required": ["partial"], "properties": {"partial": _TEXT}},
        {
            "type": "object",
            "required": ["text"],
            "properties": {"result": {"type": "array", "items": _WORD}, "text": _TEXT},
        },
    ]
}
_EOF: Final = {"type": "object", "required": ["eof"], "properties": {"eof": {"const": 1}}}
_SEED_CONFIG: Final = {
    "type": "object",
    "required": ["config"],
    "properties": {
        "config": {
            "type": "object",
            "properties": {
                "sample_rate": {"type": "number", "default": 8000},
                "wait_null_answers": {"type": "boolean", "default": True},
                "do_dialogue": {"type": "boolean", "default": False},
                "do_punctuation": {"type": "boolean", "default": False},
                "audio_format": {"type": "string", "default": "pcm16"},
                "channelName": _TEXT,
            },
        }
    },
}
_SEED_REPLY: Final = {
    "type": "object",
    "properties": {
        "channel_name": _TEXT,
        "silence": {"type": "boolean"},
        "data": {
            "oneOf": [
                {"const": ""},
                {
                    "type": "object",
                    "properties": {"result": {"type": "array", "items": _WORD}, "text": _TEXT},
                },
            ]
        },
        "error": {"type": ["string", "null"]},
        "last_message": {"type": "boolean"},
        "sentenced_data": {"type": "object"},
    },
}
_STATE: Final = {
    "type": "object",
    "required": ["event", "state", "progress"],
    "properties": {
        "event": {"const": "state"},
        "state": _TEXT,
        "progress": {"type": "number"},
        "reason": {"type": ["string", "null"]},
    },
}


def document() -> dict[str, Any]:
    """Return the document."""
    events = {kind.__name__: kind for kind in get_args(Event)}
    inputs = [(name, "serialization", TypeAdapter(kind)) for name, kind in events.items()]
    _, shared = TypeAdapter.json_schemas(inputs, ref_template=REFERENCE)  # type: ignore[arg-type]  # any key does
    schemas: dict[str, Any] = shared["$defs"]
    for name in events:
        schemas[name]["properties"] = {"event": {"const": name}, **schemas[name]["properties"]}
    messages = {
        **{name: _message(name, {"$ref": REFERENCE.format(model=name)}) for name in events},
        "RecordingState": _message("A recording moved on", _STATE),
        "VoskConfig": _message("Settings; the only message without a reply", _VOSK_CONFIG),
        "Audio": _message("PCM, 16 bit, little-endian, mono", {"type": "string"}, "audio/L16"),
        "Eof": _message("No more audio; the last reply holds the rest", _EOF),
        "VoskReply": _message("One for every message but the settings", _VOSK_REPLY),
        "SeedConfig": _message("Settings", _SEED_CONFIG),
        "SeedReply": _message("A recognised segment, or a note of silence", _SEED_REPLY),
    }
    channels = {name: _channel(*about) for name, about in _channels(list(events)).items()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "ruasr_tel", "version": version("ruasr-tel"), "description": _ABOUT},
        "channels": channels,
        "operations": dict(_operations(channels)),
        "components": {"messages": messages, "schemas": schemas},
    }


_ABOUT: Final = (
    "Sockets and event streams. Each server-sent event has an `id`: send it back as Last-Event-ID "
    "and nothing is lost. The event `end` says that nothing more will come."
)


def _channels(events: list[str]) -> dict[str, tuple[str, str, list[str], list[str]]]:
    """Return for each channel its address, what it is, what clients send, what they get."""
    return {
        "vosk": (
            "/",
            "WebSocket of the Vosk door (port 2700): every message is answered at once.",
            ["VoskConfig", "Audio", "Eof"],
            ["VoskReply"],
        ),
        "seed": (
            "/ws",
            "The seed's WebSocket on the REST port.",
            ["SeedConfig", "Audio", "Eof"],
            ["SeedReply"],
        ),
        "call": ("/v1/calls/{call_id}/events", "Events of one call (SSE).", [], events),
        "calls": ("/v1/events", "Events of all calls, from now on (SSE).", [], events),
        "recording": (
            "/v1/recordings/{id}/events",
            "How far a recording is (SSE).",
            [],
            ["RecordingState"],
        ),
    }


def _channel(address: str, about: str, sent: list[str], got: list[str]) -> dict[str, Any]:
    names = dict.fromkeys([*sent, *got])
    channel: dict[str, Any] = {
        "address": address,
        "description": about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "x-sent": sent,
    }
    parameters = [part[1:-1] for part in address.split("/") if part.startswith("{")]
    if parameters:
        channel["parameters"] = {name: {} for name in parameters}
    return channel


def _operations(channels: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return what the server does on each channel; takes `x-sent` away again."""
    operations = []
    for name, channel in channels.items():
        sent = channel.pop("x-sent")
        for action in ("receive", "send"):
            chosen = [
                each for each in channel["messages"] if (each in sent) == (action == "receive")
            ]
            if chosen:
                operation = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{name}"},
                    "messages": [{"$ref": f"#/channels/{name}/messages/{each}"} for each in chosen],
                }
                operations.append((f"{action}_{name}", operation))
    return operations


def _message(
    title: str, payload: dict[str, Any], content_type: str = "application/json"
) -> dict[str, Any]:
    return {"title": title, "contentType": content_type, "payload": payload}
