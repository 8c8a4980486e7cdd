"""Keeps pages of other sites out: a browser would do here what they say, and no login stops it."""

from ipaddress import ip_address

from aiohttp import web

from ruasr_tel_adapters.rest.api import API
from ruasr_tel_adapters.rest.problems import Handler, Problem


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@web.middleware
async def own_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse who calls this server by a name that is not its own.

    A site may let its name lead to 127.0.0.1 after its page was loaded (DNS rebinding); to the
    browser all that is here is then that site's. What stays is the name, in Host.
    """
    api, host = request.app[API], request.headers.get("Host", "")
    allowed = {name.lower() for name in api.config.allowed_hosts}
    checked = "*" not in allowed and (allowed or api.on_loopback)
    if host and checked and not _is_own(host, allowed):
        raise Problem(
            403,
            f"{host[:200]} is not a name of this server; call it by its address, or name it in "
            "doors.rest.allowed_hosts",
        )
    return await handler(request)


def _is_own(host: str, allowed: set[str]) -> bool:
    """Return whether a Host header has an address, which no name server gave, or a name of ours."""
    name = host[1:].partition("]")[0] if host[0] == "[" else host.partition(":")[0]
    name = name.lower().removesuffix(".")
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name in allowed
    return True


@web.middleware
async def own_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page of another site makes a browser change here."""
    origin = request.headers.get("Origin")
    allowed = request.app[API].config.allowed_origins
    changes = request.method not in ("GET", "HEAD", "OPTIONS") or "Upgrade" in request.headers
    if origin and changes and not {origin, "*"} & set(allowed):
        scheme, _, host = origin.partition("://")
        if scheme not in ("http", "https") or host != request.host:
            raise Problem(
                403, f"the page is from {origin[:200]}, not from here (doors.rest.allowed_origins)"
            )
    return await handler(request)
