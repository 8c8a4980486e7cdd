"""The running models: lent to calls, changed while they run, unloaded when nobody has them.

A change is all or nothing: what is missing is loaded beside what runs, and only when all of it has
decoded its probe do new calls go to it. Calls keep what they began with.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from ruasr_tel.engines.base import EngineInfo
from ruasr_tel.engines.process import EngineProcess
from ruasr_tel.errors import ConfigError
from ruasr_tel.scheduler import Scheduler

_log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Recogniser:
    """One running model.

    Attributes:
        key: what it was made from; equal keys are the same model in the same way.
        names: under which it may be asked for, the one that is shown first.
        scheduler: shares it between calls; started, and stopped by `stop`.
        engine: its process, ended by `stop`; None: somebody else's concern.
        calls: that have it.
    """

    key: str
    names: tuple[str, ...]
    scheduler: Scheduler
    engine: EngineProcess | None = None
    calls: int = field(default=0, init=False)

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        return self.scheduler.info

    @property
    def ready(self) -> bool:
        """Whether the engine answers now."""
        return self.engine is None or self.engine.pid is not None

    async def stop(self) -> None:
        """End the scheduler and the engine."""
        await self.scheduler.close()
        if self.engine is not None:
            await self.engine.close()


class Loader(Protocol):
    """Makes recognisers from names of models; app_models.py has the real one."""

    def key(self, name: str) -> str:
        """Return what tells a model from others.

        Raises:
            ConfigError: there is no such model.
            ModelLoadError: it is not on this machine.
        """
        ...

    async def load(self, name: str) -> Recogniser:
        """Return a model, loaded and probed.

        Raises:
            ConfigError: it does not run here.
            ModelLoadError: it cannot be used.
        """
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which models should run.

    Attributes:
        default: for calls whose profile names none.
        finals: those that profiles name.
        partials: those that profiles name for partials, by the key that names it.
    """

    default: str
    finals: Collection[str] = ()
    partials: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All of them, the default first."""
        return [self.default, *self.finals, *self.partials.values()]


@dataclass(slots=True)
class Loan:
    """What one call recognises with, until it is given back.

    Attributes:
        finals: decodes segments.
        streams: hears open segments, or None: itself where it streams, or the model for partials.
    """

    finals: Recogniser
    streams: Recogniser | None
    _back: Callable[["Loan"], None] | None

    def give_back(self) -> None:
        """Say that the call is over; a second time does nothing."""
        if self._back is not None:
            back, self._back = self._back, None
            back(self)


class Recognisers(Collection[str]):
    """The running models, a collection of the names under which one may be asked for.

    Args:
        count: told the name of a model and how many calls have it, whenever that changes.
    """

    def __init__(self, count: Callable[[str, int], None] = lambda _name, _calls: None) -> None:
        self._count = count
        self._changing = asyncio.Lock()
        self._names: dict[str, Recogniser] = {}
        self._running: list[Recogniser] = []
        self._retiring: list[Recogniser] = []
        self._ends: set[asyncio.Task[None]] = set()
        self._default: Recogniser | None = None

    @classmethod
    def only(cls, scheduler: Scheduler) -> "Recognisers":
        """Return one model that its owner starts and stops."""
        recognisers = cls()
        recogniser = Recogniser(scheduler.info.model, (scheduler.info.model,), scheduler)
        recognisers._set(recogniser, {recogniser.key: recogniser}, [recogniser])
        return recognisers

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def default(self) -> Recogniser:
        """The one for calls whose profile names none; known once `use` has returned."""
        assert self._default is not None, "use() comes first"
        return self._default

    @property
    def running(self) -> list[Recogniser]:
        """Those that are loaded, those included that only wait for the end of their calls."""
        return [*self._running, *self._retiring]

    def get(self, name: str | None) -> Recogniser:
        """Return a model by name, the default one for None.

        Raises:
            ConfigError: it does not run; the message lists those that do.
        """
        if name is None:
            return self.default
        if name not in self._names:
            known = ", ".join(self._names)
            raise ConfigError(f"this server has no model {name!r}; it has {known}")
        return self._names[name]

    def lend(self, finals: str | None = None, partials: str | None = None) -> Loan:
        """Return what a call recognises with; give it back.

        Args:
            finals: the model's name; None is the default one.
            partials: the name of the model that streams, if it is another.

        Raises:
            ConfigError: one of them does not run.
        """
        decoder = self.get(finals)
        streams = self.get(partials) if partials is not None else decoder
        loan = Loan(decoder, streams if streams.info.streaming else None, self._take_back)
        for recogniser in _of(loan):
            recogniser.calls += 1
            self._count(recogniser.names[0], recogniser.calls)
        return loan

    async def use(self, wanted: Wanted, loader: Loader) -> None:
        """Load what is missing, then switch to it; on an error nothing has changed.

        Raises:
            ConfigError: there is no such model, or one for partials does not stream.
            ModelLoadError: one cannot be used.
        """
        async with self._changing:
            keys = {name: loader.key(name) for name in wanted.names}
            at_hand = {recogniser.key: recogniser for recogniser in self.running}
            fresh: dict[str, Recogniser] = {}
            try:
                for name, key in keys.items():
                    if key not in at_hand | fresh:
                        fresh[key] = await loader.load(name)
                have = at_hand | fresh
                by_name = {name: have[key] for name, key in keys.items()}
                _check_streams(wanted.partials, by_name)
            except BaseException:
                await asyncio.gather(*(recogniser.stop() for recogniser in fresh.values()))
                raise
            used = list(dict.fromkeys(by_name.values()))
            self._retiring = [one for one in self.running if one not in used]
            self._set(by_name[wanted.default], by_name, used)
            self._unload()

    async def close(self) -> None:
        """Stop every model."""
        async with self._changing:
            everyone, self._running, self._retiring = self.running, [], []
            await asyncio.gather(*(recogniser.stop() for recogniser in everyone), *self._ends)

    def _set(
        self, default: Recogniser, by_name: Mapping[str, Recogniser], used: list[Recogniser]
    ) -> None:
        others = {name: recogniser for recogniser in used for name in recogniser.names}
        self._names = {**others, **by_name}
        self._running = used
        self._default = default

    def _take_back(self, loan: Loan) -> None:
        for recogniser in _of(loan):
            recogniser.calls -= 1
            self._count(recogniser.names[0], recogniser.calls)
        self._unload()

    def _unload(self) -> None:
        """Stop what is not wanted any more and has no call."""
        idle = [recogniser for recogniser in self._retiring if not recogniser.calls]
        for recogniser in idle:
            self._retiring.remove(recogniser)
            task = asyncio.create_task(_end(recogniser), name="unload model")
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)


def _of(loan: Loan) -> list[Recogniser]:
    """Return the models that a call has, each once."""
    others = [] if loan.streams in (None, loan.finals) else [loan.streams]
    return [loan.finals, *(each for each in others if each is not None)]


def _check_streams(partials: Mapping[str, str], by_name: Mapping[str, Recogniser]) -> None:
    for key, name in partials.items():
        if not by_name[name].info.streaming:
            raise ConfigError(
                f"{key} is {name!r}, which hears whole segments only; name a streaming model, or "
                "leave it out: partials then come from the profile's own model"
            )


async def _end(recogniser: Recogniser) -> None:
    await recogniser.stop()
    _log.info("model unloaded", model=recogniser.names[0])
