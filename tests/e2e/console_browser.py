"""A headless Chromium that looks at the console, and what is said to it there."""

import asyncio
import math
import os
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.audio.decode import open_recording
from ruasr_tel.plugins import PhoneCall, adapters
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples
from tests.e2e.console_server import ROOT, SILENT_HOST

pytest.importorskip("playwright.async_api", reason="playwright is not installed")

from playwright.async_api import Locator, Page, async_playwright, expect

CHROMIUM = shutil.which("chromium") or ""
WAV = ROOT / "tests/data/wav"
CONSOLE = ROOT / "adapters/ruasr_tel_adapters/rest/console"
SHORT = WAV / "all-circuits-busy-now.wav"
TWO_PHRASES = WAV / "pbx-invalid.wav"
LONG = WAV / "vm-options.wav"
SPOKEN = [
    (0, 0.5, "agent-alreadyon", 1.0),
    (1, 0.6, "agent-alreadyon", 0.056),  # 25 dB down: the other line's crosstalk
    (1, 6.9, "pbx-invalid", 1.0),
    (0, 12.0, "confbridge-begin-glorious-c", 1.0),
    (1, 14.0, "agent-alreadyon", 1.0),
]
"""Channel, start in seconds, prompt, level."""
QUIET_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    f"--use-file-for-fake-audio-capture={TWO_PHRASES}",
]
DESKTOP = (1280, 900)
PHONE = (390, 844)
NARROWEST = 360
PATIENCE_MS = 3000 * TIMEOUT_S


@dataclass
class Console:
    """The console in one browser window; what the browser complains of is kept."""

    page: Page
    urls: dict[str, str]
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    async def open(self, view: str) -> None:
        await self.page.goto(f"{self.urls['rest']}/#{view}")

    async def upload(self, file: Path) -> None:
        """Send a file by the button and open it once it is done."""
        await self.open("recordings")
        await self.page.set_input_files("input[type=file]", file)
        await self.finished(file.name)

    async def finished(self, name: str) -> None:
        row = self.page.locator(".rows li", has_text=name).first
        await expect(row.locator(".badge")).to_have_attribute("data-state", "done")
        await row.get_by_role("link").click()
        await expect(self.page.locator(".dialogue .turn").first).to_be_visible()

    async def is_too_wide(self) -> bool:
        too_wide: bool = await self.page.evaluate(
            "document.documentElement.scrollWidth > innerWidth"
        )
        return too_wide

    async def picture(self, name: str) -> None:
        """Keep what is seen as an artefact; in docs/ when that is asked for."""
        folders = [Path(folder) for folder in [os.environ.get("RUASR_TEST_ARTEFACTS")] if folder]
        if os.environ.get("RUASR_TEST_WRITE_DOCS") == "1":
            folders.append(ROOT / "docs")
        shot = await self.page.screenshot(full_page=True)
        assert len(shot) < 300_000
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"console-{name}.png").write_bytes(shot)


@asynccontextmanager
async def browser(
    urls: dict[str, str], size: tuple[int, int] = DESKTOP, locale: str = "ru-RU", dark: bool = False
) -> AsyncIterator[Console]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=QUIET_ARGS, timeout=PATIENCE_MS
        )
        context = await chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            locale=locale,
            timezone_id="Europe/Moscow",
            color_scheme="dark" if dark else "light",
        )
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield Console(page, urls)
        await chromium.close()


def prompt(file: Path) -> Samples:
    """Return a mono recording at 8 kHz."""
    with open_recording(file, 8000) as recording:
        audio: Samples = np.concatenate([block[0] for block in recording.blocks()])
    return audio


def conversation(path: Path) -> Path:
    """Write two parties: in turn, the first one leaking faintly, then over each other."""
    sounds = {name: prompt(WAV / f"{name}.wav") for name in {name for _, _, name, _ in SPOKEN}}
    both = np.random.default_rng(1).normal(0, 10, (2, 21 * 8000))  # line noise, -70 dBFS
    for channel, at_s, name, level in SPOKEN:
        at = round(at_s * 8000)
        both[channel, at : at + len(sounds[name])] += sounds[name] * level
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(both.clip(-32768, 32767).astype("<i2").T.tobytes())
    return path


@asynccontextmanager
async def silent_host() -> AsyncIterator[str]:
    """Give the URL of a host that takes connections and never answers."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()

    async with await asyncio.start_server(say_nothing, SILENT_HOST, 0) as host:
        yield f"http://{SILENT_HOST}:{host.sockets[0].getsockname()[1]}"


async def dial(urls: dict[str, str], call_id: str, samples: Samples) -> None:
    """Play a call to its end, at the pace of a call."""
    phone = adapters()["audiosocket"].phone
    assert phone is not None
    url = urls["audiosocket"]
    await phone.play(
        PhoneCall(url, call_id, samples, 8000, 1.0, None, lambda _heard: None, lambda _at: None)
    )


@asynccontextmanager
async def sent_to(page: Page, word: Locator) -> AsyncIterator[None]:
    """Expect that what happens inside sends the player to a word; it is stopped then."""
    player = page.locator("audio")
    await player.evaluate(
        "audio => audio.onseeking = () => audio.dataset.at = Math.round(audio.currentTime * 10)"
    )
    yield
    start_s = float(await word.get_attribute("data-start") or "nan")
    await expect(player).to_have_attribute("data-at", str(math.floor(start_s * 10 + 0.5)))
    await player.evaluate("audio => audio.pause()")


async def player_at(page: Page) -> float:
    at: float = await page.locator("audio").evaluate("audio => audio.currentTime")
    return at
