"""Recordings in the database: order, state, result. One that has ended never changes."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Text, cast, select, update

from ruasr_tel.recordings.model import Channels, Dialogue, Order, Segment, State, Turn
from ruasr_tel.recordings.model import Recording as RecordingValue
from ruasr_tel.store.database import Database, cut, paged
from ruasr_tel.store.tables import Recording, Result, fold
from ruasr_tel.store.values import Page

ENDED = tuple(state for state in State if state.ended)
"""States that are never left."""

BATCH = 500
"""Ids that are asked for at once; SQLite took 999 values at most until 3.32."""

ASKED = ("phrases", "closed", "boost")
"""Fields of an order that are kept together."""

_DIALOGUE = TypeAdapter(Dialogue)
_TURN, _SEGMENT = TypeAdapter(Turn), TypeAdapter(Segment)


class RecordingsStore(Database):
    """History of recordings."""

    async def add_recording(
        self, id: str, order: Order, now: datetime
    ) -> tuple[RecordingValue, bool]:
        """Accept an order, unless it was accepted before.

        Args:
            id: a UUID in text form.
            order: what was asked.
            now: aware UTC.

        Returns:
            The recording, and whether it is new: it is not where its idempotency key, or the id
            itself, is known. Then it is the first one, whatever the order says now.
        """
        async with self._writing() as session:
            created = await self._add(session, Recording, _row(id, order, now))
            same = Recording.id == id
            if not created and order.idempotency_key is not None:
                same |= Recording.idempotency_key == order.idempotency_key
            row = (await session.scalars(_first(same))).one()
            found, written = _value(row), await session.scalar(_dialogue_of(row))
        return await _whole(found, written), created

    async def recording(self, id: str, *, with_result: bool = True) -> RecordingValue | None:
        """Return a recording, or None.

        Args:
            id: which.
            with_result: whether its result is read, too; that of hours takes a while.
        """
        async with self._reading() as session:
            row = await session.scalar(_first(Recording.id == id))
            if row is None:
                return None
            found, statement = _value(row), _dialogue_of(row)
            written = await session.scalar(statement) if with_result else None
        return await _whole(found, written)

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that recordings have."""
        found: set[str] = set()
        async with self._reading() as session:
            for start in range(0, len(ids), BATCH):
                some = Recording.id.in_(ids[start : start + BATCH])
                found |= set(await session.scalars(select(Recording.id).where(some)))
        return found

    async def ordered(self, idempotency_key: str) -> str | None:
        """Return the id of the recording that was ordered with a key, or None."""
        same = Recording.idempotency_key == idempotency_key
        async with self._reading() as session:
            return await session.scalar(select(Recording.id).where(same))

    async def recordings(
        self,
        *,
        state: State | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
        text: str | None = None,
    ) -> Page[RecordingValue]:
        """Return a page of recordings without their results, the newest first.

        Args:
            state: only those in that state.
            since: leave out those accepted before.
            limit: items of the page, 1 to MAX_PAGE.
            cursor: `next_cursor` of the page before.
            text: only those in which this was said, or whose name or URL has it; case and ё do not
                matter.

        Raises:
            BadCursor: no page gave that cursor.
            ValueError: the limit is out of bounds.
        """
        statement = select(Recording)
        if state is not None:
            statement = statement.where(Recording.state == state.value)
        if since is not None:
            statement = statement.where(Recording.created_at >= since)
        if text:
            statement = statement.where(_mentions(text))
        async with self._reading() as session:
            rows = (await session.scalars(paged(statement, Recording.pk, limit, cursor))).all()
            kept, next_cursor = cut(rows, limit)
            return Page(tuple(_value(row) for row in kept), next_cursor)

    async def callback_secret(self, id: str) -> str | None:
        """Return what the recording's deliveries are signed with; the only way to it."""
        async with self._reading() as session:
            return await session.scalar(select(Recording.callback_secret).where(Recording.id == id))

    async def set_state(
        self, id: str, state: State, progress: float | None = None, reason: str | None = None
    ) -> bool:
        """Move a recording on.

        Args:
            id: the recording.
            state: where it is now.
            progress: 0..1, or None to leave it; done is 1.
            reason: why it failed, for people.

        Returns:
            False if it has ended before, or is not known: nothing was changed.
        """
        values: dict[str, object] = {"state": state.value, "updated_at": self.now()}
        if state is State.DONE:
            progress = 1.0
        if progress is not None:
            values["progress"] = progress
        if reason is not None:
            values["reason"] = reason
        statement = update(Recording).where(Recording.id == id, _running()).values(values)
        async with self._writing() as session:
            return await self._changed(session, statement)

    async def cancel(self, id: str) -> bool:
        """End a recording that has not ended; return False if it had."""
        return await self.set_state(id, State.CANCELLED)

    async def set_result(self, id: str, dialogue: Dialogue) -> bool:
        """Keep what a recording became; a second time, or after its end, nothing happens.

        Returns:
            Whether this result was stored now.
        """
        # The lock makes a cancellation wait; SQLite has locked the whole database by then.
        running = select(Recording.pk).where(Recording.id == id, _running()).with_for_update()
        async with self._writing() as session:
            pk = await session.scalar(running)
            if pk is None:
                return False
            row = {
                "recording_pk": pk,
                "dialogue": _DIALOGUE.dump_python(dialogue, mode="json"),
                "folded": fold("\n".join(turn.text for turn in dialogue.turns)),
            }
            return await self._add(session, Result, row)


def _running() -> ColumnElement[bool]:
    return Recording.state.not_in([state.value for state in ENDED])


def _first(same: ColumnElement[bool]) -> Any:
    """Return the oldest recording that fits."""
    return select(Recording).where(same).order_by(Recording.pk).limit(1)


def _dialogue_of(row: Recording) -> Any:
    """Return what asks for a recording's result as it is written: the driver is not to parse it."""
    return select(cast(Result.dialogue, Text)).where(Result.recording_pk == row.pk)


async def _whole(found: RecordingValue, written: str | None) -> RecordingValue:
    """Return a recording with its result, parsed beside the event loop, which live calls share."""
    if written is None:
        return found
    return replace(found, result=await asyncio.to_thread(_read, written))


def _read(written: str) -> Dialogue:
    """Return a result, read in small steps.

    One call of json or pydantic gives way to no other thread until it is done: in live calls
    that would be heard. json does where it calls Python for each object.
    """
    parsed = json.loads(written, object_hook=lambda each: each)
    transcript = parsed["transcript"]
    parsed["turns"] = [_TURN.validate_python(each) for each in parsed["turns"]]
    transcript["segments"] = [_SEGMENT.validate_python(each) for each in transcript["segments"]]
    return _DIALOGUE.validate_python(parsed)


def _mentions(text: str) -> ColumnElement[bool]:
    needle = fold(text)
    said = select(Result.recording_pk).where(Result.folded.contains(needle, autoescape=True))
    return Recording.pk.in_(said) | Recording.folded.contains(needle, autoescape=True)


def _row(id: str, order: Order, now: datetime) -> dict[str, object]:
    return {
        "id": id,
        "idempotency_key": order.idempotency_key,
        "url": order.url,
        "upload": None if order.upload is None else str(order.upload),
        "name": order.name,
        "channels": order.channels.value,
        "profile": order.profile,
        "model": order.model,
        "asked": _kept(order),
        "callback_url": order.callback_url,
        "callback_secret": order.callback_secret,
        "meta": dict(order.metadata),
        "state": State.QUEUED.value,
        "progress": 0.0,
        "created_at": now,
        "updated_at": now,
        "folded": fold(f"{order.name}\n{order.url or ''}"),
    }


def _kept(order: Order) -> dict[str, Any] | None:
    asked = {name: getattr(order, name) for name in ASKED}
    return {name: value for name, value in asked.items() if value is not None} or None


def _asked(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an order asks of the decoder; orders of older versions ask nothing."""
    phrases = kept.get("phrases")
    return {**kept, "phrases": None if phrases is None else tuple(phrases)}


def _value(row: Recording) -> RecordingValue:
    """Return a recording without its result."""
    order = Order(
        row.url,
        None if row.upload is None else Path(row.upload),
        row.name,
        Channels(row.channels),
        row.profile,
        row.model,
        row.callback_url,
        None,  # the secret stays here
        row.idempotency_key,
        row.meta,
        **_asked(row.asked or {}),
    )
    return RecordingValue(
        row.id,
        order,
        State(row.state),
        row.progress,
        row.created_at,
        row.updated_at,
        row.reason,
    )
