"""The load generator, a process of its own: every call of a script, a frame each 20 ms.

One loop sleeps until the next slot and writes whatever is due to plain sockets: no event loop, no
encoding, the server's silence read once a second. `python -m tests.bench.phones` is started by
the benchmarks; the phases of the calls are spread over the 20 ms as those of real callers are.
"""

import argparse
import json
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ruasr_tel_adapters.wires.audiosocket import encode_uuid
from tests.bench.script import FRAME_S, Script, scripts

SLOT_S = 0.002
"""Calls whose frames fall into the same 2 ms are served by one wake-up."""
LATE_S = 10.0
"""The server has so long to close after our FIN."""


@dataclass
class Phone:
    """One call.

    Attributes:
        script: what it plays.
        sent_at: wall-clock seconds at which each frame was written.
        fault: what went wrong, or None.
    """

    script: Script
    sent_at: list[float] = field(default_factory=list)
    fault: str | None = None
    _socket: socket.socket | None = None

    def step(self, port: int) -> bool:
        """Dial, play one frame or hang up; return whether there is more to do."""
        try:
            if self._socket is None:
                self._dial(port)
            elif len(self.sent_at) % round(1 / FRAME_S) == 0:
                self._swallow()
            return self._play()
        except OSError as error:
            self.fault = f"after {len(self.sent_at)} frames: {error}"
            return False

    def wait_for_close(self, until_s: float) -> None:
        """Read until the server has closed, too."""
        if self._socket is None:
            return
        self._socket.settimeout(max(until_s - time.monotonic(), 0.01))
        try:
            while self._socket.recv(65536):
                pass
        except TimeoutError:
            self.fault = self.fault or f"the server did not close within {LATE_S:g} s"
        except ConnectionError:
            pass  # an abort is a close
        finally:
            self._socket.close()

    def _dial(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=LATE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._socket.send(encode_uuid(self.script.uuid))

    def _play(self) -> bool:
        assert self._socket is not None
        frames = self.script.frames
        at = len(self.sent_at)
        if at == len(frames):
            self._socket.shutdown(socket.SHUT_WR)
            return False
        self.sent_at.append(time.time())
        if self._socket.send(frames[at]) != len(frames[at]):
            raise OSError("the server does not read: a frame went out in part")
        return True

    def _swallow(self) -> None:
        assert self._socket is not None
        with suppress(BlockingIOError):
            if not self._socket.recv(65536):
                raise OSError("the server hung up")


def play(phones: Sequence[Phone], port: int) -> float:
    """Play all calls at their pace; return the worst lateness of a slot in seconds."""
    slots = round(FRAME_S / SLOT_S)
    due: dict[int, list[Phone]] = {}
    for number, phone in enumerate(phones):
        first = round(phone.script.begins_s / FRAME_S) * slots + number * slots // len(phones)
        due.setdefault(first, []).append(phone)
    began_s = time.monotonic()
    latest_s = 0.0
    while due:
        slot = min(due)
        due_s = began_s + slot * SLOT_S
        if (wait_s := due_s - time.monotonic()) > 0:
            time.sleep(wait_s)
        latest_s = max(latest_s, time.monotonic() - due_s)
        going_on = [phone for phone in due.pop(slot) if phone.step(port)]
        if going_on:
            due.setdefault(slot + slots, []).extend(going_on)
    return latest_s


def main() -> None:
    """Play, then print what was sent and what it cost, as one line of JSON."""
    parser = argparse.ArgumentParser()
    for name in ("port", "calls", "seed"):
        parser.add_argument(name, type=int)
    for name in ("seconds", "ramp_s"):
        parser.add_argument(name, type=float)
    given = parser.parse_args()
    played = scripts(given.calls, given.seconds, given.seed, given.ramp_s)
    phones = [Phone(script) for script in played]
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    latest_s = play(phones, given.port)
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    for phone in phones:
        phone.wait_for_close(time.monotonic() + LATE_S)
    sent = {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "latest_s": latest_s,
        "sent_at": [phone.sent_at for phone in phones],
        "faults": [f"{phone.script.uuid}: {phone.fault}" for phone in phones if phone.fault],
    }
    json.dump(sent, sys.stdout)


if __name__ == "__main__":
    main()
