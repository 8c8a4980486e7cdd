"""What streams through a T-one cost: this server's engine, sherpa-onnx, and the bare network.

RUASR_BENCH_T_ONE names the folder of a T-one in sherpa-onnx's layout (model.onnx with metadata and
tokens.txt): the real one, or one of its size with random weights from its public exporter. Without
it the small model of the tests is measured, whose ratios say something, not its milliseconds.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ruasr_tel.engines import runtime, tone
from ruasr_tel.engines.base import EngineSpec, Piece, StreamingEngine
from ruasr_tel.types import Waveform
from tests.bench import report
from tests.bench.script import prompt_samples
from tests.layouts_online import RATE_HZ, TONE_CHUNK, TONE_STATE
from tests.layouts_speech import write_speech_tone

STREAMS = (1, 4, 16)
STREAM_CHUNKS = 32
"""Chunks of one measurement, of all streams together."""
LEAST_CHUNKS = 3
ROUNDS = 3

Run = Callable[[int, int], float]
"""Streams, chunks of each -> CPU milliseconds per chunk."""


def streams() -> None:
    """Print CPU per chunk by streams at once, and after how much audio the first text comes."""
    report.head("streams: T-one, CPU ms per 300 ms of one stream")
    with tempfile.TemporaryDirectory() as made:
        named = os.environ.get("RUASR_BENCH_T_ONE")
        folder = Path(named) if named else write_speech_tone(Path(made))
        began_s, before_mb = time.monotonic(), _resident_mb()
        engine = tone.create(EngineSpec("tone", folder.name, folder, "t_one"))
        loaded_s, grown_mb = time.monotonic() - began_s, _resident_mb() - before_mb
        size_mb = (folder / "model.onnx").stat().st_size / 1e6
        report.out.print(f"{size_mb:.0f} MB, loaded in {loaded_s:.1f} s, {grown_mb:.0f} MB")
        recognizer = _sherpa(folder)
        session = runtime.open_session(folder / "model.onnx")
        speech = (np.concatenate(prompt_samples()) / 32768).astype(np.float32)
        runs: dict[str, Run] = {
            "engine tone": lambda count, chunks: _ours_ms(engine, speech, count, chunks),
            "sherpa-onnx": lambda count, chunks: _sherpa_ms(recognizer, speech, count, chunks),
            "bare network": lambda count, chunks: _bare_ms(session, count, chunks),
        }
        _print_costs(runs)
        _print_first_texts(engine, recognizer, speech)


def _print_costs(runs: dict[str, Run]) -> None:
    """Measure all in turn, so that what else the machine does hits all of them."""
    table = report.table("", *(f"{count} at once" for count in STREAMS))
    found: dict[str, list[float]] = {name: [] for name in runs}
    for count in STREAMS:
        chunks = max(LEAST_CHUNKS, STREAM_CHUNKS // count)
        rounds = [[run(count, chunks) for run in runs.values()] for _ in range(ROUNDS)]
        for name, times in zip(runs, zip(*rounds, strict=True), strict=True):
            found[name].append(float(np.median(times)))
    for name, costs in found.items():
        table.add_row(name, *(f"{cost_ms:.1f}" for cost_ms in costs))
    report.out.print(table)


def _print_first_texts(engine: StreamingEngine, recognizer: Any, speech: Waveform) -> None:
    """Push 20 ms at a time until there is text."""
    frame, silence = RATE_HZ // 50, np.zeros(TONE_CHUNK, dtype=np.float32)
    ours, theirs = engine.open_stream(), recognizer.create_stream()
    theirs.accept_waveform(RATE_HZ, silence)  # as upstream's pipeline begins
    first: dict[str, float] = {}
    for end in range(frame, len(speech), frame):
        samples = speech[end - frame : end]
        if engine.advance([Piece(ours, samples)])[0].text:
            first.setdefault("engine tone", end / RATE_HZ)
        theirs.accept_waveform(RATE_HZ, samples)
        while recognizer.is_ready(theirs):
            recognizer.decode_stream(theirs)
        if recognizer.get_result(theirs).strip():
            first.setdefault("sherpa-onnx", end / RATE_HZ)
        if len(first) == 2:
            break
    said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in first.items())
    report.out.print(f"first text after so much of the audio: {said or 'none'}")


def _ours_ms(engine: StreamingEngine, speech: Waveform, count: int, chunks: int) -> float:
    opened = [engine.open_stream() for _ in range(count)]
    began_s = time.process_time()
    for step in range(chunks):
        pieces = [Piece(each, _chunk(speech, step + at)) for at, each in enumerate(opened)]
        engine.advance(pieces)
    return 1000 * (time.process_time() - began_s) / (count * chunks)


def _sherpa_ms(recognizer: Any, speech: Waveform, count: int, chunks: int) -> float:
    opened = [recognizer.create_stream() for _ in range(count)]
    for each in opened:  # it decodes a chunk once the next one is complete
        each.accept_waveform(RATE_HZ, speech[:TONE_CHUNK])
    began_s = time.process_time()
    for step in range(chunks):
        for at, each in enumerate(opened):
            each.accept_waveform(RATE_HZ, _chunk(speech, step + at))
        recognizer.decode_streams([each for each in opened if recognizer.is_ready(each)])
        for each in opened:
            recognizer.get_result(each)
    return 1000 * (time.process_time() - began_s) / (count * chunks)


def _bare_ms(session: Any, count: int, chunks: int) -> float:
    feed = {
        "signal": np.zeros((count, TONE_CHUNK, 1), dtype=np.int32),
        "state": np.zeros((count, TONE_STATE), dtype=np.float16),
    }
    began_s = time.process_time()
    for _ in range(chunks):
        session.run(None, feed)
    return 1000 * (time.process_time() - began_s) / (count * chunks)


def _chunk(speech: Waveform, number: int) -> Waveform:
    begin = number % (len(speech) // TONE_CHUNK) * TONE_CHUNK
    return speech[begin : begin + TONE_CHUNK]


def _sherpa(folder: Path) -> Any:
    from sherpa_onnx import OnlineRecognizer

    return OnlineRecognizer.from_t_one_ctc(
        model=str(folder / "model.onnx"), tokens=str(folder / "tokens.txt"), num_threads=1
    )


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
