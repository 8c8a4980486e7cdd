"""The decoder's process: `python -m ruasr_tel.audio.decoder FD LIMITS`, started by reader.py.

FFmpeg reads files of strangers, and some of them end the process or fill the memory. It happens
here, where there is nothing to lose. The process answers requests from the socket FD one after the
other and ends with the socket, so it never outlives the server, not even one that was killed.
"""

import array
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, BinaryIO

from ruasr_tel.audio import wire
from ruasr_tel.errors import AudioFormatError

if TYPE_CHECKING:
    from ruasr_tel.types import Block

BLOCK_BYTES = 16_384
"""What is sent at once, a second of one channel at 8 kHz. Frame by frame, the server took ten times
as long for three hours of stereo, 3.3 s (our measurement, with 64 KiB)."""
STDERR_BYTES = 65_536
"""Most that it may write to a file: what it prints about its end. Everything else is read."""


def limit(memory_mb: int, cpu_s: int, niceness: int) -> None:
    """Bound what this process may take, and load FFmpeg.

    The size of files is bounded last: Python writes what it has compiled, and would keep the first
    64 KiB of it (CPython 3.11, `_write_atomic`).
    """
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    os.nice(niceness)
    importlib.import_module("ruasr_tel.audio.decode")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (STDERR_BYTES, STDERR_BYTES))


def serve(sock: socket.socket) -> None:
    """Answer requests until the owner is gone."""
    try:
        while (asked := _receive(sock)) is not None:
            request, source = asked
            with source:
                _answer(sock, request, source)
    except (BrokenPipeError, ConnectionResetError):
        return


def _receive(sock: socket.socket) -> tuple[wire.Request, BinaryIO] | None:
    """Return the next request and its file, or None if the owner is gone."""
    header, rights, _flags, _address = sock.recvmsg(
        wire.HEADER.size, socket.CMSG_SPACE(array.array("i", [0]).itemsize), socket.MSG_WAITALL
    )
    if not header:
        return None
    fds = array.array("i", rights[0][2])
    _kind, length = wire.parse_header(header)
    content = sock.recv(length, socket.MSG_WAITALL)
    return wire.parse_request(content), os.fdopen(fds[0], "rb")


def _answer(sock: socket.socket, request: wire.Request, source: BinaryIO) -> None:
    from ruasr_tel.audio.decode import Recording, joined

    try:
        with Recording(source, request.name) as recording:
            if request.highest_hz:
                own_hz = recording.sample_rate_hz
                recording.sample_rate_hz = min(max(own_hz, request.lowest_hz), request.highest_hz)
            declared_s = recording.declared_s
            head = wire.Head(recording.channels, recording.sample_rate_hz, declared_s)
            sock.sendall(wire.encode(head))
            for block in joined(recording.blocks(), BLOCK_BYTES):
                _send(sock, block)
            sock.sendall(wire.encode(wire.End(recording.fault)))
    except AudioFormatError as exc:
        sock.sendall(wire.encode(wire.Refused(str(exc))))
    except MemoryError:
        limit_mb = resource.getrlimit(resource.RLIMIT_AS)[0] >> 20
        reason = f"{request.name}: decoding it needs more than {limit_mb} MB of memory"
        sock.sendall(wire.encode(wire.Refused(reason)))


def _send(sock: socket.socket, block: "Block") -> None:
    step = wire.MOST_BYTES // (2 * len(block))
    for at in range(0, block.shape[1], step):
        sock.sendall(wire.encode_block(block[:, at : at + step].tobytes()))


def _end_with(fd: int) -> None:
    """End the process when the owner is gone, also while it decodes."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    poll.poll()
    os._exit(0)


def main(argv: list[str]) -> None:
    """Serve the socket whose number is the first argument, within the limits of the second.

    Ctrl-C, a service manager's SIGTERM and the SIGHUP of a terminal that closes reach the whole
    group of processes; the server handles them, and ends this one by closing the socket.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    limit(**json.loads(argv[1]))
    sock = socket.socket(fileno=int(argv[0]))
    threading.Thread(target=_end_with, args=(sock.fileno(),), daemon=True).start()
    serve(sock)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
