"""One AudioSocket connection without a socket."""

import asyncio
import struct
from pathlib import Path
from typing import Any
from uuid import UUID

from ruasr_tel.metrics import Metrics
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig
from ruasr_tel_adapters.audiosocket.session import Session
from tests.adapters.audiosocket.fakes import FakeCall, FakeCalls, FakeTransport

DATA = Path(__file__).parents[2] / "data" / "audiosocket"
CALL = "708f9ffc-c4fe-485b-8acb-cc90cf75b37d"
UUID_MESSAGE = b"\x01\x00\x10" + UUID(CALL).bytes
HANGUP = b"\x00\x00\x00"
PEER = "127.0.0.1:40000"


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack("!BH", kind, len(payload)) + payload


def audio(size: int = 320, kind: int = 0x10) -> bytes:
    return message(kind, bytes(size))


class Line:
    """One connection on a clock of its own, with everything around it recorded."""

    def __init__(
        self, calls: FakeCalls | None = None, sessions: set[Session] | None = None, **config: Any
    ):
        self.now_s = 100.0
        self.calls = calls or FakeCalls()
        self.sessions = set() if sessions is None else sessions
        self.config = AudioSocketConfig(**config)
        self.metrics = Metrics()
        self.session = Session(
            self.config, self.calls.as_calls(), self.sessions, lambda: self.now_s, self.metrics
        )
        self.transport = FakeTransport()

    def connect(self) -> "Line":
        self.session.connection_made(self.transport)
        return self

    def call_in(self) -> "Line":
        self.connect()
        self.feed(UUID_MESSAGE)
        return self

    def feed(self, data: bytes) -> None:
        self.session.data_received(data)

    def tick(self, seconds: float = 0.02) -> None:
        self.now_s += seconds
        self.session.tick(self.now_s)

    async def peer_closes(self) -> None:
        self.session.eof_received()
        await self.lost()

    async def lost(self, error: Exception | None = None) -> None:
        self.session.connection_lost(error)
        async with asyncio.timeout(TIMEOUT_S):
            await self.session.finished.wait()

    def counted(self, kind: str) -> float:
        """Return how often something against the protocol was counted."""
        labels = {"door": "audiosocket", "kind": kind}
        return self.metrics.registry.get_sample_value("ruasr_bad_messages_total", labels) or 0.0

    @property
    def call(self) -> FakeCall:
        return self.calls.call
