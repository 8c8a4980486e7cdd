import asyncio

import pytest
from pydantic import ValidationError

from ruasr_tel.ending import EndConfig
from ruasr_tel.events import CallEnded, Final
from ruasr_tel.profile import Profile
from ruasr_tel.testing import TIMEOUT_S, Recorder, phrase, running_calls
from ruasr_tel.types import CallId


@pytest.mark.parametrize(
    ("config", "text", "reason"),
    [
        (EndConfig(), "до свидания", None),
        (EndConfig(after_final=True), "", None),
        (EndConfig(after_final=True), "да", "first final"),
        (EndConfig(phrases=("до свидания",)), "ну всё До  свидания", "phrase 'до свидания'"),
        (EndConfig(phrases=("да",)), "дай да́ру", None),
        (EndConfig(phrases=("да", "всё")), "это все", "phrase 'всё'"),
        (EndConfig(phrases=("да",)), "", None),
        (EndConfig(phrases=("до свидания",)), "Всё, до свидания.", "phrase 'до свидания'"),
        (EndConfig(phrases=("Оператор!",)), "Оператор, пожалуйста.", "phrase 'Оператор!'"),
        (EndConfig(phrases=("?",)), "да?", None),
    ],
)
def test_which_finals_end_a_call(config: EndConfig, text: str, reason: str | None) -> None:
    assert config.on_final(text) == reason


def test_when_time_ends_a_call() -> None:
    assert EndConfig().on_time(1e9) is None
    assert EndConfig(after_s=5).on_time(4.9) is None
    assert EndConfig(after_s=5).on_time(5) == "after 5 s"
    with pytest.raises(ValidationError, match="after_s"):
        EndConfig(after_s=0)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (EndConfig(after_final=True), "first final"),
        (EndConfig(phrases=("слово",)), "phrase 'слово'"),
        (EndConfig(after_s=0.05), "after 0.05 s"),
    ],
)
async def test_a_call_is_handed_back_once(config: EndConfig, reason: str) -> None:
    reasons: list[str] = []
    handed = asyncio.Event()

    def hand_back(why: str) -> None:
        reasons.append(why)
        handed.set()

    events = Recorder()
    async with running_calls(profiles={"default": Profile(end=config)}, publish=events) as calls:
        call = calls.open(door="test", call_id=CallId("a"), peer="", hand_back=hand_back)
        other = calls.open(door="test", call_id=CallId("b"), peer="")  # a door that cannot
        for each in (call, other):
            each.open_leg(8000).push(phrase((1.0, 1.0), (1.0, 1.0)))
        async with asyncio.timeout(TIMEOUT_S):
            await handed.wait()
        await events.until(Final, 4)
        assert reasons == [reason]
        await asyncio.gather(call.end(reason), other.end("eof"))
    assert [ended.reason for ended in events.of(CallEnded)] == [reason, "eof"]
