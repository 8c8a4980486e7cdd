"""The REST door: a listener and its routes."""

from aiohttp import web

from ruasr_tel.plugins import Server
from ruasr_tel.sockets import cannot_listen, listening_at, url_of
from ruasr_tel_adapters.rest.api import API, Api
from ruasr_tel_adapters.rest.audio import OUTLINES, Outlines
from ruasr_tel_adapters.rest.config import RestConfig
from ruasr_tel_adapters.rest.guard import is_loopback, own_host, own_origin
from ruasr_tel_adapters.rest.operations import add
from ruasr_tel_adapters.rest.pages import add_pages, plain_types
from ruasr_tel_adapters.rest.problems import problems
from ruasr_tel_adapters.rest.routes import DOCUMENTS, OPERATIONS
from ruasr_tel_adapters.rest.seed_socket import SOCKETS, Sockets, seed_socket

LAST_ANSWERS_S = 5.0
"""How long answers may take after the stop of every stream and wait."""
LINGER_S = 1.0
"""How long the rest of a refused body is read, so that its sender can read why (RFC 9112 9.6)."""


def make_app(config: RestConfig, server: Server) -> web.Application:
    """Return the application with all routes."""
    app = web.Application(
        middlewares=[plain_types, problems, own_host, own_origin],
        client_max_size=config.max_body_bytes,
    )
    app[API] = Api(config, server)
    app[OUTLINES] = Outlines()
    app[SOCKETS] = Sockets()
    add(app, OPERATIONS)
    for path, handler in DOCUMENTS.items():
        app.router.add_get(path, handler)
    app.router.add_get("/ws", seed_socket)
    add_pages(app)
    return app


class RestDoor:
    """Listens for HTTP.

    Args:
        config: the door's section.
        server: the rest of the server.
    """

    def __init__(self, config: RestConfig, server: Server) -> None:
        self._config = config
        self._app = make_app(config, server)
        self._host = config.host
        self._port = config.port
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it listens: `http://127.0.0.1:49153`."""
        return url_of("http", self._host, self._port)

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use.
            ConfigError: the address cannot be listened on for another reason.
        """
        self._runner = web.AppRunner(
            self._app,
            access_log=None,
            shutdown_timeout=LAST_ANSWERS_S,
            lingering_time=LINGER_S,
            handle_signals=False,
        )
        await self._runner.setup()
        try:
            await self._site(self._runner).start()
        except OSError as error:
            await self._runner.cleanup()
            raise cannot_listen("rest", self.url, error) from error
        self._host, self._port = self._runner.addresses[0][:2]
        self._app[API].on_loopback = is_loopback(self._host)

    async def stop_accepting(self) -> None:
        """Refuse new recordings and calls with 503 from now on; reading goes on."""
        self._app[API].accepting = False

    async def close(self) -> None:
        """End the calls of the seed's socket with their finals, all streams and waits; close."""
        await self.stop_accepting()
        self._app[API].closing.set()
        await self._app[SOCKETS].close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _site(self, runner: web.AppRunner) -> web.BaseSite:
        where = listening_at("rest", self._host, self._port)
        return web.SockSite(runner, **where) if "sock" in where else web.TCPSite(runner, **where)
