"""The registry of calls: admits them, watches their clock, counts."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import structlog
from pydantic import Field, JsonValue

from ruasr_tel.conversation import Call
from ruasr_tel.engines.base import DecodeOptions, EngineInfo
from ruasr_tel.errors import ConfigError, Overloaded
from ruasr_tel.events import CallEnded, CallStarted, Event, Final, Ledger, Partial
from ruasr_tel.metrics import Metrics
from ruasr_tel.profile import Profile
from ruasr_tel.recognisers import Loan, Recognisers
from ruasr_tel.scheduler import Priority
from ruasr_tel.section import Section
from ruasr_tel.segments import Surroundings
from ruasr_tel.types import CallId
from ruasr_tel.vad.batcher import VadBatcher

__all__ = ["Announcement", "Call", "Calls", "CallsConfig"]

TICK_S = 0.1
"""How often legs look at the clock; five times finer than the default endpoint."""

_log = structlog.get_logger(__name__)


MAX_ANNOUNCED = 10_000
"""Announced calls that have not come yet; the oldest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a PBX says of a call before it arrives; AudioSocket carries nothing but its UUID.

    Attributes:
        profile: how to listen, or None.
        details: caller, leg, linkedid, callback, … as the PBX named them; shown with the call.
    """

    profile: str | None = None
    details: Mapping[str, JsonValue] = field(default_factory=dict)


class CallsConfig(Section):
    """How many calls, and how long they may take."""

    max_calls: int = Field(500, ge=1, le=100_000)
    """Calls at once; a further one is refused in its protocol's own way."""
    max_wait_s: float = Field(5.0, gt=0, le=600)
    """New calls are refused while a final would wait longer than this for the engine."""
    finish_timeout_s: float = Field(30.0, gt=0, le=600)
    """Longest wait for outstanding finals when a call ends."""
    max_call_s: float = Field(14_400, ge=10, le=604_800)
    """A call is ended after this long: somebody forgot to hang up."""
    drain_s: float = Field(30.0, ge=0, le=3600)
    """At a stop, how long running calls may go on before they are ended."""


class Calls:
    """Every running call; doors open them here.

    Args:
        config: limits.
        profiles: by name; `default` must be among them. Read for each call: may change.
        recognisers: the running models.
        batcher: scores windows of all legs.
        publish: takes every event of every call (the sinks).
        metrics: counts.
        mono: monotonic seconds.
        priority: of their segments; BULK for recordings.
    """

    def __init__(
        self,
        config: CallsConfig,
        profiles: Mapping[str, Profile],
        recognisers: Recognisers,
        batcher: VadBatcher,
        publish: Callable[[Event], None],
        metrics: Metrics,
        mono: Callable[[], float] = time.monotonic,
        priority: Priority = Priority.FINAL,
    ) -> None:
        self.config = config
        self._priority = priority
        self._announced: dict[CallId, Announcement] = {}
        self.profiles = profiles
        self._recognisers = recognisers
        self._batcher = batcher
        self._publish = publish
        self._metrics = metrics
        self._mono = mono
        self._loans: dict[CallId, Loan] = {}
        self._running: dict[CallId, tuple[Call, Callable[[Event], None] | None]] = {}
        self._accepting = True
        self._ticker: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, call_id: CallId) -> bool:
        return call_id in self._running

    def running(self) -> list[Call]:
        """Return the calls that have not ended, the oldest first."""
        return [call for call, _ in self._running.values()]

    async def settle(self, call_id: CallId, timeout_s: float) -> None:
        """Wait for the last finals of a call that is ending; any other is not waited for.

        Args:
            call_id: of any call.
            timeout_s: the longest wait.
        """
        if call_id in self._running:
            await self._running[call_id][0].settle(timeout_s)

    @property
    def wait_s(self) -> float:
        """How long a final of the default model would wait for its engine now."""
        return self._recognisers.default.scheduler.wait_s

    def admit(self, model: str | None = None) -> None:
        """Say whether a new call may come in now.

        Args:
            model: the one that will recognise it; None is the default one.

        Raises:
            Overloaded: no room; the message says why.
            ConfigError: the model does not run.
        """
        if not self._accepting:
            raise Overloaded("the server is stopping and takes no new calls")
        if len(self._running) >= self.config.max_calls:
            raise Overloaded(f"{len(self._running)} calls are running, the limit (calls.max_calls)")
        scheduler = self._recognisers.get(model).scheduler
        if self._priority is Priority.BULK:
            scheduler.admit_bulk()
        wait_s = scheduler.wait_s
        if wait_s > self.config.max_wait_s:
            raise Overloaded(
                f"a final would wait {wait_s:.1f} s for the engine, more than "
                f"{self.config.max_wait_s:g} s (calls.max_wait_s)"
            )

    def profile(self, name: str | None) -> Profile:
        """Return a profile by name, the default one for None.

        Raises:
            ConfigError: there is none of that name; the message lists the known ones.
        """
        found = self.profiles.get(name or "default")
        if found is None:
            known = ", ".join(sorted(self.profiles))
            raise ConfigError(f"there is no profile {name!r}; known profiles: {known}")
        return found

    def engine_info(self, profile: str | None = None) -> EngineInfo:
        """Return what recognises a call of a profile, and what it can do.

        Raises:
            ConfigError: unknown profile.
        """
        return self._recognisers.get(self.profile(profile).model).info

    def open(
        self,
        *,
        door: str,
        call_id: CallId,
        peer: str,
        profile: str | None = None,
        on_event: Callable[[Event], None] | None = None,
        hang_up: Callable[[str], None] | None = None,
        options: DecodeOptions | None = None,
        details: Mapping[str, JsonValue] | None = None,
        model: str | None = None,
        hand_back: Callable[[str], None] | None = None,
        door_profile: str | None = None,
    ) -> Call:
        """Begin a call.

        Args:
            door: the adapter's name.
            call_id: as the PBX knows it; must not be running.
            peer: address, for the log.
            profile: how to listen, as the call itself says; goes before what was announced.
            on_event: takes the call's events, in order, in the event loop.
            hang_up: how to end the call from this side (it ran too long), given the reason.
            options: what to ask of every decode; None: what the profile asks. `Leg.set_options`
                changes it.
            details: what the door itself knows of it; what was announced goes over them. Lone
                surrogates in them become question marks.
            model: for finals; None: the profile's.
            hand_back: how to end it as the profile's `end` says, given the reason; None: the door
                cannot.
            door_profile: how to listen where neither the call nor its announcement says it.

        Raises:
            Overloaded: no room for it.
            ConfigError: unknown profile, or the model does not run.
            ValueError: a call of that id is running.
        """
        if call_id in self._running:
            raise ValueError(f"call {call_id!r} is running; a door must name its calls apart")
        announced = self._announced.get(call_id, Announcement())
        profile = profile or announced.profile or door_profile
        listening = self.profile(profile)
        model = model or listening.model
        try:
            self.admit(model)
        except Overloaded:
            self._metrics.calls.labels(door, "refused").inc()
            raise
        if self._priority is Priority.BULK:  # nobody watches a recording
            listening = listening.quiet()
        loan = self._recognisers.lend(model, listening.partials.model)
        listening = listening.fitted(loan.finals.info)
        if options is not None:
            listening = listening.asking(options)

        def around(emit: Callable[[Event], None]) -> Surroundings:
            return self._surroundings(loan, emit)

        call = Call(call_id, door, listening, around, self._on_event, hang_up, hand_back)
        self._loans[call_id] = loan
        self._running[call_id] = (call, on_event)
        self._idle.clear()
        self._metrics.active.labels(door).inc()
        self._announced.pop(call_id, None)
        known = _encodable({**(details or {}), **announced.details})
        started = CallStarted(call_id, _utc(), door, peer, profile or "default", known)
        self._on_event(call, started)
        return call

    def announce(self, call_id: CallId, announcement: "Announcement") -> None:
        """Remember what is known of a call before it comes; the last word counts.

        Raises:
            ConfigError: unknown profile.
        """
        self.profile(announcement.profile)
        self._announced.pop(call_id, None)
        self._announced[call_id] = announcement
        if len(self._announced) > MAX_ANNOUNCED:
            del self._announced[next(iter(self._announced))]

    async def start(self) -> None:
        """Begin to watch the clock."""
        self._ticker = asyncio.create_task(self._tick())

    def stop_accepting(self) -> None:
        """Refuse every new call from now on."""
        self._accepting = False

    async def idle(self, timeout_s: float) -> bool:
        """Wait until no call is running; return whether that happened in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        return self._idle.is_set()

    async def close(self) -> None:
        """End every call and stop watching the clock."""
        await asyncio.gather(*(call.end("drain") for call, _ in list(self._running.values())))
        if self._ticker is not None:
            self._ticker.cancel()

    def _surroundings(self, loan: Loan, emit: Callable[[Event], None]) -> Surroundings:
        live = self._priority is not Priority.BULK
        return Surroundings(
            loan.finals.scheduler,
            self._batcher,
            emit,
            self._mono,
            self.config.finish_timeout_s,
            self._priority,
            loan.streams.scheduler if live and loan.streams is not None else None,
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now_s = self._mono()
            for call, _ in list(self._running.values()):
                try:
                    self._look(call, now_s)
                except Exception:  # noqa: BLE001 - one call's bug must not stop the others' clock
                    _log.exception("a call's tick failed", call_id=call.call_id)

    def _look(self, call: Call, now_s: float) -> None:
        """Let one call look at the clock, and end it if it has run too long."""
        call.tick(now_s)
        if call.hang_up and now_s - call.started_s > self.config.max_call_s:
            hang_up, call.hang_up = call.hang_up, None
            self._metrics.bad_messages.labels(call.door, "too long").inc()
            _log.warning("a call ran too long", call_id=call.call_id, door=call.door)
            hang_up(f"longer than calls.max_call_s, {self.config.max_call_s:g} s")
        _hand_back(call, call.profile.end.on_time(now_s - call.started_s))

    def _on_event(self, call: Call, event: Event) -> None:
        self._count(event)
        on_event = self._running[call.call_id][1]
        if isinstance(event, CallEnded):
            self._ended(call, event)
        self._publish(event)
        if on_event is not None:
            try:
                on_event(event)
            except Exception:  # noqa: BLE001 - a door's bug must not stop the call's other finals
                _log.exception("a door failed to take an event", call_id=call.call_id)
        if isinstance(event, Final):
            _hand_back(call, call.profile.end.on_final(event.text))

    def _ended(self, call: Call, event: CallEnded) -> None:
        del self._running[call.call_id]
        self._loans.pop(call.call_id).give_back()
        if not self._running:
            self._idle.set()
        self._metrics.active.labels(call.door).dec()
        self._metrics.calls.labels(call.door, "ended").inc()
        for leg_id, ledger in event.ledgers.items():
            self._account(ledger)
            if ledger.difference:
                _log.error(
                    "audio unaccounted for", call_id=call.call_id, leg_id=leg_id, **_shown(ledger)
                )

    def _account(self, ledger: Ledger) -> None:
        fates = {"decoded": ledger.decoded, "silence": ledger.silence} | ledger.dropped
        for fate, samples in fates.items():
            self._metrics.audio_s.labels(fate).inc(samples / ledger.sample_rate_hz)
        for reason, samples in ledger.concealed.items():
            self._metrics.concealed_s.labels(reason).inc(samples / ledger.sample_rate_hz)
        self._metrics.unaccounted.inc(abs(ledger.difference))

    def _count(self, event: Event) -> None:
        if isinstance(event, Final):
            self._metrics.finals.labels(event.reason, str(event.error is not None).lower()).inc()
            self._metrics.final_delay_s.observe(event.delay_s)
        elif isinstance(event, Partial):
            self._metrics.partials.inc()


def _hand_back(call: Call, reason: str | None) -> None:
    """End a call by the rule of its profile, once."""
    if reason is not None and call.hand_back is not None:
        hand_back, call.hand_back = call.hand_back, None
        hand_back(reason)


def _shown(ledger: Ledger) -> dict[str, object]:
    return {
        "received": ledger.received,
        "decoded": ledger.decoded,
        "silence": ledger.silence,
        "dropped": ledger.dropped,
        "difference": ledger.difference,
    }


def _encodable(details: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return JSON with a question mark for each lone surrogate.

    JSON lets them through (RFC 8259, 8.2), but UTF-8 has none: no sink and no client could be told
    of the call.
    """
    text = json.dumps(details, ensure_ascii=False).encode("utf-8", "replace")
    return cast("dict[str, JsonValue]", json.loads(text))


def _utc() -> datetime:
    return datetime.now(UTC)
