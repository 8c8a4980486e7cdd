from dataclasses import replace

from ruasr_tel.recordings.dialogue import make_dialogue
from ruasr_tel.recordings.model import Dialogue
from ruasr_tel.recordings.seed import seed_failure, seed_response
from tests.core.recordings.talk import leaked, said, transcript, untimed


def dialogue() -> Dialogue:
    return make_dialogue(
        transcript(
            said(0, 1.0, "назовите номер договора", confidence=0.9),
            leaked(1, 1.1, "назовите номер договора"),
            said(1, 3.0, "сорок два"),
            untimed(0, 5.0, 6.0, "спасибо"),
        )
    )


def test_the_seed_s_keys_with_true_ends_and_real_confidence() -> None:
    one, two, three = (
        {"conf": 0.9, "start": start, "end": end, "word": word}
        for word, start, end in (
            ("назовите", 1.0, 1.27),
            ("номер", 1.3, 1.57),
            ("договора", 1.6, 1.87),
        )
    )
    assert seed_response(dialogue(), do_dialogue=True) == {
        "success": True,
        "error_description": "",
        "raw_data": {
            "channel_1": [
                {"data": {"result": [one, two, three], "text": "назовите номер договора"}},
                {
                    "data": {
                        "result": [{"conf": 1.0, "start": 5.0, "end": 6.0, "word": "спасибо"}],
                        "text": "спасибо",
                    }
                },
            ],
            "channel_2": [
                {
                    "data": {
                        "result": [
                            {"conf": 1.0, "start": 3.0, "end": 3.27, "word": "сорок"},
                            {"conf": 1.0, "start": 3.3, "end": 3.57, "word": "два"},
                        ],
                        "text": "сорок два",
                    }
                }
            ],
        },
        "sentenced_data": {
            "raw_text_sentenced_recognition": (
                "channel_1: назовите номер договора\nchannel_2: сорок два\nchannel_1: спасибо\n"
            ),
            "list_of_sentenced_recognitions": [
                {
                    "start": 1.0,
                    "end": 1.87,
                    "text": "назовите номер договора",
                    "speaker": "channel_1",
                },
                {"start": 3.0, "end": 3.57, "text": "сорок два", "speaker": "channel_2"},
                {"start": 5.0, "end": 6.0, "text": "спасибо", "speaker": "channel_1"},
            ],
            "full_text_only": ["назовите номер договора спасибо", "сорок два"],
            "err_state": None,
        },
        "diarized_data": {},
    }


def test_without_echo_clearing_every_word_is_there() -> None:
    response = seed_response(dialogue(), do_dialogue=True, do_echo_clearing=False)
    assert isinstance(raw := response["raw_data"], dict)
    assert isinstance(second := raw["channel_2"], list)
    assert len(second) == 2
    assert isinstance(sentenced := response["sentenced_data"], dict)
    assert sentenced["full_text_only"] == [
        "назовите номер договора спасибо",
        "назовите номер договора сорок два",
    ]


def test_an_echo_and_a_reply_in_one_segment_are_parted() -> None:
    both = said(1, 1.1, "назовите номер договора сорок два", level_db=-30.0, other_db=-26.0)
    question = said(0, 1.0, "назовите номер договора", other_db=-50.0)
    response = seed_response(make_dialogue(transcript(question, both)))
    assert isinstance(raw := response["raw_data"], dict)
    assert isinstance(second := raw["channel_2"], list)
    assert [item["data"]["text"] for item in second] == ["сорок два"]  # type: ignore[index,call-overload]


def test_an_echo_without_word_times_is_left_out_whole() -> None:
    question = untimed(0, 1.0, 2.0, "назовите номер договора")
    echo = replace(question, channel=1, start_s=1.1, end_s=2.1, level_db=-50.0, other_db=-25.0)
    response = seed_response(make_dialogue(transcript(question, echo)))
    assert isinstance(raw := response["raw_data"], dict)
    assert isinstance(first := raw["channel_1"], list)
    assert (len(first), raw["channel_2"]) == (1, [])


def test_parts_are_left_out_as_asked() -> None:
    assert seed_response(dialogue())["sentenced_data"] == {}
    assert seed_response(dialogue(), keep_raw=False)["raw_data"] != {}
    assert seed_response(dialogue(), keep_raw=False, do_dialogue=True)["raw_data"] == {}


def test_silence_has_its_channels() -> None:
    response = seed_response(make_dialogue(transcript(channels=1)), do_dialogue=True)
    assert response["raw_data"] == {"channel_1": []}


def test_a_failure_says_why() -> None:
    failure = seed_failure("HTTP 404")
    assert (failure["success"], failure["error_description"]) == (False, "HTTP 404")
    assert failure.keys() == seed_response(dialogue()).keys()
