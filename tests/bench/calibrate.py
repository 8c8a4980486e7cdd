"""`python -m tests.bench.calibrate [MANIFEST]`: the map that makes a model's confidence true.

Every recording goes the way of a call, through the model without its map; then the points for
`calibration` in models/catalog.yaml are printed, with the errors before and after. Recordings the
model has learnt from are of no use.
"""

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path

from ruasr_tel.accuracy.fit import Judged, calibration_error, fit, held_out, judge, mapped
from ruasr_tel.accuracy.manifest import Item, read_manifest
from ruasr_tel.app_models import make_vad
from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.config import load_config
from ruasr_tel.engines import calibration
from ruasr_tel.engines.worker import load
from ruasr_tel.models.catalog import Catalog, default_models_dir, to_spec
from ruasr_tel.recordings.model import Channels, Order
from ruasr_tel.recordings.recognise import RecogniseConfig, bulk_profiles, recognise
from ruasr_tel.scheduler import Priority
from ruasr_tel.testing import ThreadHost, running_calls
from tests.bench import report

PROMPTS = Path("models/training/held_out/prompts.tsv")
"""Needs Debian's asterisk-core-sounds-ru-wav."""


def main() -> None:
    """Print the map of the model that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.calibrate", description=__doc__)
    parser.add_argument("manifest", nargs="?", type=Path, default=PROMPTS)
    parser.add_argument("--model", default="", help="name or folder; absent: the embedded one")
    parser.add_argument("--engine", help="which engine runs it; absent: its own")
    given = parser.parse_args()
    catalog = Catalog.load(default_models_dir())
    spec = to_spec(catalog.resolve(given.model or catalog.default), engine=given.engine)
    present = calibration.read(spec)
    options = {key: value for key, value in spec.options.items() if key != calibration.OPTION}
    host = ThreadHost(load(replace(spec, options=options)))
    words = asyncio.run(_heard(host, read_manifest(given.manifest)))
    every = [word for one in words for word in one]
    if not every:
        parser.exit(1, f"engine {spec.engine} gives no confidences of {spec.model}\n")
    _print(f"{spec.model}, engine {spec.engine}", words, every, present)


def _print(
    name: str,
    words: list[list[Judged]],
    every: list[Judged],
    present: calibration.Calibration | None,
) -> None:
    report.head(f"{name}: {len(every)} words of {len(words)} recordings")
    table = report.table("", "calibration error", "Brier score", "mean confidence", "right")
    maps = {"raw": every, "a new map, each half by the other's": held_out(words)}
    if present is not None:
        maps["the map in the catalogue"] = mapped(every, present)
    for title, judged in maps.items():
        brier = sum((word.confidence - word.right) ** 2 for word in judged) / len(judged)
        mean = sum(word.confidence for word in judged) / len(judged)
        right = sum(word.right for word in judged) / len(judged)
        error = calibration_error(judged)
        table.add_row(title, f"{error:.3f}", f"{brier:.3f}", f"{mean:.3f}", f"{right:.1%}")
    report.out.print(table)
    points = ", ".join(f"[{raw:g}, {share:g}]" for raw, share in fit(every).knots)
    report.out.print(f"calibration: [{points}]", markup=False)


async def _heard(host: ThreadHost, items: list[Item]) -> list[list[Judged]]:
    """Return the words heard in each recording."""
    config = load_config(None).config
    vad = make_vad(config, default_models_dir())
    profiles = bulk_profiles(config.profiles)
    at_once = asyncio.Semaphore(2 * host.slots)
    async with running_calls(
        host,
        config=CallsConfig(max_wait_s=600),
        profiles=profiles,
        vad=vad,
        priority=Priority.BULK,
    ) as calls:
        return await asyncio.gather(*(_one(calls, item, at_once) for item in items))


async def _one(calls: Calls, item: Item, at_once: asyncio.Semaphore) -> list[Judged]:
    order = Order(channels=Channels.MIX)
    async with at_once:
        found = await recognise(item.path, order, calls, lambda _part: None, RecogniseConfig())
    return judge(item.text, [word for segment in found.segments for word in segment.words])


if __name__ == "__main__":
    main()
