import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
import structlog

from ruasr_tel.engines import wire
from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, Hypothesis
from ruasr_tel.engines.hearing import Hearing, Hearings
from ruasr_tel.errors import DecodeError, EngineDied, Overloaded
from ruasr_tel.scheduler import Job, Priority, Scheduler, SchedulerConfig
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples

RATE_HZ = 8000
FINAL, PARTIAL, BULK = Priority.FINAL, Priority.PARTIAL, Priority.BULK

Decode = asyncio.Future[list[Hypothesis]]


class FakeHost:
    """An engine whose answers the test gives: `decodes` holds each batch and its future."""

    def __init__(self, slots: int = 1, batch_size: int = 1) -> None:
        self.info = EngineInfo("fake", "fake", RATE_HZ, batch_size=batch_size, hotwords=True)
        self.slots = slots
        self.up = asyncio.Event()
        self.up.set()
        self.decodes: list[tuple[Sequence[tuple[Samples, int]], Decode]] = []
        self.options: list[DecodeOptions] = []
        self._more = asyncio.Condition()
        self.pieces: list[wire.Audio] = []
        self.clock = Clock()
        self.hearings = Hearings(self.pieces.append, self.clock)

    async def ready(self) -> None:
        await self.up.wait()

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        self.options.append(options)
        answer: Decode = asyncio.get_running_loop().create_future()
        async with self._more:
            self.decodes.append((batch, answer))
            self._more.notify_all()
        return await answer

    def open_stream(self, sample_rate_hz: int, options: DecodeOptions = PLAIN) -> Hearing | None:
        return self.hearings.open(sample_rate_hz, options)

    @property
    def lag_s(self) -> float:
        return self.hearings.lag_s

    async def decode_number(self, number: int) -> Decode:
        """Wait for the `number`-th decode, counted from 0; return its future."""
        async with asyncio.timeout(TIMEOUT_S), self._more:
            await self._more.wait_for(lambda: len(self.decodes) > number)
        return self.decodes[number][1]


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def running(
    host: FakeHost, config: SchedulerConfig | None = None, clock: Clock | None = None
) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(host, config or SchedulerConfig(), clock or Clock())
    await scheduler.start()
    yield scheduler
    await scheduler.close()


def audio(seconds: float = 1.0) -> Samples:
    return np.zeros(int(seconds * RATE_HZ), dtype=np.int16)


async def result(job: Job) -> Hypothesis:
    async with asyncio.timeout(TIMEOUT_S):
        return await job.result


async def test_a_job_gets_the_answer_of_the_engine() -> None:
    host, samples = FakeHost(), audio(2.0)
    async with running(host) as scheduler:
        job = scheduler.submit(samples, RATE_HZ, FINAL)
        assert (job.audio_s, scheduler.pending_audio_s) == (2.0, 2.0)
        answer = await host.decode_number(0)
        assert scheduler.running == 1
        answer.set_result([Hypothesis("алло")])
        assert await result(job) == Hypothesis("алло")
        assert (scheduler.running, scheduler.pending_audio_s) == (0, 0.0)
    [(segment, rate_hz)] = host.decodes[0][0]
    assert (segment is samples, rate_hz) == (True, RATE_HZ)


async def test_work_waits_until_the_scheduler_starts() -> None:
    host = FakeHost()
    scheduler = Scheduler(host, SchedulerConfig(), Clock())
    job = scheduler.submit(audio(), RATE_HZ, FINAL)
    assert (scheduler.running, scheduler.waiting(FINAL)) == (0, 1)
    await scheduler.start()
    assert (scheduler.running, scheduler.waiting(FINAL)) == (1, 0)
    (await host.decode_number(0)).set_result([Hypothesis("да")])
    assert (await result(job)).text == "да"
    await scheduler.close()


async def test_slots_decode_at_once_and_the_next_follows() -> None:
    host = FakeHost(slots=2)
    async with running(host) as scheduler:
        jobs = [scheduler.submit(audio(), RATE_HZ, FINAL) for _ in range(3)]
        await host.decode_number(1)
        assert (scheduler.running, scheduler.waiting(FINAL)) == (2, 1)
        host.decodes[1][1].set_result([Hypothesis("два")])
        (await host.decode_number(2)).set_result([Hypothesis("три")])
        host.decodes[0][1].set_result([Hypothesis("один")])
        assert [(await result(job)).text for job in jobs] == ["один", "два", "три"]


async def test_similar_segments_go_to_a_batching_engine_together() -> None:
    host = FakeHost(batch_size=8)
    scheduler = Scheduler(host, SchedulerConfig(), Clock())
    jobs = [scheduler.submit(audio(seconds), RATE_HZ, BULK) for seconds in (1.0, 5.0, 1.5)]
    await scheduler.start()
    answer = await host.decode_number(0)
    assert [len(samples) for samples, _ in host.decodes[0][0]] == [8000, 12000]
    assert host.options == [DecodeOptions(patient=True)]  # nobody waits for recordings
    answer.set_result([Hypothesis("один"), Hypothesis("три")])
    (await host.decode_number(1)).set_result([Hypothesis("два")])
    assert [(await result(job)).text for job in jobs] == ["один", "два", "три"]
    await scheduler.close()


async def test_the_engine_is_asked_what_it_can_do() -> None:
    host = FakeHost(batch_size=8)
    scheduler = Scheduler(host, SchedulerConfig(), Clock())
    asked = DecodeOptions(("да", "[unk]"), closed=True, alternatives=3)
    jobs = [
        scheduler.submit(audio(), RATE_HZ, FINAL, options=options)
        for options in (asked, PLAIN, asked, DecodeOptions(boost=9.0, alternatives=2))
    ]
    await scheduler.start()
    (await host.decode_number(0)).set_result([Hypothesis("один"), Hypothesis("три")])
    (await host.decode_number(1)).set_result([Hypothesis("два"), Hypothesis("четыре")])
    assert [(await result(job)).text for job in jobs] == ["один", "два", "три", "четыре"]
    assert host.options == [DecodeOptions(("да",)), PLAIN]
    await scheduler.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DecodeError("too loud"), "too loud"),
        (ValueError("no such tensor"), "ValueError: no such tensor"),
    ],
)
async def test_an_error_reaches_its_own_job_alone(error: Exception, reason: str) -> None:
    host = FakeHost(slots=2)
    async with running(host) as scheduler:
        bad, good = (scheduler.submit(audio(), RATE_HZ, FINAL) for _ in range(2))
        with structlog.testing.capture_logs() as logs:
            (await host.decode_number(0)).set_exception(error)
            with pytest.raises(DecodeError) as caught:
                await result(bad)
        assert str(caught.value) == reason
        assert logs == [
            {
                "event": "segment not decoded",
                "log_level": "warning",
                "reason": reason,
                "priority": "final",
                "audio_s": 1.0,
            }
        ]
        (await host.decode_number(1)).set_result([Hypothesis("да")])
        assert (await result(good)).text == "да"


async def test_a_wrong_number_of_answers_is_an_error() -> None:
    host = FakeHost()
    async with running(host) as scheduler:
        job = scheduler.submit(audio(), RATE_HZ, FINAL)
        (await host.decode_number(0)).set_result([])
        with pytest.raises(DecodeError, match=r"^the engine gave 0 answers to 1 segments$"):
            await result(job)


async def test_a_final_is_decoded_again_after_the_engine_died_and_a_partial_is_not() -> None:
    host = FakeHost(slots=2)
    async with running(host) as scheduler:
        final = scheduler.submit(audio(), RATE_HZ, FINAL)
        partial = scheduler.submit(audio(), RATE_HZ, PARTIAL)
        await host.decode_number(1)
        for _, answer in host.decodes:
            answer.set_exception(EngineDied("killed by SIGKILL"))
        with pytest.raises(DecodeError, match=r"^the engine process ended \(killed by SIGKILL\)$"):
            await result(partial)
        (await host.decode_number(2)).set_result([Hypothesis("да")])
        assert (await result(final)).text == "да"


async def test_a_segment_that_ends_the_engine_twice_is_an_error() -> None:
    host = FakeHost()
    async with running(host) as scheduler:
        job = scheduler.submit(audio(), RATE_HZ, FINAL)
        for number in range(2):
            (await host.decode_number(number)).set_exception(EngineDied("exit code 139"))
        with pytest.raises(DecodeError, match="twice"):
            await result(job)


async def test_a_cancelled_job_is_not_decoded() -> None:
    host = FakeHost()
    async with running(host) as scheduler:
        first, gone, last = (scheduler.submit(audio(), RATE_HZ, FINAL) for _ in range(3))
        gone.cancel()
        (await host.decode_number(0)).set_result([Hypothesis("один")])
        (await host.decode_number(1)).set_result([Hypothesis("три")])
        assert [(await result(job)).text for job in (first, last)] == ["один", "три"]
        assert gone.result.cancelled()
    assert len(host.decodes) == 2


async def test_cancelling_the_future_cancels_the_job() -> None:
    host = FakeHost()
    async with running(host) as scheduler:
        scheduler.submit(audio(), RATE_HZ, FINAL)
        job = scheduler.submit(audio(), RATE_HZ, FINAL)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(job.result, timeout=0.0)
        await asyncio.wait([job.result])
        assert scheduler.waiting(FINAL) == 0


async def test_a_cancelled_job_whose_answer_comes_first_stays_cancelled() -> None:
    host = FakeHost()
    async with running(host) as scheduler:
        job = scheduler.submit(audio(), RATE_HZ, FINAL)
        answer = await host.decode_number(0)
        answer.set_result([Hypothesis("да")])
        # The future is cancelled at once, its callback comes after the answer's.
        job.result.cancel()
        other = scheduler.submit(audio(), RATE_HZ, FINAL)
        (await host.decode_number(1)).set_result([Hypothesis("нет")])
        assert (await result(other)).text == "нет"
        assert job.result.cancelled()


async def test_partials_and_recordings_are_refused_and_counted() -> None:
    config = SchedulerConfig(partial_queue=1, bulk_queue=1)
    host = FakeHost()
    async with running(host, config) as scheduler:
        scheduler.admit_bulk()
        for priority in (FINAL, PARTIAL, BULK):
            scheduler.submit(audio(), RATE_HZ, priority)
        with pytest.raises(Overloaded):
            scheduler.submit(audio(), RATE_HZ, PARTIAL)
        with pytest.raises(Overloaded):
            scheduler.admit_bulk()
        assert (scheduler.partials_refused, scheduler.refused(BULK)) == (1, 1)
        assert [scheduler.waiting(priority) for priority in Priority] == [0, 0, 1, 1]


async def test_the_wait_follows_from_pace_and_audio() -> None:
    host, clock = FakeHost(), Clock()
    async with running(host, clock=clock) as scheduler:
        assert (scheduler.rtf, scheduler.wait_s) == (0.0, 0.0)
        job = scheduler.submit(audio(4.0), RATE_HZ, FINAL)
        answer = await host.decode_number(0)
        clock.now_s += 1.0
        answer.set_result([Hypothesis("да")])
        await result(job)
        assert (scheduler.rtf, scheduler.busy_s(FINAL)) == (0.25, 1.0)
        scheduler.submit(audio(4.0), RATE_HZ, FINAL)
        scheduler.submit(audio(8.0), RATE_HZ, FINAL)
        assert scheduler.wait_s == 3.0


async def test_the_time_that_an_engine_is_away_is_none_of_its_pace() -> None:
    host, clock = FakeHost(), Clock()
    async with running(host, clock=clock) as scheduler:
        host.up.clear()
        job = scheduler.submit(audio(4.0), RATE_HZ, FINAL)
        await asyncio.sleep(0)
        clock.now_s += 60.0
        host.up.set()
        answer = await host.decode_number(0)
        clock.now_s += 1.0
        answer.set_result([Hypothesis("да")])
        await result(job)
        assert (scheduler.rtf, scheduler.busy_s(FINAL)) == (0.25, 1.0)


@pytest.mark.parametrize("priority", [FINAL, PARTIAL])
async def test_the_time_for_streams_counts(priority: Priority) -> None:
    host = FakeHost()
    host.info = replace(host.info, streaming=True)
    async with running(host) as scheduler:
        stream = scheduler.open_stream(RATE_HZ, priority=priority)
        assert stream is not None
        stream.push(audio(4.0))
        stream.push(audio(2.0), last=True)
        host.hearings.receive(wire.Heard(1, ((1, 1, "да"),), 0.5))
        assert (scheduler.busy_s(priority), scheduler.rtf) == (0.5, 0.0)
        host.hearings.receive(wire.Finished(1, Hypothesis("да")))
        host.hearings.receive(wire.Heard(2, (), 0.25))
        assert (scheduler.busy_s(priority), scheduler.rtf) == (0.75, 0.125)
        assert sum(map(scheduler.busy_s, Priority)) == 0.75


async def test_finals_go_by_their_deadline() -> None:
    host, clock = FakeHost(), Clock()
    async with running(host, clock=clock) as scheduler:
        scheduler.submit(audio(), RATE_HZ, FINAL)
        late = scheduler.submit(audio(2.0), RATE_HZ, FINAL, deadline_s=clock.now_s + 5.0)
        soon = scheduler.submit(audio(3.0), RATE_HZ, FINAL, deadline_s=clock.now_s + 1.0)
        for number in range(3):
            (await host.decode_number(number)).set_result([Hypothesis("да")])
        await result(late)
        await result(soon)
    assert [len(batch[0][0]) for batch, _ in host.decodes] == [8000, 24000, 16000]


async def test_nobody_waits_for_ever_for_an_engine_that_is_away() -> None:
    host, clock = FakeHost(), Clock()
    async with running(host, SchedulerConfig(final_timeout_s=0.01), clock) as scheduler:
        held, waiting = (scheduler.submit(audio(), RATE_HZ, FINAL) for _ in range(2))
        clock.now_s += 60.0
        for job in (held, waiting):
            with pytest.raises(DecodeError, match=r"^the engine did not come back within 0.01 s$"):
                await result(job)


async def test_closing_cancels_what_is_open_and_what_comes_later() -> None:
    host = FakeHost()
    async with running(host) as scheduler:
        held, waiting = (scheduler.submit(audio(), RATE_HZ, FINAL) for _ in range(2))
        answer = await host.decode_number(0)
    late = scheduler.submit(audio(), RATE_HZ, FINAL)
    assert [job.result.cancelled() for job in (held, waiting, late)] == [True, True, True]
    assert answer.cancelled()
    await scheduler.close()


async def test_a_scheduler_that_never_started_closes() -> None:
    scheduler = Scheduler(FakeHost(), SchedulerConfig(), Clock())
    job = scheduler.submit(audio(), RATE_HZ, FINAL)
    await scheduler.close()
    assert job.result.cancelled()
