#!/usr/bin/env python3
"""Print what ruasr_tel hears in FreeSWITCH's calls, live: a client of its event socket.

    ./events.py --host 127.0.0.1 --port 8021 --password ClueCon

Works with mod_audio_stream and mod_audio_fork; needs nothing but Python. The event socket is
mod_event_socket's (autoload_configs/event_socket.conf.xml); its messages are headers, an empty
line, and Content-Length bytes of body, which for an event holds headers, an empty line, and a body.
"""

import argparse
import json
import socket
import sys
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import unquote

EVENTS = "mod_audio_stream::json mod_audio_fork::transcription"


def main() -> int:
    """Connect, subscribe, print until FreeSWITCH ends."""
    options = arguments()
    with socket.create_connection((options.host, options.port)) as connection:
        stream = connection.makefile("rb")
        read_message(stream)  # auth/request
        connection.sendall(f"auth {options.password}\n\n".encode())
        answer, _ = read_message(stream)
        if not answer.get("Reply-Text", "").startswith("+OK"):
            print("FreeSWITCH refused the password", file=sys.stderr)
            return 1
        connection.sendall(f"event plain CUSTOM {EVENTS}\n\n".encode())
        for call, data in transcriptions(stream):
            party = ("caller", "callee")[data.get("channel", 0)]
            mark = "" if data.get("is_final") else " …"
            print(f"{call} {party}: {data.get('text', '')}{mark}", flush=True)
    return 0


def arguments() -> argparse.Namespace:
    """Return where FreeSWITCH is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8021)
    parser.add_argument("--password", default="ClueCon")
    return parser.parse_args()


def transcriptions(stream: BinaryIO) -> Iterator[tuple[str, dict]]:
    """Yield call id and content of every result, to the end of the connection."""
    while True:
        headers, body = read_message(stream)
        if not headers:
            return
        if headers.get("Content-Type") != "text/event-plain":
            continue
        text, _, said = body.partition(b"\n\n")
        event = read_headers(text.decode())
        try:
            message = json.loads(said)
        except ValueError:
            continue
        # mod_audio_fork hands on `data` alone
        data = message.get("data", message) if isinstance(message, dict) else None
        if isinstance(data, dict):
            yield event.get("Unique-ID", "?"), data


def read_message(stream: BinaryIO) -> tuple[dict[str, str], bytes]:
    """Return headers and body of one message; no headers at the end of the connection."""
    lines = []
    while (line := stream.readline()) not in (b"\n", b""):
        lines.append(line.decode())
    headers = read_headers("".join(lines))
    return headers, stream.read(int(headers.get("Content-Length", "0")))


def read_headers(text: str) -> dict[str, str]:
    """Return `Name: value` lines; values are URL-encoded."""
    pairs = (line.partition(": ") for line in text.splitlines())
    return {name: unquote(value) for name, colon, value in pairs if colon}


if __name__ == "__main__":
    sys.exit(main())
