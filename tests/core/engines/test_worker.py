import os
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints

import numpy as np
import pytest

from ruasr_tel.engines import scripted, wire, worker
from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    Engine,
    EngineInfo,
    EngineSpec,
    Hypothesis,
)
from ruasr_tel.engines.worker import Worker, decode, load
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples, Waveform

RATE_HZ = 8000
SPEC = EngineSpec("scripted", "пробная", threads=2)


def audio(seconds: float = 1.0, loudest: int = 500) -> Samples:
    samples = np.zeros(int(seconds * RATE_HZ), dtype=np.int16)
    samples[-1] = loudest
    return samples


def request(*segments: Samples) -> wire.Request:
    return wire.Request(5, tuple((samples, RATE_HZ) for samples in segments))


class Odd:
    """An engine that answers what it is told."""

    def __init__(self, *answers: Hypothesis) -> None:
        self.info = EngineInfo("odd", "odd", RATE_HZ)
        self._answers = list(answers)

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        return self._answers


class Server:
    """The server's end of the socket, as bytes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._parser = wire.FrameParser()
        self._messages: list[wire.Message] = []

    def read(self) -> wire.Message:
        while not self._messages:
            data = self.sock.recv(65536)
            assert data, "the worker closed the socket"
            self._messages += map(wire.parse_message, self._parser.feed(data))
        return self._messages.pop(0)

    def ask(self, number: int, *segments: Samples, options: DecodeOptions = PLAIN) -> None:
        parts = wire.encode_request(number, [(samples, RATE_HZ) for samples in segments], options)
        self.sock.sendall(b"".join(parts))


@contextmanager
def serving() -> Iterator[Server]:
    """Run a worker in a thread; it must end when the socket is closed."""
    ours, theirs = socket.socketpair()
    ours.settimeout(TIMEOUT_S)
    with ours, theirs:
        thread = threading.Thread(target=Worker(theirs).run)
        thread.start()
        yield Server(ours)
        ours.close()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def install(monkeypatch: pytest.MonkeyPatch, **engines: str) -> None:
    points = EntryPoints(
        EntryPoint(name, value, worker.ENGINE_GROUP) for name, value in engines.items()
    )
    monkeypatch.setattr(worker, "entry_points", lambda group: points)


def test_it_says_what_it_loaded_and_answers_requests() -> None:
    with serving() as server:
        server.sock.sendall(wire.encode_spec(SPEC))
        ready = server.read()
        assert isinstance(ready, wire.Ready)
        assert ready.info == load(SPEC).info
        assert 0.0 < ready.load_s < TIMEOUT_S
        server.ask(1, audio(1.0))
        assert server.read() == wire.Decoded(
            1, (Hypothesis("слово слово", (" слово", " слово"), (0.0, 0.5)),)
        )
        server.ask(2, audio(1.0), audio(0.5))
        answer = server.read()
        assert isinstance(answer, wire.Decoded)
        assert [one.text for one in answer.hypotheses] == ["слово слово", "слово"]


def test_its_threads_decode_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(2, timeout=TIMEOUT_S)

    class Meeting(Odd):
        def decode(
            self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
        ) -> list[Hypothesis]:
            together.wait()
            return [Hypothesis("да")]

    monkeypatch.setattr(worker, "load", lambda spec: Meeting())
    with serving() as server:
        server.sock.sendall(wire.encode_spec(SPEC))
        server.read()
        server.ask(1, audio())
        server.ask(2, audio())
        answers = {server.read(), server.read()}
        assert answers == {wire.Decoded(number, (Hypothesis("да"),)) for number in (1, 2)}


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of one thread is Linux's")
@pytest.mark.parametrize("slots", [0, 1])
def test_what_nobody_waits_for_yields_to_everything_else(
    monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    class Honest(Odd):
        def decode(
            self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
        ) -> list[Hypothesis]:
            return [Hypothesis(str(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))]

    engine = Honest()
    engine.info = replace(engine.info, slots=slots)
    monkeypatch.setattr(worker, "load", lambda spec: engine)
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    # An engine with threads of its own choice decodes in those alone.
    patient = usual if slots else worker.PATIENT_NICENESS
    with serving() as server:
        server.sock.sendall(wire.encode_spec(SPEC))
        server.read()
        for number, options, niceness in [
            (1, DecodeOptions(patient=True), patient),
            (2, PLAIN, usual),
        ]:
            server.ask(number, audio(), options=options)
            assert server.read() == wire.Decoded(number, (Hypothesis(str(niceness)),))


def test_a_load_that_fails_is_one_message() -> None:
    with serving() as server:
        server.sock.sendall(
            wire.encode_spec(EngineSpec("scripted", "x", options={"fail_load": "config"}))
        )
        assert server.read() == wire.Failed(
            "ConfigError", "engine.provider: cpu is not available here"
        )


def test_it_ends_when_the_server_goes_before_it_said_what_to_load() -> None:
    with serving() as server:
        server.sock.sendall(b"\x01")


def test_it_ends_when_the_server_is_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reset:
        def recv_into(self, buffer: memoryview) -> int:
            raise ConnectionResetError

    Worker(Reset()).run()  # type: ignore[arg-type]  # all it uses of a socket


def test_an_answer_that_cannot_be_sent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Hypothesis(text=object())  # type: ignore[arg-type]  # an engine of somebody else
    monkeypatch.setattr(worker, "load", lambda spec: Odd(odd))
    with serving() as server:
        server.sock.sendall(wire.encode_spec(SPEC))
        server.read()
        server.ask(1, audio())
        assert server.read() == wire.Refused(1, "TypeError: object in an engine's answer")


def test_an_answer_after_the_server_went_harms_nobody() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.close()
        Worker(theirs)._send(wire.Refused(1, "no"))


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        (scripted.RAISES, "the segment holds the marker RAISES"),
        (scripted.CRASHES, "RuntimeError: the segment holds the marker CRASHES"),
        (scripted.MISCOUNTS, "the engine gave 2 answers to 1 segments"),
    ],
)
def test_what_goes_wrong_in_a_decode_is_a_reason(marker: int, reason: str) -> None:
    assert decode(load(SPEC), request(audio(1.0, marker))) == wire.Refused(5, reason)


def test_a_segment_that_cannot_be_decoded_is_a_reason() -> None:
    empty = np.zeros(0, dtype=np.int16)
    assert decode(load(SPEC), request(empty)) == wire.Refused(5, "segment holds no samples")


def test_padding_shows_in_no_time() -> None:
    late: Engine = Odd(Hypothesis("да", ("д", "а"), (0.0, 0.09)))
    assert decode(late, request(audio(0.05))) == wire.Decoded(
        5, (Hypothesis("да", ("д", "а"), (0.0, 0.05)),)
    )


def test_an_unknown_engine_is_named_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, kaldi="x:y", sherpa="x:z")
    with pytest.raises(
        ConfigError, match=r"^there is no engine 'whisper'; installed: kaldi, sherpa$"
    ):
        load(EngineSpec("whisper", "x"))
    install(monkeypatch)
    with pytest.raises(ConfigError, match=r"installed: none$"):
        load(EngineSpec("whisper", "x"))


def test_an_engine_whose_package_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, kaldi="no_such_package:create")
    with pytest.raises(
        ConfigError,
        match=r"^engine 'kaldi' needs a package that is missing: No module named 'no_such_package'",
    ):
        load(EngineSpec("kaldi", "x"))


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("model", ModelLoadError, "/m/model.onnx is empty; fetch it again"),
        ("config", ConfigError, "engine.provider: cpu is not available here"),
        ("crash", ModelLoadError, "model ru in /m cannot be used: RuntimeError: no such tensor"),
    ],
)
def test_a_load_that_fails_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, how: str, error: type[Exception], message: str
) -> None:
    spec = wire.parse_spec(
        b'{"engine": "scripted", "model": "ru", "model_dir": "/m", "options": {"fail_load": "%s"}}'
        % how.encode()
    )
    with pytest.raises(error) as caught:
        load(spec)
    assert str(caught.value) == message


def test_a_model_that_cannot_decode_noise_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_factory", lambda name: lambda spec: Odd())
    with pytest.raises(
        ModelLoadError,
        match=r"^model odd loads, but cannot decode one second of noise: "
        r"the engine gave 0 answers to 1 segments$",
    ):
        load(SPEC)
