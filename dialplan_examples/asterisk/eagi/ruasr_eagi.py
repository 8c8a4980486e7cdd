#!/usr/bin/env python3
"""EAGI client of ruasr_tel: what the caller says becomes channel variables.

    EAGI(ruasr_eagi.py,URL[,SECONDS[,HOW[,RATE]]])

    URL      the Vosk WebSocket door: ws://127.0.0.1:2700/?call_id=${CALL_UUID}&profile=yesno
    SECONDS  listen at most so long, 10 if left out
    HOW      first: to the first text (the default); all: to the end of the time or of the call
    RATE     8000, or 16000 after Set(EAGI_AUDIO_FORMAT=slin16)

Sets RUASR_TEXT, and RUASR_STATUS: OK, NOTHING (time is over and nothing was said), HANGUP,
NOSERVER (not there), REFUSED (no room, a bad URL), LOST (the server went away, or does not answer;
RUASR_TEXT has what came before). RUASR_TEXT is cut after 1900 bytes, about 950 Russian letters, and
ends in " ..." then. Standard library only, Python 3.6 and newer. Works with vosk-server, too.

Asterisk gives audio on fd 3, a frame at a time, and drops what is not read; at a hang-up fd 3 gets
no end of file but the script a SIGHUP (res/res_agi.c; our measurement).
"""

import base64
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from urllib.parse import urlsplit

AUDIO_FD = 3
MESSAGE_S = 0.1  # audio per message; answers come with messages
QUIET_S = 0.2  # no audio for so long: ask with an empty message, for Asterisk sends no silence
CONNECT_S = 3.0
ANSWER_S = 5.0  # wait for the last text after the end of the audio
VALUE_BYTES = 1900  # of a variable: res_agi.c reads lines of 2047, and takes the rest for a command
NORMAL = 1000
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10  # RFC 6455, 5.2

hung_up = []


class Refused(Exception):
    """The server answered, and not with a WebSocket."""


class Lost(Exception):
    """The server went away."""


class Goodbye(Lost):
    """The server closed as it should: it has nothing more to say."""


class WebSocket:
    """A client's side of RFC 6455: whole frames, no extensions."""

    def __init__(self, url):
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port or 80), CONNECT_S)
        self._socket.settimeout(CONNECT_S)
        self._buffer = b""
        self._shake_hands(address)

    def fileno(self):
        """Return what select() takes."""
        return self._socket.fileno()

    def send(self, kind, payload):
        """Send one frame, masked as RFC 6455, 5.3 wants it."""
        size, mask = len(payload), os.urandom(4)
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
        else:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, size)
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        masked = (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")
        try:
            self._socket.sendall(head + mask + masked)
        except OSError as error:
            raise Lost(str(error)) from error

    def receive(self):
        """Read once; give the texts that are whole now, and only after them a goodbye's `Lost`."""
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise Lost(str(error)) from error
        if not data:
            raise Lost("closed")
        self._buffer += data
        yield from self._texts()

    def close(self):
        """Say goodbye; the server may be gone."""
        try:
            self.send(CLOSE, struct.pack("!H", NORMAL))
            self._socket.close()
        except (Lost, OSError):
            pass

    def _shake_hands(self, address):
        target = (address.path or "/") + ("?" + address.query if address.query else "")
        lines = (
            f"GET {target} HTTP/1.1",
            f"Host: {address.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
        )
        request = "\r\n".join(lines) + "\r\n\r\n"
        self._socket.sendall(request.encode())
        while b"\r\n\r\n" not in self._buffer:
            data = self._socket.recv(65536)
            if not data:
                raise Refused("closed in the handshake")
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Refused(head.split(b"\r\n")[0].decode("latin-1"))

    def _texts(self):
        while len(self._buffer) >= 2:
            kind, size = self._buffer[0] & 15, self._buffer[1] & 127
            begin = {126: 4, 127: 10}.get(size, 2)
            if len(self._buffer) < begin:
                return
            if begin > 2:
                size = int.from_bytes(self._buffer[2:begin], "big")
            if len(self._buffer) < begin + size:
                return
            payload = self._buffer[begin : begin + size]
            self._buffer = self._buffer[begin + size :]
            if kind == CLOSE:
                code = int.from_bytes(payload[:2], "big") or NORMAL  # it may say none
                raise (Goodbye if code == NORMAL else Lost)(f"closed by the server: {code}")
            if kind == PING:
                self.send(PONG, payload)
            elif kind == TEXT:
                yield payload.decode("utf-8")


class Agi:
    """Commands to Asterisk by standard output, their answers by standard input."""

    def __init__(self):
        self.arguments = {}
        while True:
            line = sys.stdin.buffer.readline().decode("utf-8", "replace").strip()
            if not line:
                break
            key, _, value = line.partition(":")
            self.arguments[key] = value.strip()

    def argument(self, number, default):
        """Return an argument of EAGI(), 1-based after the script's name."""
        return self.arguments.get(f"agi_arg_{number}") or default

    def set(self, name, value):
        """Set a channel variable, cut at a word if need be; a channel that is gone takes none."""
        quoted = short(value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " "))
        try:
            sys.stdout.buffer.write(f'SET VARIABLE {name} "{quoted}"\n'.encode())
            sys.stdout.buffer.flush()
            sys.stdin.buffer.readline()
        except OSError:
            pass


def short(text):
    """Return as many whole words as a line of AGI takes."""
    if len(text.encode()) <= VALUE_BYTES:
        return text
    head = text.encode()[: VALUE_BYTES - 4].decode("utf-8", "ignore")
    return head.rpartition(" ")[0] + " ..."


class Listening:
    """One conversation with the server.

    `texts` grows as finals come; whoever loses the server still has them.
    """

    def __init__(self, websocket, only_first, rate):
        self.texts = []
        self._websocket = websocket
        self._only_first = only_first
        self._message_bytes = int(rate * MESSAGE_S) * 2
        self._audio = b""
        self._unanswered = 0  # messages; each has one reply, but for the configuration
        self._sent_s = time.monotonic()
        config = json.dumps({"config": {"sample_rate": rate}})
        websocket.send(TEXT, config.encode())

    def run(self, seconds):
        """Listen to the end of the time, of the call, or to the first text."""
        end = time.monotonic() + seconds
        while not hung_up and not self._is_enough():
            left = end - time.monotonic()
            if left <= 0:
                break
            readable, _, _ = select.select([AUDIO_FD, self._websocket], [], [], min(left, 0.1))
            if AUDIO_FD in readable and not self._hear():
                break
            if self._websocket in readable:
                self._take(self._websocket.receive())
            if time.monotonic() - self._sent_s >= QUIET_S:
                self._send(b"")
        if not self._is_enough():
            self._finish()

    def _is_enough(self):
        return self._only_first and bool(self.texts)

    def _hear(self):
        """Read a frame of audio and send what makes a message; return whether there was one."""
        data = os.read(AUDIO_FD, 65536)
        self._audio += data
        while len(self._audio) >= self._message_bytes:
            message, self._audio = (
                self._audio[: self._message_bytes],
                self._audio[self._message_bytes :],
            )
            self._send(message)
        return bool(data)

    def _send(self, audio):
        self._websocket.send(BINARY, audio)
        self._unanswered += 1
        self._sent_s = time.monotonic()

    def _finish(self):
        """Send the rest, and wait for the last text and the server's goodbye.

        Raises Lost where there is neither: the last words may be missing.
        """
        if self._audio:
            self._send(self._audio)
        self._websocket.send(TEXT, b'{"eof" : 1}')
        self._unanswered += 1
        end = time.monotonic() + ANSWER_S
        try:
            while time.monotonic() < end:
                readable, _, _ = select.select([self._websocket], [], [], 0.1)
                if readable:
                    self._take(self._websocket.receive())
        except Goodbye:
            return
        except Lost:
            pass  # some close so after the last text
        if self._unanswered > 0:
            raise Lost("no answer to the end of the audio")

    def _take(self, replies):
        for reply in replies:
            self._unanswered -= 1
            text = json.loads(reply).get("text")
            if text:
                self.texts.append(text)


def listen(agi):
    """Return the text and the status of one call."""
    url, how = agi.argument(1, ""), agi.argument(3, "first")
    seconds, rate = float(agi.argument(2, "10")), int(agi.argument(4, "8000"))
    try:
        websocket = WebSocket(url)
    except Refused:
        return "", "REFUSED"
    except (OSError, ValueError):
        return "", "NOSERVER"
    texts = []
    status = ""
    try:
        listening = Listening(websocket, how != "all", rate)
        texts = listening.texts
        listening.run(seconds)
    except (Lost, ValueError):
        status = "LOST"
    websocket.close()
    if hung_up:
        status = "HANGUP"
    return " ".join(texts), status or ("OK" if texts else "NOTHING")


def main():
    """Serve one call."""
    signal.signal(signal.SIGHUP, lambda *_: hung_up.append(True))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    agi = Agi()
    text, status = listen(agi)
    agi.set("RUASR_TEXT", text)
    agi.set("RUASR_STATUS", status)


if __name__ == "__main__":
    main()
