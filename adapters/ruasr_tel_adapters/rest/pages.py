"""Pages from the package's own files: the console, the documentation, the seed's demo.

What can be asked for is what was found when the server started: no path of a request is ever
joined to a folder.
"""

import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from ipaddress import ip_address
from typing import Final

from aiohttp import web
from yarl import URL

from ruasr_tel_adapters.rest.api import API
from ruasr_tel_adapters.rest.problems import Handler

VOSK_DOOR: Final = "vosk_ws"
"""The door that a browser's microphone speaks to."""
VOSK_PORT: Final = 2700
"""Its port where it is switched off here: another server's, perhaps."""

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
"""By suffix; the machine's own list is not asked, for it differs from machine to machine."""


@dataclass(frozen=True, slots=True)
class Page:
    """One file."""

    body: bytes
    content_type: str
    etag: str


def read_pages(folder: str, base: str) -> dict[str, Page]:
    """Return the files below a folder of this package by the path at which they are served."""
    root = files("ruasr_tel_adapters.rest") / folder
    return {base + path: _page(file) for path, file in _below(root)} if root.is_dir() else {}


def _below(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.name.startswith(".") or entry.name.endswith((".py", ".pyc", ".md")):
            continue
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry


def _page(file: Traversable) -> Page:
    body = file.read_bytes()
    suffix = file.name[file.name.rfind(".") :].lower()
    kind = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    return Page(body, kind, hashlib.sha256(body).hexdigest()[:16])


def vosk_url(request: web.Request) -> str:
    """Return where the browser that asked finds the Vosk socket."""
    api = request.app[API]
    if api.config.vosk_url:
        return api.config.vosk_url
    door = URL(api.server.door_urls().get(VOSK_DOOR, f"ws://127.0.0.1:{VOSK_PORT}"))
    if _is_any_or_own(door.host or ""):
        return f"{door.scheme}://{_host(request)}:{door.port}"
    return str(door.origin())


def _is_any_or_own(host: str) -> bool:
    """Return whether a door that listens there is found under the name of this one."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_unspecified or address.is_loopback


def _host(request: web.Request) -> str:
    """Return the host that the client calls us by, if it is one that can be put into a header."""
    try:
        host = request.url.host or ""
    except ValueError:  # a Host header that no URL can have
        host = ""
    if ":" in host:
        return f"[{host}]"
    return host if host and all(char.isalnum() or char in ".-" for char in host) else "localhost"


def policy(request: web.Request) -> dict[str, str]:
    """Return the headers of every page: nothing but our own files, spoken to nobody else."""
    connect = f"'self' ws://{request.host} wss://{request.host} {vosk_url(request)}"
    if not request.host.replace(":", "").replace(".", "").replace("-", "").isalnum():
        connect = f"'self' {vosk_url(request)}"
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "font-src 'self'; media-src 'self' blob:; manifest-src 'self'; worker-src 'self'; "
            f"connect-src {connect}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
    }


def page_handler(page: Page) -> Handler:
    """Return what answers with a page."""

    async def get_page(request: web.Request) -> web.StreamResponse:
        headers = {**policy(request), "Cache-Control": "no-cache", "ETag": f'"{page.etag}"'}
        if request.if_none_match and any(tag.value == page.etag for tag in request.if_none_match):
            return web.Response(status=304, headers=headers)
        return web.Response(body=page.body, headers={**headers, "Content-Type": page.content_type})

    return get_page


async def _to_docs(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/docs")


def add_pages(app: web.Application) -> None:
    """Route the pages: the console at `/` and `/console/…`, `/docs`, `/asyncapi`, `/demo`."""
    console = read_pages("console", "/console/")
    pages = console | read_pages("pages", "/pages/")
    for path, page in pages.items():
        app.router.add_get(path, page_handler(page))
    for path, name in (("/docs", "docs"), ("/asyncapi", "asyncapi"), ("/demo", "demo")):
        app.router.add_get(path, page_handler(pages[f"/pages/{name}.html"]))
    index = console.get("/console/index.html")
    for path in ("/", "/console", "/console/"):
        app.router.add_get(path, page_handler(index) if index else _to_docs)


@web.middleware
async def plain_types(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell browsers to take every answer for what it says it is."""
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
    return response
