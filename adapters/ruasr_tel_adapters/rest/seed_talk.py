"""What the seed's socket says: which message follows which event. Pure; no clock.

The seed answers a chunk when its buffer is flushed, or with a note of silence; here an answer
comes when a segment is recognised, and the last message holds whatever is left.
"""

import json
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from ruasr_tel.events import Event
from ruasr_tel.events import Final as FinalEvent
from ruasr_tel.recordings.dialogue import make_dialogue
from ruasr_tel.recordings.model import Segment, Transcript
from ruasr_tel.recordings.seed import seed_response

RATE_HZ: Final = 8000
"""Rate of clients that do not say theirs: a telephone line's. The seed loses their audio."""
NO_NAME: Final = "Null"
"""What the seed calls a channel without a name."""


SILENCE_S: Final = 15.0
"""Audio without an answer after which the seed notes silence: its MAX_OVERLAP_DURATION."""


def _named(value: object) -> object:
    return NO_NAME if value is None else value


class Settings(BaseModel):
    """The seed's `config` message; what is not known is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    sample_rate: int = Field(RATE_HZ, ge=8000, le=192_000)
    wait_null_answers: bool = True
    do_dialogue: bool = False
    do_punctuation: bool = False
    audio_format: str = Field("pcm16", max_length=20)
    channelName: Annotated[str, BeforeValidator(_named)] = Field(NO_NAME, max_length=200)


class Talk:
    """What one client of the seed's socket is owed.

    Args:
        settings: as the client said.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._waiting: list[FinalEvent] = []
        self._all: list[FinalEvent] = []
        self._answered_s = 0.0  # audio up to the last message

    def on_event(self, event: Event) -> None:
        """Take what happened in the call."""
        if isinstance(event, FinalEvent) and (event.text or event.error):
            self._waiting.append(event)
            self._all.append(event)
            self._answered_s = event.end_s

    def answers(self) -> list[str]:
        """Return a message for each segment recognised since the last time."""
        finals, self._waiting = self._waiting, []
        return [self._message([final]) for final in finals]

    def on_chunk(self, clock_s: float) -> list[str]:
        """Return what follows a chunk of audio: the answers, or a note of silence if wished.

        Args:
            clock_s: seconds of audio so far.
        """
        answers = self.answers()
        if answers or not self.settings.wait_null_answers:
            return answers
        if clock_s - self._answered_s < SILENCE_S:
            return []
        self._answered_s = clock_s
        return [self._message([])]

    def last(self, duration_s: float, error: str | None = None) -> str:
        """Return the last message, with everything that was not said yet.

        Args:
            duration_s: length of the audio.
            error: why the conversation ends early, or None.
        """
        finals, self._waiting = self._waiting, []
        sentences = self._sentences(duration_s) if self.settings.do_dialogue else {}
        return self._message(finals, error=error, last=True, sentences=sentences)

    def _message(
        self,
        finals: Sequence[FinalEvent],
        *,
        error: str | None = None,
        last: bool = False,
        sentences: JsonValue = None,
    ) -> str:
        data = _data(finals)
        errors = [final.error for final in finals if final.error]
        message = {
            "channel_name": self.settings.channelName,
            "silence": not data,
            "data": data,
            "error": error or ("; ".join(errors) or None),
            "last_message": last,
            "sentenced_data": sentences or {},
        }
        return json.dumps(message, ensure_ascii=False)

    def _sentences(self, duration_s: float) -> JsonValue:
        segments = tuple(map(_segment, self._all))
        dialogue = make_dialogue(Transcript(duration_s, 1, segments))
        return seed_response(dialogue, do_dialogue=True)["sentenced_data"]


def _data(finals: Sequence[FinalEvent]) -> JsonValue:
    """Return the recognised segments as one, in the seed's keys; "" where nothing was said."""
    segments = tuple(_segment(final) for final in finals if final.text)
    if not segments:
        return ""
    dialogue = make_dialogue(Transcript(segments[-1].end_s, 1, segments))
    raw = seed_response(dialogue)["raw_data"]
    assert isinstance(raw, dict)
    (chunks,) = raw.values()
    assert isinstance(chunks, list)
    parts = [chunk["data"] for chunk in chunks if isinstance(chunk, dict)]
    words = [word for part in parts for word in part["result"]]  # type: ignore[index,union-attr,call-overload]  # seed_response made it
    return {"result": words, "text": " ".join(segment.text for segment in segments)}


def _segment(final: FinalEvent) -> Segment:
    return Segment(
        0, final.start_s, final.end_s, final.text, final.words, final.confidence, error=final.error
    )
