"""The third-party module res_speech_vosk, compiled for the chroot's Asterisk from its one file.

Nothing here fetches it: github.com/alphacep/vosk-asterisk has no package, and its licence, GPL 2,
is not ours.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.asterisk.chroot import Missing

VARIABLE = "RUASR_TEST_RES_SPEECH_VOSK"
"""Where somebody put res-speech-vosk/res_speech_vosk.c of that repository."""
NAME = "res_speech_vosk"
TIMEOUT_S = 60.0


def compiled(root: Path) -> Path:
    """Return the module, compiled against the headers of the very Asterisk in the chroot.

    Args:
        root: of the chroot; its apt downloads the headers (package asterisk-dev, not installed).

    Raises:
        Missing: no source, no compiler, no headers; the text says what to do.
    """
    source = os.environ.get(VARIABLE)
    if not source:
        raise Missing(f"{VARIABLE} names no res_speech_vosk.c (github.com/alphacep/vosk-asterisk)")
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("no C compiler (cc) for res_speech_vosk")
    module = root / "var/cache" / f"{NAME}.so"
    if not module.exists() or module.stat().st_mtime < Path(source).stat().st_mtime:
        with tempfile.TemporaryDirectory(dir=root / "tmp") as folder:
            headers = _headers(root, Path(folder))
            flags = (f"-DAST_MODULE_SELF_SYM=__internal_{NAME}", f"-I{headers}")
            _run(compiler, "-shared", "-fPIC", "-O2", *flags, "-o", str(module), source)
    return module


def _headers(root: Path, folder: Path) -> Path:
    folder.chmod(0o755)  # apt's own user downloads into it
    inside = f"/{folder.relative_to(root)}"
    _run("chroot", str(root), "sh", "-c", f"cd {inside} && apt-get download -qq asterisk-dev")
    (package,) = folder.glob("asterisk-dev_*.deb")
    _run("dpkg", "-x", str(package), str(folder))
    return folder / "usr/include"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["nothing said"]
        raise Missing(f"{Path(command[0]).name} for res_speech_vosk failed: {said[0]}")
