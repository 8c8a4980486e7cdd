"""Events in the server's own log: what happened at INFO, what was said only at DEBUG."""

from collections.abc import Sequence

import structlog

from ruasr_tel.events import (
    CallEnded,
    CallProgress,
    CallStarted,
    Dtmf,
    Event,
    Final,
    Partial,
    SpeechStarted,
)
from ruasr_tel.section import Section

_log = structlog.get_logger("ruasr_tel.calls")


class LogSinkConfig(Section):
    """Events in the server's own log."""

    enabled: bool = True
    """Whether calls, their ends and their ledgers are logged."""


class LogSink:
    """Writes one log line per event; text and digits only at DEBUG, for they are private."""

    name = "log"

    def write(self, events: Sequence[Event]) -> None:
        """Log each event."""
        for event in events:
            _write(event)

    def close(self) -> None:
        """Nothing to give back."""


def _write(event: Event) -> None:
    log = _log.bind(call_id=event.call_id)
    match event:
        case CallStarted():
            log.info("call started", door=event.door, peer=event.peer, profile=event.profile)
        case SpeechStarted():
            log.debug("speech started", leg_id=event.leg_id, start_s=round(event.start_s, 3))
        case Partial():
            log.debug("partial", leg_id=event.leg_id, text=event.text)
        case Final():
            _final(log, event)
        case Dtmf():
            log.debug("dtmf", leg_id=event.leg_id, digit=event.digit, at_s=round(event.at_s, 3))
        case CallProgress():
            _progress(log, event)
        case CallEnded():
            _ended(log, event)


def _final(log: structlog.typing.FilteringBoundLogger, event: Final) -> None:
    log = log.bind(leg_id=event.leg_id, segment=event.segment)
    if event.error is not None:
        log.warning("a segment was not decoded", error=event.error)
    log.info(
        "final",
        start_s=round(event.start_s, 3),
        end_s=round(event.end_s, 3),
        reason=event.reason,
        words=len(event.text.split()),
    )
    log.debug("final text", text=event.text)


def _progress(log: structlog.typing.FilteringBoundLogger, event: CallProgress) -> None:
    log.info(
        "call progress",
        leg_id=event.leg_id,
        kind=event.kind.value,
        start_s=round(event.start_s, 3),
        end_s=round(event.end_s, 3),
    )
    log.debug("call progress detail", **event.detail)


def _ended(log: structlog.typing.FilteringBoundLogger, event: CallEnded) -> None:
    for leg_id, ledger in event.ledgers.items():
        log.info(
            "leg accounted for",
            leg_id=leg_id,
            received=ledger.received,
            decoded=ledger.decoded,
            silence=ledger.silence,
            dropped=ledger.dropped,
            concealed=ledger.concealed,
            difference=ledger.difference,
        )
    for leg_id, outcome in event.outcomes.items():
        log.info(
            "call progress summed up",
            leg_id=leg_id,
            answered_by=outcome.answered_by.value,
            before={kind.value: count for kind, count in outcome.before.items()},
            beep_s=outcome.beep_s,
        )
    log.info(
        "call ended",
        reason=event.reason,
        duration_s=round(event.duration_s, 3),
        finals=event.finals,
    )
