import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.shards import Shard, Utterance, learnable, shards_in, write_shard
from models.training.sources import PROMPTS
from ruasr_tel.errors import ConfigError


def utterance(samples: int = 8000, text: str = "да", voice: str = "она") -> Utterance:
    return Utterance(np.arange(samples, dtype=np.int16), text, voice)


@given(lengths=st.lists(st.integers(1000, 3000), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int]
) -> None:
    path = tmp_path_factory.mktemp("shards") / "one"
    written = [utterance(length, voice=str(length)) for length in lengths]
    summary = write_shard(path, PROMPTS, written)
    assert (summary.utterances, summary.hours) == (len(lengths), sum(lengths) / 8000 / 3600)
    shard = Shard(path)
    assert shard.source == PROMPTS
    assert len(shard) == len(lengths)
    for at, one in enumerate(shard):
        np.testing.assert_array_equal(one.samples, written[at].samples)
        assert (one.text, one.voice) == ("да", str(lengths[at]))
        assert shard.length_samples(at) == lengths[at]


def test_what_is_too_fast_or_says_nothing_stays_out(tmp_path: Path) -> None:
    assert learnable(utterance(8000, "а" * 22))
    assert not learnable(utterance(8000, "а" * 23))
    assert not learnable(utterance(8000, ""))
    summary = write_shard(tmp_path / "one", PROMPTS, [utterance(), utterance(10, "слово")])
    assert summary.utterances == 1


def test_nothing_makes_no_shard(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to write"):
        write_shard(tmp_path / "one", PROMPTS, [])
    assert shards_in(tmp_path) == []


def test_terms_are_checked_when_it_is_written_and_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CC-BY-NC"):
        write_shard(tmp_path / "one", replace(PROMPTS, licence="CC-BY-NC-4.0"), [utterance()])
    write_shard(tmp_path / "two", PROMPTS, [utterance()])
    described = json.loads((tmp_path / "two.json").read_text("utf-8"))
    assert described["licence"] == "CC-BY-3.0"
    described["licence"] = "proprietary"
    (tmp_path / "two.json").write_text(json.dumps(described), "utf-8")
    with pytest.raises(ConfigError, match="'proprietary', which is not on the list"):
        Shard(tmp_path / "two")


def test_a_shard_is_there_when_its_description_is(tmp_path: Path) -> None:
    write_shard(tmp_path / "b", PROMPTS, [utterance()])
    write_shard(tmp_path / "a", PROMPTS, [utterance()])
    (tmp_path / "c.tsv").write_text("0\t1\tx\tда\n", "utf-8")
    assert shards_in(tmp_path) == [tmp_path / "a", tmp_path / "b"]


def test_a_cut_off_shard_says_so(tmp_path: Path) -> None:
    path = tmp_path / "one"
    write_shard(path, PROMPTS, [utterance()])
    np.save(path.with_suffix(".npy"), np.zeros(7999, np.int16))
    with pytest.raises(ConfigError, match="less audio than its table says: make it again"):
        Shard(path)
    path.with_suffix(".npy").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        Shard(path)


def test_a_wrong_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "one"
    write_shard(path, PROMPTS, [utterance()])
    path.with_suffix(".tsv").write_text("0\t8000\tда\n", "utf-8")
    with pytest.raises(ConfigError, match=r"one.tsv, line 1: expected first sample"):
        Shard(path)
