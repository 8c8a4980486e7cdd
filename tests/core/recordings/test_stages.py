"""What each stage answers; whole jobs are in test_jobs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from ruasr_tel.call import Calls
from ruasr_tel.errors import AudioFormatError, ConfigError, DecoderDied, FetchError, Overloaded
from ruasr_tel.recordings import stages as module
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.dialogue import DialogueConfig
from ruasr_tel.recordings.durable import TROUBLE_S, Again, Errand, Outcome
from ruasr_tel.recordings.fetch import FetchConfig, Fetched
from ruasr_tel.recordings.files import Files
from ruasr_tel.recordings.model import Order, Recording, Segment, State, Transcript
from ruasr_tel.recordings.stages import Stages
from ruasr_tel.recordings.states import States
from ruasr_tel.store import Store
from ruasr_tel.testing import TIMEOUT_S

ID = "6f1b1f4e-0000-4000-8000-000000000001"
HEARD = Transcript(2.0, 1, (Segment(0, 0.0, 1.0, "слово"),))
MUTE = Transcript(2.0, 1, (Segment(0, 0.0, 1.0, "", error="the engine is away"),))


@dataclass
class World:
    """The stages, and what is around them."""

    stages: Stages
    store: Store
    files: Files
    delivered: list[str] = field(default_factory=list)
    fetched: Exception | None = None
    heard: Transcript | Exception = HEARD
    stuck: asyncio.Event | None = None
    dies: bool = False

    async def accept(self, **order: Any) -> None:
        given = {"url": "https://h/call.wav", **order}
        await self.store.add_recording(ID, Order(**given), self.store.now())

    async def state(self) -> tuple[State, str | None]:
        found = await self.store.recording(ID)
        assert found is not None
        return found.state, found.reason

    async def fetch(
        self, _url: str, to: Path, _config: FetchConfig, *, progress: Callable[[float], None]
    ) -> Fetched:
        if self.stuck is not None:
            self.stuck.set()
            await asyncio.Event().wait()
        if self.fetched is not None:
            raise self.fetched
        progress(1.0)
        with to.open("wb") as file:
            file.write(b"audio")
        return Fetched(to, 5, "audio/wav", "call.wav")

    async def recognise(self, path: Path, *_rest: Any) -> Transcript:
        assert path.suffix == ".wav"
        if isinstance(self.heard, Exception):
            raise self.heard
        return self.heard


def nth(tries: int = 1, stage: str = "fetch") -> Errand:
    """Return an errand in that try of a stage."""
    return Errand("recording", ID, tries, 0.0, failed={stage: tries - 1})


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    store = Store(f"sqlite:///{tmp_path}/ruasr.db")
    await store.open()
    files = Files(tmp_path / "recordings")
    files.open("here")
    world = cast(World, None)

    async def hand_over(recording: Recording) -> None:
        if world.dies:
            raise OSError("killed")
        world.delivered.append(recording.id)

    config = RecordingsConfig(fetch_attempts=3, recognise_attempts=2)
    stages = Stages(
        config,
        FetchConfig(),
        DialogueConfig(),
        store,
        States(store),
        files,
        cast(Calls, None),
        hand_over,
    )
    world = World(stages, store, files)
    monkeypatch.setattr(module, "fetch", world.fetch)
    monkeypatch.setattr(module, "recognise", world.recognise)
    yield world
    files.close()
    await store.close()


async def test_each_stage_leads_to_the_next_and_a_second_time_changes_nothing(
    world: World,
) -> None:
    await world.accept(callback_url="https://crm/")
    for _ in range(2):
        assert await world.stages.fetch(nth()) is Outcome.NEXT
    world.fetched = FetchError("the file is here already")
    assert (await world.state())[0] is State.FETCHING
    for _ in range(2):
        assert await world.stages.recognise(nth()) is Outcome.NEXT
    world.heard = AudioFormatError("the transcript is here already")
    assert (await world.state())[0] is State.RECOGNISING
    for _ in range(2):
        assert await world.stages.keep(nth()) is Outcome.OVER
    assert await world.state() == (State.DELIVERING, None)
    assert set(world.delivered) == {ID}  # the queue takes it for one
    assert world.files.transcript(ID) is None
    assert await world.stages.fetch(nth()) is Outcome.NEXT
    assert await world.stages.recognise(nth()) is Outcome.NEXT
    assert await world.state() == (State.DELIVERING, None)


async def test_fetching_is_tried_again_three_times_as_late_each_time(world: World) -> None:
    await world.accept()
    world.fetched = FetchError("h does not answer", retryable=True)
    assert await world.stages.fetch(nth(1)) == Again(10.0)
    assert await world.stages.fetch(nth(2)) == Again(30.0)
    assert await world.state() == (State.FETCHING, None)
    assert await world.stages.fetch(nth(3)) is Outcome.OVER
    assert await world.state() == (State.FAILED, "h does not answer")
    assert world.delivered == []


async def test_what_will_not_come_fails_at_once_and_is_told(world: World) -> None:
    await world.accept(callback_url="https://crm/")
    world.fetched = FetchError("h has no such file (HTTP 404)")
    assert await world.stages.fetch(nth()) is Outcome.OVER
    assert await world.state() == (State.FAILED, "h has no such file (HTTP 404)")
    assert world.delivered == [ID]
    assert await world.stages.fetch(nth()) is Outcome.OVER
    assert world.delivered == [ID]


async def test_a_failure_that_was_not_handed_over_has_not_ended_the_recording(
    world: World,
) -> None:
    await world.accept(callback_url="https://crm/")
    world.dies = True
    with pytest.raises(OSError, match="killed"):
        await world.stages.fail(nth(), "the server ended 20 times")
    assert await world.state() == (State.QUEUED, None)
    world.dies = False
    await world.stages.fail(nth(), "the server ended 20 times")
    assert await world.state() == (State.FAILED, "the server ended 20 times")
    assert world.delivered == [ID]


async def test_an_upload_that_is_gone_fails(world: World) -> None:
    await world.accept(url=None, upload=Path("/gone"))
    assert await world.stages.fetch(nth()) is Outcome.OVER
    assert await world.state() == (State.FAILED, "the uploaded file is gone")


async def test_files_that_are_lost_on_the_way_are_made_again(world: World) -> None:
    await world.accept()
    assert await world.stages.recognise(nth()) == Again(0.0, failed=False)
    assert await world.stages.keep(nth()) == Again(0.0, failed=False)


@pytest.mark.parametrize("error", [AudioFormatError, ConfigError])
async def test_what_cannot_be_recognised_fails_without_its_path(
    world: World, error: type[Exception]
) -> None:
    await world.accept(name="call.wav")
    await world.stages.fetch(nth())
    world.heard = error(f"{world.files.audio(ID)}: holds no audio")
    assert await world.stages.recognise(nth()) is Outcome.OVER
    assert await world.state() == (State.FAILED, "call.wav: holds no audio")


async def test_no_room_is_waited_for(world: World) -> None:
    await world.accept()
    await world.stages.fetch(nth())
    world.heard = Overloaded("the server is stopping")
    assert await world.stages.recognise(nth(100, "recognise")) == Again(TROUBLE_S, failed=False)
    assert (await world.state())[0] is State.RECOGNISING


async def test_an_engine_that_answers_nothing_is_tried_again_and_then_named(world: World) -> None:
    await world.accept()
    await world.stages.fetch(nth())
    world.heard = MUTE
    assert await world.stages.recognise(nth(1, "recognise")) == Again(TROUBLE_S)
    assert await world.stages.recognise(nth(2, "recognise")) is Outcome.OVER
    reason = "nothing could be recognised: the engine is away"
    assert await world.state() == (State.FAILED, reason)


async def test_a_file_that_ends_its_decoder_is_tried_again_and_then_named(world: World) -> None:
    await world.accept(name="call.wav")
    await world.stages.fetch(nth())
    world.heard = DecoderDied(
        f"{world.files.audio(ID)}: reading it ended the decoder (killed by X)"
    )
    assert await world.stages.recognise(nth(1, "recognise")) == Again(TROUBLE_S)
    assert await world.stages.recognise(nth(2, "recognise")) is Outcome.OVER
    reason = "call.wav: reading it ended the decoder (killed by X)"
    assert await world.state() == (State.FAILED, reason)


async def test_tries_of_fetching_are_no_tries_of_recognising(world: World) -> None:
    await world.accept()
    await world.stages.fetch(nth(3))
    world.heard = DecoderDied("reading it ended the decoder (killed by X)")
    assert await world.stages.recognise(nth(3)) == Again(TROUBLE_S)


async def test_only_so_many_are_recognised_at_once_however_many_came(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [ID.replace("4000", f"400{n}") for n in range(4)]
    at_work, most = 0, 0

    async def recognise(*_asked: Any) -> Transcript:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        for _ in range(20):
            await world.store.recording(ID)  # the others have their turn
        at_work -= 1
        return HEARD

    monkeypatch.setattr(module, "recognise", recognise)
    for id in ids:
        await world.store.add_recording(id, Order(url="https://h/call.wav"), world.store.now())
    errands = [Errand("recording", id, 1, 0.0) for id in ids]
    for errand in errands:
        await world.stages.fetch(errand)
    said = await asyncio.gather(*map(world.stages.recognise, errands))
    assert (set(said), most) == ({Outcome.NEXT}, 2)


async def test_what_is_cancelled_or_gone_is_left(world: World) -> None:
    assert await world.stages.fetch(nth()) is Outcome.OVER
    await world.accept()
    await world.store.cancel(ID)
    for stage in world.stages.by_name.values():
        assert await stage(nth()) is Outcome.OVER
    assert await world.state() == (State.CANCELLED, None)


async def test_an_interrupted_stage_ends_its_errand(world: World) -> None:
    await world.accept()
    world.stuck = asyncio.Event()
    fetching = asyncio.create_task(world.stages.fetch(nth()))
    async with asyncio.timeout(TIMEOUT_S):
        await world.stuck.wait()
        world.stages.interrupt(ID)
        assert await fetching is Outcome.OVER
    world.stages.interrupt(ID)  # nobody works on it any more


async def test_a_cancellation_on_another_server_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROGRESS_S", 0.01)
    await world.accept()
    world.stuck = asyncio.Event()
    fetching = asyncio.create_task(world.stages.fetch(nth()))
    async with asyncio.timeout(TIMEOUT_S):
        await world.stuck.wait()
        await world.store.cancel(ID)
        assert await fetching is Outcome.OVER


async def test_a_stop_cancels_the_work(world: World) -> None:
    await world.accept()
    world.stuck = asyncio.Event()
    fetching = asyncio.create_task(world.stages.fetch(nth()))
    async with asyncio.timeout(TIMEOUT_S):
        await world.stuck.wait()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert await world.state() == (State.FETCHING, None)


async def test_giving_up_names_the_reason_once(world: World) -> None:
    await world.accept()
    await world.stages.fail(nth(), "OSError: the disk is full")
    await world.stages.fail(nth(), "something else")
    assert await world.state() == (State.FAILED, "OSError: the disk is full")
