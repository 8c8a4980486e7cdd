import asyncio
import threading
import wave
from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.errors import AudioFormatError
from ruasr_tel.recordings.recognise import RecogniseConfig
from ruasr_tel.testing import TIMEOUT_S, tone
from ruasr_tel_adapters.rest import audio
from ruasr_tel_adapters.rest.audio import Outlines, outline
from tests.adapters.rest.fakes import Rest
from tests.core.recordings.sounds import write_silent_flac

LIMITS = RecogniseConfig()
URL = "https://pbx.example/rec/1.wav"


def stereo(path: Path, left_s: float = 1.0, right_s: float = 1.0, rate_hz: int = 8000) -> Path:
    """Write a tone on the left, then one of half its level on the right."""
    left, right = tone(left_s, rate_hz, level=32767), tone(right_s, rate_hz, level=16384)
    channels = np.zeros((len(left) + len(right), 2), np.int16)
    channels[: len(left), 0] = left
    channels[len(left) :, 1] = right
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(channels.tobytes())
    return path


async def with_file(rest: Rest, path: Path) -> str:
    shown = await rest.json("POST", "/v1/recordings", 202, json={"url": URL})
    rest.recordings.files[shown["id"]] = path
    id: str = shown["id"]
    return id


async def test_the_file_is_sent_whole_or_in_parts(rest: Rest, tmp_path: Path) -> None:
    path = stereo(tmp_path / "a.wav")
    address = f"/v1/recordings/{await with_file(rest, path)}/audio"
    async with rest.client.get(address) as response:
        assert response.headers["Content-Type"] in ("audio/x-wav", "audio/wav")
        assert response.headers["Accept-Ranges"] == "bytes"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert await response.read() == path.read_bytes()
    async with rest.client.get(address, headers={"Range": "bytes=100-199"}) as response:
        assert response.status == 206
        assert await response.read() == path.read_bytes()[100:200]
    async with rest.client.get(address, headers={"Range": "bytes=9999999-"}) as response:
        assert response.status == 416


async def test_a_file_that_is_called_a_page_is_not_shown_as_one(rest: Rest, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("<script>")
    asked = {"url": "http://a/b.html"}
    id = (await rest.json("POST", "/v1/recordings", 202, json=asked))["id"]
    rest.recordings.files[id] = tmp_path / "x"
    async with rest.client.get(f"/v1/recordings/{id}/audio") as response:
        assert response.content_type == "application/octet-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_audio_that_is_not_here_is_not_found(rest: Rest, tmp_path: Path) -> None:
    id = await with_file(rest, tmp_path / "gone.wav")
    for what in ("audio", "peaks"):
        problem = await rest.json("GET", f"/v1/recordings/{id}/{what}", 404)
        assert problem["detail"] == "the audio is not here: not fetched yet, or not kept"


async def test_the_outline_shows_who_is_loud_when(rest: Rest, tmp_path: Path) -> None:
    id = await with_file(rest, stereo(tmp_path / "a.wav"))
    shown = await rest.json("GET", f"/v1/recordings/{id}/peaks?points=4")
    assert shown["duration_s"] == 2.0
    left, right = shown["channels"]
    assert left[:2] == pytest.approx([1.0, 1.0], abs=0.01)
    assert right[2:] == pytest.approx([0.5, 0.5], abs=0.01)
    assert left[3] == right[0] == 0
    (tmp_path / "page.wav").write_text("<html>")
    id = await with_file(rest, tmp_path / "page.wav")
    problem = await rest.json("GET", f"/v1/recordings/{id}/peaks", 409)
    assert problem["detail"].startswith("it holds no audio that can be read")


@pytest.mark.parametrize("points", [1, 7, 100, 4000])
def test_an_outline_has_at_most_as_many_points_and_covers_everything(
    tmp_path: Path, points: int
) -> None:
    peaks = outline(stereo(tmp_path / "a.wav", 0.503, 0.001, 16_000), points, LIMITS)
    left, right = peaks.channels
    assert 1 <= len(left) == len(right) <= points
    assert peaks.duration_s == pytest.approx(0.504, abs=0.001)
    assert max(peaks.channels[0]) == pytest.approx(1.0, abs=0.02)


async def test_an_outline_is_made_once_and_the_oldest_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def counted(path: Path, points: int, limits: RecogniseConfig) -> audio.Peaks:
        made.append(path.name)
        return audio.Peaks(duration_s=1, channels=[[0.0] * points])

    monkeypatch.setattr(audio, "outline", counted)
    monkeypatch.setattr(audio, "KEPT", 2)
    outlines = Outlines()
    a, b, c = (tmp_path / name for name in "abc")
    await asyncio.gather(outlines.of(a, 1, LIMITS), outlines.of(a, 1, LIMITS))
    for path in (b, a, c, a, b):
        await outlines.of(path, 1, LIMITS)
    assert made == ["a", "b", "c", "b"]


async def test_a_file_that_takes_long_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def slow(path: Path, points: int, limits: RecogniseConfig) -> audio.Peaks:
        if path.name == "long":
            assert over.wait(TIMEOUT_S)
        return audio.Peaks(duration_s=1, channels=[[0.0] * points])

    monkeypatch.setattr(audio, "outline", slow)
    outlines = Outlines()
    long = asyncio.create_task(outlines.of(tmp_path / "long", 1, LIMITS))
    async with asyncio.timeout(TIMEOUT_S / 2):
        await outlines.of(tmp_path / "short", 1, LIMITS)
    assert not long.done()
    over.set()
    await long


def test_an_outline_ends_where_a_recording_may_end(tmp_path: Path) -> None:
    path = write_silent_flac(tmp_path / "a.flac", 2, 600)
    peaks = outline(path, 10, RecogniseConfig(max_audio_s=2))
    assert peaks.duration_s == 2
    assert [len(channel) for channel in peaks.channels] == [10, 10]


def test_an_outline_of_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(AudioFormatError):
        outline(tmp_path / "a.wav", 10, LIMITS)
