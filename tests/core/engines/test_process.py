import asyncio
import os
import select
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import numpy as np
import pytest
import structlog
import uvloop

from ruasr_tel.engines import scripted
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.child import Child
from ruasr_tel.engines.process import Backoff, EngineProcess, EngineProcessConfig, cpu_s
from ruasr_tel.errors import DecodeError, EngineDied, ModelLoadError
from ruasr_tel.scheduler import Job, Priority, Scheduler, SchedulerConfig
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples

RATE_HZ = 8000
QUICK = EngineProcessConfig(restart_delay_s=0.01, restart_delay_max_s=0.02)
IMPATIENT = EngineProcessConfig(
    hang_timeout_s=1.0,
    hang_timeout_per_audio_s=0.0,
    restart_delay_s=0.01,
    restart_delay_max_s=0.02,
)


def spec(threads: int = 1, **options: str | int | float | bool) -> EngineSpec:
    return EngineSpec("scripted", "пробная", threads=threads, options=options)


def audio(seconds: float = 1.0, loudest: int = 500) -> Samples:
    samples = np.zeros(int(seconds * RATE_HZ), dtype=np.int16)
    samples[-1] = loudest
    return samples


@asynccontextmanager
async def started(
    engine_spec: EngineSpec, config: EngineProcessConfig = QUICK
) -> AsyncIterator[EngineProcess]:
    engine = EngineProcess(engine_spec, config)
    async with asyncio.timeout(2 * TIMEOUT_S):
        await engine.start()
        yield engine
    await engine.close()


@asynccontextmanager
async def scheduled(engine: EngineProcess) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(engine, SchedulerConfig())
    await scheduler.start()
    yield scheduler
    await scheduler.close()


def kill(engine: EngineProcess) -> None:
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGKILL)


class Logged:
    """A structlog processor: keeps what was logged and lets tests wait for an event."""

    def __init__(self) -> None:
        self.entries: list[structlog.typing.EventDict] = []
        self._seen: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def __call__(
        self, logger: object, method: str, entry: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        self.entries.append(entry)
        self._seen[entry["event"]].set()
        raise structlog.DropEvent

    async def event(self, name: str) -> None:
        async with asyncio.timeout(2 * TIMEOUT_S):
            await self._seen[name].wait()


@contextmanager
def logging() -> Iterator[Logged]:
    logged = Logged()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[logged])
    yield logged
    structlog.configure(processors=before)


async def outcome(job: Job) -> str:
    """Return the text of a job's answer, or its error in brackets."""
    try:
        return (await job.result).text
    except DecodeError as exc:
        return f"[{exc}]"


async def test_it_starts_decodes_and_closes() -> None:
    engine = EngineProcess(spec(threads=3), QUICK)
    assert engine.pid is None
    assert engine.cpu_s() == 0.0
    info = await engine.start()
    assert engine.info is info
    assert (engine.slots, engine.restarts) == (3, 0)
    assert engine.cpu_s() > 0.0
    answers = await engine.decode([(audio(1.0), RATE_HZ), (audio(0.5), RATE_HZ)])
    assert [one.text for one in answers] == ["слово слово", "слово"]
    await engine.close()
    await engine.close()
    assert engine.pid is None
    with pytest.raises(EngineDied, match=r"^the engine process is closed$"):
        await engine.decode([(audio(), RATE_HZ)])


async def test_it_takes_any_rate_and_pads_what_is_short() -> None:
    async with started(spec(answer="measure")) as engine:
        [long, short] = await engine.decode(
            [(np.full(16000, 500, dtype=np.int16), 16000), (audio(0.01), RATE_HZ)]
        )
        assert long.text.startswith("отсчётов 8000 ")
        assert short.text == "отсчётов 800 пик 500"


async def test_a_model_that_does_not_load_is_the_error_of_start() -> None:
    engine = EngineProcess(spec(fail_load="model"), QUICK)
    with pytest.raises(ModelLoadError, match=r"model.onnx is empty; fetch it again$"):
        await engine.start()
    await engine.close()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([], "a batch of no segments"),
        ([(audio(), 0)], "segment has a rate of 0 Hz"),
        ([(audio(), RATE_HZ), (audio()[:0], RATE_HZ)], "segment holds no samples"),
    ],
)
async def test_what_cannot_be_decoded_is_not_sent(
    batch: list[tuple[Samples, int]], message: str
) -> None:
    engine = EngineProcess(spec(), QUICK)  # not even started
    with pytest.raises(DecodeError) as caught:
        await engine.decode(batch)
    assert str(caught.value) == message


async def test_kill_9_under_20_calls_loses_no_final() -> None:
    async with started(spec(threads=4, answer="measure", delay_s=0.02)) as engine:
        pid = engine.pid
        async with scheduled(engine) as scheduler:
            segments = [audio(loudest=2000 + number) for number in range(20)]
            jobs = [scheduler.submit(one, RATE_HZ, Priority.FINAL) for one in segments]
            await jobs[3].result
            with structlog.testing.capture_logs() as logs:
                kill(engine)
                texts = [await outcome(job) for job in jobs]
        assert texts == [f"отсчётов 8000 пик {2000 + number}" for number in range(20)]
        assert engine.restarts == 1
        assert engine.pid not in (None, pid)
    assert [(entry["event"], entry.get("reason")) for entry in logs] == [
        ("engine process ended", "killed by SIGKILL"),
        ("engine ready", None),
    ]


@pytest.mark.parametrize(
    ("marker", "error", "restarts"),
    [
        (scripted.RAISES, "[the segment holds the marker RAISES]", 0),
        (scripted.CRASHES, "[RuntimeError: the segment holds the marker CRASHES]", 0),
        (scripted.MISCOUNTS, "[the engine gave 2 answers to 1 segments]", 0),
        (
            scripted.DIES,
            "[the segment ended the engine process twice (exit code 139); not tried again]",
            2,
        ),
        (
            scripted.HANGS,
            "[the segment ended the engine process twice "
            "(a decode did not come back within 1.0 s); not tried again]",
            2,
        ),
    ],
)
async def test_only_the_guilty_segment_is_hit(marker: int, error: str, restarts: int) -> None:
    config = IMPATIENT if marker == scripted.HANGS else QUICK
    async with started(spec(threads=2), config) as engine, scheduled(engine) as scheduler:
        jobs = [
            scheduler.submit(one, RATE_HZ, Priority.FINAL)
            for one in (audio(), audio(loudest=marker), audio(), audio(), audio())
        ]
        texts = [await outcome(job) for job in jobs]
        assert texts == ["слово слово", error, *["слово слово"] * 3]
        assert await outcome(scheduler.submit(audio(), RATE_HZ, Priority.FINAL)) == "слово слово"
        assert engine.restarts == restarts


STREAMING = spec(streaming=True)


async def test_streams_go_through_the_process() -> None:
    async with started(STREAMING) as engine:
        texts: asyncio.Queue[str] = asyncio.Queue()
        hearing = engine.open_stream(RATE_HZ)
        assert hearing is not None
        hearing.on_text = texts.put_nowait
        hearing.push(audio(1.0))
        assert await texts.get() == "слово слово"
        hearing.push(audio(0.5), last=True)
        assert (await hearing.result).text == "слово слово слово"
        assert texts.empty()


async def test_an_engine_that_takes_no_streams_gives_none() -> None:
    async with started(spec()) as engine:
        assert engine.open_stream(RATE_HZ) is None


async def test_streams_of_a_child_that_is_killed_are_lost_and_the_next_one_takes_more() -> None:
    async with started(STREAMING) as engine:
        streams = [engine.open_stream(RATE_HZ) for _ in range(5)]
        for hearing in streams:
            assert hearing is not None
            hearing.push(audio(0.5))
        kill(engine)
        for hearing in streams:
            assert hearing is not None
            with pytest.raises(EngineDied, match=r"^killed by SIGKILL$"):
                await hearing.result
            hearing.push(audio(0.5), last=True)
        [hypothesis] = await engine.decode([(audio(), RATE_HZ)])  # waits for the next child
        assert hypothesis.text == "слово слово"
        again = engine.open_stream(RATE_HZ)
        assert again is not None
        again.push(audio(0.5), last=True)
        assert (await again.result).text == "слово"


async def test_streams_that_hang_are_noticed() -> None:
    async with started(STREAMING, IMPATIENT) as engine:
        hung, other = engine.open_stream(RATE_HZ), engine.open_stream(RATE_HZ)
        assert hung is not None
        assert other is not None
        hung.push(audio(0.5, scripted.HANGS))
        other.push(audio(0.5), last=True)
        for hearing in (hung, other):
            with pytest.raises(EngineDied, match=r"^streams were not advanced within \d\.\d s$"):
                await hearing.result


async def test_more_decodes_than_threads_wait_their_turn() -> None:
    async with started(spec(delay_s=0.3), IMPATIENT) as engine:
        answers = await asyncio.gather(*(engine.decode([(audio(), RATE_HZ)]) for _ in range(4)))
        assert [one.text for [one] in answers] == ["слово слово"] * 4
        assert engine.restarts == 0


async def test_a_restart_that_fails_is_tried_until_it_succeeds(tmp_path: Path) -> None:
    folder, away = tmp_path / "model", tmp_path / "away"
    folder.mkdir()
    async with started(EngineSpec("scripted", "пробная", model_dir=folder)) as engine:
        folder.rename(away)
        with logging() as logged:
            kill(engine)
            with pytest.raises(EngineDied):
                await engine.decode([(audio(loudest=scripted.HANGS), RATE_HZ)])
            decode = asyncio.create_task(engine.decode([(audio(), RATE_HZ)]))
            await logged.event("engine does not start again")
            assert engine.pid is None
            away.rename(folder)
            [hypothesis] = await decode
        assert hypothesis.text == "слово слово"
        assert engine.restarts == 1
    events = [(entry["event"], entry.get("reason")) for entry in logged.entries]
    assert events == [
        ("engine process ended", "killed by SIGKILL"),
        ("engine does not start again", f"{folder} does not exist"),
        ("engine ready", None),
    ]


async def test_a_child_that_ends_the_moment_it_is_ready_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spawn = Child.spawn
    children: list[Child] = []

    async def first_one_dies(
        engine_spec: EngineSpec, load_timeout_s: float, hangs_after_s: Callable[[float], float]
    ) -> Child:
        children.append(await spawn(engine_spec, load_timeout_s, hangs_after_s))
        if len(children) == 1:
            os.kill(children[0].pid, signal.SIGKILL)
            await children[0].ended()
        return children[-1]

    monkeypatch.setattr(Child, "spawn", first_one_dies)
    async with started(spec()) as engine:
        assert engine.pid is None
        assert len(await engine.decode([(audio(), RATE_HZ)])) == 1
        assert engine.pid == children[1].pid


async def test_closing_while_decodes_wait_for_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    engine = EngineProcess(EngineSpec("scripted", "пробная", model_dir=folder), QUICK)
    await engine.start()
    folder.rmdir()
    with logging() as logged:
        kill(engine)
        await logged.event("engine process ended")
        decode = asyncio.create_task(engine.decode([(audio(), RATE_HZ)]))
        await logged.event("engine does not start again")
        await engine.close()
        with pytest.raises(EngineDied, match=r"^the engine process is closed$"):
            await decode


async def test_closing_ends_decodes_that_run() -> None:
    async with started(spec(), EngineProcessConfig()) as engine:
        decode = asyncio.create_task(engine.decode([(audio(loudest=scripted.HANGS), RATE_HZ)]))
        await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(EngineDied, match=r"^the engine process is closed$"):
            await decode


def test_pauses_between_restarts_grow_and_start_over() -> None:
    backoff = Backoff(first_s=0.1, longest_s=0.5)
    assert [backoff.pause_s() for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    backoff.lived(0.5)
    assert backoff.pause_s() == 0.5
    backoff.lived(0.6)
    assert backoff.pause_s() == 0.1


def test_it_works_on_uvloop() -> None:
    async def scenario() -> list[str]:
        async with started(spec(threads=2)) as engine, scheduled(engine) as scheduler:
            markers = (500, scripted.DIES, 500)
            jobs = [
                scheduler.submit(audio(loudest=one), RATE_HZ, Priority.FINAL) for one in markers
            ]
            return [await outcome(job) for job in jobs]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(scenario()) == [
            "слово слово",
            "[the segment ended the engine process twice (exit code 139); not tried again]",
            "слово слово",
        ]


def test_the_child_ends_with_a_server_that_is_killed() -> None:
    code = (
        "import asyncio\n"
        "from ruasr_tel.engines.base import EngineSpec\n"
        "from ruasr_tel.engines.process import EngineProcess, EngineProcessConfig\n"
        "async def main():\n"
        "    engine = EngineProcess(EngineSpec('scripted', 'x'), EngineProcessConfig())\n"
        "    await engine.start()\n"
        "    print('pid', engine.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        words: list[str] = []
        while words[:1] != ["pid"]:
            words = server.stdout.readline().split()
        child = os.pidfd_open(int(words[1]))
        server.kill()
    try:
        assert select.select([child], [], [], 2 * TIMEOUT_S)[0] == [child]
    finally:
        os.close(child)


def test_cpu_time_of_a_process_is_its_user_and_system_time() -> None:
    before_s = sum(os.times()[:2])
    measured_s = cpu_s(os.getpid())
    after_s = sum(os.times()[:2])
    assert before_s - 0.02 <= measured_s <= after_s + 0.02


def test_cpu_time_of_no_process_is_zero() -> None:
    assert cpu_s(2**22 + 1) == 0.0  # above the kernel's largest process id, 2^22
