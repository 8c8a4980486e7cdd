import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from ruasr_tel.audio import decode, decoder, wire
from ruasr_tel.audio.decode import joined
from ruasr_tel.audio.wire import End, Head, Kind, Refused, Request
from ruasr_tel.testing import TIMEOUT_S, tone
from tests.core.recordings.sounds import write_wav

LIMITS = {"memory_mb": 1024, "cpu_s": 60, "niceness": 5}


class Owner:
    """The server's end of the socket, as bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(TIMEOUT_S)

    def ask(self, path: Path, lowest_hz: int = 0, highest_hz: int = 0) -> None:
        request = wire.encode(Request(path.name, lowest_hz, highest_hz))
        with path.open("rb") as file:
            socket.send_fds(self.sock, [request], [file.fileno()])

    def frame(self) -> tuple[Kind, bytes]:
        kind, length = wire.parse_header(self._exactly(wire.HEADER.size))
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += (more := self.sock.recv(count - len(data)))
            assert more, "the decoder is gone"
        return data

    def answer(self) -> tuple[Head, bytes, End]:
        kind, content = self.frame()
        assert kind is Kind.HEAD
        head, audio = wire.parse_head(content), b""
        while (frame := self.frame())[0] is Kind.BLOCK:
            audio += frame[1]
        assert frame[0] is Kind.END
        return head, audio, wire.parse_end(frame[1])

    def refusal(self) -> Refused:
        kind, content = self.frame()
        assert kind is Kind.REFUSED
        return wire.parse_refused(content)


@contextmanager
def serving() -> Iterator[Owner]:
    """The part of the process that needs no process, in a thread."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=decoder.serve, args=(theirs,))
    thread.start()
    try:
        with ours:
            yield Owner(ours)
    finally:
        thread.join(TIMEOUT_S)
        theirs.close()
    assert not thread.is_alive()


def test_files_are_answered_one_after_the_other(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(0.5), tone(0.5, level=100))
    nothing = tmp_path / "b.wav"
    nothing.write_bytes(b"")
    with serving() as owner:
        for _again in range(2):
            owner.ask(path)
            head, audio, end = owner.answer()
            assert (head, end) == (Head(2, 8000, 0.5), End(None))
            # one block: everything of the first channel, then of the second
            assert audio == tone(0.5).tobytes() + tone(0.5, level=100).tobytes()
            owner.ask(nothing)
            assert owner.refusal().reason.startswith("b.wav: not a recording that can be read")


@pytest.mark.parametrize(
    ("own_hz", "wanted_hz"), [(4000, 8000), (16_000, 16_000), (96_000, 48_000)]
)
def test_a_rate_out_of_bounds_becomes_the_nearest(
    tmp_path: Path, own_hz: int, wanted_hz: int
) -> None:
    path = write_wav(tmp_path / "a.wav", tone(1.0, own_hz), rate_hz=own_hz)
    with serving() as owner:
        owner.ask(path, 8000, 48_000)
        head, audio, _end = owner.answer()
    assert head.sample_rate_hz == wanted_hz
    assert len(audio) / 2 == pytest.approx(wanted_hz, abs=2)


def test_blocks_of_many_channels_are_within_the_limit(tmp_path: Path) -> None:
    voices = np.random.default_rng(1).integers(-9, 9, (64, 20_000), dtype=np.int16)
    with serving() as owner:
        owner.ask(write_wav(tmp_path / "a.wav", *voices))
        head, audio, _end = owner.answer()
    assert (head.channels, len(audio)) == (64, voices.nbytes)


def test_a_longer_block_goes_in_pieces() -> None:
    ours, theirs = socket.socketpair()
    block = np.arange(2 * 300_000, dtype=np.int16).reshape(2, -1)
    thread = threading.Thread(target=decoder._send, args=(theirs, block))
    with ours, theirs:
        thread.start()
        owner = Owner(ours)
        pieces = [owner.frame()[1] for _ in range(2)]
        thread.join()
    assert [len(piece) for piece in pieces] == [wire.MOST_BYTES, block.nbytes - wire.MOST_BYTES]
    shaped = [np.frombuffer(piece, np.int16).reshape(2, -1) for piece in pieces]
    np.testing.assert_array_equal(np.concatenate(shaped, axis=1), block)


def test_blocks_are_joined_and_nothing_is_lost() -> None:
    blocks = [np.full((2, n), n, np.int16) for n in (5, 100, 1, 2)]
    got = list(joined(iter(blocks), 300))
    assert [block.nbytes for block in got] == [420, 12]
    np.testing.assert_array_equal(np.concatenate(got, axis=1), np.concatenate(blocks, axis=1))
    assert list(joined([], 10)) == []


def test_an_owner_that_goes_while_it_is_answered_ends_it(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", tone(60.0))
    with serving() as owner:
        owner.ask(path)
        owner.frame()


def test_a_file_that_needs_too_much_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(source: BinaryIO, name: str) -> None:
        raise MemoryError

    monkeypatch.setattr(decode, "Recording", hungry)
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (600 << 20, 600 << 20))
    with serving() as owner:
        owner.ask(write_wav(tmp_path / "a.wav", tone(1.0)))
        reason = "a.wav: decoding it needs more than 600 MB of memory"
        assert owner.refusal() == Refused(reason)


def run(script: str, *args: str, fd: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys\nfrom ruasr_tel.audio import decoder\n{script}", *args],
        pass_fds=() if fd is None else [fd],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_the_limits_hold_in_the_process() -> None:
    script = f"""
import os, resource
decoder.limit(**{LIMITS})
print(resource.getrlimit(resource.RLIMIT_AS)[0] >> 20, resource.getrlimit(resource.RLIMIT_CPU)[0])
print(resource.getrlimit(resource.RLIMIT_FSIZE)[0], resource.getrlimit(resource.RLIMIT_CORE)[0])
print(os.nice(0), "av" in sys.modules)
try:
    bytearray(1 << 30)
except MemoryError:
    print("no more")
"""
    with run(script) as process:
        said = process.communicate(timeout=TIMEOUT_S)[0].split("\n")
    nice = min(19, os.nice(0) + 5)
    assert said == ["1024 60", "65536 0", f"{nice} True", "no more", ""]


@pytest.mark.parametrize(
    "busy", ["time.sleep(600)", "[None for _ in iter(int, 1)]", "sock.recv(1)"]
)
def test_the_process_ends_with_its_owner(busy: str) -> None:
    ours, theirs = socket.socketpair()
    script = f"import time\ndecoder.serve = lambda sock: (sock.send(b'x'), {busy})\n"
    script += "decoder.main(sys.argv[1:])"
    with ours, theirs:
        ours.settimeout(TIMEOUT_S)
        process = run(script, str(theirs.fileno()), json.dumps(LIMITS), fd=theirs.fileno())
        theirs.close()
        with process:
            assert ours.recv(1) == b"x"
            ours.close()
            assert process.wait(TIMEOUT_S) == 0


def test_main_serves_and_ends(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = run(
            "decoder.main(sys.argv[1:])",
            str(theirs.fileno()),
            json.dumps(LIMITS),
            fd=theirs.fileno(),
        )
        theirs.close()
        with process:
            owner = Owner(ours)
            owner.ask(write_wav(tmp_path / "a.wav", tone(1.0)))
            assert owner.answer()[0] == Head(1, 8000, 1.0)
            ours.close()
            assert process.wait(TIMEOUT_S) == 0
