"""Live calls in the database: their events go in, calls and what was said come out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from ruasr_tel.events import (
    CallEnded,
    CallProgress,
    CallStarted,
    DialOutcome,
    Dtmf,
    Event,
    Final,
    Ledger,
    Progress,
    Word,
)
from ruasr_tel.store.database import Database, cut, now_utc, paged
from ruasr_tel.store.sqlite_file import BUSY_S
from ruasr_tel.store.tables import Call, HeardProgress, Leg, PressedKey, Segment, fold
from ruasr_tel.store.values import CallHistory, CallRow, LegRow, Page
from ruasr_tel.types import CallId, LegId

_OUTCOME = TypeAdapter(DialOutcome)

KNOWN_CALLS = 10_000
"""Calls whose rows are remembered from batch to batch; looking them up was two thirds of a final's
statements."""
LOST = "killed"
"""Reason of the end of a call whose server was killed."""


class CallsStore(Database):
    """History of live calls."""

    def __init__(
        self, url: str, *, now: Callable[[], datetime] = now_utc, busy_s: float = BUSY_S
    ) -> None:
        super().__init__(url, now=now, busy_s=busy_s)
        self._keys = _Keys()

    async def add_events(self, events: Sequence[Event]) -> None:
        """Keep what must be kept of these events, all of them or none; twice is like once.

        What may still change (partials, speech starts) is left out. Events of one call come in
        order; those of a call whose start is not known are kept nevertheless.

        Raises:
            SQLAlchemyError: the database does not take them.
            ValueError: a value has no place in JSON.
        """
        known, self._keys = self._keys, _Keys()  # none of them if this fails
        async with self._writing() as session:
            batch = _Batch(self, session, known)
            for event in events:
                await batch.add(event)
        self._keys = known.less(events)

    async def calls(
        self,
        *,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
        text: str | None = None,
    ) -> Page[CallRow]:
        """Return a page of calls, the newest first.

        Args:
            since: leave out calls that came before.
            limit: items of the page, 1 to MAX_PAGE.
            cursor: `next_cursor` of the page before.
            text: only calls in which this was said, or that it describes (id, peer, details);
                case and ё do not matter.

        Raises:
            BadCursor: no page gave that cursor.
            ValueError: the limit is out of bounds.
        """
        statement = select(Call)
        if since is not None:
            statement = statement.where(Call.started_at >= since)
        if text:
            statement = statement.where(_mentions(text))
        async with self._reading() as session:
            rows = (await session.scalars(paged(statement, Call.pk, limit, cursor))).all()
            kept, next_cursor = cut(rows, limit)
            return Page(tuple(map(_call_row, kept)), next_cursor)

    async def call(self, call_id: str) -> CallHistory | None:
        """Return everything about the last call of that id, or None."""
        statement = _last(call_id).options(
            selectinload(Call.legs).selectinload(Leg.segments),
            selectinload(Call.legs).selectinload(Leg.keys),
            selectinload(Call.legs).selectinload(Leg.progress),
        )
        async with self._reading() as session:
            call = await session.scalar(statement)
            return None if call is None else _history(call)

    async def end_lost(self) -> list[CallRow]:
        """End the calls that have no end: their server was killed. Return them.

        Only a database that one server has to itself tells lost calls from running ones, so with
        PostgreSQL nothing is done. A call ends when its last words did, as far as is known.
        """
        if not self.is_file:
            return []
        lost = select(Call).where(Call.ended_at.is_(None)).order_by(Call.pk)
        with_finals = selectinload(Call.legs).selectinload(Leg.segments)
        rows: list[CallRow] = []
        async with self._writing() as session:
            for call in (await session.scalars(lost.options(with_finals))).all():
                finals = [segment for leg in call.legs for segment in leg.segments]
                call.ended_at = max([call.started_at, *(final.at for final in finals)])
                call.reason = LOST
                call.duration_s = max((final.end_s for final in finals), default=0.0)
                call.finals = len(finals)
                rows.append(_call_row(call))
        return rows

    async def _add_leg(self, session: AsyncSession, call_pk: int, leg_id: LegId) -> int:
        await self._add(session, Leg, {"call_pk": call_pk, "leg_id": leg_id})
        found = select(Leg.pk).where(Leg.call_pk == call_pk, Leg.leg_id == leg_id)
        return (await session.scalars(found)).one()

    async def _add_call(self, session: AsyncSession, started: CallStarted) -> int:
        described = [started.call_id, started.peer, *map(str, started.details.values())]
        row = {
            "call_id": started.call_id,
            "door": started.door,
            "peer": started.peer,
            "profile": started.profile,
            "details": started.details,
            "started_at": started.at,
            "folded": fold(" ".join(described)),
        }
        await self._add(session, Call, row)
        return (await session.scalars(_last(started.call_id))).one().pk


class _Keys:
    """Keys of the rows that running calls and their legs have."""

    def __init__(self) -> None:
        self.calls: dict[CallId, int] = {}
        self.legs: dict[tuple[int, LegId], int] = {}

    def less(self, events: Sequence[Event]) -> "_Keys":
        """Forget the calls that ended; all where too many ends were lost. Return the rest."""
        ended = {event.call_id for event in events if isinstance(event, CallEnded)}
        gone = {self.calls.pop(call_id, None) for call_id in ended}
        if gone:
            self.legs = {key: pk for key, pk in self.legs.items() if key[0] not in gone}
        return self if len(self.calls) <= KNOWN_CALLS else _Keys()


class _Batch:
    """Events of one transaction; remembers which rows they belong to."""

    def __init__(self, store: CallsStore, session: AsyncSession, known: _Keys) -> None:
        self._store = store
        self._session = session
        self._calls = known.calls
        self._legs = known.legs

    async def add(self, event: Event) -> None:
        match event:
            case CallStarted():
                self._calls[event.call_id] = await self._store._add_call(self._session, event)
            case Final():
                await self._add(Segment, event.leg_id, event, _segment(event))
            case Dtmf():
                pressed = {"at": event.at, "digit": event.digit, "at_s": event.at_s}
                await self._add(PressedKey, event.leg_id, event, pressed)
            case CallProgress():
                await self._add(HeardProgress, event.leg_id, event, _progress(event))
            case CallEnded():
                await self._end(event)

    async def _add(
        self,
        table: type[Segment] | type[PressedKey] | type[HeardProgress],
        leg_id: LegId,
        event: Final | Dtmf | CallProgress,
        row: dict[str, object],
    ) -> None:
        leg_pk = await self._leg(await self._call(event), leg_id)
        await self._store._add(self._session, table, {"leg_pk": leg_pk, **row})

    async def _end(self, event: CallEnded) -> None:
        call_pk = await self._call(event)
        await self._session.execute(
            update(Call)
            .where(Call.pk == call_pk)
            .values(
                ended_at=event.at,
                reason=event.reason,
                duration_s=event.duration_s,
                finals=event.finals,
            )
        )
        for leg_id, ledger in event.ledgers.items():
            leg_pk = await self._leg(call_pk, leg_id)
            outcome = event.outcomes.get(leg_id)
            values = {
                "ledger": asdict(ledger),
                "outcome": None if outcome is None else asdict(outcome),
            }
            await self._session.execute(update(Leg).where(Leg.pk == leg_pk).values(values))

    async def _call(self, event: Final | Dtmf | CallProgress | CallEnded) -> int:
        """Return the call's row; where its start was lost, the first thing known of it begins it.

        A start is lost when the sink's queue was full (sinks.queue).
        """
        if event.call_id not in self._calls:
            call = await self._session.scalar(_last(event.call_id))
            unknown = CallStarted(event.call_id, event.at, "", "", "default")
            self._calls[event.call_id] = (
                await self._store._add_call(self._session, unknown) if call is None else call.pk
            )
        return self._calls[event.call_id]

    async def _leg(self, call_pk: int, leg_id: LegId) -> int:
        key = call_pk, leg_id
        if key not in self._legs:
            self._legs[key] = await self._store._add_leg(self._session, call_pk, leg_id)
        return self._legs[key]


def _last(call_id: str) -> Select[Call]:
    return select(Call).where(Call.call_id == call_id).order_by(Call.pk.desc()).limit(1)


def _mentions(text: str) -> ColumnElement[bool]:
    needle = fold(text)
    said = select(Leg.call_pk).join(Segment).where(Segment.folded.contains(needle, autoescape=True))
    return Call.pk.in_(said) | Call.folded.contains(needle, autoescape=True)


def _segment(final: Final) -> dict[str, object]:
    return {
        "number": final.segment,
        "at": final.at,
        "text": final.text,
        "folded": fold(final.text),
        "words": [asdict(word) for word in final.words],
        "start_s": final.start_s,
        "end_s": final.end_s,
        "reason": final.reason,
        "confidence": final.confidence,
        "error": final.error,
        "delay_s": final.delay_s,
    }


def _progress(event: CallProgress) -> dict[str, object]:
    return {
        "at": event.at,
        "kind": event.kind.value,
        "start_s": event.start_s,
        "end_s": event.end_s,
        "detail": event.detail,
    }


def _history(call: Call) -> CallHistory:
    call_id = CallId(call.call_id)
    said = [(segment, leg) for leg in call.legs for segment in leg.segments]
    said.sort(key=lambda each: (each[0].start_s, each[0].pk))
    keys = [(pressed, leg) for leg in call.legs for pressed in leg.keys]
    keys.sort(key=lambda each: each[0].pk)
    heard = [(progress, leg) for leg in call.legs for progress in leg.progress]
    heard.sort(key=lambda each: each[0].pk)
    return CallHistory(
        _call_row(call),
        tuple(map(_leg_row, call.legs)),
        tuple(_final(call_id, leg, segment) for segment, leg in said),
        tuple(
            Dtmf(call_id, LegId(leg.leg_id), pressed.at, pressed.digit, pressed.at_s)
            for pressed, leg in keys
        ),
        tuple(
            CallProgress(
                *(call_id, LegId(leg.leg_id), each.at, Progress(each.kind)),
                *(each.start_s, each.end_s, each.detail),
            )
            for each, leg in heard
        ),
    )


def _leg_row(leg: Leg) -> LegRow:
    return LegRow(
        LegId(leg.leg_id),
        None if leg.ledger is None else Ledger(**leg.ledger),
        None if leg.outcome is None else _OUTCOME.validate_python(leg.outcome),
    )


def _final(call_id: CallId, leg: Leg, segment: Segment) -> Final:
    return Final(
        call_id,
        LegId(leg.leg_id),
        segment.at,
        segment.number,
        segment.text,
        tuple(Word(**word) for word in segment.words),
        segment.start_s,
        segment.end_s,
        segment.reason,
        segment.confidence,
        segment.error,
        segment.delay_s,
    )


def _call_row(call: Call) -> CallRow:
    return CallRow(
        CallId(call.call_id),
        call.door,
        call.peer,
        call.profile,
        call.details,
        call.started_at,
        call.ended_at,
        call.reason,
        call.duration_s,
        call.finals,
    )
