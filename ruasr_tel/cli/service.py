"""`ruasr-tel install-service`: a systemd unit for this very installation."""

import re
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ruasr_tel.cli.common import err, one_sentence, out
from ruasr_tel.errors import ConfigError
from ruasr_tel.models.catalog import default_models_dir

UNIT = "ruasr-tel.service"
SOCKET = "ruasr-tel.socket"
ENVIRONMENT = Path("/etc/default/ruasr-tel")
CONFIG = Path("/etc/ruasr-tel/ruasr.yaml")
SYSTEM_UNITS = Path("/etc/systemd/system")
HIDDEN = (Path("/home"), Path("/root"), Path("/run/user"), Path("/tmp"), Path("/var/tmp"))
"""Folders that the system unit cannot see: ProtectHome= and PrivateTmp= (systemd.exec(5))."""

SECRET = (ENVIRONMENT.name, "environment")
"""Names of files that may hold passwords; systemd reads them as the manager."""

USER_UNIT = """\
# ruasr_tel for one user: written by `ruasr-tel install-service --user`.
# A user's manager cannot sandbox as the system's can; the system unit is the safer one.
[Unit]
Description=ruasr_tel, Russian speech recognition for telephony

[Service]
Type=notify
NotifyAccess=main
WatchdogSec=30
EnvironmentFile=-%E/ruasr-tel/environment
ExecStart=ruasr-tel serve
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2
TimeoutStartSec=300
TimeoutStopSec=75
KillMode=mixed
StateDirectory=ruasr-tel
StateDirectoryMode=0700
LimitNOFILE=65536
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
"""
"""No DynamicUser= and nothing that needs a capability (systemd.exec(5), "user services")."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written.

    Attributes:
        files: text by path; one that is there already is kept, but for the units.
        unit: which of them is the service.
        socket: which of them holds its port for it, where the operator enables that.
        then: commands for the operator to run afterwards.
    """

    files: dict[Path, str]
    unit: Path
    socket: Path
    then: tuple[str, ...]


def install_service(
    user: Annotated[
        bool, typer.Option("--user", help="For your own user's systemd, without root.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="YAML file of the service.", metavar="FILE"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be written, and write nothing.")
    ] = False,
) -> None:
    """Write systemd units that run this installation, and the file of its environment."""
    with one_sentence():
        executable = Path(sys.executable).parent / "ruasr-tel"
        home = Path.home()
        plan = plan_user(executable, config, home) if user else plan_system(executable, config)
        if dry_run:
            for path, text in plan.files.items():
                out.print(f"# {path}", markup=False)
                out.print(text, markup=False)
        else:
            write(plan)
        for command in plan.then:
            err.print(command, markup=False)


def plan_system(executable: Path, config: Path | None) -> Plan:
    """Return what a service of the whole machine needs.

    Raises:
        ConfigError: the unit could not see this installation or its configuration; or the unit's
            text is missing.
    """
    wanted = CONFIG if config is None else config.absolute()
    _expect_seen(executable, "make the virtual environment in /usr/local/lib/ruasr-tel or /opt")
    _expect_seen(wanted, f"put the configuration below {CONFIG.parent}")
    folder = unit_folder()
    unit = _start(
        (folder / UNIT).read_text("utf-8"),
        f"{_quoted(executable)} serve --config {_quoted(wanted)}",
    )
    files = {
        SYSTEM_UNITS / UNIT: unit,
        SYSTEM_UNITS / SOCKET: (folder / SOCKET).read_text("utf-8"),
        ENVIRONMENT: (folder / "environment.example").read_text("utf-8"),
    }
    if config is None:
        minimal = folder.parent / "configs/minimal.yaml"
        files[CONFIG] = minimal.read_text("utf-8")
    commands = ("systemctl daemon-reload", f"systemctl enable --now {UNIT}")
    return Plan(files, SYSTEM_UNITS / UNIT, SYSTEM_UNITS / SOCKET, commands)


def plan_user(executable: Path, config: Path | None, home: Path) -> Plan:
    """Return what a service of one user needs.

    Raises:
        ConfigError: the file of the environment is missing in this installation.
    """
    command = f"{_quoted(executable)} serve"
    if config is not None:
        command += f" --config {_quoted(config.absolute())}"
    units, packaged = home / ".config/systemd/user", unit_folder()
    files = {
        units / UNIT: _start(USER_UNIT, command),
        units / SOCKET: (packaged / SOCKET).read_text("utf-8"),
        home / ".config/ruasr-tel/environment": (packaged / "environment.example").read_text(
            "utf-8"
        ),
    }
    commands = (
        "systemctl --user daemon-reload",
        f"systemctl --user enable --now {UNIT}",
        "loginctl enable-linger  # so that it runs while you are logged out",
    )
    return Plan(files, units / UNIT, units / SOCKET, commands)


def _expect_seen(path: Path, cure: str) -> None:
    """See that the system unit can read a path: the file itself, where that is a link.

    Raises:
        ConfigError: it cannot.
    """
    for hidden in HIDDEN:
        if path.is_relative_to(hidden) or path.resolve().is_relative_to(hidden):
            raise ConfigError(
                f"{path} lies in {hidden}, which the service may not see: {cure}, or install "
                "with --user"
            )


def write(plan: Plan) -> None:
    """Write a plan's files; those that an operator may have changed are kept.

    Raises:
        ConfigError: a file cannot be written.
    """
    for path, text in plan.files.items():
        if path not in (plan.unit, plan.socket) and path.exists():
            err.print(f"kept {path}", markup=False)
            continue
        try:
            _make_folder(path.parent)
            if not path.exists():
                path.touch(mode=0o600)
                path.chmod(0o600 if path.name in SECRET else 0o644)  # whatever root's umask is
            path.write_text(text, "utf-8")
        except OSError as error:
            raise ConfigError(
                f"cannot write {path}: {error.strerror}; run it with sudo, or with --user"
            ) from error
        err.print(f"wrote {path}", markup=False)


def _make_folder(folder: Path) -> None:
    """Make a folder that the service's user can look into."""
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(0o755)


def unit_folder() -> Path:
    """Return where this installation keeps its unit: a checkout, or its share folder.

    Raises:
        ConfigError: nowhere.
    """
    installed = Path(sysconfig.get_path("data"), "share/ruasr_tel/systemd")
    # A checkout's own goes first: an editable install's share folder is as old as the install.
    places = [default_models_dir().parent / "systemd", installed]
    for place in places:
        if (place / UNIT).is_file():
            return place.absolute()
    looked = ", ".join(str(place.absolute()) for place in places)
    raise ConfigError(f"no {UNIT} in {looked}: install ruasr-tel again")


def _start(unit: str, command: str) -> str:
    """Return a unit with another command to start."""
    return re.sub(r"^ExecStart=.*$", lambda _line: f"ExecStart={command}", unit, flags=re.M)


def _quoted(path: Path) -> str:
    """Return a path as systemd reads it in ExecStart= (systemd.service(5), "command lines")."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if re.search(r"[\s\"';]", text) else text
