"""What the store gives back: plain frozen values, no database behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import JsonValue

from ruasr_tel.events import CallProgress, DialOutcome, Dtmf, Final, Ledger
from ruasr_tel.types import CallId, LegId

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list, newest first.

    Attributes:
        items: at most as many as were asked for.
        next_cursor: gives the next page, or None on the last one. What is added meanwhile is newer
            and comes before the first page: no item is given twice, none is left out.
    """

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class CallRow:
    """A live call without its text.

    Attributes:
        call_id: as the PBX knows it; not unique for ever, for a PBX may use one again.
        door: the adapter's name.
        peer: address of the PBX.
        profile: how it was listened to.
        details: what the PBX announced of it.
        started_at: when it came, aware UTC.
        ended_at: when it was over, or None: it is running, or the server was killed under it.
        reason: why it ended, or None.
        duration_s: length of its longest leg in seconds of audio, or None.
        finals: number of its finals, or None.
    """

    call_id: CallId
    door: str
    peer: str
    profile: str
    details: Mapping[str, JsonValue]
    started_at: datetime
    ended_at: datetime | None = None
    reason: str | None = None
    duration_s: float | None = None
    finals: int | None = None


@dataclass(frozen=True, slots=True)
class LegRow:
    """One party of a live call.

    Attributes:
        leg_id: the leg.
        ledger: where its samples went, or None until the call has ended.
        outcome: of a dialled call, or None: not ended, or its progress was not followed.
    """

    leg_id: LegId
    ledger: Ledger | None
    outcome: DialOutcome | None = None


@dataclass(frozen=True, slots=True)
class CallHistory:
    """Everything that is kept of a live call.

    Attributes:
        call: when, from where, how long.
        legs: its parties, in the order of their first events.
        finals: what was said, on one time line (by start).
        keys: keys that were pressed, in the order they came.
        progress: tones, music and messages (call progress), in the order they were told.
    """

    call: CallRow
    legs: tuple[LegRow, ...]
    finals: tuple[Final, ...]
    keys: tuple[Dtmf, ...]
    progress: tuple[CallProgress, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try to deliver something to somebody's server.

    Attributes:
        delivery_id: the same for every try, sent along so that the receiver can tell a repetition.
        attempt: 1 for the first try.
        url: where to.
        at: when, aware UTC.
        recording_id: the recording whose result it is, or None.
        call_id: the live call it is about, or None.
        status: HTTP status of the answer, or None: there was none.
        error: why it failed, for people, or None: it was delivered.
    """

    delivery_id: str
    attempt: int
    url: str
    at: datetime
    recording_id: str | None = None
    call_id: CallId | None = None
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge took away.

    Attributes:
        calls: number of live calls, with their legs, segments and keys.
        recordings: ids of recordings; their files, if kept, are their owner's to delete.
        deliveries: number of deliveries; those of a purged recording go with it and do not count.
    """

    calls: int
    recordings: tuple[str, ...]
    deliveries: int
