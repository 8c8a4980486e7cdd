"""The composition root: configuration to a running server, and back down again."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from ruasr_tel.app_recordings import Ears, history, jobs
from ruasr_tel.call import Calls
from ruasr_tel.config import Config, Loaded
from ruasr_tel.engines.base import EngineInfo
from ruasr_tel.engines.process import EngineProcess
from ruasr_tel.errors import ConfigError, PortTaken
from ruasr_tel.events import Event
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.models.catalog import Catalog, Model, default_models_dir, to_spec
from ruasr_tel.plugins import Door, Server, adapters
from ruasr_tel.profile import Profile
from ruasr_tel.scheduler import Scheduler
from ruasr_tel.sinks import Fanout
from ruasr_tel.vad import Vad, VadBatcher, create_vad

_log = structlog.get_logger(__name__)

VAD_MODEL = Path("silero-vad/silero_vad_op18_ifless.onnx")
"""The voice activity detector's file below the models folder."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """Everything between samples and text, running.

    Attributes:
        engine: the supervised engine process.
        scheduler: takes segments.
        batcher: scores windows.
        profiles: those of the configuration, no segment longer than the model takes.
        notice: what must be said about the model at start-up, or None.
    """

    engine: EngineProcess
    scheduler: Scheduler
    batcher: VadBatcher
    profiles: dict[str, Profile]
    notice: str | None


def find_model(config: Config) -> tuple[Catalog, Model]:
    """Return the catalogue and the configured model.

    Raises:
        ConfigError: there is no such model.
        ModelLoadError: it is known but not on this machine.
    """
    catalog = Catalog.load(config.models.dir or default_models_dir())
    return catalog, catalog.resolve(config.engine.model, config.engine.family)


def _model_names(config: Config) -> list[str]:
    """Return every name under which an order may ask for the server's model."""
    _, model = find_model(config)
    return list(dict.fromkeys([model.entry.name, *model.entry.aliases, config.engine.model]))


def make_engine(config: Config, model: Model) -> EngineProcess:
    """Return the configured engine process, not started.

    Raises:
        ModelLoadError: the model's files cannot be right; checked before anything is loaded.
    """
    model.check(config.engine.provider)
    threads = config.engine.threads or os.cpu_count() or 1
    spec = to_spec(model, config.engine.provider, threads, config.engine.engine)
    return EngineProcess(spec, config.process)


def make_vad(config: Config, models_dir: Path) -> Vad:
    """Return the configured voice activity detector.

    Raises:
        ModelLoadError: its file is missing or bad.
    """
    return create_vad(config.vad, models_dir / VAD_MODEL)


@asynccontextmanager
async def recognition(config: Config) -> AsyncIterator[Recognition]:
    """Run the engine, the scheduler and the detector for as long as the context lasts.

    Raises:
        ConfigError: the configuration cannot be used.
        ModelLoadError: the model cannot be used.
    """
    catalog, model = find_model(config)
    engine = make_engine(config, model)
    batcher = VadBatcher(make_vad(config, catalog.models_dir), config.vad)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        info = await engine.start()
        scheduler = Scheduler(engine, config.scheduler)
        stack.push_async_callback(scheduler.close)
        await scheduler.start()
        stack.push_async_callback(batcher.close)
        await batcher.start()
        yield Recognition(
            engine,
            scheduler,
            batcher,
            fit_profiles(config, info),
            catalog.embedded_notice(model),
        )


def fit_profiles(config: Config, info: EngineInfo) -> dict[str, Profile]:
    """Return the profiles with no segment longer than the model takes."""
    fitted: dict[str, Profile] = {}
    for name, profile in config.profiles.items():
        longest_s = min(profile.boundary.max_segment_s, info.max_segment_s)
        boundary = profile.boundary.model_copy(update={"max_segment_s": longest_s})
        fitted[name] = profile.model_copy(update={"boundary": boundary})
    return fitted


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens.

    Attributes:
        urls: where, by door.
        calls: the running calls.
        recognition: what turns their audio into text.
    """

    urls: dict[str, str]
    calls: Calls
    recognition: Recognition


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[Running]:
    """Listen on every enabled door for as long as the context lasts; at its end, drain.

    Raises:
        ConfigError: the configuration cannot be used.
        ModelLoadError: the model cannot be used.
        PortTaken: a port is in use.
        StoreError: the database cannot be opened.
    """
    metrics = Metrics()
    hub = Hub()
    async with AsyncExitStack() as stack:
        sinks = config.sinks.sinks()
        store, history_sinks = await stack.enter_async_context(history(config))
        fanout = Fanout([*sinks, *history_sinks], config.sinks.queue)

        readers: list[Callable[[Event], None]] = [hub.publish, fanout.publish]

        def publish(event: Event) -> None:
            for read in readers:
                read(event)

        stack.push_async_callback(fanout.close)
        await fanout.start()
        parts = await stack.enter_async_context(recognition(config))
        calls = Calls(
            config.calls, parts.profiles, parts.scheduler, parts.batcher, publish, metrics
        )
        stack.push_async_callback(calls.close)
        await calls.start()
        if config.metrics.enabled:
            stack.push_async_callback(asyncio.to_thread, metrics.close)
            _log.info("metrics served", url=_serve_metrics(metrics, config))
        ears = Ears(parts.scheduler, parts.batcher, parts.profiles, _model_names(config))
        recordings = await stack.enter_async_context(jobs(config, store, ears, metrics))
        if recordings is not None:
            readers.append(recordings.news.publish)
        server = Server(
            calls, hub, metrics, store, recordings, lambda: parts.engine.pid is not None
        )
        doors = _make_doors(config, server)
        stack.push_async_callback(_drain, doors, calls)
        for door in doors.values():
            await door.start()
        for name, door in doors.items():
            _log.info("door open", door=name, url=door.url)
        yield Running({name: door.url for name, door in doors.items()}, calls, parts)


async def serve(loaded: Loaded, on_ready: Callable[[Running], None]) -> None:
    """Run the server until SIGTERM or SIGINT.

    Args:
        loaded: the configuration.
        on_ready: called once when every door is open.

    Raises:
        ConfigError: the configuration cannot be used.
        ModelLoadError: the model cannot be used.
        PortTaken: a port is in use.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for warning in loaded.warnings:
        _log.warning(warning)
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(stack.enter_async_context(serving(loaded.config)))
        if not await _done_before(starting, stop):
            _log.info("stopped before it was ready")
            return
        running = starting.result()
        if running.recognition.notice:
            _log.warning(running.recognition.notice)
        on_ready(running)
        await stop.wait()
        _log.info("stopping", calls=len(running.calls), drain_s=loaded.config.calls.drain_s)


async def _done_before(task: "asyncio.Task[Running]", stop: asyncio.Event) -> bool:
    """Wait for a task; return False if `stop` came first, with the task cancelled and over."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return True
    task.cancel()
    await asyncio.wait({task})
    return False


def _make_doors(config: Config, server: Server) -> dict[str, Door]:
    doors = {
        name: adapter.create(config.door(name), server)
        for name, adapter in adapters().items()
        if config.door(name).enabled
    }
    if not doors:
        raise ConfigError("every door is switched off: set doors.NAME.enabled of one to true")
    return doors


async def _drain(doors: dict[str, Door], calls: Calls) -> None:
    """Take no new call, let the running ones end by themselves for a while, then end them."""
    calls.stop_accepting()
    await asyncio.gather(*(door.stop_accepting() for door in doors.values()))
    if not await calls.idle(calls.config.drain_s):
        _log.warning("calls still running are ended", calls=len(calls))
    await asyncio.gather(*(door.close() for door in doors.values()))


def _serve_metrics(metrics: Metrics, config: Config) -> str:
    try:
        return metrics.serve(config.metrics)
    except OSError as error:
        host, port = config.metrics.host, config.metrics.port
        raise PortTaken(
            f"cannot listen on {host}:{port} for metrics: {error.strerror}; "
            "set metrics.port to a free one"
        ) from error
