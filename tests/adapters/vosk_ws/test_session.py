"""Which reply a message gets."""

import json
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.events import Alternative, Final, Partial, SpeechStarted, Word
from ruasr_tel.types import CallId, LegId
from ruasr_tel_adapters.vosk_ws.options import Options
from ruasr_tel_adapters.vosk_ws.session import Session
from ruasr_tel_adapters.vosk_ws.wire import format_final

AT = datetime(2026, 1, 1, tzinfo=UTC)
CALL, LEG = CallId("c"), LegId("c/0")
EMPTY = '{\n  "partial" : ""\n}'
NUMBERS = count()


def final(
    text: str, start_s: float = 0.0, *, reason: str = "endpoint", timed: bool = True
) -> Final:
    spoken = text.split()
    words = tuple(
        Word(word, start_s + 0.5 * n, start_s + 0.5 * n + 0.4, None)
        for n, word in enumerate(spoken)
    )
    end_s = start_s + 0.5 * max(len(spoken), 1)
    return Final(CALL, LEG, AT, next(NUMBERS), text, words if timed else (), start_s, end_s, reason)


def partial(text: str, start_s: float = 0.0) -> Partial:
    return Partial(CALL, LEG, AT, text, start_s, start_s + 1.0)


def session(**options: object) -> Session:
    return Session(Options(**{"words": False} | options))  # type: ignore[arg-type]


def texts(session: Session, replies: int) -> list[str]:
    """Answer that many audio messages; `~` marks a partial."""
    said = []
    for _ in range(replies):
        reply = json.loads(session.answer_audio(0.0))
        said.append("~" + reply["partial"] if "partial" in reply else reply["text"])
    return said


def test_without_anything_to_say_the_reply_is_an_empty_partial() -> None:
    assert session().answer_audio(0.2) == EMPTY


def test_the_current_partial_is_said_until_its_final() -> None:
    talk = session()
    talk.on_event(partial("один"))
    assert texts(talk, 2) == ["~один", "~один"]
    talk.on_event(partial("один два"))
    assert texts(talk, 1) == ["~один два"]
    talk.on_event(final("один два"))
    assert texts(talk, 4) == ["один два", "~", "~", "~"]


def test_finals_ride_one_per_reply_in_order_each_once() -> None:
    talk = session(empty_partials_after_final=0)
    for text in "абвг":
        talk.on_event(final(text))
    assert talk.waiting == 4
    assert texts(talk, 5) == ["а", "б", "в", "г", "~"]
    assert talk.waiting == 0


def test_after_a_final_comes_silence_so_that_nothing_overwrites_it() -> None:
    talk = session()
    talk.on_event(final("один"))
    talk.on_event(partial("два", start_s=0.6))
    assert texts(talk, 4) == ["один", "~", "~", "~два"]


@pytest.mark.parametrize("replies", [0, 1, 5])
def test_how_long_that_silence_is_can_be_set(replies: int) -> None:
    talk = session(empty_partials_after_final=replies)
    talk.on_event(final("один"))
    talk.on_event(partial("два", start_s=0.6))
    assert texts(talk, replies + 2) == ["один", *["~"] * replies, "~два"]


def test_a_single_final_waits_out_the_silence_and_a_crowd_does_not() -> None:
    talk = session()
    for text in "абв":
        talk.on_event(final(text))
    assert texts(talk, 5) == ["а", "б", "~", "~", "в"]


def test_a_late_final_does_not_wipe_the_partial_of_the_next_segment() -> None:
    talk = session(empty_partials_after_final=0)
    talk.on_event(partial("четыре", start_s=1.9))  # overlaps the end of the segment before it
    talk.on_event(final("раз два три четыре", start_s=0.0))
    assert texts(talk, 2) == ["раз два три четыре", "~четыре"]


def test_an_empty_final_only_ends_what_the_client_saw_begin() -> None:
    talk = session(empty_partials_after_final=0)
    talk.on_event(final(""))
    assert texts(talk, 1) == ["~"]
    talk.on_event(partial("и"))
    assert texts(talk, 1) == ["~и"]
    talk.on_event(final(""))
    talk.on_event(final(""))
    assert texts(talk, 2) == ["", "~"]


def test_a_client_that_wants_none_gets_no_empty_final() -> None:
    talk = session(empty_finals=False, repeat_partials=False, empty_partials_after_final=0)
    talk.on_event(partial("и"))
    assert texts(talk, 1) == ["~и"]
    talk.on_event(final(""))
    assert texts(talk, 2) == ["~", "~"]
    talk.on_event(partial("и", start_s=2.0))  # a new one, though it reads the same
    assert texts(talk, 2) == ["~и", "~"]


def test_an_unchanged_partial_can_be_answered_with_nothing() -> None:
    talk = session(repeat_partials=False)
    talk.on_event(partial("да"))
    assert texts(talk, 3) == ["~да", "~", "~"]
    talk.on_event(partial("да нет"))
    assert texts(talk, 2) == ["~да нет", "~"]
    talk.on_event(final("да нет"))
    talk.on_event(partial("да нет", start_s=2.0))
    assert texts(talk, 5) == ["да нет", "~", "~", "~да нет", "~"]


def test_eof_says_everything_not_said_yet_in_one_final() -> None:
    talk = Session(Options())
    talk.on_event(final("раз", 0.0))
    talk.on_event(final("", 1.0))
    talk.on_event(final("два три", 2.0))
    reply = json.loads(talk.answer_flush())
    assert reply["text"] == "раз два три"
    assert [word["start"] for word in reply["result"]] == [0.0, 2.0, 2.5]
    assert talk.waiting == 0


def test_eof_takes_the_partial_with_it() -> None:
    talk = session(empty_partials_after_final=1)
    talk.on_event(partial("раз"))
    talk.on_event(final("раз"))
    talk.answer_flush()
    assert texts(talk, 2) == ["~", "~"]


def test_without_audio_eof_is_answered_with_vosk_s_shortest_final() -> None:
    assert session().answer_flush() == '{"text": ""}'
    assert (
        session(max_alternatives=1).answer_flush()
        == '{"alternatives" : [{"text": "", "confidence" : 1.0}] }'
    )


def test_after_audio_an_empty_final_is_a_printed_one() -> None:
    talk = session()
    talk.answer_audio(0.2)
    assert talk.answer_flush() == '{\n  "text" : ""\n}'
    assert talk.answer_flush() == '{"text": ""}'


def test_alternatives_are_one_with_the_mean_confidence() -> None:
    talk = session(max_alternatives=5)
    for text, confidence in (("раз", 0.5), ("два", None), ("три", 1.0)):
        said = final(text)
        talk.on_event(Final(CALL, LEG, AT, 0, text, said.words, 0.0, 0.5, "endpoint", confidence))
    assert json.loads(talk.answer_flush()) == {
        "alternatives": [{"confidence": 0.75, "text": "раз два три"}]
    }


def size(reply: str) -> int:
    return len(reply.encode())


SIX_LETTERS = "шестьб"


def test_sixty_words_become_two_replies_in_order() -> None:
    talk = Session(Options(empty_partials_after_final=0))
    talk.on_event(final(" ".join(f"{SIX_LETTERS[:4]}{n:02}" for n in range(60))))
    replies = [talk.answer_audio(0.0), talk.answer_audio(0.0)]
    assert talk.waiting == 0
    assert all(size(reply) < 4096 for reply in replies)
    finals = [json.loads(reply) for reply in replies]
    words = [word["word"] for reply in finals for word in reply["result"]]
    assert words == [f"{SIX_LETTERS[:4]}{n:02}" for n in range(60)]
    assert " ".join(reply["text"] for reply in finals).split() == words


def test_an_eof_over_the_limit_gives_up_line_breaks_then_words_never_text() -> None:
    for words, shape in ((20, "pretty"), (40, "compact"), (90, "text"), (2000, "text")):
        talk = Session(Options())
        for at in range(0, words, 10):
            talk.on_event(final(" ".join([SIX_LETTERS] * 10), at))
        reply = talk.answer_flush()
        said = json.loads(reply)
        assert said["text"] == " ".join([SIX_LETTERS] * words)
        assert ("result" in said) == (shape != "text")
        assert ("\n" in reply) == (shape != "compact")
        assert size(reply) < 4096 or words == 2000


WORD = st.text(alphabet="абвгдеёжз-", min_size=1, max_size=20)


@given(
    utterances=st.lists(st.lists(WORD, min_size=1, max_size=30).map(" ".join), max_size=8),
    limit=st.integers(256, 5000),
    words=st.booleans(),
    alternatives=st.booleans(),
    timed=st.booleans(),
    quiet=st.integers(0, 3),
    data=st.data(),
)
def test_every_word_arrives_once_in_order_in_replies_that_fit(
    utterances: list[str],
    limit: int,
    words: bool,
    alternatives: bool,
    timed: bool,
    quiet: int,
    data: st.DataObject,
) -> None:
    talk = Session(
        Options(
            words=words,
            max_alternatives=int(alternatives),
            max_reply_bytes=limit,
            empty_partials_after_final=quiet,
        )
    )
    heard: list[str] = []

    def hear(reply: str) -> None:
        said = json.loads(reply)
        if alternatives and "alternatives" in said:
            said = said["alternatives"][0]
        heard.extend(said.get("text", "").split())
        if "result" in said:
            assert " ".join(word["word"] for word in said["result"]) == said["text"]

    for text in utterances:
        talk.on_event(final(text, timed=timed))
        for _ in range(data.draw(st.integers(0, 3))):
            reply = talk.answer_audio(0.0)
            assert size(reply) <= limit
            hear(reply)
    left = talk.waiting
    hear(talk.answer_flush())
    assert heard == " ".join(utterances).split()
    assert talk.waiting == 0
    assert left <= sum(len(text.split()) for text in utterances)


def test_one_endless_word_is_sent_all_the_same() -> None:
    endless = "а" * 400
    talk = Session(Options(max_reply_bytes=256))
    talk.on_event(final(f"да {endless}"))
    assert json.loads(talk.answer_audio(0.0))["text"] == "да"
    assert json.loads(talk.answer_flush()) == {"text": endless}
    talk.on_event(final(endless))
    talk.options = Options(max_reply_bytes=256, empty_partials_after_final=0)
    for _ in range(2):
        talk.answer_audio(0.0)
    assert json.loads(talk.answer_audio(0.0)) == {"text": endless}


def test_a_partial_that_does_not_fit_keeps_its_end() -> None:
    talk = session(max_reply_bytes=256)
    text = " ".join(["слово"] * 40) + " конец"
    talk.on_event(partial(text))
    reply = talk.answer_audio(0.0)
    assert size(reply) <= 256
    assert text.endswith(json.loads(reply)["partial"])
    assert json.loads(reply)["partial"].endswith("слово конец")


def test_settings_may_change_on_the_way() -> None:
    talk = session(empty_partials_after_final=0)
    talk.on_event(final("раз"))
    talk.on_event(final("два", 1.0))
    assert "result" not in json.loads(talk.answer_audio(0.0))
    talk.options = Options()
    assert json.loads(talk.answer_audio(0.0))["result"][0]["start"] == 1.0


def silences(talk: Session, seconds: range) -> list[int]:
    """Return the seconds at which an empty final was said."""
    return [second for second in seconds if "text" in json.loads(talk.answer_audio(second))]


def test_silence_gives_no_final_unless_asked_for() -> None:
    assert silences(session(), range(60)) == []


def test_an_empty_final_after_each_n_seconds_of_silence() -> None:
    assert silences(session(empty_final_after_s=5.0), range(21)) == [5, 10, 15, 20]


def test_speech_is_no_silence_until_its_endpoint() -> None:
    talk = session(empty_final_after_s=5.0, empty_partials_after_final=0)
    talk.on_event(SpeechStarted(CALL, LEG, AT, 0.5))
    assert silences(talk, range(20)) == []
    talk.on_event(final(" ".join(["раз"] * 30), 0.3, reason="length"))  # ends at 15.3
    assert texts(talk, 1) == [" ".join(["раз"] * 30)]
    assert silences(talk, range(20, 30)) == []
    talk.on_event(final(" ".join(["раз"] * 20), 15.3))  # ends at 25.3
    assert texts(talk, 1) == [" ".join(["раз"] * 20)]
    assert silences(talk, range(26, 40)) == [31, 36]


def test_speech_that_a_reset_cuts_goes_on_at_its_end() -> None:
    talk = session(empty_final_after_s=5.0, empty_partials_after_final=0)
    talk.on_event(SpeechStarted(CALL, LEG, AT, 0.5))
    talk.on_event(final("раз два", 0.5, reason="flush"))  # ends at 1.5
    talk.answer_flush()
    talk.on_event(SpeechStarted(CALL, LEG, AT, 1.5))
    assert silences(talk, range(2, 20)) == []


def reading(text: str, score: float) -> Alternative:
    words = tuple(Word(word, n / 2, n / 2 + 0.4, None) for n, word in enumerate(text.split()))
    return Alternative(text, words, None, score)


def with_others(text: str, start_s: float, *others: Alternative) -> Final:
    return replace(final(text, start_s), score=0.0, alternatives=others)


def test_what_eof_merges_differs_in_one_place_per_reading() -> None:
    talk = session(max_alternatives=3)
    talk.on_event(with_others("код", 0.0, reading("кот", -1.0), reading("ход", -5.0)))
    talk.on_event(with_others("дом", 1.0, reading("том", -2.0)))
    readings = json.loads(talk.answer_flush())["alternatives"]
    assert [one["text"] for one in readings] == ["код дом", "кот дом", "код том"]
    assert sum(one["confidence"] for one in readings) == pytest.approx(1.0, abs=1e-5)


def test_the_worst_readings_go_first_when_a_reply_is_too_long() -> None:
    many = [reading(f"слово {n}", -float(n)) for n in range(1, 20)]
    talk = session(max_alternatives=20, max_reply_bytes=256)
    talk.on_event(with_others("слово", 0.0, *many))
    reply = talk.answer_audio(0.0)
    assert len(reply.encode()) <= 256
    texts_shown = [one["text"] for one in json.loads(reply)["alternatives"]]
    assert texts_shown == ["слово", "слово 1", "слово 2"][: len(texts_shown)]
    assert len(texts_shown) > 1


def test_without_max_alternatives_nothing_of_them_shows() -> None:
    talk = session()
    talk.on_event(with_others("код", 0.0, reading("кот", -1.0)))
    assert json.loads(talk.answer_audio(0.0)) == {"text": "код"}


def test_many_readings_of_many_finals_cost_no_more_than_one_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Work in the event loop is every call's delay: neither joined nor printed in vain."""
    printed: list[int] = []

    def counted(*args: Any) -> str:
        reply = format_final(*args)
        printed.append(size(reply))
        return reply

    monkeypatch.setattr("ruasr_tel_adapters.vosk_ws.session.format_final", counted)
    talk = session(max_alternatives=20)
    for at in range(50):
        text = " ".join(["слово"] * 10)
        others = [reading(f"{text} {n}", -float(n)) for n in range(1, 20)]
        talk.on_event(with_others(text, 4.0 * at, *others))
    tracemalloc.start()
    reply = talk.answer_flush()
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert json.loads(reply) == {
        "alternatives": [{"confidence": 1.0, "text": " ".join(["слово"] * 500)}]
    }
    assert printed == [size(reply)]
    assert peak_bytes < 20 * size(reply)
