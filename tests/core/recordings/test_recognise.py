import asyncio
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.audio.reader import DecodingConfig, Reader
from ruasr_tel.engines import scripted
from ruasr_tel.errors import AudioFormatError, ConfigError, DecoderDied
from ruasr_tel.profile import DEFAULT_PROFILES
from ruasr_tel.recordings import recognise as module
from ruasr_tel.recordings.model import Channels, Order, Transcript
from ruasr_tel.recordings.recognise import RecogniseConfig, bulk_profiles, recognise
from ruasr_tel.testing import TIMEOUT_S, phrase, scripted_host, silence, tone
from tests.core.recordings.sounds import bulk_calls, quiet, write_wav


async def heard(
    path: Path,
    channels: Channels = Channels.AUTO,
    config: RecogniseConfig | None = None,
    progress: list[float] | None = None,
    profile: str | None = None,
) -> Transcript:
    told = [] if progress is None else progress
    order = Order(upload=path, channels=channels, profile=profile)
    async with bulk_calls() as calls, asyncio.timeout(TIMEOUT_S):
        return await recognise(path, order, calls, told.append, config or RecogniseConfig())


async def test_a_mono_file_is_one_party_in_recording_time(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", phrase((1.0, 1.0), (1.0, 2.0)))
    progress: list[float] = []
    got = await heard(path, progress=progress)
    assert (got.duration_s, got.channels, got.fault) == (5.0, 1, None)
    assert [segment.text for segment in got.segments] == ["слово слово", "слово слово слово"]
    first, second = got.segments
    assert first.start_s < 0.1
    assert 1.0 < first.end_s < 2.0
    assert 1.6 < second.start_s < 2.1
    assert (first.error, first.other_db) == (None, None)
    assert first.level_db == pytest.approx(-15.3, abs=0.5)  # a sine of 8000 of 32768
    assert progress == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0], abs=0.03)


async def test_two_parties_become_two_legs_ordered_by_time_with_levels_of_both(
    tmp_path: Path,
) -> None:
    left = np.concatenate([tone(1.0), silence(3.0)])
    right = np.concatenate([silence(2.0), tone(1.0, hz=300.0, level=4000), silence(1.0)])
    got = await heard(write_wav(tmp_path / "a.wav", left, right))
    assert got.channels == 2
    assert [segment.channel for segment in got.segments] == [0, 1]
    agent, caller = got.segments
    assert agent.level_db == pytest.approx(-15.3, abs=0.5)
    assert agent.other_db is not None
    assert agent.other_db < -70
    assert caller.level_db == pytest.approx(-21.3, abs=2.0)  # its words begin with pre-roll
    assert caller.other_db is not None
    assert caller.other_db < -70


async def test_one_voice_on_both_channels_is_recognised_once(tmp_path: Path) -> None:
    voice = phrase((1.0, 1.0))
    got = await heard(write_wav(tmp_path / "a.wav", voice, voice))
    assert (got.channels, len(got.segments)) == (1, 1)
    got = await heard(tmp_path / "a.wav", Channels.SPLIT)
    assert (got.channels, len(got.segments)) == (2, 2)


async def test_a_second_party_who_speaks_late_is_found(tmp_path: Path) -> None:
    left = np.concatenate([quiet(5.0), tone(1.0)])
    got = await heard(write_wav(tmp_path / "a.wav", left, quiet(6.0)))
    assert got.channels == 2


async def test_mix_makes_one_party_of_any(tmp_path: Path) -> None:
    left = np.concatenate([tone(1.0), silence(3.0)])
    right = np.concatenate([silence(2.0), tone(1.0, hz=300.0), silence(1.0)])
    got = await heard(write_wav(tmp_path / "a.wav", left, right), Channels.MIX)
    assert got.channels == 1
    assert [segment.channel for segment in got.segments] == [0, 0]


async def test_eight_channels_are_mixed_or_split_as_ordered(tmp_path: Path) -> None:
    voices = [np.concatenate([quiet(n * 1.0), tone(1.0), quiet(8.0 - n)]) for n in range(8)]
    path = write_wav(tmp_path / "a.wav", *voices)
    assert (await heard(path)).channels == 1
    got = await heard(path, Channels.SPLIT)
    assert [segment.channel for segment in got.segments] == list(range(8))
    with pytest.raises(AudioFormatError) as refused:
        await heard(path, Channels.SPLIT, RecogniseConfig(max_channels=4))
    assert str(refused.value) == (
        "the recording has 8 channels, more than 4 (recordings.max_channels); order `mix`"
    )


@pytest.mark.parametrize("rate_hz", [4000, 11025, 22050, 96_000])
async def test_odd_rates_are_heard_at_the_nearest_one(tmp_path: Path, rate_hz: int) -> None:
    voice = np.concatenate([tone(1.0, rate_hz), silence(1.0, rate_hz)])
    got = await heard(write_wav(tmp_path / "a.wav", voice, rate_hz=rate_hz))
    assert got.duration_s == pytest.approx(2.0, abs=0.01)
    assert [segment.text for segment in got.segments] == ["слово слово"]


async def test_silence_gives_no_segments(tmp_path: Path) -> None:
    got = await heard(write_wav(tmp_path / "a.wav", silence(30.0), silence(30.0)))
    assert got == Transcript(30.0, 1, (), None)


async def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    empty.write_bytes(b"")
    with pytest.raises(AudioFormatError, match="not a recording that can be read"):
        await heard(empty)
    with pytest.raises(AudioFormatError, match="no audio could be read"):
        await heard(write_wav(tmp_path / "none.wav", quiet(0.0)))
    page = tmp_path / "page.wav"
    page.write_text("<html><body>no such recording</body></html>")
    with pytest.raises(AudioFormatError, match="not a recording that can be read"):
        await heard(page)


@pytest.mark.parametrize("channels", [Channels.AUTO, Channels.MIX])
async def test_a_recording_over_the_limit_is_refused(tmp_path: Path, channels: Channels) -> None:
    path = write_wav(tmp_path / "a.wav", tone(5.0), tone(5.0))
    with pytest.raises(AudioFormatError) as refused:
        await heard(path, channels, RecogniseConfig(max_audio_s=3))
    assert str(refused.value) == "the recording is longer than 3 s (recordings.max_audio_s)"


async def test_an_unknown_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no profile 'opera'"):
        await heard(write_wav(tmp_path / "a.wav", tone(1.0)), profile="opera")


async def test_a_segment_that_hurts_the_engine_is_an_error_beside_the_others(
    tmp_path: Path,
) -> None:
    bad = tone(1.0, level=scripted.RAISES)
    audio = np.concatenate([tone(1.0), quiet(2.0), bad, quiet(2.0), tone(1.0)])
    got = await heard(write_wav(tmp_path / "a.wav", audio))
    assert [segment.error is None for segment in got.segments] == [True, False, True]
    assert got.segments[1].error == "the segment holds the marker RAISES"


async def test_cancelling_leaves_no_call_behind(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", *[phrase(*[(0.5, 1.0)] * 400)])
    halfway = asyncio.Event()
    async with bulk_calls(scripted_host(delay_s=0.01)) as calls, asyncio.timeout(TIMEOUT_S):
        running = asyncio.create_task(
            recognise(path, Order(), calls, lambda _done: halfway.set(), RecogniseConfig())
        )
        await halfway.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await calls.idle(TIMEOUT_S)


async def test_cancelling_ends_the_decoder_also_while_it_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()

    class Slow(Reader):
        """Stands still before the first block."""

        def __init__(self, config: DecodingConfig) -> None:
            super().__init__(config, (sys.executable, "-c", "import time; time.sleep(600)"))

        def close(self) -> None:
            super().close()
            closed.set()

    monkeypatch.setattr(module, "Reader", Slow)
    path = write_wav(tmp_path / "a.wav", tone(1.0))
    async with bulk_calls() as calls:
        running = asyncio.create_task(
            recognise(path, Order(), calls, lambda _done: None, RecogniseConfig())
        )
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await asyncio.to_thread(closed.wait, TIMEOUT_S)


async def test_a_decoder_that_dies_ends_the_recording_and_its_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fragile(Reader):
        """Segfaults in the middle of every file."""

        def __init__(self, config: DecodingConfig) -> None:
            script = (
                "import ctypes, sys\n"
                "from ruasr_tel.audio import decoder\n"
                "send, sent = decoder._send, []\n"
                "def dying(sock, block):\n"
                "    sent.append(send(sock, block))\n"
                "    len(sent) < 3 or ctypes.string_at(0)\n"
                "decoder._send = dying\n"
                "decoder.main(sys.argv[1:])\n"
            )
            super().__init__(config, (sys.executable, "-c", script))

    monkeypatch.setattr(module, "Reader", Fragile)
    path = write_wav(tmp_path / "a.wav", tone(60.0))
    async with bulk_calls() as calls, asyncio.timeout(TIMEOUT_S):
        with pytest.raises(DecoderDied) as died:
            await recognise(path, Order(), calls, lambda _done: None, RecogniseConfig())
        assert str(died.value) == (
            f"{path}: reading it ended the decoder (killed by SIGSEGV); the file is damaged, or "
            "made to do harm"
        )
        assert await calls.idle(TIMEOUT_S)


async def test_a_kept_decoder_reads_one_recording_after_the_other_and_ends_with_a_bad_one(
    tmp_path: Path,
) -> None:
    good = write_wav(tmp_path / "a.wav", phrase((1.0, 1.0)))
    long = write_wav(tmp_path / "b.wav", tone(9.0))
    short = RecogniseConfig(max_audio_s=5.0)
    order = Order(channels=Channels.MIX)
    with Reader() as reader:
        async with bulk_calls() as calls, asyncio.timeout(TIMEOUT_S):
            pids = []
            for _ in range(2):
                got = await recognise(good, order, calls, lambda _done: None, short, reader)
                assert [segment.text for segment in got.segments] == ["слово слово"]
                pids.append(reader.pid)
            assert pids[0] is not None
            assert pids[0] == pids[1]
            with pytest.raises(AudioFormatError, match="longer than 5 s"):
                await recognise(long, order, calls, lambda _done: None, short, reader)
        with pytest.raises(DecoderDied, match="not wanted any more"):
            reader.open_path(good)


def test_profiles_of_recordings_have_no_partials_and_keep_the_rest() -> None:
    profiles = bulk_profiles(DEFAULT_PROFILES)
    assert profiles.keys() == DEFAULT_PROFILES.keys()
    assert not any(each.partials.enabled for each in profiles.values())
    assert profiles["yesno"].boundary == DEFAULT_PROFILES["yesno"].boundary
