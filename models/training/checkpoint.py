"""Checkpoints: written in one rename, read without running what is in them, averaged."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from models.training.network import Network, Size
from ruasr_tel.errors import ConfigError

Weights: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has taken so far.

    Attributes:
        steps: of the optimiser.
        seconds: of wall time.
        audio_s: seconds of audio heard, by all processes.
    """

    steps: int = 0
    seconds: float = 0.0
    audio_s: float = 0.0

    def __add__(self, later: "Spent") -> "Spent":
        return Spent(
            self.steps + later.steps, self.seconds + later.seconds, self.audio_s + later.audio_s
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the weights come from that a run begins with.

    Attributes:
        weights: whose they were before all training of ours; "" for random ones.
        spent: by runs of ours before.
    """

    weights: str = ""
    spent: Spent = field(default_factory=Spent)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A network on its way.

    Attributes:
        size: how large it is.
        averaged: the moving average of its weights: what is exported.
        raw: the weights that learn.
        optimiser: the optimiser's state, or None: it begins anew.
        spent: by the run.
        origin: of the weights that the run began with.
    """

    size: Size
    averaged: Weights
    raw: Weights
    optimiser: dict[str, Any] | None = None
    spent: Spent = field(default_factory=Spent)
    origin: Origin = field(default_factory=Origin)

    def save(self, path: Path) -> None:
        """Write it; a run that is killed meanwhile leaves the old one."""
        content = {
            "model": dict(self.averaged),
            "raw": dict(self.raw),
            "cfg": self.size.to_json(),
            "opt": self.optimiser,
            "spent": astuple(self.spent),
            "origin": astuple(self.origin),
        }
        beside = path.with_suffix(".tmp")
        torch.save(content, beside)
        beside.replace(path)

    def network(self) -> Network:
        """Return the averaged network, ready to be heard with.

        Raises:
            ConfigError: the weights are of another network.
        """
        network = Network(self.size)
        fill(network, self.averaged)
        network.eval()
        return network


def fill(network: Network, weights: Weights) -> None:
    """Put weights into a network.

    Raises:
        ConfigError: they are of another one.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as exc:
        raise ConfigError(f"the checkpoint is of another network: {exc}") from exc


def load(path: Path, device: str = "cpu") -> Checkpoint:
    """Return a checkpoint; nothing in the file is run (`weights_only`).

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
        return Checkpoint(
            size=Size(**content["cfg"]),
            averaged=content["model"],
            raw=content["raw"],
            optimiser=content.get("opt"),
            spent=Spent(*content.get("spent", ())),
            origin=_origin(*content.get("origin", ())),
        )
    except Exception as exc:  # torch raises of every kind for a broken file
        raise ConfigError(f"checkpoint {path} cannot be read: {exc}") from exc


def _origin(weights: str = "", spent: Sequence[Any] = ()) -> Origin:
    return Origin(weights, Spent(*spent))


def average(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """Return the mean of checkpoints of one run, for export; the latest's `spent`.

    Raises:
        ConfigError: there is none, or they are of different sizes.
    """
    if not checkpoints:
        raise ConfigError("there is no checkpoint to average")
    last = checkpoints[-1]
    if any(one.size != last.size for one in checkpoints):
        raise ConfigError("checkpoints of different sizes cannot be averaged")
    mean = {
        name: torch.stack([one.averaged[name] for one in checkpoints]).mean(0)
        for name in last.averaged
    }
    return Checkpoint(last.size, mean, mean, None, last.spent, last.origin)
