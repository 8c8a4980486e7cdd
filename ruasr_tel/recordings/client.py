"""An HTTP client for addresses that strangers choose: checked, pinned, without a memory.

The only module that opens foreign connections. It follows no redirect by itself, keeps no cookies,
takes no proxy and no passwords from the environment, and unpacks nothing.
"""

import os
import re
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

import ruasr_tel
from ruasr_tel.errors import AddressRefused, FetchError
from ruasr_tel.recordings.addresses import AddressRules

USER_AGENT = f"ruasr-tel/{ruasr_tel.__version__}"
MAX_URL = 8000
"""Characters; RFC 9110, 4.1 asks for at least 8000 octets to be supported."""

_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@cache
def _trust(ca_file: Path) -> ssl.SSLContext:
    """Return the system's trust and one file more; reading it takes tens of milliseconds."""
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context


def usable(ca_file: Path | None) -> Path | None:
    """Return a configuration's file of certificates: read at the start, not at first use.

    Raises:
        ValueError: it is not there or holds none.
    """
    try:
        if ca_file:
            _trust(ca_file)
    except OSError as exc:  # ssl.SSLError is one
        raise ValueError(f"{ca_file} holds no certificates in PEM form") from exc
    return ca_file


def parse_url(text: str) -> URL:
    """Return a URL that may be asked for, its path and query kept as written.

    Raises:
        AddressRefused: it is none, not http or https, or holds a password.
    """
    text = text.strip()
    if len(text) > MAX_URL:
        raise AddressRefused(f"the URL is {len(text)} characters long, at most {MAX_URL} are taken")
    try:
        url = URL(text)
    except ValueError as exc:
        raise AddressRefused("this is not a URL that can be read") from exc
    if url.scheme not in ("http", "https"):
        raise AddressRefused("the URL must begin with http:// or https://")
    if not url.raw_host:
        raise AddressRefused("the URL names no host")
    if url.user or url.password or "@" in urlsplit(text).netloc:
        raise AddressRefused(
            "the URL holds a user name or a password, which would end up in logs; take it out, "
            "an administrator can set it for the host (credentials)"
        )
    if _CONTROL.search(text) or not text.isascii():
        return url.with_fragment(None)
    return _as_written(text, url)


def _as_written(text: str, url: URL) -> URL:
    """Return `url` with the escapes of `text`: signatures over a URL survive no normalisation."""
    raw = urlsplit(text)
    return URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=raw.path or "/",
        query_string=raw.query,
        encoded=True,
    )


class _Pinned(AbstractResolver):
    """Tells the connector only what the rules have permitted, and always the same."""

    def __init__(self, rules: AddressRules) -> None:
        self._rules = rules
        self._known: dict[tuple[str, int], list[str]] = {}

    async def permit(self, host: str, port: int) -> None:
        """Resolve and judge a host, once."""
        if (host, port) not in self._known:
            self._known[host, port] = await self._rules.resolve(host, port)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return what was permitted; the connector asks for nothing else."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._known[host, port]
        ]

    async def close(self) -> None:
        """There is nothing to close."""


class Client:
    """Asks for URLs; use it in an `async with` block, for one errand.

    Args:
        rules: where it may connect.
        connect_s: longest wait for a connection, TLS included.
        stall_s: longest wait between two pieces of an answer.
        ca_file: certificates of authorities trusted besides the system's, PEM.
    """

    def __init__(
        self,
        rules: AddressRules,
        *,
        connect_s: float,
        stall_s: float,
        ca_file: Path | None = None,
    ) -> None:
        self._resolver = _Pinned(rules)
        self._connect_s, self._stall_s = connect_s, stall_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                force_close=True,
                ssl=_trust(ca_file) if ca_file else True,
            ),
            timeout=aiohttp.ClientTimeout(sock_connect=connect_s, sock_read=stall_s),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def request(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None = None
    ) -> aiohttp.ClientResponse:
        """Return the head of the answer, whatever its status; close it after use.

        Raises:
            FetchError: the host may not be reached, or cannot be; says why.
        """
        host = url.raw_host or ""
        await self._resolver.permit(host, url.port or 0)
        try:
            return await self._session.request(
                method, url, headers=headers, data=body, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise self._explained(exc, host) from exc

    def _explained(self, exc: Exception, host: str) -> FetchError:
        """Return what went wrong, as a sentence."""
        match exc:
            case aiohttp.ClientConnectorCertificateError():
                return FetchError(f"the certificate of {host} cannot be trusted")
            case aiohttp.ClientSSLError():
                return FetchError(f"{host} does not speak https as it should")
            case aiohttp.ConnectionTimeoutError():
                sentence = f"{host} cannot be reached: no connection within {self._connect_s:g} s"
                return FetchError(sentence, retryable=True)
            case TimeoutError():
                sentence = f"{host} does not answer: nothing came for {self._stall_s:g} s"
                return FetchError(sentence, retryable=True)
            case aiohttp.ClientConnectorError():
                reason = os.strerror(exc.errno).lower() if exc.errno else "no connection"
                return FetchError(f"{host} cannot be reached: {reason}", retryable=True)
            case aiohttp.ClientResponseError() | ValueError():
                return FetchError(f"what answers at {host} does not speak HTTP as it should")
        return FetchError(f"{host} hung up without an answer", retryable=True)
