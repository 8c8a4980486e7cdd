import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.events import Progress
from ruasr_tel.progress.phrases import Match, OperatorPhrases, PhraseFinder

FINDER = PhraseFinder(OperatorPhrases(), 0.8)
LISTED = list(OperatorPhrases().listed())


def kinds(text: str) -> list[Progress]:
    return [match.kind for match in FINDER.find(text.split())]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("аппарат абонента выключен или находится вне зоны действия сети", Progress.SWITCHED_OFF),
        ("абонент не доступен перезвоните позже", Progress.UNAVAILABLE),
        ("абанент временно недоступен", Progress.UNAVAILABLE),
        ("набранный вами номер не обслуживается", Progress.WRONG_NUMBER),
        ("здравствуйте вы до звонились до голосовой почты", Progress.VOICEMAIL),
        ("пожалуйста оставьте сообщения после сигнал", Progress.VOICEMAIL),
        ("на данный момент все линии заняты", Progress.BUSY),
        ("все наши операторы заняты", Progress.QUEUE),
    ],
)
def test_messages_are_found_in_spite_of_errors(text: str, kind: Progress) -> None:
    assert kinds(text) == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "алло",
        "здравствуйте я звоню по поводу номера",
        "абонент доступен",
        "номер обслуживается",
        "абонент не занят",
        "нажмите один чтобы принять сообщение два чтобы его прослушать",
    ],
)
def test_other_words_are_no_messages(text: str) -> None:
    assert kinds(text) == []


def test_two_messages_in_one_text_are_found_in_order() -> None:
    text = "все линии заняты оставьте сообщение после сигнала"
    assert FINDER.find(text.split()) == [
        Match(Progress.BUSY, "все линии заняты", 1.0, 0, 3),
        Match(Progress.VOICEMAIL, "оставьте сообщение после сигнала", 1.0, 3, 7),
    ]


@settings(max_examples=60, deadline=None)
@given(
    listed=st.sampled_from(LISTED),
    before=st.lists(st.sampled_from(["алло", "да", "пожалуйста"]), max_size=5),
    after=st.lists(st.sampled_from(["алло", "да", "пожалуйста"]), max_size=5),
)
def test_a_listed_phrase_is_found_anywhere(
    listed: tuple[Progress, str], before: list[str], after: list[str]
) -> None:
    kind, phrase = listed
    found = {m.kind: m for m in FINDER.find([*before, *phrase.split(), *after])}
    assert found[kind].score == 1.0


def test_lists_of_ones_own_and_empty_ones() -> None:
    none = OperatorPhrases.model_validate(dict.fromkeys(OperatorPhrases.model_fields, ()))
    assert PhraseFinder(none, 0.8).find(["абонент", "недоступен"]) == []
    own = none.model_copy(update={"queue": ("Ёжик, в тумане!", "...")})
    assert PhraseFinder(own, 0.8).find(["ежик", "в", "тумане"]) == [
        Match(Progress.QUEUE, "Ёжик, в тумане!", 1.0, 0, 3)
    ]


def test_of_the_prompts_those_that_are_messages_are_told(request: pytest.FixtureRequest) -> None:
    table = (request.config.rootpath / "tests/data/transcripts.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in table.splitlines()]
    told = {row[0]: kinds(row[2]) for row in rows}
    assert {name: found for name, found in told.items() if found} == {
        "all-circuits-busy-now.wav": [Progress.BUSY],
        "pbx-invalid.wav": [Progress.WRONG_NUMBER],
        "queue-periodic-announce.wav": [Progress.QUEUE],
        "vm-intro.wav": [Progress.VOICEMAIL],
    }
    # as the embedded model writes it
    assert kinds("на оданный момент вселиние заняты") == [Progress.BUSY]
