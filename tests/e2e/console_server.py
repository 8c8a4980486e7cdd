"""The real server for the console's test: every door on loopback, its state in a folder."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ruasr_tel.testing import TIMEOUT_S

ROOT = Path(__file__).parents[2]
SILENT_HOST = "127.0.0.2"
"""The only loopback address that recordings may be fetched from: for a test's own listener."""
START_S = 6 * TIMEOUT_S
"""The embedded model is loaded and both databases are made meanwhile."""


@contextmanager
def console_server(folder: Path) -> Iterator[dict[str, str]]:
    """Run a server on the embedded model; give its addresses by door.

    Args:
        folder: keeps its databases and files.

    Raises:
        TimeoutError: it was not ready in time; shows what it said.
    """
    settings = {
        "doors.rest.port": 0,
        "doors.audiosocket.port": 0,
        "doors.vosk_ws.port": 0,
        "engine.model": "ru-mini-ctc-8k",
        "engine.provider": "cpu",
        "fetch.allow_cidrs": f'["{SILENT_HOST}/32"]',
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ruasr_tel", "serve", *words],
        cwd=ROOT,
        env=os.environ | {"STATE_DIRECTORY": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    urls: dict[str, str] = {}
    settled = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            told = json.loads(line) if line.startswith("{") else {}
            if told.get("event") == "door open":
                urls[told["door"]] = told["url"]
            if told.get("event") == "ready":
                settled.set()
        settled.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        if not settled.wait(START_S) or process.poll() is not None:
            raise TimeoutError(f"not ready within {START_S:g} s: {''.join(said[-20:])}")
        yield urls
        process.send_signal(signal.SIGTERM)
        process.wait(START_S)
    finally:
        process.kill()
        process.wait()
        listener.join(TIMEOUT_S)
        if process.stderr is not None:
            process.stderr.close()
