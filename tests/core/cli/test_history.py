"""`ruasr-tel history` on a database that a server wrote."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ruasr_tel.cli import app
from ruasr_tel.recordings.model import State
from ruasr_tel.store import Store
from tests.core.store.samples import START, conversation, new_id, order, started

OLD, WORKED_ON = new_id(), new_id()


@pytest.fixture
def url(tmp_path: Path) -> str:
    async def fill(url: str) -> str:
        store = Store(url)
        await store.open()
        await store.add_events(conversation("[a]"))
        await store.add_events([started("b", 100, "law"), started("c", 200)])
        await store.close()
        return url

    return asyncio.run(fill(f"sqlite:///{tmp_path}/ruasr.db"))


def history(url: str, *args: str) -> Result:
    runner = CliRunner(env={"COLUMNS": "200"})
    return runner.invoke(app, ["history", *args, "--set", f"store.url={url}"])


def listed(result: Result) -> list[list[str]]:
    """The cells of the table below its heading."""
    rows = [line.split("│")[1:-1] for line in result.output.splitlines() if "│" in line]
    return [[cell.strip() for cell in row] for row in rows]


def test_calls_are_listed_newest_first(url: str) -> None:
    result = history(url, "list")
    assert result.exit_code == 0
    assert listed(result) == [
        *([["2020-03-01 12:03:20", "c", "vosk_ws", "10.0.0.5:5060", "default", "", "", ""]]),
        *([["2020-03-01 12:01:40", "b", "vosk_ws", "10.0.0.5:5060", "law", "", "", ""]]),
        [
            *("2020-03-01 12:00:00", "[a]", "vosk_ws", "10.0.0.5:5060", "default"),
            *("59.5", "3", "hangup"),
        ],
    ]


def test_calls_are_found_by_text_and_time(url: str) -> None:
    assert [row[1] for row in listed(history(url, "list", "--text", "ЕЛКА"))] == ["[a]"]
    since = history(url, "list", "--since", "2020-03-01 12:03:00")
    assert [row[1] for row in listed(since)] == ["c"]


def test_a_long_list_goes_on_where_it_says(url: str) -> None:
    first = history(url, "list", "--limit", "2")
    assert [row[1] for row in listed(first)] == ["c", "b"]
    more = first.output.splitlines()[-1]
    assert more == "there is more: --cursor 2"
    last = history(url, "list", "--limit", "2", "--cursor", "2")
    assert [row[1] for row in listed(last)] == ["[a]"]
    assert "there is more" not in last.output


def test_purge_keeps_what_is_configured(url: str) -> None:
    law = ("--set", "store.keep_days_by_profile={law: null}")
    result = history(url, "purge", "--days", "36500", *law)
    assert result.output == "purged: 0 calls, 0 recordings, 0 deliveries\n"
    result = history(url, "purge", "--set", "store.keep_days=1", *law)
    assert result.output == "purged: 2 calls, 0 recordings, 0 deliveries\n"
    assert [row[1] for row in listed(history(url, "list"))] == ["b"]
    result = history(url, "purge", "--days", "1", *law)
    assert result.output == "purged: 1 calls, 0 recordings, 0 deliveries\n"


def test_purge_deletes_the_audio_of_recordings(url: str, tmp_path: Path) -> None:
    async def fill() -> None:
        store = Store(url)
        store.now = lambda: START
        for id in (OLD, WORKED_ON):
            await store.add_recording(id, order(), START)
            (tmp_path / "recordings" / id).mkdir(parents=True)
            (tmp_path / "recordings" / id / "audio.wav").touch()
        await store.set_state(OLD, State.DONE)
        await store.close()

    asyncio.run(fill())
    result = history(url, "purge", "--set", f"recordings.dir={tmp_path}/recordings")
    assert result.output == "purged: 3 calls, 1 recordings, 0 deliveries\n"
    assert [each.name for each in (tmp_path / "recordings").iterdir()] == [WORKED_ON]


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["list", "--set", "store.enabled=false"], 2, "history is switched off: set store.enabled"),
        (["list", "--cursor", "x"], 1, "'x' is no cursor of ours"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    url: str, args: list[str], code: int, sentence: str
) -> None:
    result = history(url, *args)
    assert result.exit_code == code
    assert result.stderr.startswith(f"error: {sentence}")
    assert result.stderr.count("\n") == 1


def test_a_database_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    result = history(f"postgresql://ruasr:s3cr3t@/history?host={tmp_path}", "list")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: the database postgresql+asyncpg://ruasr:***@/history")
    assert "s3cr3t" not in result.output


def test_a_call_is_shown_with_its_keys(url: str) -> None:
    result = history(url, "show", "[a]")
    assert result.exit_code == 0
    lines = ["0: добрый день ёлка", "1: Здравствуйте", "0: [55]", "0: до свидания"]
    assert result.output.splitlines() == lines
    missing = history(url, "show", "nobody")
    assert missing.exit_code == 2
    assert "history has no call 'nobody'" in missing.output
