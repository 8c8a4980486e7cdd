"""History and recordings as the server runs them, around a scripted engine."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ruasr_tel.app_recordings import Ears, history, jobs
from ruasr_tel.config import Config, load_config
from ruasr_tel.errors import ConfigError
from ruasr_tel.metrics import Metrics
from ruasr_tel.profile import DEFAULT_PROFILES
from ruasr_tel.recognisers import Recognisers
from ruasr_tel.recordings.model import Order, State
from ruasr_tel.scheduler import Scheduler, SchedulerConfig
from ruasr_tel.store import Store
from ruasr_tel.testing import TIMEOUT_S, phrase, scripted_host
from ruasr_tel.vad import VadBatcher, VadConfig
from ruasr_tel.vad.energy import EnergyVad
from tests.core.recordings.sounds import write_wav


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return tmp_path


def configured(**overrides: Any) -> Config:
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_config(None, environ={}, overrides=given).config


async def recognised(config: Config, path: Path) -> State:
    """Return what becomes of a file."""
    scheduler = Scheduler(scripted_host(), SchedulerConfig())
    batcher = VadBatcher(EnergyVad(), VadConfig(tick_ms=1))
    await scheduler.start()
    await batcher.start()
    try:
        async with history(config, Metrics()) as (store, sinks):
            assert [sink.name for sink in sinks] == ["history"]
            ears = Ears(Recognisers.only(scheduler), batcher, dict(DEFAULT_PROFILES))
            async with jobs(config, store, ears, Metrics()) as recordings:
                assert recordings is not None
                accepted, _ = await recordings.submit(Order(upload=path, model="scripted"))
                done = await recordings.wait(accepted.id, 2 * TIMEOUT_S)
            for sink in sinks:
                await asyncio.to_thread(sink.close)  # it has a loop of its own
    finally:
        await batcher.close()
        await scheduler.close()
    return done.state


async def test_a_recording_is_worked_off_in_the_state_folder(folder: Path) -> None:
    path = write_wav(folder / "call.wav", phrase((1.0, 1.0)))
    assert await recognised(configured(), path) is State.DONE
    assert (folder / "state" / "ruasr.db").is_file()
    assert (folder / "state" / "recordings" / "jobs.db").is_file()


async def test_a_watched_folder_is_made(folder: Path) -> None:
    path = write_wav(folder / "call.wav", phrase((1.0, 1.0)))
    assert await recognised(configured(watch__folder=str(folder / "in")), path) is State.DONE
    assert (folder / "in" / "done").is_dir()


async def test_recordings_need_the_store(folder: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        async with history(configured(store__enabled=False), Metrics()):
            pass
    assert str(refused.value) == (
        "recordings need the store: set store.enabled to true or recordings.enabled to false"
    )


async def test_both_can_be_off(folder: Path) -> None:
    config = configured(store__enabled=False, recordings__enabled=False)
    async with history(config, Metrics()) as (store, sinks):
        assert (store, sinks) == (None, [])
    assert not (folder / "state").exists()


async def test_history_works_without_recordings(folder: Path) -> None:
    config = configured(recordings__enabled=False)
    async with history(config, Metrics()) as (store, sinks):
        scheduler = Scheduler(scripted_host(), SchedulerConfig())
        batcher = VadBatcher(EnergyVad(), VadConfig())
        ears = Ears(Recognisers.only(scheduler), batcher, dict(DEFAULT_PROFILES))
        async with jobs(config, store, ears, Metrics()) as recordings:
            assert recordings is None
        for sink in sinks:
            await asyncio.to_thread(sink.close)  # it has a loop of its own
        await batcher.close()
    assert not (folder / "state" / "recordings").exists()


async def test_a_second_server_is_refused_before_it_ends_the_calls_of_the_first(
    folder: Path,
) -> None:
    config = configured(recordings__enabled=False)
    beside = Store(config.store.address())
    async with history(config, Metrics()) as (_, sinks):
        await beside.open()  # as `ruasr-tel history` does
        await beside.close()
        with pytest.raises(ConfigError) as refused:
            async with history(config, Metrics()):
                pytest.fail("it must not come up")
        for sink in sinks:
            await asyncio.to_thread(sink.close)  # it has a loop of its own
    assert str(refused.value) == (
        f"another server keeps its history in {folder}/state/ruasr.db: stop that one, or give this "
        "one a store.url and a recordings.dir of its own"
    )
    async with history(config, Metrics()) as (_, sinks):
        for sink in sinks:
            await asyncio.to_thread(sink.close)
