"""Recordings to text with the embedded model, in this process."""

import json
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from ruasr_tel.cli import transcribe as command
from ruasr_tel.cli.root import app
from ruasr_tel.recordings.model import Dialogue
from ruasr_tel.testing import silence
from ruasr_tel.types import Samples

WAV = Path(__file__).parents[2] / "data/wav"
EIGHT = WAV / "digits_8.wav"
BEGIN = WAV / "confbridge-begin-glorious-c.wav"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["transcribe", *map(str, words)])


def samples_of(file: Path) -> Samples:
    with wave.open(str(file)) as recording:
        return np.frombuffer(recording.readframes(recording.getnframes()), "<i2")


def write_wav(file: Path, *channels: Samples, rate_hz: int = 8000) -> Path:
    length = max(map(len, channels))
    padded = [np.pad(channel, (0, length - len(channel))) for channel in channels]
    with wave.open(str(file), "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(np.stack(padded, axis=1).astype("<i2").tobytes())
    return file


def test_the_text_of_each_file_in_turn() -> None:
    result = run(EIGHT, BEGIN)
    assert (result.exit_code, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    assert first == "восемь"
    assert second.startswith("конференция начнется")


def test_json_is_one_line_a_file_with_times_and_confidence() -> None:
    result = run(EIGHT, BEGIN, "--format", "json")
    assert result.exit_code == 0
    first, second = [json.loads(line) for line in result.stdout.splitlines()]
    assert (first["file"], second["file"]) == (str(EIGHT), str(BEGIN))
    (segment,) = first["segments"]
    assert (segment["channel"], segment["text"], segment["error"]) == (0, "восемь", None)
    assert 0 <= segment["start"] < segment["end"] <= 0.657
    assert 0 < segment["confidence"] < 1
    (word,) = segment["words"]
    assert word["text"] == "восемь"
    assert word["confidence"] == segment["confidence"]
    assert segment["start"] <= word["start_s"] < word["end_s"] <= segment["end"]


def test_srt_has_numbered_cues() -> None:
    result = run(WAV / "queue-periodic-announce.wav", "-f", "srt")
    assert result.exit_code == 0
    cues = result.stdout.rstrip("\n").split("\n\n")
    for number, cue in enumerate(cues, 1):
        head, times, *text = cue.splitlines()
        assert head == str(number)
        start, end = times.split(" --> ")
        assert start.startswith("00:00:0")
        assert "00:00:00,000" <= start < end <= "00:00:07,500"
        assert text


def test_a_model_with_probabilities_gives_confidence() -> None:
    result = run(EIGHT, "-f", "json", "--model", "ru-mini-transducer-8k")
    assert result.exit_code == 0
    (segment,) = json.loads(result.stdout)["segments"]
    assert 0 < segment["confidence"] <= 1
    assert all(0 < word["confidence"] <= 1 for word in segment["words"])


def test_each_channel_is_a_party(tmp_path: Path) -> None:
    file = write_wav(tmp_path / "two.wav", samples_of(EIGHT), samples_of(BEGIN))
    text = run(file).stdout.splitlines()
    assert text[0] == "0: восемь" or text[1] == "0: восемь"
    (second,) = [line for line in text if line.startswith("1: ")]
    assert second.startswith("1: конференция начнется")
    segments = json.loads(run(file, "-f", "json").stdout)["segments"]
    assert {segment["channel"] for segment in segments} == {0, 1}
    starts = [segment["start"] for segment in segments]
    assert starts == sorted(starts)


def test_a_rate_that_no_leg_takes_is_resampled_on_the_way(tmp_path: Path) -> None:
    slow = np.repeat(samples_of(EIGHT), 12)  # 96 kHz, as crude as can be
    file = write_wav(tmp_path / "fast.wav", slow, rate_hz=96_000)
    assert run(file).stdout == "восемь\n"


def test_a_bad_file_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    bad = tmp_path / "[bold]no audio.wav"
    bad.write_text("this is a letter")
    result = run(tmp_path / "none.wav", bad, EIGHT)
    assert result.exit_code == 1
    assert result.stdout == "восемь\n"
    missing, unreadable = result.stderr.splitlines()
    assert missing == f"error: {tmp_path}/none.wav: No such file or directory"
    assert unreadable.startswith(f"error: {bad}: not a recording that can be read (")


def test_a_recording_that_was_cut_short_is_read_and_told(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp3"
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("mp3", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.repeat(samples_of(BEGIN), 2)[None], "s16", "mono")
        frame.rate = 16_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    result = run(cut)
    assert result.exit_code == 0
    assert result.stdout.startswith("конференция")
    assert result.stderr.startswith(f"warning: {cut}: ends after ")


def test_a_stretch_that_the_engine_fails_on_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    recognise = command._one

    async def gappy(*given: Any) -> Dialogue:
        dialogue = await recognise(*given)
        (segment,) = dialogue.transcript.segments
        gap = replace(segment, text="", words=(), start_s=1.0, end_s=2.5, error="too [hard]")
        transcript = replace(dialogue.transcript, segments=(segment, gap))
        return replace(dialogue, transcript=transcript)

    monkeypatch.setattr(command, "_one", gappy)
    result = run(EIGHT, BEGIN)
    assert result.exit_code == 1
    assert result.stdout.startswith("восемь\nконференция ")
    assert result.stderr.splitlines() == [
        f"error: {file}: 1.00 to 2.50 s was not recognised: too [hard]" for file in (EIGHT, BEGIN)
    ]


def test_silence_has_no_text(tmp_path: Path) -> None:
    result = run(write_wav(tmp_path / "quiet.wav", silence(2.0)))
    assert (result.exit_code, result.output) == (0, "")


def test_an_unknown_profile_ends_it_before_the_first_file() -> None:
    result = run(EIGHT, "--profile", "sing")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: there is no profile 'sing'; known profiles: default, ")


@pytest.mark.parametrize("model", ["no-such-model", "Vosk5"])
def test_a_model_that_cannot_be_used_ends_it(model: str) -> None:
    result = run(EIGHT, "--model", model)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
