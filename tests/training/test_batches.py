from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.batches import (
    TOKENS,
    Stock,
    Wish,
    batches,
    collate,
    labels_of,
    output_frames,
    plan,
)
from models.training.shards import Utterance, write_shard
from models.training.sources import ESPEAK, PROMPTS

ROOT = Path(__file__).parents[2]


def test_the_tokens_are_those_of_the_published_model() -> None:
    lines = (ROOT / "models/ru-mini-ctc-8k/tokens.txt").read_text("utf-8").split("\n")[:-1]
    assert lines == [f"{token} {number}" for number, token in enumerate(TOKENS)]


def test_labels_are_numbers_of_tokens() -> None:
    assert "".join(TOKENS[one] for one in labels_of("да нет")) == "да нет"


@given(st.lists(st.integers(1, 5000), max_size=40), st.integers(1, 20000), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_every_utterance_comes_once_in_a_batch_of_its_length(
    lengths: list[int], most: int, seed: int
) -> None:
    found = plan(lengths, most, np.random.default_rng(seed))
    assert sorted(one for batch in found for one in batch) == list(range(len(lengths)))
    for batch in found:
        assert len(batch) == 1 or max(lengths[one] for one in batch) * len(batch) <= most


@pytest.mark.parametrize(("frames", "expected"), [(1, 1), (4, 1), (5, 2), (37, 10), (100, 25)])
def test_output_frames_are_a_quarter(frames: int, expected: int) -> None:
    assert output_frames(frames) == expected


def test_a_batch_is_padded_with_silence() -> None:
    pairs = [(np.ones((64, 3), np.float32), [1, 2]), (np.ones((64, 5), np.float32), [3])]
    batch = collate(pairs)
    assert batch is not None
    assert batch.features.shape == (2, 64, 5)
    assert (batch.features[0, :, 3:] == np.float32(-15.9)).all()
    assert (batch.frames.tolist(), batch.labels.tolist()) == ([3, 5], [1, 2, 3])
    assert batch.lengths.tolist() == [2, 1]
    assert collate([]) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for source, count in ((PROMPTS, 3), (ESPEAK, 6)):
        said = [
            Utterance(rng.normal(0, 2000, 8000 + 900 * at).astype(np.int16), "да нет", source.name)
            for at in range(count)
        ]
        write_shard(tmp_path / source.name, source, said)
    return tmp_path


def test_a_stock_draws_by_the_weights_of_sources(folder: Path) -> None:
    stock = Stock(folder, {"prompts": 4.0, "espeak": 0.0})
    stock.look()
    assert len(stock) == 9
    drawn = stock.draw(np.random.default_rng(0), 20)
    assert {one.shard.source.name for one in drawn} == {"prompts"}
    assert len(drawn) == 12
    assert len(stock.draw(np.random.default_rng(0), 1.05)) == 4


def test_shards_that_come_later_are_taken_in(folder: Path) -> None:
    stock = Stock(folder, {})
    stock.look()
    write_shard(folder / "later", PROMPTS, [Utterance(np.ones(8000, np.int16), "да", "x")])
    assert len(stock) == 9
    stock.look()
    assert len(stock) == 10


def test_batches_follow_the_seed_and_the_wish(folder: Path) -> None:
    def first(seed: int) -> list[bytes]:
        made = batches(Stock(folder, {}), lambda: Wish(0.5, 20, 3.0), seed)
        return [batch.features.tobytes() for batch in islice(made, 4)]

    assert first(1) == first(1) != first(2)
    made = batches(Stock(folder, {}), lambda: Wish(1.0, 20, 3.0), 1)
    for batch in islice(made, 12):
        assert batch.features.shape[0] == len(batch.frames) == len(batch.lengths)
        assert batch.features.shape[2] == batch.frames.max()
        assert batch.lengths.sum() == len(batch.labels)
        assert np.isfinite(batch.features).all()


def test_two_views_are_of_one_time_and_not_of_one_sound(folder: Path) -> None:
    made = batches(Stock(folder, {}), lambda: Wish(1.0, 20, 6.0, views=2), 1)
    for batch in islice(made, 12):
        count = len(batch.frames) // 2
        assert batch.frames[:count].tolist() == batch.frames[count:].tolist()
        labels = len(batch.labels) // 2
        assert batch.labels[:labels].tolist() == batch.labels[labels:].tolist()
        assert not np.array_equal(batch.features[:count], batch.features[count:])


def test_joined_utterances_say_one_after_another_and_fit(folder: Path) -> None:
    stock = Stock(folder, {})
    stock.look()
    rng = np.random.default_rng(0)
    drawn = [one for _ in range(20) for one in stock.draw(rng, 6.0, joined=1.0)]
    assert {len(one.numbers) for one in drawn} >= {1, 2, 3}
    for one in drawn:
        assert one.length_samples() <= 6 * 8000
        sound, text = one.sound(rng)
        assert text == " ".join(["да нет"] * len(one.numbers))
        alone = sum(map(one.shard.length_samples, one.numbers))
        between = len(one.numbers) - 1
        assert 0.1 * between - 0.01 <= (len(sound) - alone) / 8000 <= 0.9 * between
