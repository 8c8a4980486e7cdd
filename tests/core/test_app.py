"""The composition root, with the embedded model and doors on any free ports."""

import asyncio
import errno
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import uuid4

import numpy as np
import pytest
from structlog.testing import capture_logs

from ruasr_tel import app
from ruasr_tel.app import Running, serving
from ruasr_tel.app_models import find_model, make_engine, recognition
from ruasr_tel.audio.decode import open_recording
from ruasr_tel.config import Config, Loaded, load_config
from ruasr_tel.engines.base import EngineInfo
from ruasr_tel.engines.child import Child
from ruasr_tel.engines.process import EngineProcess
from ruasr_tel.errors import ConfigError, ModelLoadError, Overloaded, PortTaken, ProtocolError
from ruasr_tel.events import CallEnded, CallStarted
from ruasr_tel.plugins import Heard, PhoneCall, adapters
from ruasr_tel.sinks import Fanout
from ruasr_tel.testing import TIMEOUT_S, Recorder
from ruasr_tel.types import Samples

PROMPT = Path(__file__).parents[1] / "data/wav/agent-loggedoff.wav"


def configured(**overrides: Any) -> Config:
    """Return a configuration with both doors on free ports; `__` stands for a dot."""
    free = {f"doors.{name}.port": 0 for name in adapters()} | {"sinks.log.enabled": False}
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_config(None, environ={}, overrides=free | given).config


def prompt() -> Samples:
    with open_recording(PROMPT) as recording:
        audio: Samples = np.concatenate([block[0] for block in recording.blocks()])
    return audio


def dial(running: Running, heard: list[Heard], pace: float = 20.0) -> "asyncio.Task[None]":
    phone = adapters()["vosk_ws"].phone
    assert phone is not None
    url = running.urls["vosk_ws"]
    call = PhoneCall(url, str(uuid4()), prompt(), 8000, pace, None, heard.append, lambda _s: None)
    return asyncio.create_task(phone.play(call))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """What reaches the sinks."""
    recorder = Recorder()
    monkeypatch.setattr(Fanout, "publish", lambda _fanout, event: recorder(event))
    return recorder


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# Up and down


async def test_a_call_goes_in_and_its_text_comes_out_and_nothing_stays(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    heard: list[Heard] = []
    config = configured(sinks__jsonl__path=events, metrics__enabled=True, metrics__port=0)
    with capture_logs() as logs:
        async with serving(config) as running:
            assert set(running.urls) == {n for n in adapters() if config.door(n).enabled}
            pid = running.recognition.engine.pid
            (url,) = [line["url"] for line in logs if line["event"] == "metrics served"]
            await asyncio.wait_for(dial(running, heard), TIMEOUT_S)
            with await asyncio.to_thread(urlopen, url, timeout=TIMEOUT_S) as answer:
                scraped = answer.read().decode()
    assert " ".join(each.text for each in heard if each.final).split()[0] == "регистрация"
    assert 'ruasr_calls_total{door="vosk_ws",outcome="ended"} 1.0' in scraped.splitlines()
    assert '"event": "CallEnded"' in events.read_text()
    assert pid is not None
    assert gone(pid)
    for door in running.urls.values():
        port = int(door.rpartition(":")[2])
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


async def test_the_embedded_model_is_named_for_what_it_is() -> None:
    async with recognition(configured()) as parts:
        assert parts.notice is not None
        assert "ru-mini-ctc-8k is a small model for trying out and testing" in parts.notice
        assert "CER" in parts.notice
        assert "`ruasr-tel models pull gigaam-v3-ctc`" in parts.notice


async def test_a_taken_port_takes_everything_down_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int | None] = []
    start = EngineProcess.start

    async def started(engine: EngineProcess) -> EngineInfo:
        info = await start(engine)
        pids.append(engine.pid)
        return info

    monkeypatch.setattr(EngineProcess, "start", started)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{port} \(doors\.vosk_ws\) is in use"):
            async with serving(configured(doors__vosk_ws__port=port)):
                pytest.fail("it must not come up")
    (pid,) = pids
    assert pid is not None
    assert gone(pid)


async def test_only_doors_that_are_enabled_are_opened() -> None:
    async with serving(configured(doors__vosk_ws__enabled=False)) as running:
        assert list(running.urls) == ["audiosocket", "rest"]


# Draining


async def test_a_stop_lets_a_running_call_end_with_its_last_final(published: Recorder) -> None:
    heard: list[Heard] = []
    async with serving(configured()) as running:
        playing = dial(running, heard, pace=2.0)
        await published.until(CallStarted)
        calls = running.calls
    await asyncio.wait_for(playing, TIMEOUT_S)
    texts = [each.text for each in heard if each.final and each.text]
    assert texts[-1].endswith("удалена")
    assert [event.reason for event in published.of(CallEnded)] == ["eof"]
    with pytest.raises(Overloaded, match="the server is stopping and takes no new calls"):
        calls.admit()


async def test_a_call_that_outlasts_the_drain_is_ended(published: Recorder) -> None:
    heard: list[Heard] = []
    with capture_logs() as logs:
        async with serving(configured(calls__drain_s=0.01)) as running:
            playing = dial(running, heard, pace=1.0)
            await published.until(CallStarted)
        with pytest.raises(ProtocolError, match="1012"):
            await asyncio.wait_for(playing, TIMEOUT_S)
    assert [event.reason for event in published.of(CallEnded)] == ["drain"]
    assert [line["calls"] for line in logs if "still running" in line["event"]] == [1]


# Its parts


def test_the_family_of_a_folder_can_be_said() -> None:
    with pytest.raises(ConfigError, match="no model family 'whisper'"):
        find_model(configured(engine__model="/", engine__family="whisper"))


def test_a_model_is_checked_before_anything_is_started(tmp_path: Path) -> None:
    _, model = find_model(configured())
    with pytest.raises(ModelLoadError, match=str(tmp_path)):
        make_engine(configured(), replace(model, folder=tmp_path))


@pytest.mark.parametrize(("threads", "slots"), [(3, 3), (None, os.cpu_count())])
def test_decodes_at_once_are_configured_or_the_number_of_cpus(
    threads: int | None, slots: int
) -> None:
    config = configured(engine__threads=threads)
    assert make_engine(config, find_model(config)[1]).slots == slots


async def test_a_missing_detector_is_named(tmp_path: Path) -> None:
    config = configured(vad__model=tmp_path / "none.onnx")
    with pytest.raises(ModelLoadError, match=str(tmp_path / "none.onnx")):
        async with recognition(config):
            pytest.fail("it must not come up")


async def test_warnings_are_logged_and_systemd_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = Loaded(configured(), {}, ("RECOGNITION_ATTEMPTS is ignored",))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with capture_logs() as logs, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(TIMEOUT_S)
        task = asyncio.create_task(
            app.serve(loaded, lambda _running: os.kill(os.getpid(), signal.SIGTERM))
        )
        await asyncio.wait_for(task, TIMEOUT_S)
        told: list[str] = []
        while not (told and told[-1].startswith("STOPPING=1")):
            told.append(systemd.recv(100).decode())
    starting = "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=starting"
    assert told[0] == starting
    ready, stopping = [each for each in told if each != starting]
    assert ready == "READY=1\nSTATUS=calls: 0"
    assert stopping == "STOPPING=1\nEXTEND_TIMEOUT_USEC=75000000"
    warned = [line["event"] for line in logs if line["log_level"] == "warning"]
    assert warned[0] == "RECOGNITION_ATTEMPTS is ignored"
    assert warned[1].startswith("ru-mini-ctc-8k is a small model")
    assert any(line["event"] == "stopping" for line in logs)


async def test_a_stop_while_the_model_loads_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loading = asyncio.Event()
    children: list[Child] = []

    async def load_for_ever(child: Child, _timeout_s: float) -> None:
        children.append(child)
        loading.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Child, "_load", load_for_ever)
    with capture_logs() as logs:
        task = asyncio.create_task(
            app.serve(Loaded(configured(), {}, ()), lambda _running: pytest.fail("never ready"))
        )
        await asyncio.wait_for(loading.wait(), TIMEOUT_S)
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(task, TIMEOUT_S)
    assert [line["event"] for line in logs] == ["history open", "stopped before it was ready"]
    assert gone(children[0].pid)


async def test_a_start_that_fails_at_the_moment_of_a_stop_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(child: Child, _timeout_s: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            raise ModelLoadError("a bad model")

    monkeypatch.setattr(Child, "_load", fail)
    with capture_logs() as logs:
        await asyncio.wait_for(
            app.serve(Loaded(configured(), {}, ()), lambda _running: None), TIMEOUT_S
        )
    assert [line.get("error") for line in logs if line["log_level"] == "warning"] == ["a bad model"]
    assert logs[-1]["event"] == "stopped before it was ready"


async def test_sighup_counts_once_ready_and_never_ends_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at: list[str] = []
    reread, make_doors, drain = asyncio.Event(), app._make_doors, app._drain

    def hang_up(when: str) -> None:
        at.append(when)
        os.kill(os.getpid(), signal.SIGHUP)

    def loading(*args: Any) -> Any:
        hang_up("loading")
        return make_doors(*args)

    async def draining(*args: Any) -> None:
        hang_up("draining")
        await asyncio.sleep(0)  # the loop learns of the signal
        await drain(*args)

    def read() -> Loaded:
        at.append("read")
        loop.call_soon_threadsafe(reread.set)
        return Loaded(configured(), {}, ())

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(app, "_make_doors", loading)
    monkeypatch.setattr(app, "_drain", draining)
    ready: asyncio.Future[Running] = loop.create_future()
    serving_ = asyncio.create_task(app.serve(Loaded(configured(), {}, ()), ready.set_result, read))
    async with asyncio.timeout(6 * TIMEOUT_S):
        await ready
        await reread.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await serving_
    assert at == ["loading", "read", "draining"]
