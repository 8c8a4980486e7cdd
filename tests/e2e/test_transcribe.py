"""Real telephone prompts to text, through the real command line."""

import json
from pathlib import Path

import pytest

from tests.e2e.letters import character_error, transcripts
from tests.e2e.server import WAV, ruasr_tel

SAID = transcripts()
HARDER = {"vm-options.wav", "all-circuits-busy-now.wav", "queue-periodic-announce.wav"}
"""tests/data/README.md: all others come out with at most three wrong letters in a hundred."""


def test_a_measure_of_errors_measures() -> None:
    assert character_error("да нет", "данет") == 0
    assert character_error("", "да") == 1
    assert character_error("кот", "кит") == pytest.approx(1 / 3)
    assert character_error("скот", "кит") == pytest.approx(2 / 3)


def test_real_prompts_become_their_text() -> None:
    result = ruasr_tel("transcribe", *(WAV / file for file in SAID), "--format", "json")
    assert (result.returncode, result.stderr) == (0, "")
    errors = {}
    for line in result.stdout.splitlines():
        recording = json.loads(line)
        heard = " ".join(segment["text"] for segment in recording["segments"])
        file = Path(recording["file"]).name
        errors[file] = character_error(heard, SAID[file])
    assert set(errors) == set(SAID)
    assert {file: error for file, error in errors.items() if error > 0.25} == {}
    assert {file for file, error in errors.items() if error > 0.05} <= HARDER


def test_text_and_subtitles_say_the_same_and_a_bad_file_is_named(tmp_path: Path) -> None:
    good, bad = WAV / "vm-review.wav", tmp_path / "letter.wav"
    bad.write_text("this is a letter")
    text = ruasr_tel("transcribe", bad, good)
    srt = ruasr_tel("transcribe", good, "-f", "srt", "--profile", "dictation")
    assert text.returncode == 1
    assert text.stderr.startswith(f"error: {bad}: not a recording that can be read (")
    assert len(text.stderr.splitlines()) == 1
    assert srt.returncode == 0
    subtitles = " ".join(cue.splitlines()[2] for cue in srt.stdout.strip().split("\n\n"))
    for heard in (text.stdout, subtitles):
        assert character_error(" ".join(heard.split()), SAID[good.name]) < 0.25
