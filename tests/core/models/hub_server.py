"""A server on loopback that answers like the hub, as far as downloads go, and fails on request.

As huggingface.co does: `resolve` answers with the commit, the digest and the size of the file
(X-Repo-Commit, X-Linked-ETag, X-Linked-Size); one in git-lfs lies behind a redirect and its digest
is the SHA-256, any other is sent at once and its digest is git's. Paths under `/archives/` are a
plain web server's.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "f" * 40
_LFS_FROM_BYTES = 1000


@dataclass
class Hub:
    """What the server has and how it misbehaves, by path of the file.

    Attributes:
        files: content by path.
        status: answers this HTTP status instead.
        cut: closes the connection after so many bytes, once.
        stall: after so many bytes says so with `stalled` and waits for `go_on`.
        lies: sends this in place of the content it has announced.
        ignores_range: answers 200 with the whole file.
        asked: every request line with its Range, in order.
    """

    files: dict[str, bytes]
    status: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    stall: dict[str, int] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    ignores_range: bool = False
    asked: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    cdn: str = ""

    def ranges(self) -> list[str]:
        return [line.split(" ", 2)[2] for line in self.asked if line.count(" ") == 2]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Run the hub, and the server its large files lie on: another host, as in life."""
    with _listening(hub) as hub.cdn, _listening(hub) as hub.url:
        try:
            yield hub
        finally:
            hub.go_on.set()


@contextmanager
def _listening(hub: Hub) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        asked_range = self.headers.get("Range")
        self.hub.asked.append(" ".join(filter(None, (self.command, self.path, asked_range))))
        place, _, path = self.path.removeprefix("/").partition("/")
        if place not in ("cdn", "archives"):  # owner/name/resolve/revision/path
            path = self.path.removeprefix("/").split("/", 4)[-1]
        if self.hub.status.get(path, 200) != 200 or path not in self.hub.files:
            return self._refuse(self.hub.status.get(path, 404))
        content = self.hub.files[path]
        if place not in ("cdn", "archives") and len(content) >= _LFS_FROM_BYTES:
            return self._redirect(path, content)
        self._send(path, content, body=body, asked_range=asked_range)

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _redirect(self, path: str, content: bytes) -> None:
        self.send_response(302)
        self.send_header("Location", f"{self.hub.cdn}/cdn/{path}")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, path: str, content: bytes, *, body: bool, asked_range: str | None) -> None:
        begin = 0
        if asked_range and not self.hub.ignores_range:
            begin = int(asked_range.removeprefix("bytes=").rstrip("-"))
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        self.send_response(206 if begin else 200)
        self.send_header("ETag", f'"{blob}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content) - begin))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body:
            self._body(path, self.hub.lies.get(path, content)[begin:])

    def _body(self, path: str, rest: bytes) -> None:
        cut, stall = self.hub.cut.pop(path, None), self.hub.stall.pop(path, None)
        self.wfile.write(rest[: cut if cut is not None else stall])
        if cut is not None:
            self.close_connection = True
        elif stall is not None:
            self.wfile.flush()
            self.hub.stalled.set()
            self.hub.go_on.wait()
            self.close_connection = True
