"""A Debian with Asterisk 22 in a folder, from the machine's own package mirror; made once, kept."""

import os
import re
import shutil
import subprocess
from pathlib import Path

VARIABLE = "RUASR_TEST_ASTERISK"
DEFAULT = Path.home() / ".cache/ruasr_tel/asterisk"
SUITE = "sid"
"""The only suite of Debian with Asterisk 22."""
PACKAGES = ("asterisk", "asterisk-modules", "asterisk-core-sounds-ru-wav", "python3-minimal")
PROMPTS = Path("usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU")
STEP_TIMEOUT_S = 420.0
"""debootstrap and the packages took 40 s and 50 s (our measurement)."""
APT = Path("/etc/apt")
MIRROR = re.compile(r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s+)?)(\S+/debian/?)(?:\s|$)", re.M)
"""In deb822 and in one-line files."""


class Missing(Exception):
    """The suite cannot run here; the text says why."""


def root() -> Path:
    """Return the folder with Asterisk in it, made if need be.

    Raises:
        Missing: root or debootstrap is missing, or the mirror cannot be reached.
    """
    folder = Path(os.environ.get(VARIABLE) or DEFAULT)
    if os.geteuid() != 0:
        raise Missing("root is needed for chroot")
    if not _is_ready(folder):
        if shutil.which("debootstrap") is None:
            raise Missing(f"debootstrap is not installed, and {VARIABLE} names no Asterisk")
        _build(folder)
    return folder


def _is_ready(folder: Path) -> bool:
    return (folder / "usr/sbin/asterisk").is_file() and (folder / PROMPTS).is_dir()


def _build(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted build left
    folder.mkdir(parents=True)
    mirror = _mirror()
    _run("debootstrap", "--variant=minbase", SUITE, str(folder), mirror)
    refuse = folder / "usr/sbin/policy-rc.d"  # no service starts in here
    refuse.write_text("#!/bin/sh\nexit 101\n")
    refuse.chmod(0o755)
    for file in APT.glob("apt.conf.d/99*"):
        shutil.copy(file, folder / "etc/apt/apt.conf.d")
    (folder / "etc/apt/sources.list").write_text(f"deb {mirror} {SUITE} main\n")
    if Path("/etc/resolv.conf").exists():
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    _run("chroot", str(folder), "apt-get", "update", "-qq")
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES)
    _run("chroot", str(folder), *install)


def _mirror() -> str:
    """Return the mirror that this machine takes its own packages from."""
    files = [APT / "sources.list", *sorted(APT.glob("sources.list.d/*"))]
    for file in files:
        text = file.read_text("utf-8") if file.is_file() else ""
        found = re.search(
            r"^(?:URIs:\s*|deb\s+(?:\[[^]]*\]\s+)?)(\S+/debian/?)(?:\s|$)", text, re.M
        )
        if found:
            return found[1]
    raise Missing("this machine's apt names no Debian mirror")


def _run(*command: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} took longer than {STEP_TIMEOUT_S:g} s") from None
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["nothing said"]
        raise Missing(f"{' '.join(command[:4])} failed: {said[0]}")
