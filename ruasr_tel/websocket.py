"""WebSockets for doors: a listener, and a socket that a PBX cannot hold open or starve.

No pings, no extensions: Asterisk refuses a handshake with any (res_http_websocket.c), and its
clients block on a ping (docs/adr/0009).
"""

import asyncio
import http
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import structlog
from structlog.typing import FilteringBoundLogger
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from ruasr_tel.errors import ConfigError, Overloaded, ProtocolError
from ruasr_tel.metrics import Metrics
from ruasr_tel.sockets import cannot_listen, keep_alive, listening_at, peer_name, url_of

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
POLICY_VIOLATION: Final = 1008
MESSAGE_TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
"""RFC 6455 7.4.1 and the IANA registry of WebSocket close codes."""

CLOSE_REASON_BYTES_MAX: Final = 123
"""RFC 6455 5.5: a control frame holds 125 bytes, two of them are the code."""

UNSENT_MAX: Final = 256
"""Messages that a peer may leave unread in our queue, beyond the kernel's buffer."""

_log: FilteringBoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a conversation ends.

    Attributes:
        reason: for the call's events, in a word or two.
        close_code: what the peer is told, if it still listens.
        text: the same in a sentence.
    """

    reason: str
    close_code: int = NORMAL
    text: str = ""


FAULTS: Final = frozenset({"idle", "message too long", "not read"})
"""Reasons of endings that are the peer's fault, though nothing in its messages is wrong."""


class LeavingConnection(ServerConnection):
    """A WebSocket whose end does not depend on the peer.

    The library waits for ever for a peer that sent a close frame to close its socket, too.
    """

    _leaving = False

    def data_received(self, data: bytes) -> None:
        """Take bytes; after a close frame the socket has `close_timeout` to live."""
        super().data_received(data)
        if self.protocol.close_expected() and not self._leaving and self.close_timeout:
            self._leaving = True
            self.loop.call_later(self.close_timeout, self.transport.abort)


async def leave(
    connection: Connection, ending: Ending, close_timeout_s: float, unsent: Iterable[str] = ()
) -> None:
    """Send what is unsent, then a close frame; bounded, whatever the peer does.

    The library bounds the wait for the peer's close frame, not the writes before it: a peer that
    never reads would hold it open.
    """
    try:
        async with asyncio.timeout(2 * close_timeout_s):
            with suppress(ConnectionClosed):
                for text in unsent:
                    await connection.send(text)
            reason = ending.text.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
            await connection.close(ending.close_code, reason)
    except TimeoutError:
        connection.transport.abort()


def is_too_long(closed: ConnectionClosed) -> bool:
    """Whether a connection ended because we found a message too long."""
    ours = closed.sent if not closed.rcvd_then_sent else None
    return ours is not None and ours.code == MESSAGE_TOO_BIG


def cut_short(wait: asyncio.Timeout | None) -> None:
    """Have a wait time out now; one that does so already is left alone, and None is none."""
    if wait is not None and not wait.expired():
        wait.reschedule(asyncio.get_running_loop().time())


class PeerSocket:
    """One open WebSocket: read with patience, written without waiting, stopped from outside.

    Args:
        connection: the library's, of either side.
        idle_timeout_s: seconds without a message after which the conversation ends.
        close_timeout_s: seconds a peer has to answer our close frame.
    """

    def __init__(
        self, connection: Connection, idle_timeout_s: float, close_timeout_s: float
    ) -> None:
        self._connection = connection
        self._idle_timeout_s = idle_timeout_s
        self._close_timeout_s = close_timeout_s
        self._unsent: asyncio.Queue[str] = asyncio.Queue(UNSENT_MAX)
        self._ending: Ending | None = None
        self._patience: asyncio.Timeout | None = None

    @property
    def peer(self) -> str:
        """`address:port` of the peer; one that is gone already has none."""
        return peer_name(self._connection.remote_address)

    def say(self, text: str) -> None:
        """Send a text message when the socket can take it; never waits.

        A peer that leaves `UNSENT_MAX` of them unread is stopped.
        """
        if not self.offer(text):
            self.stop(Ending("not read", POLICY_VIOLATION, f"{UNSENT_MAX} messages are unread"))

    def offer(self, text: str) -> bool:
        """Send a text message as `say` does, or leave it out where too many are unread.

        Returns:
            Whether there was room for it.
        """
        if self._unsent.full():
            return False
        self._unsent.put_nowait(text)
        return True

    def stop(self, ending: Ending) -> None:
        """End the conversation; the first ending counts."""
        self._ending = self._ending or ending
        cut_short(self._patience)

    async def listen(self, take: Callable[[str | bytes], None]) -> Ending:
        """Hand every message to `take` until the conversation ends; return how it did.

        Args:
            take: must not block; its ProtocolError ends the conversation with 1002, a fault of
                ours with 1011, logged.
        """
        writing = asyncio.create_task(self._write())
        try:
            return await self._read(take)
        finally:
            writing.cancel()

    async def close(self, ending: Ending) -> None:
        """Send what was said, then a close frame; bounded, whatever the peer does."""
        await leave(self._connection, ending, self._close_timeout_s, self._take_unsent())

    def _take_unsent(self) -> Iterator[str]:
        while not self._unsent.empty():
            yield self._unsent.get_nowait()

    async def _read(self, take: Callable[[str | bytes], None]) -> Ending:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._idle_timeout_s) as self._patience:
                while self._ending is None:
                    message = await self._connection.recv()
                    self._patience.reschedule(loop.time() + self._idle_timeout_s)
                    take(message)
            return self._ending
        except TimeoutError:
            idle = f"no message for {self._idle_timeout_s:g} s"
            return self._ending or Ending("idle", POLICY_VIOLATION, idle)
        except ConnectionClosed as closed:
            return self._ending or _peer_left(closed)
        except ProtocolError as error:
            return Ending("protocol error", PROTOCOL_ERROR, str(error))
        except Exception:  # noqa: BLE001 - our fault must not take other calls down; it is logged whole
            _log.exception("connection failed")
            return Ending("error", INTERNAL_ERROR)
        finally:
            self._patience = None

    async def _write(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self._connection.send(await self._unsent.get())


def _peer_left(closed: ConnectionClosed) -> Ending:
    if is_too_long(closed):
        return Ending("message too long", MESSAGE_TOO_BIG)
    return Ending("hangup" if closed.rcvd is not None else "close")


class Conversation(Protocol):
    """A door's side of one accepted socket."""

    async def run(self) -> None:
        """Serve the peer; returns when its call has ended and the socket is closed."""

    def stop(self, ending: Ending) -> None:
        """End the conversation soon."""


Answer: TypeAlias = Callable[[Request], Awaitable[tuple[http.HTTPStatus, str] | None]]
"""Answers plain HTTP requests on the door's port: a status and a sentence, or None for others."""


async def no_answer(request: Request) -> None:
    """Leave every plain request to the handshake, which refuses it."""


@dataclass(frozen=True, slots=True)
class Manners:
    """What a door's protocol says about its handshakes and messages.

    Attributes:
        check: looks at a request before the handshake; its ProtocolError or ConfigError becomes
            HTTP 400, its Overloaded HTTP 503.
        subprotocols: those it speaks, the best first; None: whatever a client offers first.
        required: whether a client must offer one of them.
        max_message_bytes: longest message of a peer.
        close_timeout_s: seconds a peer has to answer our close frame.
        answer: for plain HTTP requests.
    """

    check: Callable[[Request], None]
    subprotocols: tuple[str, ...] | None
    required: bool
    max_message_bytes: int
    close_timeout_s: float
    answer: Answer = no_answer


class Listener:
    """Listens for WebSockets; every accepted one becomes a conversation.

    Args:
        door: its name below `doors:`, for messages.
        host: address to listen on.
        port: port to listen on; 0 takes any free one.
        manners: the protocol's.
        converse: makes the conversation of an accepted socket.
        metrics: counts handshakes that are against the protocol.
    """

    def __init__(
        self,
        door: str,
        host: str,
        port: int,
        manners: Manners,
        converse: Callable[[ServerConnection], Conversation],
        metrics: Metrics,
    ) -> None:
        self._door = door
        self._host = host
        self._port = port
        self._manners = manners
        self._converse = converse
        self._bad = metrics.bad_messages.labels(door, "handshake")
        self._conversations: set[Conversation] = set()
        self._accepting = True
        self._server: Server | None = None
        self._log: FilteringBoundLogger = structlog.get_logger(__name__).bind(door=door)

    @property
    def url(self) -> str:
        """Where it listens: `ws://127.0.0.1:9094`."""
        return url_of("ws", self._host, self._port)

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use.
            ConfigError: the address cannot be listened on for another reason.
        """
        try:
            self._server = await serve(
                self._handle,
                create_connection=LeavingConnection,
                compression=None,
                select_subprotocol=self._select_subprotocol,
                process_request=self._process_request,
                ping_interval=None,
                close_timeout=self._manners.close_timeout_s,
                max_size=self._manners.max_message_bytes,
                max_queue=1,  # frame, as long as a message: who wants more reads ahead by bytes
                logger=quiet_logger(),
                **listening_at(self._door, self._host, self._port),
            )
        except OSError as error:
            raise cannot_listen(self._door, self.url, error) from error
        self._host, self._port = self._server.sockets[0].getsockname()[:2]

    async def stop_accepting(self) -> None:
        """Answer new handshakes with HTTP 503 from now on; running conversations go on."""
        self._accepting = False

    async def close(self) -> None:
        """End the running conversations, then the listener."""
        await self.stop_accepting()
        if self._server is None:
            return
        for conversation in tuple(self._conversations):
            conversation.stop(Ending("drain", SERVICE_RESTART, "the server stops"))
        self._server.close(close_connections=False)
        await self._server.wait_closed()

    async def _handle(self, websocket: ServerConnection) -> None:
        keep_alive(websocket.transport)
        conversation = self._converse(websocket)
        self._conversations.add(conversation)
        try:
            await conversation.run()
        except Exception:  # noqa: BLE001 - our fault must not take other calls down; it is logged whole
            self._log.exception("connection failed")
            await leave(websocket, Ending("error", INTERNAL_ERROR), self._manners.close_timeout_s)
        finally:
            self._conversations.discard(conversation)

    def _select_subprotocol(
        self, websocket: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """Choose one of those offered; never invent one."""
        known = offered if self._manners.subprotocols is None else self._manners.subprotocols
        return next((Subprotocol(name) for name in known if name in offered), None)

    async def _process_request(
        self, websocket: ServerConnection, request: Request
    ) -> Response | None:
        """Refuse what cannot be served, before the handshake: a PBX sees a failed connect."""
        try:
            if not self._accepting:
                raise Overloaded("the server is stopping and takes no new calls")
            answer = await self._manners.answer(request)
            if answer is not None:
                status, sentence = answer
                return websocket.respond(status, f"{sentence}\n")
            self._check_subprotocol(request)
            self._manners.check(request)
        except (ProtocolError, ConfigError) as error:
            self._bad.inc()
            return self._refuse(websocket, http.HTTPStatus.BAD_REQUEST, str(error))
        except Overloaded as error:
            return self._refuse(websocket, http.HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return None

    def _check_subprotocol(self, request: Request) -> None:
        spoken = self._manners.subprotocols
        if spoken is None:
            return
        offered = [
            name.strip()
            for line in request.headers.get_all("Sec-WebSocket-Protocol")
            for name in line.split(",")
        ]
        if (offered or self._manners.required) and not set(offered) & {*spoken}:
            raise ProtocolError(
                f"subprotocol {', '.join(offered)[:80] or 'none'}, expected {' or '.join(spoken)}"
            )

    def _refuse(
        self, websocket: ServerConnection, status: http.HTTPStatus, reason: str
    ) -> Response:
        self._log.warning("connection refused", status=int(status), error=reason)
        return websocket.respond(status, f"{reason}\n")


def quiet_logger() -> logging.Logger:
    """Return a logger for the library that is silent: every end of a connection is our event.

    The library logs a stack trace for a port scan and for each hang-up it did not expect.
    """
    logger = logging.getLogger(f"{__name__}.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger
