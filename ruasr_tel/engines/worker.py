"""The engine process: `python -m ruasr_tel.engines.worker FD`, started by engines/process.py.

It loads one model and decodes requests from the socket FD in worker threads. It ends when the
socket is closed, so it never outlives the server, not even one that was killed. It imports little,
so that a restart takes a fraction of a second plus the load of the model.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import entry_points
from queue import SimpleQueue
from typing import cast

import numpy as np

from ruasr_tel.engines import wire
from ruasr_tel.engines.base import (
    Engine,
    EngineFactory,
    EngineSpec,
    Piece,
    StreamingEngine,
)
from ruasr_tel.engines.calibration import calibrated
from ruasr_tel.engines.prepare import clip, prepare
from ruasr_tel.engines.streams import Streams
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError

ENGINE_GROUP = "ruasr_tel.engines"
PROBE_S = 1.0
PATIENT_NICENESS = 19
"""Of threads whose answers nobody waits for: 1.5 % of a core that others want (sched(7))."""

PROBE_LEVEL = 30
"""Loudest sample of the probe, in int16: low noise, 61 dB below full scale."""


def load(spec: EngineSpec) -> Engine:
    """Return the engine a spec asks for, after it decoded one second of low noise.

    Raises:
        ConfigError: there is no such engine, or a package it needs is missing.
        ModelLoadError: the model cannot be used.
    """
    try:
        engine = calibrated(_factory(spec.engine)(spec), spec)
        _probe(engine)
    except (ConfigError, ModelLoadError):
        raise
    except Exception as exc:
        what = f"model {spec.model}" + (f" in {spec.model_dir}" if spec.model_dir else "")
        raise ModelLoadError(f"{what} cannot be used: {_describe(exc)}") from exc
    return engine


def decode(engine: Engine, request: wire.Request) -> wire.Decoded | wire.Refused:
    """Return the engine's answer to one request, or why there is none; never raises."""
    try:
        segments = [prepare(samples, rate, engine.info) for samples, rate in request.segments]
        hypotheses = engine.decode(segments, request.options)
        if len(hypotheses) != len(segments):
            raise DecodeError(
                f"the engine gave {len(hypotheses)} answers to {len(segments)} segments"
            )
        pairs = zip(hypotheses, request.segments, strict=True)
        return wire.Decoded(
            request.number,
            tuple(clip(one, len(samples) / rate) for one, (samples, rate) in pairs),
        )
    except Exception as exc:  # noqa: BLE001 - it belongs to whoever waits for this request
        return wire.Refused(request.number, _describe(exc))


class Worker:
    """Serves one socket with one engine."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sending = threading.Lock()
        self._requests: SimpleQueue[wire.Request] = SimpleQueue()
        self._patient: SimpleQueue[wire.Request] = self._requests  # or one with its own threads
        self._streams: Streams | None = None  # made before the server learns that it may stream

    def run(self) -> None:
        """Load what the first frame asks for, then decode until the socket is closed."""
        spec = self._read_spec()
        if spec is None:
            return
        _thread("load", self._load, spec)
        parser = wire.RequestParser()
        while count := self._receive(parser.want()):
            unit = parser.filled(count)
            if isinstance(unit, wire.Request):
                (self._patient if unit.options.patient else self._requests).put(unit)
            elif unit is not None and self._streams is not None:
                self._streams.put(unit)

    def _read_spec(self) -> EngineSpec | None:
        """Return the spec, or None if the server is gone before it was sent."""
        parser = wire.FrameParser()
        buffer = bytearray(65536)
        while count := self._receive(memoryview(buffer)):
            for content in parser.feed(bytes(buffer[:count])):
                return wire.parse_spec(content)
        return None

    def _receive(self, buffer: memoryview) -> int:
        """Read into `buffer`; return how many bytes came, 0 when the server is gone."""
        try:
            return self._sock.recv_into(buffer)
        except ConnectionError:
            return 0

    def _load(self, spec: EngineSpec) -> None:
        began_s = time.monotonic()
        try:
            engine = load(spec)
        except (ConfigError, ModelLoadError) as exc:
            self._send(wire.Failed(type(exc).__name__, str(exc)))
            return
        if engine.info.streaming:
            self._streams = Streams(cast(StreamingEngine, engine), self._send)
            _thread("streams", self._streams.run)
        if not engine.info.slots:  # else the engine chose its threads, one a device
            self._patient = SimpleQueue()
        for index in range(engine.info.slots or spec.threads):
            _thread(f"decode-{index}", self._decode, engine, self._requests)
            if self._patient is not self._requests:
                _thread(f"patient-{index}", self._decode_patiently, engine)
        self._send(wire.Ready(engine.info, time.monotonic() - began_s))

    def _decode(self, engine: Engine, requests: "SimpleQueue[wire.Request]") -> None:
        while True:
            self._send(decode(engine, requests.get()))

    def _decode_patiently(self, engine: Engine) -> None:
        if sys.platform == "linux":  # where each thread has a niceness of its own: setpriority(2)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PATIENT_NICENESS)
        self._decode(engine, self._patient)

    def _send(self, message: wire.Message) -> None:
        try:
            frame = wire.encode_message(message)
        except TypeError as exc:
            frame = wire.encode_message(_instead(message, _describe(exc)))
        try:
            with self._sending:
                self._sock.sendall(frame)
        except OSError:
            return  # the server is gone: `run` reads the end of the socket


def _factory(name: str) -> EngineFactory:
    found = entry_points(group=ENGINE_GROUP)
    if name not in found.names:
        raise ConfigError(
            f"there is no engine {name!r}; installed: {', '.join(sorted(found.names)) or 'none'}"
        )
    try:
        factory: EngineFactory = found[name].load()
    except ImportError as exc:
        raise ConfigError(f"engine {name!r} needs a package that is missing: {exc}") from exc
    return factory


def _probe(engine: Engine) -> None:
    rate_hz = engine.info.sample_rate_hz
    noise = np.random.default_rng(0).integers(
        -PROBE_LEVEL, PROBE_LEVEL, int(PROBE_S * rate_hz), dtype=np.int16, endpoint=True
    )
    answer = decode(engine, wire.Request(0, ((noise, rate_hz),)))
    if isinstance(answer, wire.Refused):
        raise ModelLoadError(
            f"model {engine.info.model} loads, but cannot decode one second of noise: "
            f"{answer.reason}"
        )
    if engine.info.streaming:
        streaming = cast(StreamingEngine, engine)
        waveform = prepare(noise, rate_hz, engine.info)
        streaming.advance([Piece(streaming.open_stream(), waveform, last=True)])


def _instead(message: wire.Message, reason: str) -> wire.Message:
    """Return what to send for an answer that holds what cannot be sent."""
    if isinstance(message, wire.Finished):
        return wire.Lost(message.stream, reason)
    assert isinstance(message, wire.Decoded)
    return wire.Refused(message.request, reason)


def _describe(exc: Exception) -> str:
    return str(exc) if isinstance(exc, DecodeError) else f"{type(exc).__name__}: {exc}"


def _thread(name: str, target: Callable[..., None], *args: object) -> None:
    threading.Thread(target=target, args=args, name=name, daemon=True).start()


def main(argv: list[str]) -> None:
    """Serve the socket whose number is the first argument; end the process after it.

    Ctrl-C, a service manager's SIGTERM and the SIGHUP of a terminal that closes reach the whole
    group of processes; the server handles them and still needs its engine for the last finals.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sock = socket.socket(fileno=int(argv[0]))
    sock.set_inheritable(False)
    Worker(sock).run()
    os._exit(0)  # decodes under way have nobody to answer: do not wait for them


if __name__ == "__main__":
    main(sys.argv[1:])
