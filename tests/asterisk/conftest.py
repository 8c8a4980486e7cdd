"""One Asterisk and one server for all tests of this folder, and the table at their end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.asterisk.chroot import Missing, root
from tests.asterisk.house import House
from tests.asterisk.pbx import Asterisk, free_port
from tests.asterisk.settings import DEFAULT_PORTS
from tests.asterisk.vosk_module import compiled
from tests.asterisk.waves import Suite

HERE = Path(__file__).parent
MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "-"}

_table: dict[tuple[str, str], str] = {}
_hangs: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.asterisk)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    told = dict(report.user_properties)
    if "door" in told and (report.when == "call" or report.failed):
        _table[str(told["door"]), str(told["case"])] = MARKS[report.outcome]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    cases = list(dict.fromkeys(case for _, case in _table))
    doors = list(dict.fromkeys(door for door, _ in _table))
    if not doors:
        return
    width = max(map(len, doors)) + 2
    terminalreporter.section("doors called by a real Asterisk")
    terminalreporter.line(" " * width + "  ".join(cases))
    for door in doors:
        row = [_table.get((door, case), "").ljust(len(case)) for case in cases]
        terminalreporter.line(door.ljust(width) + "  ".join(row))
    for what in _hangs:
        terminalreporter.line(f"Asterisk itself hung during {what}; the calls were placed again")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def suite() -> AsyncIterator[Suite]:
    try:
        chroot = root()
    except Missing as why:
        pytest.skip(f"no Asterisk: {why}")
    ports = {door: free_port() for door in DEFAULT_PORTS}
    modules: list[Path] = []
    without = ""
    try:
        modules.append(compiled(chroot))
    except Missing as why:
        without = str(why)
    asterisk = Asterisk(chroot, ports, modules)
    house = House(ports, asterisk.http)
    try:
        await house.open()
        await asterisk.start()
        yield Suite(house, asterisk, without, _hangs)
    finally:
        await asterisk.stop()
        await house.close()
        await house.forget()
        asterisk.forget()
