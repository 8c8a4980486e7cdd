"""What of a call goes back to Asterisk, and what happens when it does not take it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from ruasr_tel.events import (
    CallEnded,
    CallProgress,
    CallStarted,
    Dtmf,
    Event,
    Final,
    Partial,
    Progress,
    SpeechStarted,
)
from ruasr_tel.types import CallId, LegId
from ruasr_tel_adapters.ari.rest import Ari, AriAway, AriRefused
from ruasr_tel_adapters.ari.results import QUEUE, Results, party_of, user_event

AT = datetime(2026, 1, 1, tzinfo=UTC)
CALL, CALLER, CALLEE = CallId("1.1"), LegId("1.1/0"), LegId("1.1/1.2")


class FakeAri(Ari):
    """Writes down what is posted; raises what it is told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.posted: list[tuple[str, dict[str, Any]]] = []
        self.error = error
        self.hold = asyncio.Event()
        self.hold.set()

    async def request(self, method: str, *path: str, **body: object) -> Any:
        await self.hold.wait()
        self.posted.append(("/".join(path), body))
        if self.error is not None:
            raise self.error


def final(leg: LegId, text: str) -> Final:
    return Final(CALL, leg, AT, 0, text, (), 0.5, 1.0, "endpoint")


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (SpeechStarted(CALL, CALLER, AT, 0.5), ("speech", {"start_s": 0.5, "party": "caller"})),
        (
            Partial(CALL, CALLEE, AT, "да", 0.5, 1.0),
            ("partial", {"text": "да", "end_s": 1.0, "party": "callee"}),
        ),
        (
            final(CALLEE, "да"),
            ("final", {"text": "да", "start_s": 0.5, "end_s": 1.0, "party": "callee"}),
        ),
        (Dtmf(CALL, CALLER, AT, "5", 1.0), ("dtmf", {"digit": "5", "party": "caller"})),
        (
            CallProgress(CALL, CALLEE, AT, Progress.BEEP, 1.5, 1.75, {"hz": 1000}),
            ("progress", {"kind": "beep", "start_s": 1.5, "end_s": 1.75, "party": "callee"}),
        ),
        (CallEnded(CALL, AT, "hangup", 1.0, 3, {}), ("ended", {"reason": "hangup", "finals": 3})),
    ],
)
def test_user_events(event: Event, shown: tuple[str, dict[str, object]]) -> None:
    assert user_event(event) == (f"ruasr.{shown[0]}", shown[1])


def test_the_beginning_is_no_user_event() -> None:
    assert user_event(CallStarted(CALL, AT, "ari", "", "default")) is None
    assert [party_of(LegId(each)) for each in ("a/b/0", "1.1/1.2", "1.1/4")] == [0, 1, 0]


async def test_variables_hold_the_last_text_of_each_party_and_the_count() -> None:
    ari = FakeAri()
    results = Results(ari, "c", None, 1.0)
    for event in (
        final(CALLER, "раз"),
        final(CALLEE, "два"),
        final(CALLER, ""),
        final(CALLER, "три"),
    ):
        results.push(event)
    await results.close()
    assert [(body["variable"], body["value"]) for _, body in ari.posted] == [
        ("RUASR_TEXT", "раз"),
        ("RUASR_FINALS", "1"),
        ("RUASR_CALLEE_TEXT", "два"),
        ("RUASR_FINALS", "2"),
        ("RUASR_TEXT", "три"),
        ("RUASR_FINALS", "3"),
    ]
    assert {path for path, _ in ari.posted} == {"channels/c/variable"}


@pytest.mark.parametrize("error", [AriRefused(404, "gone"), AriAway("down")])
async def test_what_asterisk_does_not_take_hurts_nobody(error: Exception) -> None:
    ari = FakeAri(error)
    results = Results(ari, "c", "crm", 1.0)
    results.push(final(CALLER, "раз"))
    results.push(final(CALLER, "два"))
    await results.close()
    assert len(ari.posted) == 6


async def test_an_asterisk_that_hangs_is_not_waited_for_and_its_queue_is_bounded() -> None:
    ari = FakeAri()
    ari.hold.clear()
    results = Results(ari, "c", None, 0.05)
    with capture_logs() as logs:
        for _ in range(QUEUE + 2):
            results.push(final(CALLER, "раз"))
    await results.close()
    assert ari.posted == []
    assert [line["event"] for line in logs] == ["ari is slow: an event was left out"] * 2
