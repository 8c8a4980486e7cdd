import json
from datetime import UTC, datetime
from typing import Any

from ruasr_tel.events import Final, SpeechStarted, Word
from ruasr_tel.types import CallId, LegId
from ruasr_tel_adapters.rest.seed_talk import Settings, Talk

NOW = datetime(2026, 1, 2, tzinfo=UTC)
CALL, LEG = CallId("c"), LegId("c/0")


def final(text: str, start_s: float, error: str | None = None) -> Final:
    word = Word(text, start_s + 0.25, start_s + 0.75, 0.5)
    words = (word,) if text else ()
    end_s = start_s + 1
    return Final(CALL, LEG, NOW, 0, text, words, start_s, end_s, "endpoint", 0.5, error)


def loaded(messages: list[str]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages]


def test_a_segment_is_answered_with_its_words_at_their_true_times() -> None:
    talk = Talk(Settings(channelName="agent"))
    talk.on_event(final("алло", 2.0))
    assert loaded(talk.answers()) == [
        {
            "channel_name": "agent",
            "silence": False,
            "data": {
                "result": [{"conf": 0.5, "start": 2.25, "end": 2.75, "word": "алло"}],
                "text": "алло",
            },
            "error": None,
            "last_message": False,
            "sentenced_data": {},
        }
    ]
    assert talk.answers() == []


def test_silence_is_noted_after_as_much_audio_as_the_seed_collects() -> None:
    talk = Talk(Settings())
    assert talk.on_chunk(14.9) == []
    (note,) = loaded(talk.on_chunk(15.0))
    assert (note["silence"], note["data"], note["channel_name"]) == (True, "", "Null")
    assert talk.on_chunk(29.9) == []
    talk.on_event(final("да", 28.0))
    assert [each["data"]["text"] for each in loaded(talk.on_chunk(30.0))] == ["да"]
    assert talk.on_chunk(43.9) == []
    assert len(talk.on_chunk(44.0)) == 1


def test_silence_is_not_noted_where_nobody_wants_it() -> None:
    assert Talk(Settings(wait_null_answers=False)).on_chunk(100.0) == []


def test_events_without_text_are_not_answered() -> None:
    talk = Talk(Settings())
    talk.on_event(SpeechStarted(CALL, LEG, NOW, 0.0))
    talk.on_event(final("", 0.0))
    assert talk.answers() == []


def test_the_last_message_holds_what_was_not_said_yet_and_the_sentences_of_everything() -> None:
    talk = Talk(Settings(do_dialogue=True))
    talk.on_event(final("алло", 0.0))
    talk.answers()
    talk.on_event(final("да", 2.0))
    talk.on_event(final("нет", 4.0))
    last = json.loads(talk.last(6.0))
    assert last["last_message"] is True
    assert last["data"]["text"] == "да нет"
    assert [word["word"] for word in last["data"]["result"]] == ["да", "нет"]
    assert [word["start"] for word in last["data"]["result"]] == [2.25, 4.25]
    assert last["sentenced_data"]["full_text_only"] == ["алло да нет"]


def test_an_error_is_told() -> None:
    talk = Talk(Settings())
    talk.on_event(final("", 0.0, error="the engine died"))
    assert loaded(talk.answers())[0]["error"] == "the engine died"
    last = json.loads(talk.last(0.0, "the server stops"))
    assert (last["error"], last["silence"], last["data"]) == ("the server stops", True, "")


def test_the_settings_are_those_of_the_seed() -> None:
    said = {"sample_rate": 16000.0, "channelName": None, "do_punctuation": True, "other": 1}
    settings = Settings.model_validate(said)
    assert (settings.sample_rate, settings.channelName) == (16000, "Null")
    assert (Settings().sample_rate, Settings().wait_null_answers) == (8000, True)
