import itertools
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ruasr_tel.events import Word
from ruasr_tel.recordings.dialogue import make_dialogue
from ruasr_tel.recordings.model import Dialogue, Segment, Transcript, Turn
from ruasr_tel.recordings.render import (
    Form,
    from_json,
    render,
    to_json,
    without_crosstalk,
)
from tests.core.recordings.talk import PATIENT, leaked, said, transcript, transcripts, untimed

PROMPT = (
    "все наши операторы заняты пожалуйста оставайтесь на линии и ваш звонок будет обслужен первым "
    "доступным оператором"
)


def two_sides() -> Dialogue:
    return make_dialogue(
        transcript(
            said(0, 1.0, "назовите номер договора"),
            leaked(1, 1.1, "назовите номер договора"),
            said(1, 3.0, "сорок два"),
        )
    )


def one_side(*segments: Segment, duration_s: float = 60.0) -> Dialogue:
    return make_dialogue(transcript(*segments, duration_s=duration_s, channels=1))


def blocks(subtitles: str) -> list[list[str]]:
    return [block.splitlines() for block in subtitles.rstrip("\n").split("\n\n")]


def milliseconds(line: str) -> tuple[int, int]:
    """Start and end of a cue."""
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d)[,.](\d{3}) --> (\d+):(\d\d):(\d\d)[,.](\d{3})", line)
    assert found is not None, line
    h, m, s, ms, *end = map(int, found.groups())
    return ((h * 60 + m) * 60 + s) * 1000 + ms, ((end[0] * 60 + end[1]) * 60 + end[2]) * 1000 + end[
        3
    ]


def test_text_names_the_channels_where_there_are_several() -> None:
    assert render(two_sides(), Form.TEXT) == (
        "0: назовите номер договора\n1 (crosstalk): назовите номер договора\n1: сорок два\n"
    )
    assert render(one_side(said(0, 1.0, "восемь")), Form.TEXT) == "восемь\n"


@pytest.mark.parametrize("form", Form)
def test_crosstalk_is_left_out_when_asked(form: Form) -> None:
    shown = render(two_sides(), form, leave_out_crosstalk=True)
    assert shown == render(without_crosstalk(two_sides()), form)
    if form is Form.JSON:
        assert [turn["channel"] for turn in json.loads(shown)["turns"]] == [0, 1]
    else:
        assert shown.count("договора") == 1
        assert render(two_sides(), form).count("договора") == 2


def test_subrip() -> None:
    assert render(two_sides(), Form.SRT) == (
        "1\n00:00:01,000 --> 00:00:01,870\n0: назовите номер договора\n\n"
        "2\n00:00:01,100 --> 00:00:01,970\n1 (crosstalk): назовите номер договора\n\n"
        "3\n00:00:03,000 --> 00:00:03,833\n1: сорок два\n\n"
    )


def test_webvtt_has_voices() -> None:
    assert render(two_sides(), Form.VTT) == (
        "WEBVTT\n\n"
        "00:00:01.000 --> 00:00:01.870\n<v Speaker 0>назовите номер договора\n\n"
        "00:00:01.100 --> 00:00:01.970\n<v.crosstalk Speaker 1>назовите номер договора\n\n"
        "00:00:03.000 --> 00:00:03.833\n<v Speaker 1>сорок два\n\n"
    )


def test_webvtt_of_a_mix_names_nobody() -> None:
    assert render(one_side(said(0, 1.0, "восемь")), Form.VTT) == (
        "WEBVTT\n\n00:00:01.000 --> 00:00:01.833\nвосемь\n\n"
    )


def test_webvtt_escapes_what_it_would_read_as_markup() -> None:
    shown = render(one_side(untimed(0, 1.0, 2.0, "а&б <i> -->")), Form.VTT)
    assert shown.endswith("\nа&amp;б &lt;i&gt; --&gt;\n\n")


@pytest.mark.parametrize(
    ("form", "empty"), [(Form.TEXT, ""), (Form.SRT, ""), (Form.VTT, "WEBVTT\n\n")]
)
def test_silence(form: Form, empty: str) -> None:
    assert render(one_side(), form) == empty


def test_a_long_turn_is_cut_into_cues_at_its_pauses() -> None:
    words = []
    at_s = 1.0
    for text in PROMPT.split():
        words.append(Word(text, at_s, at_s + 0.35, None))
        at_s += 0.65 if text in ("заняты", "линии") else 0.4
    segment = Segment(0, 1.0, at_s, PROMPT, tuple(words))
    cues = blocks(render(one_side(segment), Form.SRT))
    assert [" ".join(lines) for _, _, *lines in cues] == [
        "все наши операторы заняты пожалуйста оставайтесь на линии",
        "и ваш звонок будет обслужен первым доступным оператором",
    ]
    assert [len(lines) for _, _, *lines in cues] == [2, 2]


def test_no_word_is_shown_long_before_it_is_said() -> None:
    words = (Word("раз", 1.0, 1.4, None), Word("два", 2.9, 3.2, None))
    calm = replace(one_side(), turns=(Turn(0, 1.0, 3.2, "раз два", words),))
    shown = blocks(render(calm, Form.SRT))
    assert [cue[1:] for cue in shown] == [
        ["00:00:01,000 --> 00:00:01,833", "раз"],
        ["00:00:02,900 --> 00:00:03,733", "два"],
    ]


def test_a_short_cue_is_held_until_the_next_one_or_the_end() -> None:
    dialogue = make_dialogue(
        transcript(said(0, 1.0, "да"), said(1, 1.5, "нет"), said(0, 2.5, "да"), duration_s=3.0)
    )
    times = [milliseconds(cue[1]) for cue in blocks(render(dialogue, Form.SRT))]
    assert times == [(1000, 1500), (1500, 2333), (2500, 3000)]


def test_hours_are_counted() -> None:
    shown = render(one_side(untimed(0, 3 * 3600 + 61.5, 3 * 3600 + 63, "да")), Form.SRT)
    assert milliseconds(shown.splitlines()[1]) == (10_861_500, 10_863_000)
    assert shown.startswith("1\n03:01:01,500 --> 03:01:03,000\n")


def test_a_segment_without_word_times_is_spread_over_its_cues() -> None:
    cues = blocks(render(one_side(untimed(0, 0.0, 14.0, PROMPT)), Form.SRT))
    assert " ".join(" ".join(lines) for _, _, *lines in cues) == PROMPT
    starts = [milliseconds(cue[1])[0] for cue in cues]
    ends = [milliseconds(cue[1])[1] for cue in cues]
    assert (starts[0], ends[-1]) == (0, 14_000)
    assert starts[1:] == ends[:-1]
    assert len(cues) > 1


def test_a_word_without_length_is_shown_for_a_moment() -> None:
    segment = Segment(0, 1.0, 1.0, "а", (Word("а", 1.0, 1.0, None),))
    shown = blocks(render(one_side(segment, duration_s=1.0), Form.SRT))
    assert shown[0][1] == "00:00:01,000 --> 00:00:01,001"


def test_a_turn_without_text_has_no_cue() -> None:
    """Ours have text; a dialogue read from JSON may be anybody's."""
    silent = replace(two_sides(), turns=(Turn(0, 1.0, 2.0, ""),))
    assert render(silent, Form.SRT) == ""


def test_a_word_longer_than_a_line_stays_whole() -> None:
    long = "а" * 60
    assert blocks(render(one_side(said(0, 1.0, f"{long} да")), Form.SRT))[0][2:] == [long, "да"]


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        (Form.TEXT, "text/plain"),
        (Form.JSON, "application/json"),
        (Form.SRT, "application/x-subrip"),
        (Form.VTT, "text/vtt"),
    ],
)
def test_media_types(form: Form, media_type: str) -> None:
    assert form.media_type == media_type


def test_json_has_the_names_of_the_fields() -> None:
    shown = json.loads(render(one_side(said(0, 1.0, "да", confidence=0.5)), Form.JSON))
    word = {"text": "да", "start_s": 1.0, "end_s": 1.27, "confidence": 0.5}
    assert shown["turns"] == [
        {
            "channel": 0,
            "start_s": 1.0,
            "end_s": 1.27,
            "text": "да",
            "words": [word],
            "overlaps": False,
            "interrupts": False,
            "crosstalk": False,
        }
    ]
    assert shown["transcript"]["segments"][0]["words"] == [word]
    assert shown.keys() == {"duration_s", "turns", "sides", "transcript"}


@pytest.mark.parametrize("bad", [{}, {"duration_s": "long"}])
def test_what_is_no_dialogue_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        from_json(dict(bad))


@PATIENT
@given(transcripts(channels=3))
def test_json_gives_back_the_same_dialogue(found: Transcript) -> None:
    dialogue = make_dialogue(found)
    assert from_json(to_json(dialogue)) == dialogue
    assert from_json(json.loads(render(dialogue, Form.JSON))) == dialogue


TURNS = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 40), st.lists(st.sampled_from(PROMPT.split()), min_size=1)
    ),
    min_size=1,
    max_size=6,
)


@PATIENT
@given(TURNS, st.sampled_from([Form.SRT, Form.VTT]))
def test_cues_keep_the_rules_and_every_word(
    found: list[tuple[int, int, list[str]]], form: Form
) -> None:
    segments = [said(c, float(at), " ".join(words)) for c, at, words in found]
    dialogue = make_dialogue(transcript(*segments, duration_s=100.0))
    cues = blocks(render(dialogue, form))
    cues = [cue[1:] for cue in cues] if form is Form.SRT else cues[1:]
    times = [milliseconds(cue[0]) for cue in cues]
    assert times == sorted(times, key=lambda pair: pair[0])
    shown: list[str] = []
    for (start, end), (_, *lines) in zip(times, cues, strict=True):
        assert 0 < end - start <= 7000
        plain = [re.sub(r"<v[^>]*>|^\d( \(crosstalk\))?: ", "", line) for line in lines]
        assert 1 <= len(plain) <= 2
        assert all(len(line) <= 42 for line in plain)
        shown += " ".join(plain).split()
    assert sorted(shown) == sorted(itertools.chain.from_iterable(w for _, _, w in found))
