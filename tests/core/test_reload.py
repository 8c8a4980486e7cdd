"""A running server takes other models and another configuration, or stays as it is."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from ruasr_tel import app
from ruasr_tel.app import Running, serving
from ruasr_tel.app_models import ModelLoader, recognition
from ruasr_tel.config import Config, Loaded, load_config
from ruasr_tel.control import ask_to_use
from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.errors import ConfigError, ModelLoadError, RuasrError
from ruasr_tel.plugins import adapters
from ruasr_tel.profile import Profile
from ruasr_tel.recognisers import Recogniser, Recognisers
from ruasr_tel.reload import Reload
from ruasr_tel.scheduler import Priority
from ruasr_tel.testing import TIMEOUT_S
from tests.core.broken_models import good_model
from tests.core.model_faults import FILE_FAULTS, GRAPH_FAULTS

KINDS = (
    "model a git-lfs pointer",
    "tokens malformed",
    "model truncated",
    "CTC without vocab_size",
    "encoder given as CTC model",
)
FAULTS = [fault for fault in (*FILE_FAULTS, *GRAPH_FAULTS) if fault.name in KINDS]
CTC, TRANSDUCER = "ru-mini-ctc-8k", "ru-mini-transducer-8k"


def loaded(**overrides: object) -> Loaded:
    doors = ("vosk_ws", "audiosocket", "rest")
    free = {f"doors.{name}.port": 0 for name in doors}
    off = {f"doors.{name}.enabled": False for name in adapters() if name not in doors}
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    quick: dict[str, object] = {"engine.threads": 1, "sinks.log.enabled": False}
    return load_config(None, environ={}, overrides={**free, **off, **quick, **given})


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Reload, Recognisers, dict[str, Profile]]]:
    config = loaded().config
    profiles = dict(config.profiles)
    async with recognition(config) as parts:
        yield Reload(config, parts.recognisers, profiles), parts.recognisers, profiles


async def test_another_model_takes_the_new_calls_if_it_can_be_used() -> None:
    async with running() as (reload, recognisers, _):
        old, call = recognisers.default, recognisers.lend()
        with capture_logs() as logs:
            for name in ("vosk6", "gigaam-v2-ctc"):  # one is not known, one not here
                with pytest.raises(RuasrError, match=name):
                    await reload.use(name)
        assert [line["model"] for line in logs if line["event"] == "model not taken"] == [
            "vosk6",
            "gigaam-v2-ctc",
        ]
        assert recognisers.default is old
        assert await reload.use(CTC) == f"{CTC} takes the calls already"
        assert await reload.use(TRANSDUCER) == (
            f"{TRANSDUCER} takes new calls; 1 calls end with {CTC}. Until the next restart or "
            f"SIGHUP: set engine.model to {TRANSDUCER} to keep it"
        )
        assert recognisers.default.info.model == TRANSDUCER
        assert old.ready
        call.give_back()


async def test_no_broken_model_and_no_missing_provider_changes_the_service(tmp_path: Path) -> None:
    async with running() as (reload, recognisers, _):
        before = recognisers.default
        with pytest.raises(ModelLoadError, match=f"{tmp_path} holds no model"):
            await reload.use(str(tmp_path))
        for number, fault in enumerate(FAULTS):
            folder = good_model(tmp_path / str(number), fault.family)
            fault.damage(folder)
            with pytest.raises(ModelLoadError) as refused:
                await reload.use(str(folder))
            assert str(folder) in str(refused.value)
            for words in fault.says:
                assert words in str(refused.value)
        with capture_logs() as logs:
            await reload.reread(lambda: loaded(engine__provider="cuda"))
        (said,) = [line["reason"] for line in logs if line["log_level"] == "error"]
        assert said.startswith("provider cuda needs onnxruntime-gpu")
        assert recognisers.default is before
        job = before.scheduler.submit(np.full(8000, 500, np.int16), 8000, Priority.FINAL)
        assert isinstance(await asyncio.wait_for(job.result, TIMEOUT_S), Hypothesis)


async def test_a_configuration_that_is_read_again_is_taken_over_if_it_can_be_used() -> None:
    async with running() as (reload, recognisers, profiles):
        before, listening = recognisers.default, dict(profiles)
        with capture_logs() as logs:
            await reload.reread(lambda: loaded(engine__model="vosk6"))
            await reload.reread(lambda: loaded(engine__modle="x"))
        assert recognisers.default is before
        assert profiles == listening
        refused = [line for line in logs if line["log_level"] == "error"]
        assert [line["event"] for line in refused] == [
            "configuration not taken over, nothing has changed"
        ] * 2
        assert "vosk6" in refused[0]["reason"]
        assert "engine.modle" in refused[1]["reason"]
        with capture_logs() as logs:
            await reload.reread(
                lambda: loaded(
                    engine__model=TRANSDUCER,
                    profiles__default__alternatives=3,
                    calls__max_calls=7,
                )
            )
        assert recognisers.default.info.model == TRANSDUCER
        assert profiles["default"].alternatives == 3
    (taken,) = [line for line in logs if line["event"] == "configuration taken over"]
    assert (taken["model"], taken["needs_restart"]) == (TRANSDUCER, ["calls"])


async def test_a_model_that_is_asked_for_while_a_configuration_is_taken_over_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading = asyncio.Event()
    load = ModelLoader.load

    async def and_tell(loader: ModelLoader, name: str) -> Recogniser:
        loading.set()
        return await load(loader, name)

    async with running() as (reload, recognisers, profiles):
        monkeypatch.setattr(ModelLoader, "load", and_tell)
        read = loaded(engine__model=TRANSDUCER, profiles__extra__model=CTC)
        with capture_logs() as logs:
            sighup = asyncio.create_task(reload.reread(lambda: read))
            await loading.wait()
            said = await reload.use(CTC)
            await sighup
        assert said == (
            f"{CTC} takes new calls. Until the next restart or SIGHUP: "
            f"set engine.model to {CTC} to keep it"
        )
        assert recognisers.default.info.model == CTC
        assert profiles["extra"].model == CTC
    (taken,) = [line for line in logs if line["event"] == "configuration taken over"]
    assert taken["model"] == TRANSDUCER


async def test_a_server_listens_for_commands_and_for_sighup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    again = asyncio.Event()
    config: Config = loaded().config
    reread = Reload.reread

    async def and_tell(reload: Reload, read: Callable[[], Loaded]) -> None:
        await reread(reload, read)
        again.set()

    monkeypatch.setattr(Reload, "reread", and_tell)

    def read() -> Loaded:
        return loaded(engine__model=TRANSDUCER)

    def ready(server: Running) -> None:
        started.set_result(server)

    loop = asyncio.get_running_loop()
    started: asyncio.Future[Running] = loop.create_future()
    task = asyncio.create_task(app.serve(Loaded(config, {}, ()), ready, read))
    async with asyncio.timeout(6 * TIMEOUT_S):
        server = await started
        path = config.control.path()
        with pytest.raises(ConfigError, match="vosk6"):
            await ask_to_use(path, "vosk6")
        assert "takes new calls" in await ask_to_use(path, TRANSDUCER)
        assert "takes new calls" in await ask_to_use(path, CTC)
        os.kill(os.getpid(), signal.SIGHUP)
        await again.wait()
        assert server.recognition.engine.info.model == TRANSDUCER
        os.kill(os.getpid(), signal.SIGTERM)
        await task
    assert not path.exists()


async def test_without_control_there_is_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    config = loaded(control__socket=path, control__enabled=False).config
    async with serving(config):
        assert not path.exists()
