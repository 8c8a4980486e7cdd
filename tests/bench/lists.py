"""How many short prompts come out whole: free, their texts preferred, only these texts allowed."""

from pathlib import Path

import numpy as np

from ruasr_tel.accuracy import conditions
from ruasr_tel.accuracy.manifest import read_manifest
from ruasr_tel.audio.reader import Reader
from ruasr_tel.engines.base import DecodeOptions, Engine
from ruasr_tel.engines.prepare import prepare
from ruasr_tel.engines.worker import load
from ruasr_tel.models.catalog import Catalog, default_models_dir, to_spec
from ruasr_tel.types import Samples
from tests.bench import report
from tests.bench.calibrate import PROMPTS

MODELS = ("ru-mini-ctc-8k", "ru-mini-transducer-8k")
MOST_WORDS = 4
"""Of a prompt that a dialplan would wait for."""


def lists() -> None:
    """Print whole prompts by what the decoder is told; A-law. Needs asterisk-core-sounds-ru-wav."""
    report.head("lists: short held-out prompts that come out whole")
    said = [each for each in read_manifest(PROMPTS) if len(each.text.split()) <= MOST_WORDS]
    listed = tuple(sorted({each.text for each in said}))
    ways = {
        "free": DecodeOptions(),
        "preferred": DecodeOptions(phrases=listed),
        "closed": DecodeOptions(phrases=listed, closed=True),
    }
    with Reader() as reader:
        heard = [(each.text, _line(reader, each.path)) for each in said]
    made = report.table(f"{len(heard)} prompts, {len(listed)} texts", *ways)
    catalog = Catalog.load(default_models_dir())
    for name in MODELS:
        engine = load(to_spec(catalog.resolve(name)))
        cells = []
        for way, options in ways.items():
            can = {"preferred": engine.info.hotwords, "closed": engine.info.closed_lists}
            right = _right(engine, heard, options)
            cells.append(f"{right} ({right / len(heard):.0%})" if can.get(way, True) else "")
        made.add_row(f"{name}, {engine.info.engine}", *cells)
    report.out.print(made)


def _right(engine: Engine, heard: list[tuple[str, Samples]], options: DecodeOptions) -> int:
    waves = [prepare(wave, conditions.RATE_HZ, engine.info) for _, wave in heard]
    found = [engine.decode([wave], options)[0].text for wave in waves]
    return sum(one == text for one, (text, _) in zip(found, heard, strict=True))


def _line(reader: Reader, path: Path) -> Samples:
    recording = reader.open_path(path, conditions.RATE_HZ, conditions.RATE_HZ)
    found = [block[0] for block in recording.blocks()]
    return conditions.apply("alaw", np.concatenate(found))
