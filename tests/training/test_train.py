import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from models.training.checkpoint import load  # noqa: E402
from models.training.network import Size  # noqa: E402
from models.training.schedule import Schedule  # noqa: E402
from models.training.shards import Utterance, write_shard  # noqa: E402
from models.training.sources import ESPEAK  # noqa: E402
from models.training.train import LAST, LOG, Plan, train  # noqa: E402
from ruasr_tel.errors import ConfigError  # noqa: E402

TINY = Size(d=8, heads=2, fine=1, middle=1, last=1)
SECOND = 1 / 60


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    rng = np.random.default_rng(0)
    said = [Utterance(rng.normal(0, 2000, 8000).astype(np.int16), "да", "x") for _ in range(8)]
    write_shard(tmp_path / "shards/one", ESPEAK, said)
    schedule = Schedule(batch_s=4, warm_steps=1)
    return Plan(tmp_path / "run", tmp_path / "shards", SECOND, TINY, schedule, save_every_s=0.3)


def lines(plan: Plan) -> list[dict[str, float]]:
    return [json.loads(line) for line in (plan.folder / LOG).read_text("utf-8").splitlines()]


def test_a_run_learns_logs_and_keeps_its_last_checkpoints(plan: Plan) -> None:
    assert train(plan) == plan.folder / LAST
    found = load(plan.folder / LAST)
    assert found.spent.steps > 0
    assert found.spent.seconds >= 1
    assert found.optimiser is not None
    kept = sorted(path.name for path in plan.folder.glob("step-*.pt"))
    assert 1 <= len(kept) <= plan.kept
    assert kept[-1] == f"step-{found.spent.steps:08}.pt"
    assert lines(plan)[-1]["step"] == found.spent.steps
    assert 0 < lines(plan)[-1]["loss"] < 50


def test_a_run_goes_on_where_it_ended(plan: Plan) -> None:
    train(plan)
    before = load(plan.folder / LAST)
    train(replace(plan, minutes=2 * SECOND))
    after = load(plan.folder / LAST)
    assert after.spent.steps > before.spent.steps
    assert after.spent.seconds >= before.spent.seconds + 0.9
    assert after.spent.audio_s > before.spent.audio_s
    train(replace(plan, minutes=2 * SECOND))  # its time is over: nothing is learnt any more
    assert load(plan.folder / LAST).spent.steps == after.spent.steps


def test_a_run_may_begin_with_the_weights_of_another(plan: Plan, tmp_path: Path) -> None:
    train(plan)
    other = replace(plan, folder=tmp_path / "other", start=plan.folder / LAST, minutes=0)
    train(other)
    first, second = load(plan.folder / LAST), load(other.folder / LAST)
    assert second.spent.steps == 0
    assert second.origin.spent == first.spent
    assert all(torch.equal(first.raw[name], second.raw[name]) for name in first.raw)


@pytest.mark.parametrize("views", [1, 2])
def test_a_run_takes_its_own_share_of_dropped_activations(
    plan: Plan, tmp_path: Path, views: int
) -> None:
    train(plan)
    other = replace(
        plan,
        folder=tmp_path / "other",
        start=plan.folder / LAST,
        size=replace(TINY, drop=0.5),
        schedule=replace(plan.schedule, views=views),
    )
    train(other)
    assert load(other.folder / LAST).size.drop == 0.5
    assert load(other.folder / LAST).spent.steps > 0


@pytest.mark.slow  # each process loads torch
def test_two_processes_end_with_one_network(plan: Plan) -> None:
    train(replace(plan, processes=2))
    assert load(plan.folder / LAST).spent.steps > 0


def test_nothing_to_learn_from_is_said(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no shards in"):
        train(replace(plan, shards=tmp_path))
