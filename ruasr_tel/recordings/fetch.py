"""Fetches a recording from a foreign URL to disk: the only place that does."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeAlias

import aiohttp
from pydantic import Field, SecretStr, field_validator
from yarl import URL

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.addresses import AddressRules, networks
from ruasr_tel.recordings.answers import cleaned, file_name, status_error, validator
from ruasr_tel.recordings.client import Client, parse_url, usable
from ruasr_tel.recordings.disk import DiskFile, whole_or_none
from ruasr_tel.recordings.sniff import SNIFF_BYTES, sniff
from ruasr_tel.section import Section

Progress: TypeAlias = Callable[[float], None]
"""Told the part that has arrived, 0..1, when the host says how much there will be."""

_REDIRECTS = (301, 302, 303, 307, 308)  # RFC 9110, 15.4; 300 and 304 lead nowhere
_BUFFER_BYTES = 1 << 20
"""One write to disk, in a thread; two minutes of stereo slin at 8 kHz are four of them."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OURS = frozenset(
    ("host", "range", "if-range", "accept-encoding", "content-length", "transfer-encoding")
)
"""Headers that fetching itself depends on."""


class HostAccess(Section):
    """How to be let in by one host."""

    user: str | None = None
    """User name for HTTP basic authentication; null for none."""
    password: SecretStr = SecretStr("")
    """Its password."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers sent with every request, such as `Authorization: Bearer …`."""

    @field_validator("headers")
    @classmethod
    def _sendable(cls, given: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in given.items():
            if not _TOKEN.fullmatch(name) or re.search(
                r"[\x00-\x1f\x7f]", value.get_secret_value()
            ):
                raise ValueError(f"{name!r} and its value do not make a header")
            if name.lower() in _OURS:
                raise ValueError(f"{name} is set by the server itself")
        return given

    def sent(self) -> dict[str, str]:
        """Return the headers to send, secrets in the clear."""
        sent = {name: value.get_secret_value() for name, value in self.headers.items()}
        if self.user is not None:
            pair = f"{self.user}:{self.password.get_secret_value()}".encode()  # RFC 7617, 2.1
            sent["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        return sent


class FetchConfig(Section):
    """Fetching recordings from the URLs of orders."""

    allow_cidrs: list[str] = Field(default_factory=list)
    """Networks to connect to although they are not public: `10.0.0.0/8`, `fd00::/8`."""
    ports: list[int] = Field(default_factory=list)
    """The only ports to connect to; empty permits all."""
    max_bytes: int = Field(2_000_000_000, ge=1)
    """Largest file. 2 GB is 17 hours of stereo at 8 kHz in 16 bits."""
    total_timeout_s: float = Field(3600.0, gt=0)
    """Longest time for one file, redirects and resumed transfers included."""
    stall_timeout_s: float = Field(30.0, gt=0)
    """Longest time without a byte."""
    connect_timeout_s: float = Field(10.0, gt=0)
    """Longest wait for a connection, TLS included."""
    max_redirects: int = Field(3, ge=0, le=20)
    """How often a host may send us on; each address is judged anew."""
    max_resumes: int = Field(5, ge=0, le=100)
    """How often a broken transfer is taken up again."""
    resume_delay_s: float = Field(1.0, ge=0)
    """Wait before that."""
    ca_file: Path | None = None
    """Certificates of authorities trusted besides the system's, PEM."""
    credentials: dict[str, HostAccess] = Field(default_factory=dict)
    """Passwords and headers by host, `records.example.ru` or `records.example.ru:8443`."""

    @field_validator("allow_cidrs")
    @classmethod
    def _are_networks(cls, given: list[str]) -> list[str]:
        networks(given)
        return given

    _usable = field_validator("ca_file")(usable)

    def address_rules(self) -> AddressRules:
        """Return where connections may go, for fetching and for webhooks."""
        return AddressRules(networks(self.allow_cidrs), frozenset(self.ports))


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that has arrived.

    Attributes:
        path: where it is.
        bytes: its size.
        mime: what its first bytes say it is; `application/octet-stream` for a decoder to tell.
        name: its name as the host or the URL tells it, without folders; never empty.
    """

    path: Path
    bytes: int
    mime: str
    name: str


async def fetch(
    url: str,
    to: Path,
    config: FetchConfig,
    *,
    progress: Progress = lambda part: None,
    rules: AddressRules | None = None,
) -> Fetched:
    """Fetch a recording into a file; a failed or cancelled fetch leaves none.

    Args:
        url: http or https.
        to: the file; overwritten.
        config: limits, and what to show to which host.
        progress: told how far it is.
        rules: where connections may go; None takes those of the configuration.

    Raises:
        FetchError: there is no such recording or it may not be had; `retryable` if perhaps later.
    """
    asked = parse_url(url)
    client = Client(
        rules or config.address_rules(),
        connect_s=config.connect_timeout_s,
        stall_s=config.stall_timeout_s,
        ca_file=config.ca_file,
    )
    with whole_or_none(to):
        try:
            async with asyncio.timeout(config.total_timeout_s), client:
                return await _Transfer(asked, to, config, client, progress).run()
        except TimeoutError as exc:
            sentence = f"the transfer took longer than {config.total_timeout_s:g} s"
            raise FetchError(sentence, retryable=True) from exc


class _Broken(Exception):
    """The transfer ended before its end."""


class _Transfer:
    """One file on its way; what has arrived survives a broken connection."""

    def __init__(
        self, url: URL, to: Path, config: FetchConfig, client: Client, progress: Progress
    ) -> None:
        self._url, self._to, self._config = url, to, config
        self._client, self._progress = client, progress
        self._host = url.host or ""
        self._received = 0
        self._total: int | None = None
        self._validator: str | None = None
        self._head = b""
        self._name = ""

    async def run(self) -> Fetched:
        """Fetch, taking a broken transfer up again."""
        file = await DiskFile.create(self._to)
        try:
            for attempt in range(self._config.max_resumes + 1):
                if attempt:
                    await asyncio.sleep(self._config.resume_delay_s)
                try:
                    await self._attempt(file, first=not attempt)
                except _Broken:
                    continue
                await file.sync()  # the queues believe the file from here on
                return self._finished()
        finally:
            await file.close()
        size = "an unknown number of" if self._total is None else str(self._total)
        raise FetchError(
            f"the transfer from {self._host} broke off again and again, the last time after "
            f"{self._received} of {size} bytes",
            retryable=True,
        )

    async def _attempt(self, file: DiskFile, *, first: bool) -> None:
        """Receive the rest of the file.

        Raises:
            _Broken: it ended early.
            FetchError: another attempt makes no sense.
        """
        try:
            response = await self._open(self._conditions())
        except FetchError as exc:
            if first or not exc.retryable:
                raise
            raise _Broken from exc
        try:
            await self._begin(response, file)
            await self._receive(response, file)
        finally:
            response.close()
        if self._total is not None and self._received < self._total:
            raise _Broken

    def _conditions(self) -> dict[str, str]:
        """Return the headers that ask for what is missing, if the file is still the same."""
        if not self._received or not self._validator:
            return {}
        return {"Range": f"bytes={self._received}-", "If-Range": self._validator}

    async def _open(self, conditions: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Ask for the file and follow where the host sends us; return an answer that is none of it.

        Credentials go to the host that was asked first, and to nobody it leads to.
        """
        url, access = self._url, _access(self._url, self._config)
        for hop in range(self._config.max_redirects + 1):
            try:
                response = await self._client.request("GET", url, {**access, **conditions})
            except FetchError as exc:
                if hop:
                    raise self._sent_on(exc) from exc
                raise
            if response.status not in _REDIRECTS or "Location" not in response.headers:
                return self._accepted(response)
            response.close()
            target = self._target(url, response.headers["Location"])
            access = access if _same_place(url, target) else {}
            url = target
        raise FetchError(f"{self._host} sends us on more than {self._config.max_redirects} times")

    def _target(self, url: URL, location: str) -> URL:
        """Return where a redirect leads, relative to where it came from."""
        try:
            return parse_url(str(url.join(URL(location, encoded=location.isascii()))))
        except FetchError as exc:
            raise self._sent_on(exc) from exc
        except ValueError as exc:
            raise FetchError(f"{self._host} sends us on to what is not a URL") from exc

    def _sent_on(self, exc: FetchError) -> FetchError:
        return FetchError(f"{self._host} sends us on, but {exc}", retryable=exc.retryable)

    def _accepted(self, response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
        """Return an answer that brings the file or a part of it; close any other."""
        status, asked_for_part = response.status, bool(self._received and self._validator)
        if status == HTTPStatus.OK or (asked_for_part and status in (206, 416)):
            return response
        response.close()
        raise status_error(status, self._host)

    async def _begin(self, response: aiohttp.ClientResponse, file: DiskFile) -> None:
        """Take the answer's head, and decide whether it goes on where the last one ended."""
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if coding not in ("", "identity"):
            raise FetchError(
                f"{self._host} sends the file packed ({coding[:20]}) although it was asked not to"
            )
        if response.status == HTTPStatus.OK:
            await self._restart(file)
            self._total = response.content_length
            self._validator = validator(response.headers)
            self._name = (
                file_name(response.headers) or cleaned(self._url.name) or cleaned(response.url.name)
            )
        elif not self._goes_on(response.headers.get("Content-Range", "")):
            await self._restart(file)
            raise _Broken
        self._check_size(self._total or 0)

    async def _restart(self, file: DiskFile) -> None:
        """Forget what has arrived."""
        if self._received:
            await file.empty()
        self._received, self._head, self._total, self._validator = 0, b"", None, None

    def _goes_on(self, content_range: str) -> bool:
        """Whether a part begins where the last one ended, in a file of the same size."""
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range.strip())
        if not match or int(match[1]) != self._received:
            return False
        size = self._total if match[2] == "*" else int(match[2])
        if self._total is None:
            self._total = size
        return size == self._total

    async def _receive(self, response: aiohttp.ClientResponse, file: DiskFile) -> None:
        """Write the body to disk, looking at its first bytes and its size."""
        buffer = bytearray()
        try:
            async for piece in _pieces(response):
                buffer += piece
                self._look(piece)
                self._check_size(self._received + len(buffer))
                if len(buffer) >= _BUFFER_BYTES:
                    await self._write(file, buffer)
        except _Broken:
            await self._write(file, buffer)
            raise
        await self._write(file, buffer)

    async def _write(self, file: DiskFile, buffer: bytearray) -> None:
        await file.append(bytes(buffer))
        self._received += len(buffer)
        buffer.clear()
        if self._total:
            self._progress(min(1.0, self._received / self._total))

    def _look(self, piece: bytes) -> None:
        """Refuse what is no recording as soon as enough of it is here."""
        if len(self._head) < SNIFF_BYTES:
            self._head += piece[: SNIFF_BYTES - len(self._head)]
            if len(self._head) == SNIFF_BYTES:
                self._sniffed()

    def _sniffed(self) -> str:
        content = sniff(self._head)
        if not self._head:
            raise FetchError("the file is empty")
        if content.not_audio:
            raise FetchError(f"{self._host} answered with {content.not_audio}, not audio")
        return content.mime

    def _check_size(self, size: int) -> None:
        if size > self._config.max_bytes:
            limit = f"{self._config.max_bytes / 1e6:g} MB"
            raise FetchError(f"the file is larger than the {limit} that are taken (max_bytes)")

    def _finished(self) -> Fetched:
        return Fetched(self._to, self._received, self._sniffed(), self._name or "recording")


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the body as it comes; aiohttp keeps to itself what it held when a connection broke.

    Raises:
        _Broken: it ended early, or stopped.
    """
    try:
        async for piece in response.content.iter_any():
            yield piece
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as exc:
        raise _Broken from exc


def _access(url: URL, config: FetchConfig) -> dict[str, str]:
    """Return the headers that let us in at the host of a URL."""
    table = {name.lower().rstrip("."): access for name, access in config.credentials.items()}
    hosts = {(host or "").lower().rstrip(".") for host in (url.host, url.raw_host)}
    for key in [f"{host}:{url.port}" for host in hosts] + list(hosts):
        if key in table:
            return table[key].sent()
    return {}


def _same_place(url: URL, target: URL) -> bool:
    """Whether the second URL is the first one's server: its origin, or its https."""
    upgraded = (url.scheme, url.port, target.scheme, target.port) == ("http", 80, "https", 443)
    return url.origin() == target.origin() or (upgraded and url.raw_host == target.raw_host)
