"""Calls to every door at once, for one case after the other; tests look at what came of them."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ruasr_tel.testing import TIMEOUT_S
from tests.asterisk.house import House
from tests.asterisk.pbx import Asterisk, PlacedCall

DOORS = {
    "9001": "AudioSocket()",
    "9003": "Dial AudioSocket slin",
    "9004": "Dial AudioSocket slin16",
    "9021": "AEAP",
    "9022": "AEAP, profile yesno",
    "9023": "AEAP, conversation",
    "9031": "WebSocket plain slin",
    "9032": "WebSocket json slin",
    "9033": "WebSocket json slin16",
    "9034": "WebSocket json ulaw",
    "9035": "WebSocket json alaw",
    "9036": "WebSocket INCOMING",
    "9041": "EAGI",
    "9042": "EAGI slin16",
}
"""Extensions of our examples, and what they show."""

SORRY = "9002 AudioSocket(), or sorry"
QUESTION = "9005 AudioSocket(), CURL()"
"""One more, which answers a question."""

PROMPT = "agent-loggedoff"
END_S = 4 * TIMEOUT_S
PATIENCE_S = 3.0
"""Callers who want to hear what the dialplan does with their words wait so long in silence."""

LONGEST_S = 10
"""The smallest `calls.max_call_s` there is."""
UNSERVED = (*DOORS, "9002", "9005")
"""What is dialled while there is no server."""
ALONE = ("9001", "9002", "9003", "9004", "9005")
"""By AudioSocket, so one after the other while there is no server: Asterisk closes the descriptor
of a refused connect twice, the second time perhaps another channel's (docs/adr/0028)."""
ENDLESS = ("9001", "9003", "9023", "9032")
"""One extension of each way in that has no end of its own before that."""

CROWD = 30
CROWDED = ("9001", "9003", "9021", "9032", "9041")
"""One extension of each door and way in."""


T = TypeVar("T")


@dataclass
class Suite:
    """The running parts.

    Attributes:
        without_vosk: why Asterisk has no res_speech_vosk; empty where it has it.
        hangs: what was under way whenever Asterisk itself hung.
    """

    house: House
    asterisk: Asterisk
    without_vosk: str = ""
    hangs: list[str] = field(default_factory=list)

    async def again_if_it_hangs(self, what: str, wave: Callable[[], Awaitable[T]]) -> T:
        """Let calls come; if Asterisk itself hangs, kill it, start it, and let them come again.

        Asterisk 22.10.1 locked up in one of eleven waves of the door ari with AudioSocket (our
        measurement: no event, no line in its log any more). The end of the table tells of it.
        """
        try:
            return await wave()
        except (AssertionError, TimeoutError):
            if await self.asterisk.answers():
                raise
            self.hangs.append(what)
            await self.asterisk.stop(signal.SIGKILL)
            await self.idle()
            await self.asterisk.start()
            return await wave()

    async def all(self, place: Callable[[str], PlacedCall]) -> dict[str, PlacedCall]:
        """Place a call to every extension at once, and wait for their ends."""
        calls = {extension: place(extension) for extension in DOORS}
        await self.ends(list(calls.values()))
        return calls

    async def ends(self, calls: list[PlacedCall]) -> None:
        """Wait until every call has ended in Asterisk."""
        waiting = [asyncio.create_task(call.ended.wait()) for call in calls]
        await asyncio.wait(waiting, timeout=END_S)
        open_calls = [call for call in calls if not call.ended.is_set()]
        assert not open_calls, (open_calls[:3], len(open_calls), self.asterisk.log()[-2000:])

    async def idle(self) -> None:
        """Wait until no call is left in the server."""
        await self.house.idle()

    async def speech(self) -> dict[str, PlacedCall]:
        """Let a caller speak to every door, and wait for the dialplan on a busy machine, too."""
        calls = await self.all(lambda each: self.asterisk.place(each, PROMPT, tail=PATIENCE_S))
        await self.idle()
        return calls

    async def digits(self) -> dict[str, PlacedCall]:
        """Let a caller press keys between two prompts, to AEAP without them: a result ends it."""

        def place(extension: str) -> PlacedCall:
            caller = "keys" if "AEAP" in DOORS[extension] else "press"
            return self.asterisk.place(extension, PROMPT, caller, 0.5)

        calls = await self.all(place)
        await self.idle()
        return calls

    async def hangups(self) -> dict[str, PlacedCall]:
        """Let every caller hang up in the middle of a word."""
        calls = {extension: self.asterisk.place(extension, PROMPT) for extension in DOORS}
        await asyncio.gather(*map(self._hang_up_early, calls.values()))
        await self.ends(list(calls.values()))
        await self.idle()
        return calls

    async def crowd(self, extension: str) -> list[PlacedCall]:
        """Let many callers speak to one extension at once."""
        calls = []
        for _ in range(CROWD):
            calls.append(self.asterisk.place(extension, PROMPT, tail=PATIENCE_S))
            await asyncio.sleep(0.02)  # as calls come: not one of them in the same millisecond
        await self.ends(calls)
        await self.idle()
        return calls

    async def down(self) -> tuple[dict[str, PlacedCall], dict[str, PlacedCall]]:
        """Kill the server under calls to every door; let others speak while there is none.

        Return the former and the latter. The next server ends calls that nobody hangs up.
        """
        calls = {extension: self.asterisk.place(extension, PROMPT) for extension in DOORS}
        await asyncio.gather(*(self._speaks(call) for call in calls.values()))
        await self.house.kill()
        await self.ends(list(calls.values()))
        try:
            together = [each for each in UNSERVED if each not in ALONE]
            later = {each: self.asterisk.place(each, "digits/8", tail=4) for each in together}
            await self.ends(list(later.values()))
            for each in ALONE:
                later[each] = self.asterisk.place(each, "digits/8", tail=4)
                await self.ends([later[each]])
        finally:
            await self.house.open(max_call_s=LONGEST_S)
        return calls, later

    async def stopping(self) -> tuple[PlacedCall, dict[str, PlacedCall]]:
        """Stop the server under a call; let others come by AudioSocket while that one goes on.

        Return the former and the latter.
        """
        await self.house.close()
        await self.house.open(drain_s=END_S)
        first = self.asterisk.place("9001", PROMPT, tail=END_S)
        await self._speaks(first)
        closing = asyncio.create_task(self.house.close())
        try:
            await self.house.is_stopping()
            later = {each: self.asterisk.place(each, "digits/8", tail=4) for each in ALONE}
            await self.ends(list(later.values()))
        finally:
            self.asterisk.hang_up(first)
            await closing
            await self.house.open()
        return first, later

    def endless(self) -> dict[str, PlacedCall]:
        """Let callers come who never hang up."""
        return {each: self.asterisk.place(each, PROMPT, tail=10 * LONGEST_S) for each in ENDLESS}

    async def killed(self) -> dict[str, PlacedCall]:
        """Kill Asterisk under calls to every door; start it again."""
        calls = {extension: self.asterisk.place(extension, PROMPT) for extension in DOORS}
        await asyncio.gather(*(self._speaks(call) for call in calls.values()))
        await self.asterisk.stop(signal.SIGKILL)
        await self.idle()
        await self.asterisk.start()
        return calls

    async def _hang_up_early(self, call: PlacedCall) -> None:
        await self._speaks(call)
        self.asterisk.hang_up(call)

    async def _speaks(self, call: PlacedCall) -> None:
        """Wait until 1.2 s of a call were heard: the prompt is 2.4 s long."""
        async with asyncio.timeout(END_S):
            await call.named.wait()
        await self.house.until_heard(call.call_id, round(1.2 * 8000))
