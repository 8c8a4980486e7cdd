import asyncio
import errno
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from ruasr_tel.errors import ConfigError, Overloaded
from ruasr_tel.recordings import watch as module
from ruasr_tel.recordings.jobs import Recordings
from ruasr_tel.recordings.model import Order, State
from ruasr_tel.recordings.watch import Watch, WatchConfig
from ruasr_tel.testing import TIMEOUT_S, phrase, tone
from tests.core.recordings.kit import ended, running
from tests.core.recordings.sounds import write_wav


@pytest.fixture
async def recordings(tmp_path: Path) -> AsyncIterator[Recordings]:
    async with running(tmp_path / "state") as recordings:
        yield recordings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def state(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()


def files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def watching(config: WatchConfig, recordings: Recordings) -> Watch:
    """Return a watch that looks only when told."""
    watch = Watch(config, recordings)
    watch.make_folders()
    return watch


def warnings(logs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in logs if line["log_level"] == "warning"]


async def settle(watch: Watch, recordings: Recordings, count: int = 1) -> None:
    """Let it take what lies there, wait for the jobs, let it write the results."""
    await watch.look()
    await watch.look()
    page = await recordings.list()
    assert len(page.items) == count
    for each in page.items:
        await ended(recordings, each.id)
    await watch.look()


async def test_a_file_becomes_a_result_beside_it_and_moves_away(
    folder: Path, recordings: Recordings
) -> None:
    (folder / "monday").mkdir()
    write_wav(folder / "monday" / "call.wav", phrase((1.0, 1.0)))
    watch = watching(WatchConfig(folder=folder), recordings)
    await settle(watch, recordings)
    assert files(folder) == ["done/monday/call.wav", "monday/call.wav.json"]
    result = json.loads((folder / "monday/call.wav.json").read_text("utf-8"))
    assert [turn["text"] for turn in result["turns"]] == ["слово слово"]
    await settle(watch, recordings)  # results and finished files are no recordings


async def test_a_page_for_people_goes_elsewhere_and_the_file_is_deleted(
    folder: Path, tmp_path: Path, recordings: Recordings
) -> None:
    write_wav(folder / "call.wav", phrase((1.0, 1.0)))
    config = WatchConfig.model_validate(
        {"folder": folder, "out": tmp_path / "out", "write": "md", "after": "delete"}
    )
    watch = watching(config, recordings)
    await settle(watch, recordings)
    assert files(folder) == []
    page = (tmp_path / "out" / "call.wav.md").read_text("utf-8")
    assert page.startswith("# call.wav\n\n")
    assert "слово слово" in page


async def test_a_file_that_is_kept_is_recognised_once(folder: Path, recordings: Recordings) -> None:
    write_wav(folder / "call.wav", phrase((1.0, 1.0)))
    config = WatchConfig.model_validate({"folder": folder, "after": "keep"})
    watch = watching(config, recordings)
    await settle(watch, recordings)
    await settle(watch, recordings)
    assert files(folder) == ["call.wav", "call.wav.json"]


async def test_a_file_that_is_still_written_is_left_alone(
    folder: Path, recordings: Recordings
) -> None:
    path = write_wav(folder / "call.wav", phrase((1.0, 1.0)))
    watch = watching(WatchConfig(folder=folder), recordings)
    for _ in range(3):
        await watch.look()
        with path.open("ab") as file:
            file.write(b"more")
    assert (await recordings.list()).items == ()
    await settle(watch, recordings)


async def test_a_file_that_is_no_recording_gets_its_reason_and_is_not_tried_again(
    folder: Path, recordings: Recordings
) -> None:
    (folder / "page.wav").write_text("<html>")
    watch = watching(WatchConfig(folder=folder), recordings)
    await settle(watch, recordings)
    await settle(watch, recordings)
    assert files(folder) == ["page.wav", "page.wav.error.txt"]
    reason = (folder / "page.wav.error.txt").read_text("utf-8")
    assert reason.startswith("page.wav: not a recording that can be read")


async def test_after_a_restart_the_file_leads_to_the_same_recording(
    folder: Path, recordings: Recordings
) -> None:
    write_wav(folder / "call.wav", phrase((1.0, 1.0)))
    first = watching(WatchConfig(folder=folder), recordings)
    await first.look()
    await first.look()
    second = watching(WatchConfig(folder=folder), recordings)
    await settle(second, recordings)
    assert files(folder) == ["call.wav.json", "done/call.wav"]


async def test_files_that_are_ours_or_hidden_are_not_taken(
    folder: Path, recordings: Recordings
) -> None:
    (folder / ".hidden").mkdir()
    write_wav(folder / ".hidden" / "a.wav", tone(1.0))
    write_wav(folder / ".b.wav", tone(1.0))
    (folder / "c.json").write_text("{}")
    watch = watching(WatchConfig(folder=folder), recordings)
    await watch.look()
    await watch.look()
    assert (await recordings.list()).items == ()


async def test_a_file_that_cannot_be_taken_holds_up_no_other_and_is_named_once(
    folder: Path, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module._link_or_copy

    def refused(path: Path, to: Path) -> None:
        if path.name == "a.wav":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        real(path, to)

    monkeypatch.setattr(module, "_link_or_copy", refused)
    for name in ("a.wav", "b.wav"):
        write_wav(folder / name, phrase((1.0, 1.0)))
    (folder / "loop.wav").symlink_to("loop.wav")
    watch = watching(WatchConfig(folder=folder), recordings)
    with capture_logs() as logs:
        await settle(watch, recordings)
    assert files(folder) == ["a.wav", "b.wav.json", "done/b.wav"]
    assert sorted((line["file"], line["error"]) for line in warnings(logs)) == [
        ("a.wav", "Permission denied"),
        ("loop.wav", "Too many levels of symbolic links"),
    ]
    monkeypatch.undo()
    with capture_logs() as logs:
        await settle(watch, recordings, 2)
    assert files(folder) == ["a.wav.json", "b.wav.json", "done/a.wav", "done/b.wav"]
    assert warnings(logs) == []


async def test_what_is_no_file_is_not_opened(folder: Path, recordings: Recordings) -> None:
    os.mkfifo(folder / "pipe.wav")
    watch = watching(WatchConfig(folder=folder), recordings)
    await watch.look()
    await watch.look()
    assert (await recordings.list()).items == ()


async def test_results_are_written_while_nothing_new_is_taken(
    folder: Path, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watching(WatchConfig(folder=folder), recordings)
    for name in ("a.wav", "b.wav"):
        write_wav(folder / name, phrase((1.0, 1.0)))
        await watch.look()
    [first] = (await recordings.list()).items
    await ended(recordings, first.id)

    async def full(_order: Order) -> None:
        raise Overloaded("2 recordings wait or run")

    monkeypatch.setattr(recordings, "submit", full)
    with pytest.raises(Overloaded):
        await watch.look()
    assert files(folder) == ["a.wav.json", "b.wav", "done/a.wav"]
    assert list(recordings.uploads.iterdir()) == []


async def test_a_result_that_cannot_be_written_holds_up_no_other(
    folder: Path, tmp_path: Path, recordings: Recordings
) -> None:
    out = tmp_path / "out"
    for name in ("a", "b"):
        (folder / name).mkdir()
        write_wav(folder / name / "call.wav", phrase((1.0, 1.0)))
    watch = watching(WatchConfig(folder=folder, out=out), recordings)
    (out / "a").write_text("in the way")
    with capture_logs() as logs:
        await settle(watch, recordings, 2)
        await settle(watch, recordings, 2)
    assert files(folder) == ["a/call.wav", "done/b/call.wav"]
    assert files(out) == ["a", "b/call.wav.json"]
    assert [(line["file"], line["error"]) for line in warnings(logs)] == [
        ("call.wav", "File exists")
    ]


async def test_it_looks_by_itself(folder: Path, recordings: Recordings) -> None:
    write_wav(folder / "call.wav", phrase((1.0, 1.0)))
    watch = Watch(WatchConfig(folder=folder, every_s=0.01), recordings)
    await watch.start()
    async with asyncio.timeout(2 * TIMEOUT_S):
        while not (page := await recordings.list(state=State.DONE)).items:
            pass
        while files(folder) != ["call.wav.json", "done/call.wav"]:
            await recordings.get(page.items[0].id)
    await watch.close()


async def test_a_folder_that_cannot_be_used_is_named(
    tmp_path: Path, recordings: Recordings
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"watch: the folder .*/file/x cannot be used: Not a dir"):
        await Watch(WatchConfig(folder=tmp_path / "file" / "x"), recordings).start()
