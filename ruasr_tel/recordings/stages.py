"""What is done to a recording, stage by stage; each may be done twice and changes nothing then."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import structlog

from ruasr_tel.call import Calls
from ruasr_tel.errors import AudioFormatError, ConfigError, DecoderDied, FetchError, Overloaded
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.dialogue import DialogueConfig, make_dialogue
from ruasr_tel.recordings.durable import TROUBLE_S, Again, Errand, Outcome, Stage
from ruasr_tel.recordings.fetch import FetchConfig, fetch
from ruasr_tel.recordings.files import Files
from ruasr_tel.recordings.model import Recording, State, Transcript
from ruasr_tel.recordings.recognise import recognise
from ruasr_tel.recordings.states import States
from ruasr_tel.store import Store

T = TypeVar("T")

FETCH_PART = 0.2
"""Share of the progress that fetching counts for."""
PROGRESS_S = 1.0
"""How often progress is written down, and how soon a cancellation on another server is seen."""
RETRY_S, RETRY_MAX_S = 10.0, 3600.0
"""First wait before fetching again, and the longest; each is three times the one before."""

_log = structlog.get_logger(__name__)


class Stages:
    """Fetch, recognise, keep.

    Args:
        config: limits.
        fetching: limits of fetching.
        dialogue: how turns are told apart.
        store: order, state and result.
        states: changes states.
        files: audio and transcripts.
        calls: recognises, with priority BULK.
        hand_over: told of every recording that has a result or has failed, if somebody wants it
            delivered; a second time is none.
    """

    def __init__(
        self,
        config: RecordingsConfig,
        fetching: FetchConfig,
        dialogue: DialogueConfig,
        store: Store,
        states: States,
        files: Files,
        calls: Calls,
        hand_over: Callable[[Recording], Coroutine[Any, Any, None]],
    ) -> None:
        self._config = config
        self._fetching = fetching
        self._dialogue = dialogue
        self._store = store
        self._states = states
        self._files = files
        self._calls = calls
        self._hand_over = hand_over
        self._room = asyncio.Semaphore(config.concurrency)
        self._work: dict[str, asyncio.Task[Any]] = {}

    @property
    def by_name(self) -> dict[str, Stage]:
        """The stages in order."""
        return {"fetch": self.fetch, "recognise": self.recognise, "keep": self.keep}

    def interrupt(self, id: str) -> None:
        """Stop working on a recording that was cancelled."""
        if (work := self._work.get(id)) is not None:
            work.cancel()

    async def fetch(self, errand: Errand) -> Outcome | Again:
        """Bring the file here."""
        recording = await self._open(errand)
        if recording is None:
            return Outcome.OVER
        if recording.result is not None or self._files.audio(recording.id) is not None:
            return Outcome.NEXT
        if recording.order.url is None:
            return await self._fail(recording, "the uploaded file is gone")
        try:
            return await self._while_wanted(
                recording.id, State.FETCHING, lambda tell: self._fetch(recording, tell)
            )
        except FetchError as error:
            tries = errand.tries("fetch")
            if error.retryable and tries < self._config.fetch_attempts:
                _log.info("fetching failed, tried again", recording=recording.id, error=str(error))
                return Again(min(RETRY_MAX_S, RETRY_S * 3.0 ** (tries - 1)))
            return await self._fail(recording, str(error))

    async def recognise(self, errand: Errand) -> Outcome | Again:
        """Turn the file into a transcript on disk."""
        recording = await self._open(errand)
        if recording is None:
            return Outcome.OVER
        if recording.result is not None or self._files.transcript(recording.id) is not None:
            return Outcome.NEXT
        tries = errand.tries("recognise")
        try:
            async with self._room:  # queues let in more, for most of them are fetching
                return await self._while_wanted(
                    recording.id,
                    State.RECOGNISING,
                    lambda tell: self._recognise(recording, tell, tries),
                )
        except Overloaded:
            return Again(TROUBLE_S, failed=False)
        except (AudioFormatError, ConfigError) as error:
            if isinstance(error, DecoderDied) and tries < self._config.recognise_attempts:
                return Again(TROUBLE_S)  # or another process took the memory
            audio = str(self._files.audio(recording.id))
            name = recording.order.name or "the file"
            return await self._fail(recording, str(error).replace(audio, name))

    async def keep(self, errand: Errand) -> Outcome | Again:
        """Make the dialogue, store it, and hand it over."""
        recording = await self._open(errand)
        if recording is None:
            return Outcome.OVER
        if recording.result is None:
            transcript = self._files.transcript(recording.id)
            if transcript is None:
                return Again(0.0, failed=False)
            dialogue = await asyncio.to_thread(make_dialogue, transcript, config=self._dialogue)
            await self._store.set_result(recording.id, dialogue)
        if recording.order.callback_url is None:
            await self._states.set(recording.id, State.DONE)
        elif await self._states.set(recording.id, State.DELIVERING, 1.0):
            await self._hand_over(recording)
        self._files.drop_transcript(recording.id)
        await self._tidy(recording.id)
        _log.info("recording recognised", recording=recording.id)
        return Outcome.OVER

    async def fail(self, errand: Errand, reason: str) -> None:
        """End a recording with a reason for people, unless it has ended."""
        recording = await self._open(errand)
        if recording is not None:
            await self._fail(recording, reason)

    async def _open(self, errand: Errand) -> Recording | None:
        """Return the recording if there is still something to do for it."""
        recording = await self._store.recording(errand.id)
        if recording is None or not recording.state.ended:
            return recording
        await self._tidy(recording.id)
        return None

    async def _fetch(self, recording: Recording, tell: Callable[[float], None]) -> Outcome:
        assert recording.order.url is not None
        to = self._files.incoming(recording.id)
        fetched = await fetch(
            recording.order.url,
            to,
            self._fetching,
            progress=lambda part: tell(part * FETCH_PART),
        )
        self._files.arrived(recording.id, fetched.name)
        return Outcome.NEXT

    async def _recognise(
        self, recording: Recording, tell: Callable[[float], None], tries: int
    ) -> Outcome | Again:
        audio = self._files.audio(recording.id)
        if audio is None:
            if recording.order.url is None:
                return await self._fail(recording, "no file")
            return Again(0.0, failed=False)
        done = FETCH_PART if recording.order.url else 0.0
        transcript = await recognise(
            audio,
            recording.order,
            self._calls,
            lambda part: tell(done + part * (1 - done)),
            self._config,
        )
        if (reason := _unheard(transcript)) is not None:
            if tries < self._config.recognise_attempts:
                return Again(TROUBLE_S)
            return await self._fail(recording, reason)
        await asyncio.to_thread(self._files.keep_transcript, recording.id, transcript)
        return Outcome.NEXT

    async def _while_wanted(
        self,
        id: str,
        state: State,
        work: Callable[[Callable[[float], None]], Coroutine[Any, Any, Outcome | Again]],
    ) -> Outcome | Again:
        """Do some work, writing its progress down, for as long as nobody cancels the recording."""
        latest = [0.0 if state is State.FETCHING else None]

        def tell(part: float) -> None:
            latest[0] = part

        if not await self._states.set(id, state, latest[0]):
            return Outcome.OVER
        task = asyncio.create_task(work(tell))
        self._work[id] = task
        try:
            while not (await asyncio.wait({task}, timeout=PROGRESS_S))[0]:
                if not await self._states.set(id, state, latest[0]):
                    task.cancel()
            return Outcome.OVER if task.cancelled() else task.result()
        finally:
            task.cancel()
            del self._work[id]

    async def _fail(self, recording: Recording, reason: str) -> Outcome:
        # First of all it is handed over, which waits for the state: what has ended nobody takes up.
        if recording.order.callback_url is not None:
            await self._hand_over(recording)
        await self._states.set(recording.id, State.FAILED, reason=reason)
        await self._tidy(recording.id)
        _log.info("recording failed", recording=recording.id, reason=reason)
        return Outcome.OVER

    async def _tidy(self, id: str) -> None:
        if not self._config.keep_audio:
            await asyncio.to_thread(self._files.forget, [id])


def _unheard(transcript: Transcript) -> str | None:
    """Return why nothing of a recording could be recognised though there was speech, or None."""
    segments = transcript.segments
    if not segments or any(each.error is None for each in segments):
        return None
    return f"nothing could be recognised: {segments[0].error}"
