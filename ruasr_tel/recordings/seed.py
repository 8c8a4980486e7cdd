"""A dialogue in the response keys of the seed (ASR_FastAPI_WS_RU_sherpa-onnx). Pure.

Corrected are: a word's `end` is where it ends, `conf` is the model's confidence (1.0 only where it
gives none), times do not drift, and a true word of the other side is not taken for its echo.
"""

from collections.abc import Iterator
from dataclasses import replace

from pydantic import JsonValue

from ruasr_tel.recordings.model import Dialogue, Segment
from ruasr_tel.recordings.render import without_crosstalk
from ruasr_tel.recordings.words import timed_words

UNKNOWN_CONF = 1.0
"""What the seed says of every word; here only of words whose confidence is unknown."""


def seed_response(
    dialogue: Dialogue,
    *,
    keep_raw: bool = True,
    do_dialogue: bool = False,
    do_echo_clearing: bool = True,
) -> dict[str, JsonValue]:
    """Return the body of `/post_one_step_req` and `/post_file` for a finished recording.

    Args:
        dialogue: the result.
        keep_raw: whether `raw_data` is filled; without `do_dialogue` it always is.
        do_dialogue: whether `sentenced_data` is filled.
        do_echo_clearing: leave out crosstalk.
    """
    shown = without_crosstalk(dialogue) if do_echo_clearing else dialogue
    raw: JsonValue = {
        _name(side.channel): [
            _raw(segment)
            for segment in _segments_of(shown)
            if segment.channel == side.channel and segment.text
        ]
        for side in dialogue.sides
    }
    return {
        "success": True,
        "error_description": "",
        "raw_data": raw if keep_raw or not do_dialogue else {},
        "sentenced_data": _sentenced(shown) if do_dialogue else {},
        "diarized_data": {},
    }


def seed_failure(reason: str) -> dict[str, JsonValue]:
    """Return the body for a recording that failed; the seed sends it with status 200."""
    return {
        "success": False,
        "error_description": reason,
        "raw_data": {},
        "sentenced_data": {},
        "diarized_data": {},
    }


def _name(channel: int) -> str:
    return f"channel_{channel + 1}"


def _segments_of(dialogue: Dialogue) -> Iterator[Segment]:
    """Yield the segments with those words only that are in the dialogue's turns."""
    shown = {(turn.channel, word) for turn in dialogue.turns for word in turn.words}
    untimed = {(turn.channel, turn.start_s) for turn in dialogue.turns if not turn.words}
    for segment in dialogue.transcript.segments:
        words = tuple(word for word in segment.words if (segment.channel, word) in shown)
        if segment.words and words != segment.words:
            yield replace(segment, words=words, text=" ".join(word.text for word in words))
        elif segment.words or (segment.channel, segment.start_s) in untimed:
            yield segment


def _raw(segment: Segment) -> JsonValue:
    """Return one recognised segment, which the seed calls a mega-chunk."""
    result: list[JsonValue] = [
        {
            "conf": UNKNOWN_CONF if word.confidence is None else word.confidence,
            "start": round(word.start_s, 3),
            "end": round(word.end_s, 3),
            "word": word.text,
        }
        for word in timed_words(segment)
    ]
    return {"data": {"result": result, "text": segment.text}}


def _sentenced(dialogue: Dialogue) -> JsonValue:
    sentences: list[JsonValue] = [
        {
            "start": round(turn.start_s, 3),
            "end": round(turn.end_s, 3),
            "text": turn.text,
            "speaker": _name(turn.channel),
        }
        for turn in dialogue.turns
    ]
    texts: list[JsonValue] = [
        " ".join(turn.text for turn in dialogue.turns if turn.channel == side.channel)
        for side in dialogue.sides
    ]
    return {
        "raw_text_sentenced_recognition": "".join(
            f"{_name(turn.channel)}: {turn.text}\n" for turn in dialogue.turns
        ),
        "list_of_sentenced_recognitions": sentences,
        "full_text_only": texts,
        "err_state": None,
    }
