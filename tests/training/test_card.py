from dataclasses import replace
from pathlib import Path

import pytest

from models.training import card
from models.training.card import Facts
from models.training.shards import Summary
from models.training.sources import FESTVOX, PROMPTS, WHISPER_BASE
from ruasr_tel.errors import ConfigError

RATE = {"rate": 0.2, "low": 0.1, "high": 0.3}
FACTS = Facts(
    name="ru-mini",
    layout="ctc",
    parameters=5_400_000,
    files={"model.int8.onnx": 6_000_000},
    began_with=WHISPER_BASE,
    hours_heard=44.04,
    minutes=29.4,
    speech=[(PROMPTS, Summary(396, 0.23))],
    figures={"prompts": {"conditions": {"clean": {"recordings": 125, "wer": RATE, "cer": RATE}}}},
    real_time_factor=0.0052,
)


def test_a_card_tells_the_facts() -> None:
    text = card.write(FACTS)
    for fact in (
        "# ru-mini\n",
        "`model.int8.onnx` (6.0 MB)",
        "5.40 million parameters",
        "real-time factor 0.0052",
        "| prompts | 125 | 20.0 (10.0 to 30.0) / 20.0 (10.0 to 30.0) |",
        "real, 396 utterances | 0.23 | CC-BY-3.0 (attribution), (c) 2010 Maxim",
        "29 minutes of ours; 44.0 hours",
        "from_nemo_ctc",
        "MIT, Copyright (c) 2022 OpenAI",
    ):
        assert fact in text
    assert "Shmyrev" not in text


def test_the_notice_comes_with_the_voice() -> None:
    text = card.write(replace(FACTS, speech=[(FESTVOX, Summary(1, 1.0))]))
    assert "Original authors' names are not deleted" in text


def test_what_was_not_measured_is_said() -> None:
    text = card.write(replace(FACTS, figures={}, real_time_factor=None, layout="transducer"))
    assert "Not measured." in text
    assert "| speed | not measured |" in text
    assert "from_transducer" in text


def test_no_card_for_speech_under_other_terms() -> None:
    closed = replace(PROMPTS, licence="CC-BY-NC-4.0")
    with pytest.raises(ConfigError, match="not on the list of permissive"):
        card.write(replace(FACTS, speech=[(closed, Summary(1, 1.0))]))


def test_a_network_of_our_own_and_without_language_models_tells_of_neither() -> None:
    text = card.write(replace(FACTS, began_with=""))
    assert "OpenAI" not in text
    assert "million parameters: of our own" in text
    assert "## Language models" not in text
    with_them = card.write(replace(FACTS, files={"words.npz": 1_000_000}))
    assert "## Language models" in with_them
    assert "`words.npz` (1.0 MB)" in with_them


def test_links_of_the_card_lead_somewhere() -> None:
    assert (Path(__file__).parents[2] / "models/training/README.md").is_file()
    assert "(../training/README.md)" in card.write(FACTS)
