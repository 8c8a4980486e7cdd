"""A WebSocket client of bytes (RFC 6455), blocking, so that simulators read as theirs do."""

import base64
import hashlib
import select
import socket
import struct

from ruasr_tel.testing import TIMEOUT_S

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


_KEY = base64.b64encode(b"sixteen  letters").decode()
_ACCEPT = base64.b64encode(
    hashlib.sha1(f"{_KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
).decode()


class Closed(Exception):
    """The server sent a close frame."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class WebSocket:
    """One connection; every frame of the server is checked.

    Args:
        address: host and port.
        target: path and query.
        headers: further request headers.
        mask: masking key; Asterisk before 18 used zeros.
    """

    def __init__(
        self,
        address: tuple[str, int],
        target: str = "/",
        headers: dict[str, str] | None = None,
        mask: bytes = b"\x17\x2a\x5c\xe1",
    ) -> None:
        self._socket = socket.create_connection(address, 3 * TIMEOUT_S)
        self._mask = mask
        self._buffer = b""
        self.response: dict[str, str] = {}
        self._handshake(target, headers or {})

    def _handshake(self, target: str, headers: dict[str, str]) -> None:
        lines = [
            f"GET {target} HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {_KEY}",
            "Sec-WebSocket-Version: 13",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        assert status.startswith("HTTP/1.1 101 "), head
        pairs = (field.split(": ", 1) for field in fields)
        self.response = {name.lower(): value for name, value in pairs}
        assert self.response["sec-websocket-accept"] == _ACCEPT
        assert "sec-websocket-extensions" not in self.response

    def send(self, data: str | bytes, fragment_bytes: int | None = None) -> None:
        """Send a message; in fragments if asked to."""
        payload = data.encode() if isinstance(data, str) else data
        size = fragment_bytes or max(len(payload), 1)
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        for n, piece in enumerate(pieces):
            opcode = CONTINUATION if n else (TEXT if isinstance(data, str) else BINARY)
            self.send_frame(opcode, piece, fin=n == len(pieces) - 1)

    def send_frame(
        self, opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True
    ) -> None:
        """Send one frame."""
        bit = 0x80 if masked else 0
        head = struct.pack("!B", (0x80 if fin else 0) | opcode)
        if len(payload) < 126:
            head += struct.pack("!B", bit | len(payload))
        elif len(payload) < 2**16:
            head += struct.pack("!BH", bit | 126, len(payload))
        else:
            head += struct.pack("!BQ", bit | 127, len(payload))
        body = self._mask + _xor(payload, self._mask) if masked else payload
        self._socket.sendall(head + body)

    def readable(self) -> bool:
        """Say whether something can be read now."""
        return bool(self._buffer) or bool(select.select([self._socket], [], [], 0)[0])

    def read_frame(self) -> tuple[int, bytes]:
        """Read one frame: whole, not masked, without extension bits."""
        first, second = self._take(2)
        assert first & 0x80, "fragmented"
        assert not first & 0x70, "an extension's bit"
        assert not second & 0x80, "masked"
        size = second
        if second == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif second == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(size)

    def recv(self) -> str:
        """Read one message; nothing but text may come.

        Raises:
            Closed: the server closes.
        """
        opcode, payload = self.read_frame()
        if opcode == CLOSE:
            raise Closed(struct.unpack("!H", payload[:2])[0])
        assert opcode == TEXT, opcode
        return payload.decode()

    def wait_close(self) -> tuple[int, list[str]]:
        """Read up to the server's close, answer it; return its code and what came before it."""
        messages: list[str] = []
        try:
            while True:
                messages.append(self.recv())
        except Closed as closed:
            self.send_frame(CLOSE, struct.pack("!H", closed.code))
            self._socket.close()
            return closed.code, messages

    def close_unheard(self) -> None:
        """Close as browsers do: a close frame, and nothing is heard until the server's own."""
        self.send_frame(CLOSE, b"")
        while self.read_frame()[0] != CLOSE:
            pass
        self._socket.close()

    def leave(self, code: int | None = 1000, *, masked: bool = True) -> None:
        """Send a close frame (if a code is given) and shut the socket without reading."""
        if code is not None:
            self.send_frame(CLOSE, struct.pack("!H", code), masked=masked)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _more(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the socket without a close frame")
        self._buffer += data


def _xor(payload: bytes, mask: bytes) -> bytes:
    if mask == bytes(4):
        return payload
    key = int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")
