"""Simulated phones inside a test: many calls cost no process each."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np

from ruasr_tel.audio.decode import open_recording
from ruasr_tel.plugins import Heard, PhoneCall, adapters
from ruasr_tel.types import Samples
from tests.e2e.server import Server

RATE_HZ = 8000


def prompt(file: Path) -> Samples:
    """Return a mono recording."""
    with open_recording(file, RATE_HZ) as recording:
        audio: Samples = np.concatenate([block[0] for block in recording.blocks()])
    return audio


@dataclass
class Dialled:
    """One call.

    Attributes:
        call_id: by which the server's events name it.
        samples: what is played.
        heard: what came back through the door.
    """

    samples: Samples
    call_id: str = field(default_factory=lambda: str(uuid4()))
    heard: list[Heard] = field(default_factory=list)

    async def play(
        self, server: Server, door: str, pace: float = 1.0, profile: str | None = None
    ) -> None:
        """Play it into a door of a server to its end.

        Raises:
            OSError: nobody listens there.
            ProtocolError: the server refused or dropped the call.
        """
        await self.play_to(server.urls[door], door, pace, profile)

    async def play_to(
        self, url: str, door: str, pace: float = 1.0, profile: str | None = None
    ) -> None:
        """Play it to where a door listens, or will; like `play`."""
        phone = adapters()[door].phone
        assert phone is not None
        await phone.play(
            PhoneCall(
                url,
                self.call_id,
                self.samples,
                RATE_HZ,
                pace,
                profile,
                self.heard.append,
                lambda _began_s: None,
            )
        )

    @property
    def text(self) -> str:
        """All finals that came back through the door."""
        return " ".join(heard.text for heard in self.heard if heard.final and heard.text)
