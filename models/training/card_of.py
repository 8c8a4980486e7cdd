"""Gathers what a card tells from the model's folder, its checkpoint, its speech and its figures."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from models.training import card, checkpoint, evaluate, export_ctc
from models.training.shards import Shard, Summary
from models.training.sources import Source
from ruasr_tel.errors import ConfigError


def collect(
    model: Path, of: Path, speech: Iterable[Shard], layout: str, figures: Sequence[Path]
) -> str:
    """Return a model's card.

    Args:
        model: its folder.
        of: the checkpoint it was exported from.
        speech: what it learnt from.
        layout: `ctc` or `transducer`.
        figures: files of `evaluate`, named after what was measured.

    Raises:
        ConfigError: a file cannot be read.
    """
    trained = checkpoint.load(of)
    small = model / export_ctc.SMALL
    spent = trained.origin.spent + trained.spent
    parameters = sum(weight.numel() for weight in trained.averaged.values())
    return card.write(
        card.Facts(
            name=model.name,
            layout=layout,
            parameters=parameters,
            files={
                path.name: path.stat().st_size
                for ending in ("*.onnx", "*.npz")
                for path in sorted(model.glob(ending))
            },
            began_with=trained.origin.weights,
            hours_heard=spent.audio_s / 3600,
            minutes=spent.seconds / 60,
            speech=by_source(speech),
            figures={path.stem.split(", ", 1)[-1]: _read(path) for path in figures},
            real_time_factor=evaluate.real_time_factor(small) if small.is_file() else None,
        )
    )


def by_source(speech: Iterable[Shard]) -> list[tuple[Source, Summary]]:
    """Return what shards hold together, by source."""
    found: dict[Source, Summary] = {}
    for shard in speech:
        before, more = found.get(shard.source, Summary(0, 0.0)), shard.summary()
        found[shard.source] = Summary(
            before.utterances + more.utterances, before.hours + more.hours
        )
    return list(found.items())


def _read(path: Path) -> evaluate.Figures:
    try:
        figures: evaluate.Figures = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"figures {path} cannot be read: {exc}") from exc
    return figures
