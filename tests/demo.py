"""`make demo`: the server, two real prompts through each door at the pace of a call, and an end."""

import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMPTS = ["all-circuits-busy-now.wav", "pbx-invalid.wav"]
RUASR_TEL = [sys.executable, "-m", "ruasr_tel"]


def main() -> int:
    """Play the prompts; return the worst exit code."""
    config = ["--config", "configs/demo.yaml"]
    command = [*RUASR_TEL, "serve", *config]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        try:
            urls = wait_until_ready(server)
            codes = [play(door, url, config) for door, url in urls.items()]
        finally:
            server.send_signal(signal.SIGTERM)
        print(f"\nthe server stopped with exit code {server.wait(60)}")  # noqa: T201 - a demo
        return max(codes, default=1) or server.returncode


def wait_until_ready(server: "subprocess.Popen[str]") -> dict[str, str]:
    """Show what the server says until every door is open; return their addresses."""
    urls: dict[str, str] = {}
    assert server.stderr is not None
    for line in server.stderr:
        print(line, end="", flush=True)  # noqa: T201
        if address := re.match(r"(\w+) ((?:ws|tcp)://\S+)", line):
            urls[address[1]] = address[2]
        if line.startswith("ready"):
            return urls
    raise SystemExit(f"the server ended with exit code {server.wait()}")


def play(door: str, url: str, config: list[str]) -> int:
    """Play both prompts into one door, one call after the other."""
    codes = []
    for prompt in PROMPTS:
        print(f"\n{door}: {prompt}", flush=True)  # noqa: T201
        file = ROOT / "tests/data/wav" / prompt
        command = [*RUASR_TEL, "call", str(file), "--door", door, "--url", url, *config]
        codes.append(subprocess.run(command, cwd=ROOT, check=False).returncode)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
