import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import structlog

from ruasr_tel.engines import child as child_module
from ruasr_tel.engines import scripted, wire
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.child import Child
from ruasr_tel.errors import ConfigError, DecodeError, EngineDied, ModelLoadError
from ruasr_tel.testing import TIMEOUT_S

RATE_HZ = 8000
DOCTOR = "`ruasr-tel doctor --model {}` says what is wrong with it"


def spec(model_dir: Path | None = None, **options: str | int | float | bool) -> EngineSpec:
    return EngineSpec("scripted", "пробная", model_dir, options=options)


def segment(loudest: int = 500) -> wire.Segment:
    samples = np.zeros(RATE_HZ, dtype=np.int16)
    samples[-1] = loudest
    return samples, RATE_HZ


def environment_of(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


async def test_it_loads_decodes_and_ends_with_its_socket() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    assert child.info.model == "пробная"
    assert 0.0 < child.load_s < TIMEOUT_S
    [hypothesis] = await child.decode([segment()], TIMEOUT_S)
    assert hypothesis.text == "слово слово"
    await child.close(TIMEOUT_S)
    assert not child.alive
    assert await child.ended() == "the engine process is closed"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_its_matrix_library_has_one_thread() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    environment = environment_of(child.pid)
    await child.close(TIMEOUT_S)
    assert b"OPENBLAS_NUM_THREADS=1" in environment


async def test_a_decode_that_fails_leaves_it_alive() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    with pytest.raises(DecodeError, match=r"^the segment holds the marker RAISES$"):
        await child.decode([segment(scripted.RAISES)], TIMEOUT_S)
    assert len(await child.decode([segment()], TIMEOUT_S)) == 1
    await child.close(TIMEOUT_S)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("model", ModelLoadError, "None/model.onnx is empty; fetch it again"),
        ("config", ConfigError, "engine.provider: cpu is not available here"),
        ("crash", ModelLoadError, "model пробная cannot be used: RuntimeError: no such tensor"),
        (
            "exit",
            ModelLoadError,
            "model пробная ended the engine process while it was loaded (exit code 255): "
            "model.cc:42 tokens.txt has no blank; " + DOCTOR.format("DIR"),
        ),
    ],
)
async def test_a_load_that_fails_says_why(how: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        await Child.spawn(spec(fail_load=how), TIMEOUT_S)
    assert str(caught.value) == message


async def test_a_load_that_ends_the_process_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError) as caught:
        await Child.spawn(spec(tmp_path, fail_load="exit"), TIMEOUT_S)
    assert str(caught.value) == (
        f"the model in {tmp_path} ended the engine process while it was loaded (exit code 255): "
        f"model.cc:42 tokens.txt has no blank; {DOCTOR.format(tmp_path)}"
    )


async def test_a_load_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(ModelLoadError, match=r"^model пробная did not load within 0.5 s$"):
        await Child.spawn(spec(fail_load="hang"), 0.5)


async def test_no_process_no_open_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        await Child.spawn(spec(), TIMEOUT_S)


async def test_a_process_that_ends_tells_its_owner_before_its_decodes() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    told: list[str] = []
    child.on_end = lambda: told.append("owner")
    decode = asyncio.create_task(child.decode([segment(scripted.DIES)], TIMEOUT_S))
    decode.add_done_callback(lambda _: told.append("decode"))
    with pytest.raises(EngineDied, match=r"^exit code 139$"):
        await decode
    await child.ended()
    assert told == ["owner", "decode"]
    await child.close(TIMEOUT_S)


async def test_a_process_that_is_killed_is_named_so() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    os.kill(child.pid, signal.SIGKILL)
    assert await child.ended() == "killed by SIGKILL"


async def test_a_decode_that_hangs_ends_the_process_and_all_its_decodes() -> None:
    child = await Child.spawn(EngineSpec("scripted", "x", threads=2), TIMEOUT_S)
    hung = asyncio.create_task(child.decode([segment(scripted.HANGS)], 0.3))
    other = asyncio.create_task(child.decode([segment(scripted.HANGS)], TIMEOUT_S))
    for decode in (hung, other):
        with pytest.raises(EngineDied, match=r"^a decode did not come back within 0.3 s$"):
            await decode


async def test_a_process_that_will_not_end_is_killed() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    os.kill(child.pid, signal.SIGSTOP)
    await child.close(0.2)
    assert await child.ended() == "the engine process is closed"


async def test_ctrl_c_sigterm_and_sighup_are_for_the_server() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(child.pid, number)
    assert len(await child.decode([segment()], TIMEOUT_S)) == 1
    await child.close(TIMEOUT_S)


async def test_a_process_that_closes_its_socket_and_stays_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(child_module, "GRACE_S", 0.01)
    child = await Child.spawn(spec(), TIMEOUT_S)
    os.kill(child.pid, signal.SIGSTOP)
    child.connection_lost(None)
    assert not child.alive
    assert await child.ended() == "it closed its socket"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff" * 4, "frame of 4294967295 bytes, at most 16777216 allowed"),
        (wire.LENGTH.pack(2) + b"{}", "not a message of an engine: KeyError('message')"),
    ],
)
async def test_a_process_that_sends_nonsense_is_ended(data: bytes, reason: str) -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    child.data_received(data)
    assert await child.ended() == f"it sent what is not an answer: {reason}"


async def test_answers_nobody_waits_for_are_dropped() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    for message in (wire.Decoded(77, ()), wire.Refused(78, "no"), wire.Failed("X", "late")):
        child.data_received(wire.encode_message(message))
    assert len(await child.decode([segment()], TIMEOUT_S)) == 1
    await child.close(TIMEOUT_S)


async def test_its_last_lines_are_kept_and_logged() -> None:
    with structlog.testing.capture_logs() as logs, pytest.raises(ModelLoadError):
        await Child.spawn(spec(fail_load="exit"), TIMEOUT_S)
    [entry] = logs
    assert entry["pid"] > 0
    del entry["pid"]
    assert entry == {
        "event": "engine output",
        "log_level": "debug",
        "line": "model.cc:42 tokens.txt has no blank",
    }


async def test_output_is_kept_by_lines_however_it_comes() -> None:
    child = await Child.spawn(spec(), TIMEOUT_S)
    reader = asyncio.StreamReader()
    for part in ("\n\nпер".encode()[:-1], "пер".encode()[-1:] + "вая\nвто".encode(), b""):
        reader.feed_data(part)
    reader.feed_data("рая\n".encode() + b"x" * 3000 + b"\n" + b"y" * 3000 + b"\nlast")
    reader.feed_eof()
    child._process.stdout = reader
    await child._read_output()
    assert child.output == ["первая", "вторая", "x" * 1000, "y" * 1000, "last"]
    await child.close(TIMEOUT_S)


@pytest.mark.parametrize("loudest", [500, scripted.HANGS])
def test_the_process_ends_when_the_server_is_gone(loudest: int) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        fd = str(theirs.fileno())
        process = subprocess.Popen(
            [sys.executable, "-m", "ruasr_tel.engines.worker", fd], pass_fds=[theirs.fileno()]
        )
    with ours:
        ours.settimeout(TIMEOUT_S)
        ours.sendall(wire.encode_spec(spec()))
        assert ours.recv(65536)
        ours.sendall(b"".join(wire.encode_request(1, [segment(loudest)])))
    assert process.wait(TIMEOUT_S) == 0


def test_the_process_imports_little() -> None:
    heavy = ("asyncio", "pydantic", "structlog", "typer", "sherpa_onnx", "onnxruntime", "av")
    code = (
        "import sys, ruasr_tel.engines.worker, ruasr_tel.engines.scripted;"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout == "[]\n"
