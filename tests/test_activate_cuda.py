"""systemd/activate-cuda.sh, with a stand-in for Python that knows where the libraries are."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "systemd" / "activate-cuda.sh"


def activate(tmp_path: Path, libraries: str, before: str) -> subprocess.CompletedProcess[str]:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ncat > /dev/null\necho '{libraries}'\n")
    python.chmod(0o755)
    environment = {**os.environ, "RUASR_PYTHON": str(python), "LD_LIBRARY_PATH": before}
    return subprocess.run(
        ["sh", str(SCRIPT)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


@pytest.mark.parametrize(("before", "after"), [("", "/a:/b"), ("/c", "/a:/b:/c")])
def test_the_libraries_come_first(tmp_path: Path, before: str, after: str) -> None:
    ran = activate(tmp_path, "/a:/b", before)
    assert (ran.stdout, ran.stderr) == (f"LD_LIBRARY_PATH={after}\n", "")


def test_without_libraries_it_says_what_to_install(tmp_path: Path) -> None:
    ran = activate(tmp_path, "", "/c")
    assert ran.stdout == ""
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in ran.stderr
