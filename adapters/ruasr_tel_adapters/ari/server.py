"""The ARI door: one connection to Asterisk, kept up, and what is listened to through it."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger

from ruasr_tel.call import Calls
from ruasr_tel.errors import ProtocolError, RuasrError
from ruasr_tel.live import check_profile
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.dialogue import DOOR, Dialogues
from ruasr_tel_adapters.ari.media import create_media
from ruasr_tel_adapters.ari.onward import Onward
from ruasr_tel_adapters.ari.rest import Ari
from ruasr_tel_adapters.ari.results import STATUS
from ruasr_tel_adapters.ari.tap import Around, Entries, Tap, quietly
from ruasr_tel_adapters.ari.wire import (
    Asked,
    Channel,
    Digit,
    Entered,
    Gone,
    Left,
    Replaced,
    Wishes,
    apply,
    default_wishes,
    parse_event,
    split_args,
    waits_in,
)

STRAY_S: Final = 0.3
"""How long a channel may be listed before its StasisStart comes; Asterisk needs milliseconds."""


def create(config: AriConfig, server: Server) -> "AriDoor":
    """Return the door; it does not connect yet.

    Raises:
        ConfigError: there is no profile of the configured name.
    """
    check_profile("ari", config.profile, server.calls)
    return AriDoor(config, server.calls, server.metrics)


class AriDoor:
    """Connects to Asterisk; every channel that enters its application is a call of two legs.

    Args:
        config: the door's section.
        calls: where calls are opened.
        metrics: counts.
    """

    def __init__(self, config: AriConfig, calls: Calls, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._ari = Ari(config)
        self._entries = Entries()
        self._onward = Onward(self._ari)
        self._around = Around(
            config,
            self._ari,
            Dialogues(calls, time.monotonic, config.profile),
            create_media(config, self._strange, metrics),
            self._entries,
            self._onward,
            f"ruasr.{config.app}.",
            metrics,
            time.monotonic,
        )
        self._taps: dict[str, Tap] = {}  # by the id of the channel that is listened to
        self._strays: set[str] = set()  # channels that wait for us, and we know nothing of them
        self._tasks: set[asyncio.Task[None]] = set()
        self._accepting = True
        self._connection: asyncio.Task[None] | None = None
        self._give_up: asyncio.TimerHandle | None = None
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)
        self.connected = asyncio.Event()

    @property
    def url(self) -> str:
        """Where Asterisk is: `http://127.0.0.1:8088/ari`; this door connects to it."""
        return self._config.url

    async def start(self) -> None:
        """Begin to connect; an Asterisk that is down is tried again, for as long as it takes.

        Raises:
            PortTaken: the port for AudioSocket is in use.
            ConfigError: there is no address of this machine that audio could come in on.
        """
        await self._around.media.start()
        await self._ari.open()
        self._connection = asyncio.create_task(self._keep_connected())

    async def stop_accepting(self) -> None:
        """Send new channels on at once from now on; running calls go on."""
        self._accepting = False

    async def close(self) -> None:
        """End the running calls, take down what was made in Asterisk, and disconnect."""
        await self.stop_accepting()
        for tap in list(self._taps.values()):
            tap.end("drain")
        while self._tasks:
            await asyncio.gather(*tuple(self._tasks))
        if self._give_up is not None:
            self._give_up.cancel()
        if self._connection is not None:
            self._connection.cancel()
            with suppress(asyncio.CancelledError):
                await self._connection
        await self._ari.close()
        await self._around.media.close()

    # The connection.

    async def _keep_connected(self) -> None:
        wait_s = self._config.reconnect_s
        while True:
            try:
                await self._converse()
                self._log.warning("ari closed the connection")
                wait_s = self._config.reconnect_s
            except RuasrError as error:
                self._log.warning("ari cannot be reached", error=str(error), again_in_s=wait_s)
            except Exception:  # noqa: BLE001 - the door must go on connecting; it is logged whole
                self._log.exception("ari connection failed")
            self._lost()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._config.reconnect_max_s)

    async def _converse(self) -> None:
        """Act on events for as long as the connection lasts."""
        async with self._ari.events() as events:
            if self._give_up is not None:
                self._give_up.cancel()
                self._give_up = None
            await self._reconcile()
            self._log.info("ari connected", url=self._config.url, app=self._config.app)
            self.connected.set()
            tending = asyncio.create_task(self._tend())
            try:
                async for text in events:
                    self._on_text(text)
            finally:
                tending.cancel()

    def _lost(self) -> None:
        self.connected.clear()
        if self._give_up is None:
            loop = asyncio.get_running_loop()
            self._give_up = loop.call_later(self._config.lost_after_s, self._end_all, "pbx lost")

    def _end_all(self, reason: str) -> None:
        for tap in self._taps.values():
            tap.end(reason)

    async def _reconcile(self) -> None:
        """Make Asterisk and us of one mind: after its restart, or ours, or a broken connection."""
        shown = await self._ari.request("GET", "channels")
        channels = [each["id"] for each in shown]
        bridges = [each["id"] for each in await self._ari.request("GET", "bridges")]
        ours: set[str] = set()
        for tap in self._taps.values():
            ours.update(tap.made.channels, tap.made.bridges)
            if tap.is_left(channels):
                tap.end("pbx restarted")
        self._strays = {
            each["id"]
            for each in shown
            if waits_in(self._config.app, each) and not each["id"].startswith(self._around.prefix)
        }
        for kind, ids in (("bridges", bridges), ("channels", channels)):
            for orphan in ids:
                if orphan.startswith(self._around.prefix) and orphan not in ours:
                    self._log.info("ari orphan deleted", kind=kind, id=orphan)
                    await quietly(self._ari.request("DELETE", kind, orphan))

    async def _tend(self) -> None:
        """While connected, leave nobody in the application whom nobody listens to."""
        await asyncio.sleep(STRAY_S)
        for channel_id in self._strays:
            if channel_id not in self._taps:
                self._log.warning("ari sends on a channel of a former life", pbx_channel=channel_id)
                self._send_on(channel_id, "failed")
        await self._onward.keep_trying()

    # Events.

    def _on_text(self, text: str | bytes) -> None:
        try:
            event = parse_event(text)
        except ProtocolError as error:
            self._log.warning("ari sent what is no event", error=str(error))
            return
        match event:
            case Entered(channel, args):
                self._enter(channel, args)
            case Asked(values):
                self._tap_asked(values)
            case Left(channel_id) | Gone(channel_id):
                self._on_lost(channel_id, gone=isinstance(event, Gone))
            case Digit(channel_id, digit) if channel_id in self._taps:
                self._taps[channel_id].on_digit(digit)
            case Replaced():
                self._log.error(
                    "another program took the Stasis application over; "
                    "give this server its own name: doors.ari.app",
                    app=self._config.app,
                )

    def _enter(self, channel: Channel, args: tuple[str, ...]) -> None:
        if channel.id.startswith(self._around.prefix):
            if not self._entries.enter(channel.id):  # it was given up before it was there
                self._keep(quietly(self._ari.request("DELETE", "channels", channel.id)))
            return
        self._is_out(channel.id)  # whatever was before, it is another visit
        try:
            wishes = self._wishes(split_args(args))
        except ProtocolError as error:
            self._log.warning(
                "ari cannot read Stasis arguments", pbx_channel=channel.id, error=str(error)
            )
            self._send_on(channel.id, "failed")
            return
        tap = self._tap_of(channel.id)
        if tap is not None:
            self._keep(tap.come_back(wishes.mode))
        elif self._accepting:
            self._listen(channel, wishes, in_stasis=True)
        else:
            self._log.warning(
                "the server is stopping and takes no new calls", pbx_channel=channel.id
            )
            self._send_on(channel.id, "refused")

    def _tap_asked(self, values: Mapping[str, str]) -> None:
        """Listen to a channel of another application, or say why not."""
        channel = Channel(values.get("channel", ""))
        try:
            wishes = self._wishes(values)
            if not channel.id or self._tap_of(channel.id) is not None:
                raise ProtocolError("no such channel, or one that is listened to already")
            if not self._accepting:
                raise ProtocolError("the server is stopping and takes no new calls")
        except ProtocolError as error:
            self._log.warning("ari does not listen", pbx_channel=channel.id, error=str(error))
            return
        self._listen(channel, wishes, in_stasis=False)

    def _wishes(self, values: Mapping[str, str]) -> Wishes:
        return apply(default_wishes(self._config), values)

    def _tap_of(self, channel_id: str) -> Tap | None:
        """Return what listens to a channel; one that is over does so no more."""
        tap = self._taps.get(channel_id)
        return None if tap is None or tap.is_over else tap

    def _listen(self, channel: Channel, wishes: Wishes, *, in_stasis: bool) -> None:
        tap = Tap(channel, wishes, self._around, in_stasis)
        self._taps[channel.id] = tap
        self._keep(self._run(tap))

    async def _run(self, tap: Tap) -> None:
        try:
            await tap.run()
        except Exception:  # noqa: BLE001 - one call's bug must not take the door down
            self._log.exception("ari call failed", pbx_channel=tap.channel.id)
        finally:
            if self._taps.get(tap.channel.id) is tap:  # no other visit of the channel
                del self._taps[tap.channel.id]

    def _is_out(self, channel_id: str, *, gone: bool = False) -> bool:
        """Take note that a channel left the application; return whether it was listened to."""
        self._strays.discard(channel_id)
        self._onward.forget(channel_id)
        tap = self._taps.get(channel_id)
        if tap is not None:
            tap.left(gone=gone)
        return tap is not None

    def _on_lost(self, channel_id: str, *, gone: bool) -> None:
        if self._is_out(channel_id, gone=gone):
            return
        for each in self._taps.values():
            if channel_id in each.made.channels:
                each.end("hangup")
                return

    def _strange(self, kind: str, said: str) -> None:
        """Note a connection that belongs to no call."""
        self._metrics.bad_messages.labels(DOOR, kind).inc()
        self._log.warning("ari sent a stranger away", kind=kind, error=said)

    def _send_on(self, channel_id: str, status: str) -> None:
        self._keep(self._onward.send(channel_id, {STATUS: status}))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
