"""`install-service`: what is written where, and what is left alone."""

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ruasr_tel.cli import service
from ruasr_tel.cli.root import app
from ruasr_tel.cli.service import (
    CONFIG,
    ENVIRONMENT,
    HIDDEN,
    SOCKET,
    UNIT,
    Plan,
    plan_system,
    plan_user,
    write,
)
from ruasr_tel.errors import ConfigError

ROOT = Path(__file__).parents[3]
PROGRAM = Path("/opt/ruasr/bin/ruasr-tel")


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def setting(unit: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{name}=")]


def test_the_system_unit_starts_this_installation_and_is_else_the_packaged_one() -> None:
    plan = plan_system(PROGRAM, None)
    unit = plan.files[plan.unit]
    packaged = (ROOT / "systemd" / UNIT).read_text("utf-8")
    assert setting(unit, "ExecStart") == [f"{PROGRAM} serve --config {CONFIG}"]
    changed = set(unit.splitlines()) ^ set(packaged.splitlines())
    assert {line.partition("=")[0] for line in changed} == {"ExecStart"}
    assert setting(unit, "EnvironmentFile") == [f"-{ENVIRONMENT}"]
    assert list(plan.files) == [plan.unit, plan.socket, ENVIRONMENT, CONFIG]
    assert "MODEL_NAME" in plan.files[ENVIRONMENT]


@pytest.mark.parametrize("place", HIDDEN)
def test_what_the_unit_cannot_see_is_refused(place: Path) -> None:
    with pytest.raises(ConfigError, match="which the service may not see"):
        plan_system(place / "venv/bin/ruasr-tel", None)


@pytest.mark.parametrize("place", HIDDEN)
def test_a_configuration_that_the_unit_cannot_see_is_refused(place: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        plan_system(PROGRAM, place / "user/ruasr.yaml")
    assert str(refused.value) == (
        f"{place}/user/ruasr.yaml lies in {place}, which the service may not see: put the "
        "configuration below /etc/ruasr-tel, or install with --user"
    )


def test_a_link_to_such_a_configuration_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "HIDDEN", (tmp_path / "home",))
    link = tmp_path / "ruasr.yaml"
    link.symlink_to(tmp_path / "home/ruasr.yaml")
    with pytest.raises(ConfigError, match=f"^{link} lies in {tmp_path}/home, which"):
        plan_system(PROGRAM, link)
    assert plan_system(PROGRAM, tmp_path / "other.yaml").unit.name == UNIT


def test_a_users_unit_has_nothing_that_needs_root(tmp_path: Path) -> None:
    plan = plan_user(tmp_path / "my venv/50%/ruasr-tel", tmp_path / "a.yaml", tmp_path)
    assert plan.unit == tmp_path / ".config/systemd/user" / UNIT
    unit = plan.files[plan.unit]
    quoted = f'"{tmp_path}/my venv/50%%/ruasr-tel"'
    assert setting(unit, "ExecStart") == [f"{quoted} serve --config {tmp_path}/a.yaml"]
    for name in ("DynamicUser", "CapabilityBoundingSet", "PrivateDevices", "User"):
        assert setting(unit, name) == []
    assert setting(unit, "Type") == ["notify"]
    assert CONFIG not in plan.files


def test_writing_keeps_what_an_operator_may_have_changed(tmp_path: Path) -> None:
    plan = plan_user(PROGRAM, None, tmp_path)
    environment = tmp_path / ".config/ruasr-tel/environment"
    write(plan)
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    environment.write_text("MODEL_NAME=Gigaam\n", "utf-8")
    plan.unit.write_text("old", "utf-8")
    write(plan)
    assert environment.read_text("utf-8") == "MODEL_NAME=Gigaam\n"
    assert setting(plan.unit.read_text("utf-8"), "ExecStart") == [f"{PROGRAM} serve"]


def test_a_services_user_can_read_what_root_writes_under_a_tight_umask(tmp_path: Path) -> None:
    folder = tmp_path / "etc/ruasr-tel"
    plan = Plan({folder / "ruasr.yaml": "{}\n"}, tmp_path / UNIT, tmp_path / SOCKET, ())
    before = os.umask(0o077)
    try:
        write(plan)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "ruasr.yaml").stat().st_mode) == 0o644


def test_a_folder_that_cannot_be_written_names_the_cure(tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("a file", "utf-8")
    with pytest.raises(ConfigError, match="run it with sudo, or with --user"):
        write(plan_user(PROGRAM, None, tmp_path))


def test_a_dry_run_prints_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    ran = CliRunner().invoke(app, ["install-service", "--user", "--dry-run"])
    assert ran.exit_code == 0
    assert f"# {tmp_path}/.config/systemd/user/{UNIT}" in ran.output
    assert "bin/ruasr-tel serve" in ran.output
    assert "systemctl --user enable --now" in ran.output
    assert list(tmp_path.iterdir()) == []


def test_an_installation_without_its_unit_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "UNIT", "nothing.service")
    ran = CliRunner().invoke(app, ["install-service", "--user", "--dry-run"])
    assert ran.exit_code == 2
    assert "install ruasr-tel again" in ran.output
