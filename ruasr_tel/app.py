"""The composition root: configuration to a running server, and back down again."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from ruasr_tel.app_models import Recognition, recognition
from ruasr_tel.app_recordings import Ears, history, jobs
from ruasr_tel.call import Calls
from ruasr_tel.config import Config, Loaded
from ruasr_tel.control import Control
from ruasr_tel.errors import ConfigError
from ruasr_tel.events import Event
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.notify import Heartbeat, Notifier
from ruasr_tel.plugins import Door, Server, adapters
from ruasr_tel.reload import Reload
from ruasr_tel.sinks import Fanout
from ruasr_tel.sockets import cannot_listen_for, held_sockets, url_of

_log = structlog.get_logger(__name__)

STOP_MARGIN_S = 15.0
"""For closing files, sinks and the engine after the last call, before systemd kills the server."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens.

    Attributes:
        urls: where, by door.
        calls: the running calls.
        recognition: what turns their audio into text.
        reload: changes it.
    """

    urls: dict[str, str]
    calls: Calls
    recognition: Recognition
    reload: Reload


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
        store, history_sinks = await stack.enter_async_context(history(config, metrics))
        fanout = Fanout([*sinks, *history_sinks], config.sinks.queue)

        readers: list[Callable[[Event], None]] = [hub.publish, fanout.publish]

        def publish(event: Event) -> None:
            for read in readers:
                read(event)

        stack.push_async_callback(fanout.close)
        await fanout.start()
        parts = await stack.enter_async_context(recognition(config, metrics))
        profiles = dict(config.profiles)
        calls = Calls(config.calls, profiles, parts.recognisers, parts.batcher, publish, metrics)
        stack.push_async_callback(calls.close)
        await calls.start()
        _serve_metrics(stack, metrics, config)
        ears = Ears(parts.recognisers, parts.batcher, profiles)
        recordings = await stack.enter_async_context(jobs(config, store, ears, metrics))
        if recordings is not None:
            readers.append(recordings.news.publish)
        doors: dict[str, Door] = {}
        urls = partial(_urls, doors)
        server = Server(
            calls, hub, metrics, store, recordings, lambda: parts.recognisers.default.ready, urls
        )
        reload = Reload(config, parts.recognisers, profiles)
        await _take_commands(stack, config, reload)
        doors |= _make_doors(config, server)
        stack.push_async_callback(_drain, doors, calls)
        await _open(doors)
        yield Running(urls(), calls, parts, reload)


async def serve(
    loaded: Loaded,
    on_ready: Callable[[Running], None],
    read: Callable[[], Loaded] | None = None,
) -> None:
    """Run the server until SIGTERM or SIGINT, which end it at any moment, also while it loads.

    Args:
        loaded: the configuration.
        on_ready: called once when every door is open.
        read: reads the configuration again at SIGHUP, or once ready if that came before; None: it
            has no effect. While the server stops it has none, either.

    Raises:
        ConfigError: the configuration cannot be used.
        ModelLoadError: the model cannot be used.
        PortTaken: a port is in use.
    """
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    told = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: again}
    for number, event in told.items():
        loop.add_signal_handler(number, event.set)
    for warning in loaded.warnings:
        _log.warning(warning)
    async with Heartbeat(Notifier()) as heart, AsyncExitStack() as stack:
        heart.starting()
        starting = asyncio.create_task(stack.enter_async_context(serving(loaded.config)))
        if not await _done_before(starting, stop):
            _log.info("stopped before it was ready")
            return
        running = starting.result()
        if running.recognition.notice:
            _log.warning(running.recognition.notice)
        on_ready(running)
        _log.info("ready")
        heart.ready(lambda: len(running.calls))
        async with _rereading(running.reload, read or (lambda: loaded), again):
            await stop.wait()
        limits = loaded.config.calls
        heart.stopping(limits.drain_s + limits.finish_timeout_s + STOP_MARGIN_S)
        _log.info("stopping", calls=len(running.calls), drain_s=loaded.config.calls.drain_s)


@asynccontextmanager
async def _rereading(
    reload: Reload, read: Callable[[], Loaded], asked: asyncio.Event
) -> AsyncIterator[None]:
    """Take over the configuration whenever it is asked for while the context lasts."""

    async def follow() -> None:
        while True:
            await asked.wait()
            asked.clear()
            await reload.reread(read)

    following = asyncio.create_task(follow(), name="SIGHUP")
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _done_before(task: "asyncio.Task[Running]", stop: asyncio.Event) -> bool:
    """Wait for a task; return False if `stop` came first, with the task cancelled and over."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return True
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, Exception):
        _log.warning("would not have started", error=str(outcome))
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


def _urls(doors: Mapping[str, Door]) -> dict[str, str]:
    return {name: door.url for name, door in doors.items()}


async def _open(doors: Mapping[str, Door]) -> None:
    """Listen on all doors, then say where."""
    for door in doors.values():
        await door.start()
    urls = _urls(doors)
    for name, url in urls.items():
        _log.info("door open", door=name, url=url)
    for name in held_sockets().keys() - urls.keys():
        _log.warning(
            "connections to a socket unit will wait in vain",
            unit=name,
            cure="stop it, or let its FileDescriptorName= be an enabled door",
        )


async def _take_commands(stack: AsyncExitStack, config: Config, reload: Reload) -> None:
    if config.control.enabled:
        control = Control(config.control.path(), reload.use)
        stack.push_async_callback(control.close)
        await control.start()


def _serve_metrics(stack: AsyncExitStack, metrics: Metrics, config: Config) -> None:
    if not config.metrics.enabled:
        return
    stack.push_async_callback(asyncio.to_thread, metrics.close)
    try:
        _log.info("metrics served", url=metrics.serve(config.metrics))
    except OSError as error:
        url = url_of("http", config.metrics.host, config.metrics.port)
        raise cannot_listen_for("metrics", url, error) from error
