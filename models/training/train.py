"""Training for a fixed wall time: one process per core, or one on a GPU; gradients averaged."""

import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from models.training import checkpoint, hearing
from models.training.batches import Batch, Stock, batches, output_frames
from models.training.checkpoint import Checkpoint, Origin, Spent
from models.training.network import Network, Size, ctc_loss, disagreement
from models.training.schedule import Schedule, decay
from ruasr_tel.errors import ConfigError

LAST = "last.pt"
LOG = "log.jsonl"
_LOG_EVERY_S = 30.0
_CLIP = 1.0  # of the gradient's norm
_WEIGHT_DECAY = 0.02
_BETAS = (0.9, 0.98)
_AGREEMENT = 0.2  # of the loss that two views disagree by: its authors' choice
_AVERAGE = 0.998  # of the moving average of the weights: about the last 500 steps
_SEED_OF_A_PROCESS, _SEED_OF_A_WORKER = 7777, 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """A training run.

    Attributes:
        folder: for the checkpoint and the log.
        shards: folder with the speech; it may grow meanwhile.
        minutes: of wall time, all resumed parts together.
        size: of the network; a checkpoint's own wins, but for the share of dropped activations.
        schedule: over the time.
        weights: source -> how often an utterance of it comes in a pass.
        processes: one a core; 1 on a GPU.
        workers: that prepare batches for each process; 0 prepares them in it, which costs 1 ms a
            second of audio (our measurement) and is right on a CPU.
        bfloat16: half the arithmetic, where the processor has it.
        start: checkpoint whose weights to begin with in a new run, or None.
        dev: name -> manifest to look at now and then; nothing is chosen by it.
        save_every_s: seconds between checkpoints.
        kept: checkpoints of the run's end that are kept for averaging.
        seed: of the weights and all choices.
    """

    folder: Path
    shards: Path
    minutes: float
    size: Size = field(default_factory=Size)
    schedule: Schedule = field(default_factory=Schedule)
    weights: Mapping[str, float] = field(default_factory=dict)
    processes: int = 1
    workers: int = 0
    bfloat16: bool = False
    start: Path | None = None
    dev: Mapping[str, Path] = field(default_factory=dict)
    save_every_s: float = 300.0
    kept: int = 3
    seed: int = 1


def train(plan: Plan) -> Path:
    """Train, or go on where the folder's checkpoint ends; return the last checkpoint.

    Raises:
        ConfigError: there is nothing to learn from, or a checkpoint cannot be read.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    stock = Stock(plan.shards, plan.weights)
    stock.look()
    if not len(stock):
        raise ConfigError(f"no shards in {plan.shards}: run the steps before")
    if plan.processes == 1:
        _Run(plan, 0).go()
        return plan.folder / LAST
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a process is a core's, numpy's part too
    with tempfile.TemporaryDirectory() as meeting:
        context = multiprocessing.get_context("spawn")
        crew = [
            context.Process(target=_work, args=(plan, rank, f"file://{meeting}/point"))
            for rank in range(plan.processes)
        ]
        for worker in crew:
            worker.start()
        for worker in crew:
            worker.join()
    if any(worker.exitcode for worker in crew):
        raise ConfigError("training ended early; what it said above tells why")
    return plan.folder / LAST


def _work(plan: Plan, rank: int, meeting: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=plan.processes
    )
    try:
        _Run(plan, rank).go()
    finally:
        distributed.destroy_process_group()


class _Run:
    """One process of a run.

    Args:
        plan: of the run.
        rank: of the process; the first one writes.
    """

    def __init__(self, plan: Plan, rank: int) -> None:
        self._plan, self._rank = plan, rank
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        if self._device == "cpu":
            torch.set_num_threads(1)
        torch.manual_seed(plan.seed)
        before = self._read()
        size = replace(before.size if before else plan.size, drop=plan.size.drop)
        self._net = Network(size).to(self._device)
        if before:
            checkpoint.fill(self._net, before.raw)
        self._average = _copy(before.averaged if before else self._net.state_dict())
        self._optimiser = _optimiser(self._net, plan.schedule.highest_rate)
        if before and before.optimiser:
            self._optimiser.load_state_dict(before.optimiser)
        self._before = before.spent if before else Spent()
        self._origin = before.origin if before else Origin()
        self._steps, self._audio_s = self._before.steps, self._before.audio_s
        self._began_at = time.time()

    def _read(self) -> Checkpoint | None:
        """Return what to go on from: the folder's own checkpoint, else the weights to start with.

        Weights of another run begin with a clock and an optimiser of their own.
        """
        own = self._plan.folder / LAST
        if own.is_file():
            return checkpoint.load(own, self._device)
        if self._plan.start is None:
            return None
        other = checkpoint.load(self._plan.start, self._device)
        origin = Origin(other.origin.weights, other.origin.spent + other.spent)
        return Checkpoint(other.size, other.averaged, other.raw, origin=origin)

    def _seconds(self) -> float:
        return self._before.seconds + time.time() - self._began_at

    def _progress(self) -> float:
        """Return the share of the run that is over, the same in all processes."""
        progress = _share_of(self._seconds(), self._plan.minutes)
        if self._plan.processes > 1:
            shared = torch.tensor([progress])
            distributed.broadcast(shared, 0)
            progress = float(shared)
        return progress

    def go(self) -> None:
        """Learn until the time is over."""
        said_s = saved_s = self._seconds()
        losses: list[float] = []
        feed = self._feed()
        while (progress := self._progress()) < 1:
            losses.append(self._step(next(feed), progress))
            now_s = self._seconds()
            if now_s - said_s > _LOG_EVERY_S:
                self._say(loss=round(sum(losses) / len(losses), 4))
                losses, said_s = [], now_s
            if now_s - saved_s > self._plan.save_every_s:
                self._save()
                saved_s = self._seconds()
        if losses:
            self._say(loss=round(sum(losses) / len(losses), 4))
        self._save()

    def _feed(self) -> Iterator[Batch]:
        data = _Endless(self._plan, self._rank, self._began_at - self._before.seconds)
        if not self._plan.workers:
            return iter(data)
        loader = torch.utils.data.DataLoader(
            data, batch_size=None, num_workers=self._plan.workers, collate_fn=_as_it_is
        )
        return iter(loader)

    def _step(self, batch: Batch, progress: float) -> float:
        """Learn from a batch; return its loss a letter."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._plan.schedule.rate(progress, self._steps - self._before.steps)
        features = torch.from_numpy(batch.features).to(self._device)
        frames = torch.from_numpy(batch.frames)
        outputs = torch.tensor([output_frames(int(one)) for one in batch.frames])
        self._net.train()
        with torch.autocast(self._device, torch.bfloat16, enabled=self._plan.bfloat16):
            end, middle = self._net.both(features, frames.to(self._device))
        labels = torch.from_numpy(batch.labels).to(self._device)
        lengths = torch.from_numpy(batch.lengths)
        loss, own = ctc_loss((end.float(), middle.float()), outputs, labels, lengths)
        if self._plan.schedule.views == 2:
            apart = disagreement(end.float(), outputs.to(self._device))
            loss = loss + _AGREEMENT * apart / lengths.sum()
        self._optimiser.zero_grad()
        loss.backward()
        if self._plan.processes > 1:
            _share(self._net, self._plan.processes)
        nn.utils.clip_grad_norm_(self._net.parameters(), _CLIP)
        self._optimiser.step()
        _follow(self._average, self._net.state_dict(), decay(self._steps, _AVERAGE))
        self._steps += 1
        self._audio_s += float(batch.frames.sum()) / 100 * self._plan.processes
        return own

    def _save(self) -> None:
        """Keep the checkpoint and say how the network hears what is held out."""
        if self._rank:
            return
        spent = Spent(self._steps, self._seconds(), self._audio_s)
        now = Checkpoint(
            self._net.size,
            self._average,
            self._net.state_dict(),
            self._optimiser.state_dict(),
            spent,
            self._origin,
        )
        now.save(self._plan.folder / LAST)
        older = sorted(self._plan.folder.glob("step-*.pt"))
        now.save(self._plan.folder / f"step-{self._steps:08}.pt")
        for path in older[: max(0, len(older) + 1 - self._plan.kept)]:
            path.unlink()
        if self._plan.dev:
            network = now.network().to("cpu")
            found = {name: hearing.rates(network, path) for name, path in self._plan.dev.items()}
            self._say(dev=found)

    def _say(self, **facts: object) -> None:
        if self._rank:
            return
        line = {
            "step": self._steps,
            "seconds": round(self._seconds()),
            "hours": round(self._audio_s / 3600, 3),
            **facts,
        }
        with (self._plan.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line, ensure_ascii=False) + "\n")


class _Endless(torch.utils.data.IterableDataset[Batch]):
    """The batches of one process, in it or in its workers."""

    def __init__(self, plan: Plan, rank: int, began_at: float) -> None:
        self._plan, self._rank, self._began_at = plan, rank, began_at

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        number = worker.id if worker else 0
        begun = int(self._began_at)  # a resumed run hears other lines than the one before
        seed = self._plan.seed + begun + _SEED_OF_A_PROCESS * self._rank
        stock = Stock(self._plan.shards, self._plan.weights)

        def progress() -> float:
            return min(1.0, _share_of(time.time() - self._began_at, self._plan.minutes))

        schedule = self._plan.schedule
        return batches(stock, lambda: schedule.wish(progress()), seed + _SEED_OF_A_WORKER * number)


def _share_of(seconds: float, minutes: float) -> float:
    return seconds / (60 * minutes) if minutes else 1.0


_T = TypeVar("_T")


def _as_it_is(batch: _T) -> _T:
    return batch


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in weights.items()}


def _optimiser(net: Network, rate: float) -> Any:
    """Return AdamW; biases, norms and scales are not pulled to 0.

    Fused it takes 12 in place of 47 ms for 20 million weights on one core (our measurement).
    """
    matrices = [one for one in net.parameters() if one.dim() > 1]
    vectors = [one for one in net.parameters() if one.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": _WEIGHT_DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=_BETAS, fused=True)


def _share(net: Network, processes: int) -> None:
    """Replace this process's gradients by the mean of all processes'."""
    gradients = [one.grad for one in net.parameters()]
    flat = torch.cat([one.reshape(-1) for one in gradients])
    distributed.all_reduce(flat)
    flat /= processes
    at = 0
    for one in gradients:
        one.copy_(flat[at : at + one.numel()].view_as(one))
        at += one.numel()


def _follow(average: dict[str, Tensor], weights: Mapping[str, Tensor], kept: float) -> None:
    with torch.no_grad():
        for name, weight in weights.items():
            average[name].lerp_(weight, 1 - kept)
