import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.audio import reader as module
from ruasr_tel.audio import wire
from ruasr_tel.audio.decode import open_recording
from ruasr_tel.audio.reader import DecodingConfig, Reader
from ruasr_tel.errors import AudioFormatError, DecoderDied
from ruasr_tel.testing import TIMEOUT_S, tone
from tests.core.recordings.sounds import write_wav

QUICK = DecodingConfig(stall_s=0.2)
HEAD = wire.encode(wire.Head(2, 8000, 1.0))
HARM = "the file is damaged, or made to do harm"


def acting(script: str) -> tuple[str, ...]:
    """A decoder that has taken a request and does something else."""
    begin = (
        "import ctypes, json, os, resource, socket, sys, time\n"
        "from ruasr_tel.audio import decoder, wire\n"
        "sock = socket.socket(fileno=int(sys.argv[1]))\n"
        "request, source = decoder._receive(sock)\n"
    )
    return (sys.executable, "-c", begin + script)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "a.wav", tone(3.0), tone(3.0, level=50))


def test_it_reads_what_the_decoder_reads(path: Path) -> None:
    with open_recording(path) as recording:
        expected = np.concatenate(list(recording.blocks()), axis=1)
    with Reader() as reader:
        reading = reader.open_path(path)
        blocks = list(reading.blocks())
    assert (reading.channels, reading.sample_rate_hz) == (2, 8000)
    assert (reading.declared_s, reading.fault) == (3.0, None)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), expected)


def test_one_process_reads_many_files_also_bad_ones(path: Path, tmp_path: Path) -> None:
    bad, cut = tmp_path / "bad.wav", tmp_path / "cut.wav"
    bad.write_text("<html>")
    cut.write_bytes(path.read_bytes()[:46])  # a header, and half a sample of two
    with Reader() as reader:
        list(reader.open_path(path).blocks())
        pid = reader.pid
        with pytest.raises(AudioFormatError) as refused:
            reader.open_path(bad)
        assert str(refused.value).startswith(f"{bad}: not a recording that can be read")
        with pytest.raises(AudioFormatError) as refused:
            list(reader.open_path(cut).blocks())
        assert str(refused.value).startswith(f"{cut}: no audio could be read")
        assert list(reader.open_path(path, 16_000, 16_000).blocks())
        assert reader.pid == pid
    assert reader.pid is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with Reader() as reader, pytest.raises(AudioFormatError) as refused:
        reader.open_path(tmp_path / "nothing.wav")
    assert str(refused.value) == f"{tmp_path}/nothing.wav: No such file or directory"
    assert reader.pid is None


def test_after_a_file_that_was_left_another_process_reads_the_next(path: Path) -> None:
    with Reader() as reader:
        next(reader.open_path(path).blocks())
        pid = reader.pid
        samples = sum(block.shape[1] for block in reader.open_path(path).blocks())
        assert samples == 24_000
        assert reader.pid != pid


def test_a_process_that_ended_between_two_files_is_replaced(path: Path) -> None:
    with Reader() as reader:
        list(reader.open_path(path).blocks())
        assert reader.pid is not None
        os.kill(reader.pid, signal.SIGKILL)
        assert reader._life is not None
        reader._life.process.wait(TIMEOUT_S)
        assert list(reader.open_path(path).blocks())


def test_a_decoder_that_is_killed_at_work_is_an_error_and_the_next_file_is_read(
    tmp_path: Path,
) -> None:
    path = write_wav(tmp_path / "long.wav", tone(300.0))
    with Reader() as reader:
        blocks = reader.open_path(path).blocks()
        next(blocks)
        assert reader.pid is not None
        os.kill(reader.pid, signal.SIGKILL)
        with pytest.raises(DecoderDied) as died:
            list(blocks)
        assert str(died.value) == (
            f"{path}: reading it ended the decoder (killed by SIGKILL); {HARM}"
        )
        assert sum(block.shape[1] for block in reader.open_path(path).blocks()) == 2_400_000


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("ctypes.string_at(0)", "killed by SIGSEGV"),
        ("sock.sendall(wire.encode(wire.Head(2, 8000, None))); os.abort()", "killed by SIGABRT"),
        ("sys.exit(3)", "exit code 3"),
        ("sock.sendall(b'xx'); os._exit(0)", "exit code 0"),
    ],
)
def test_a_file_that_ends_the_decoder_is_an_error(path: Path, script: str, how: str) -> None:
    with Reader(command=acting(script)) as reader, pytest.raises(DecoderDied) as died:
        list(reader.open_path(path).blocks())
    assert str(died.value) == f"{path}: reading it ended the decoder ({how}); {HARM}"


def test_a_decoder_that_ends_before_it_has_the_file_is_an_error(path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit(4)")
    with Reader(command=command) as reader:
        with pytest.raises(DecoderDied, match="exit code 4"):
            reader.open_path(path)
        life = reader._life = module._Life(QUICK, command)
        life.process.wait(TIMEOUT_S)
        with pytest.raises(DecoderDied, match="exit code 4"):
            life.ask(wire.Request("a", 0, 0), 0)


@pytest.mark.parametrize(
    "script",
    [
        "time.sleep(600)",
        "sock.sendall(wire.encode(wire.Head(2, 8000, None))); time.sleep(600)",
        # a byte now and then is no block
        "[(sock.sendall(b'\\x02'), time.sleep(0.05)) for _ in range(4)]; time.sleep(600)",
    ],
)
def test_a_file_that_stops_the_decoder_is_an_error(path: Path, script: str) -> None:
    config = DecodingConfig(stall_s=1.0)
    with Reader(config, acting(script)) as reader, pytest.raises(DecoderDied) as died:
        list(reader.open_path(path).blocks())
    stood_still = f"{path}: decoding it stood still for 1 s (recordings.decoding.stall_s)"
    assert str(died.value) == stood_still


def test_a_file_that_takes_too_long_is_an_error(path: Path) -> None:
    script = "decoder.limit(**json.loads(sys.argv[2]))\nwhile True: pass"
    config = DecodingConfig(cpu_s=1)
    with Reader(config, acting(script)) as reader, pytest.raises(AudioFormatError) as refused:
        reader.open_path(path)
    assert type(refused.value) is AudioFormatError  # the same again
    assert str(refused.value) == (
        f"{path}: decoding it took more than 1 s of processor time (recordings.decoding.cpu_s)"
    )


def sends(data: bytes) -> tuple[str, ...]:
    return acting(f"sock.sendall({data!r}); time.sleep(600)")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"HTTP/1.1 200 OK", "a frame of kind 72, which there is not"),
        (wire.HEADER.pack(2, 2**31), "a frame of 2147483648 bytes, more than 1048576"),
        (wire.encode_block(bytes(8)), "a frame of kind 2 first"),
        (wire.encode(wire.End(None)), "a frame of kind 3 first"),
        (wire.HEADER.pack(1, 2) + b"{}", "a frame without exactly channels, declared_s, sample"),
        (wire.HEADER.pack(4, 2) + b"{}", "a frame without exactly reason"),
        (wire.encode(wire.Head(1, 96_000, None)), "a rate of 96000 Hz"),
        (HEAD + wire.encode_block(bytes(6)), "a block of 6 bytes for 2 channels"),
        (HEAD + HEAD, "a frame of kind 1 among blocks"),
        (HEAD + wire.HEADER.pack(3, 4) + b"null", "a frame without exactly fault"),
    ],
)
def test_a_decoder_that_lies_is_ended(path: Path, data: bytes, what: str) -> None:
    with Reader(command=sends(data)) as reader:
        with pytest.raises(DecoderDied) as died:
            list(reader.open_path(path, 8000, 48_000).blocks())
        if reader._life is not None:
            assert reader._life.process.wait(TIMEOUT_S) == -signal.SIGKILL
    assert str(died.value).startswith(f"{path}: reading it upset the decoder (it sent {what}")


def test_a_decoder_that_closes_and_lives_on_is_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "END_S", 0.1)
    command = acting("sock.close(); time.sleep(600)")
    with (
        Reader(command=command) as reader,
        pytest.raises(DecoderDied, match="the end of the connection"),
    ):
        reader.open_path(path)


def test_killing_frees_the_thread_that_waits(path: Path) -> None:
    reader = Reader(command=acting("sock.sendall(b'x'); time.sleep(600)"))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.open_path, path)
        while reader.pid is None:
            time.sleep(0)
        reader.kill()
        with pytest.raises(DecoderDied, match="killed by SIGKILL"):
            waiting.result(TIMEOUT_S)
    with pytest.raises(DecoderDied, match="the decoder is not wanted any more"):
        reader.open_path(path)
    reader.close()


def test_one_that_was_killed_before_it_began_never_begins(path: Path) -> None:
    reader = Reader()
    reader.kill()
    with pytest.raises(DecoderDied, match="the decoder is not wanted any more"):
        reader.open_path(path)
    assert reader.pid is None


def test_no_time_at_all_is_too_little(path: Path) -> None:
    with (
        Reader(DecodingConfig(stall_s=1e-9)) as reader,
        pytest.raises(DecoderDied, match="decoding it stood still for 1e-09 s"),
    ):
        reader.open_path(path)


def test_secrets_of_the_server_are_not_passed_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUASR__STORE__URL", "postgresql://user:secret@host/db")
    script = "sock.sendall(wire.encode(wire.Refused(json.dumps(dict(os.environ)))))"
    with Reader(command=acting(script)) as reader, pytest.raises(AudioFormatError) as refused:
        reader.open_path(path)
    assert "OPENBLAS_NUM_THREADS" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_what_it_prints_is_logged(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = "print('assertion failed: 5', file=sys.stderr); os.abort()"
    with Reader(command=acting(script)) as reader, pytest.raises(DecoderDied):
        reader.open_path(path)
    said = capfd.readouterr()
    assert "assertion failed: 5" in said.out + said.err


def test_nothing_is_left_open(path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    for count in (1, 100):
        with Reader() as reader:
            assert list(islice(reader.open_path(path).blocks(), count))
    with pytest.raises(FileNotFoundError), Reader(command=("/no/such/program",)) as reader:
        reader.open_path(path)
    assert open_files() == before
