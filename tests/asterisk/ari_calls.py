"""Calls that the door for ARI hears on both sides, for one case after the other."""

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from ruasr_tel.events import CallEnded, CallStarted, Final
from ruasr_tel.testing import TIMEOUT_S
from tests.asterisk.ari_strangers import STRANGERS
from tests.asterisk.pbx import PlacedCall
from tests.asterisk.waves import END_S, PROMPT, Suite

CALLEE_PROMPT = "pbx-invalid"
"""What the callee of the suite says, after the caller."""

ENCAPSULATIONS: Mapping[str, dict[str, object]] = {
    "RTP": {"encapsulation": "rtp"},
    "AudioSocket": {"encapsulation": "audiosocket"},
    "WebSocket, we connect": {"encapsulation": "websocket"},
    "WebSocket, it connects": {"encapsulation": "websocket", "websocket_client": "ruasr-ari"},
}
"""How the audio comes, by the row of the table."""

BOTH = "9101"
"""The extension of our example that is heard on both sides."""

CROWD = 30
LOOK_S = 0.05
OURS = "ruasr.ruasr."
"""What the ids of all begin with that the door makes in Asterisk (docs/ari.md)."""


@dataclass(frozen=True)
class Spoken:
    """Calls of one wave, by what happened in them."""

    whole: PlacedCall
    keys: PlacedCall
    cut: PlacedCall


@dataclass(frozen=True)
class Killed:
    """What became of a server that was killed.

    Attributes:
        during: a call that it heard.
        meanwhile: a call that came when it was gone.
        left: what it had left in Asterisk.
    """

    during: PlacedCall
    meanwhile: PlacedCall
    left: list[str]


class AriCalls:
    """Places them, and looks into Asterisk by ARI.

    Args:
        suite: the running parts; its server is started again with the encapsulation.
    """

    def __init__(self, suite: Suite) -> None:
        self.suite = suite

    async def open(self, encapsulation: str) -> None:
        """Start the server again, with this encapsulation."""
        await self.suite.house.close()
        self.suite.house.ari = ENCAPSULATIONS[encapsulation]
        await self.suite.house.open()
        await self.connected()

    def close(self) -> None:
        """Let the next server be as the other tests have it."""
        self.suite.house.ari = {}

    async def connected(self) -> None:
        """Wait until Asterisk has the application."""
        await self._until(self._has_application)

    async def ours(self) -> list[str]:
        """Return what of ours is in Asterisk, by its own lists."""
        shown = [*await self._get("channels"), *await self._get("bridges")]
        return [each["id"] for each in shown if each["id"].startswith(OURS)]

    async def clean(self) -> None:
        """Wait until nothing of ours is in Asterisk."""

        async def is_clean() -> bool:
            return not await self.ours()

        await self._until(is_clean)

    def place(self, prompt: str = PROMPT, caller: str = "later", tail: float = 7.5) -> PlacedCall:
        """Begin a call; by default caller and callee speak, one after the other."""
        return self.suite.asterisk.place(BOTH, prompt, caller, tail)

    async def heard(self, call: PlacedCall) -> str:
        """Return the id of the call that is heard on a channel of Asterisk."""
        found: list[str] = []

        async def is_there() -> bool:
            found[:] = [
                call_id
                for call_id, events in self.suite.house.events.items()
                for event in events
                if isinstance(event, CallStarted)
                and event.details.get("channel") == f"{call.number}-1"
            ]
            return bool(found)

        await self._until(is_there)
        return found[0]

    async def spoken(self, encapsulation: str) -> Spoken:
        """Let three callers speak: one to the end, one pressing a key meanwhile, one cut off.

        Strangers knock where their audio comes in.
        """
        calls = Spoken(*(self.place() for _ in range(3)))
        await asyncio.gather(
            self._knock(encapsulation, calls.whole),
            self._in_mid_word(calls.keys, lambda: self.suite.asterisk.press(calls.keys, "5")),
            self._in_mid_word(calls.cut, lambda: self.suite.asterisk.hang_up(calls.cut)),
        )
        await self.end([calls.whole, calls.keys, calls.cut])
        return calls

    async def end(self, calls: Sequence[PlacedCall]) -> None:
        """Wait until calls have ended, there and here."""
        await self.suite.ends(list(calls))
        await self.suite.idle()

    async def crowd(self) -> list[PlacedCall]:
        """Let many callers speak at once."""
        calls = []
        for _ in range(CROWD):
            calls.append(self.place(tail=9.0))
            await asyncio.sleep(0.02)  # as calls come: not one of them in the same millisecond
        await self.end(calls)
        return calls

    async def killed(self) -> Killed:
        """Kill the server in mid-call, call while it is not there, start it again."""
        during = self.place(tail=15.0)  # the next server may want a second before the call goes on
        await self._in_mid_word(during, lambda: None)
        await self.suite.house.kill()
        left = await self.ours()
        meanwhile = self.place("digits/8", tail=0.1)
        await self.suite.ends([meanwhile])
        await self.suite.house.open()
        await self.connected()
        return Killed(during, meanwhile, left)

    async def pbx_killed(self) -> PlacedCall:
        """Kill Asterisk in mid-call, start it again."""
        call = self.place()
        await self._in_mid_word(call, lambda: None)
        await self.suite.asterisk.stop(signal.SIGKILL)
        await self.suite.asterisk.start()
        await self.connected()
        await self.suite.idle()
        return call

    async def _knock(self, encapsulation: str, call: PlacedCall) -> None:
        """Let a stranger come to every side that is heard, once one of this call is."""
        await self._in_mid_word(call, lambda: None)
        if encapsulation in STRANGERS:
            knock, _ = STRANGERS[encapsulation]
            for each in await self._get("channels"):
                if each["id"].startswith(f"{OURS}media."):
                    await knock(each["id"], each["name"], self.suite.house.port("ari"))

    async def channel(self, begins: str, ends: str) -> str:
        """Wait for a channel of Asterisk that has such a name, and return the name."""
        found: list[str] = []

        async def is_there() -> bool:
            names = [each["name"] for each in await self._get("channels")]
            found[:] = [each for each in names if each.startswith(begins) and each.endswith(ends)]
            return bool(found)

        await self._until(is_there)
        return found[0]

    async def until_said(self, call: PlacedCall, leg: str) -> None:
        """Wait until a leg of a call had a final with text."""

        async def has_text() -> bool:
            return leg in await self.said(call)

        await self._until(has_text)

    async def said(self, call: PlacedCall) -> dict[str, str]:
        """Return what each leg of a call said, by the leg's number, in the order of the finals."""
        texts: dict[str, str] = {}
        for event in self.suite.house.events[await self.heard(call)]:
            if isinstance(event, Final) and event.text:
                leg = event.leg_id.rpartition("/")[2]
                texts[leg] = f"{texts.get(leg, '')} {event.text}".strip()
        return texts

    async def ended(self, call: PlacedCall) -> CallEnded:
        """Return the end of a call."""
        return await self.suite.house.ended(await self.heard(call))

    async def _in_mid_word(self, call: PlacedCall, do: Callable[[], None]) -> None:
        """Do something when the caller has spoken for a second."""
        call_id = await self.heard(call)

        async def speaks() -> bool:
            audio = self.suite.house.leg_audio(f"{call_id}/0")
            loud = abs(audio.astype(int)) > 500
            return bool(loud.any()) and len(audio) - int(loud.argmax()) > 8000

        await self._until(speaks)
        do()

    async def _has_application(self) -> bool:
        return any(each["name"] == "ruasr" for each in await self._get("applications"))

    async def _get(self, path: str) -> list[dict[str, Any]]:
        who = "api_key=ruasr:CHANGE-ME"  # as the example has it
        url = f"http://127.0.0.1:{self.suite.asterisk.http}/ari/{path}?{who}"
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            shown: list[dict[str, Any]] = await answer.json()
            return shown

    async def _until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(max(END_S, 4 * TIMEOUT_S)):
            while not await is_so():  # noqa: ASYNC110 - what another process shows
                await asyncio.sleep(LOOK_S)
