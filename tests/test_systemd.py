"""The units as systemd reads them, without a running systemd."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ruasr_tel.call import CallsConfig
from ruasr_tel.config import load_config
from ruasr_tel.plugins import adapters
from ruasr_tel.sockets import BACKLOG
from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig

FOLDER = Path(__file__).parents[1] / "systemd"
UNIT = FOLDER / "ruasr-tel.service"
SOCKET = FOLDER / "ruasr-tel.socket"
ENVIRONMENT = FOLDER / "environment.example"
MINIMAL = FOLDER.parent / "configs/minimal.yaml"
EXPOSURE = 2.0
"""The worst that `systemd-analyze security` may say: 0 is fully contained, 10 is root."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here: install systemd"
)


def analyze(*words: str) -> str:
    ran = subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60
    )
    return ran.stdout + ran.stderr


def exposure(unit: Path) -> float:
    """Return the exposure that systemd-analyze computes."""
    said = analyze("security", "--offline=true", "--no-pager", str(unit))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found is not None, said
    return float(found.group(1))


def settings(path: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in path.read_text("utf-8").splitlines())
    return {name: value for name, equals, value in lines if equals and not name.startswith("#")}


@needs_systemd
def test_the_unit_is_contained() -> None:
    assert exposure(UNIT) <= EXPOSURE


@needs_systemd
def test_with_cuda_it_is_contained_still(tmp_path: Path) -> None:
    together = tmp_path / UNIT.name
    drop_in = (FOLDER / "ruasr-tel.service.d/cuda.conf").read_text("utf-8")
    unit, install, rest = UNIT.read_text("utf-8").partition("[Install]")
    together.write_text(unit + drop_in + install + rest, "utf-8")
    assert exposure(together) <= EXPOSURE


@needs_systemd
def test_systemd_knows_every_word_of_them(tmp_path: Path) -> None:
    copies = [tmp_path / each.name for each in (UNIT, SOCKET)]
    text = UNIT.read_text("utf-8").replace("ExecStart=ruasr-tel", "ExecStart=/bin/true")
    copies[0].write_text(text, "utf-8")
    copies[1].write_text(SOCKET.read_text("utf-8"), "utf-8")
    said = analyze("verify", "--man=no", *map(str, copies))
    assert not [line for line in said.splitlines() if "ruasr-tel" in line], said


def test_nothing_in_the_environment_stands_above_the_file_before_somebody_says_so() -> None:
    assert settings(ENVIRONMENT) == {}


def test_what_the_environment_offers_is_understood() -> None:
    offered = re.findall(r"^#([A-Z_]+)=(\S+)$", ENVIRONMENT.read_text("utf-8"), flags=re.M)
    assert {"HOST", "PROVIDER", "MODEL_NAME"} <= dict(offered).keys()
    assert load_config(MINIMAL, environ=dict(offered)).warnings == ()


def test_host_opens_every_door_of_the_installed_configuration() -> None:
    config = load_config(MINIMAL, environ={"HOST": "0.0.0.0"}).config
    hosts = {
        name: config.door(name).host for name in adapters() if hasattr(config.door(name), "host")
    }
    assert {"vosk_ws", "audiosocket", "rest"} <= hosts.keys()
    assert set(hosts.values()) == {"0.0.0.0"}


def test_the_socket_unit_is_where_the_audiosocket_door_is() -> None:
    held, door = settings(SOCKET), AudioSocketConfig()
    assert held["ListenStream"] == f"{door.host}:{door.port}"
    assert held["FileDescriptorName"] in adapters()
    assert int(held["Backlog"]) == BACKLOG


def test_systemd_waits_longer_than_the_server_drains() -> None:
    limits = CallsConfig()
    assert int(settings(UNIT)["TimeoutStopSec"]) >= limits.drain_s + limits.finish_timeout_s + 15


def test_the_drop_in_gives_back_what_the_unit_takes() -> None:
    unit, cuda = settings(UNIT), settings(FOLDER / "ruasr-tel.service.d/cuda.conf")
    for name in ("PrivateDevices", "MemoryDenyWriteExecute"):
        assert (unit[name], cuda[name]) == ("yes", "no")
