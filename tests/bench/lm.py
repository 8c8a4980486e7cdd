"""What decoding with a language model costs beside the network it decodes for."""

import time
from collections.abc import Sequence

from ruasr_tel.engines import onnx
from ruasr_tel.engines.base import Engine
from ruasr_tel.engines.ctc_search import LED_WIDTH
from ruasr_tel.engines.prepare import prepare
from ruasr_tel.models import lms
from ruasr_tel.models.catalog import Catalog, default_models_dir, to_spec
from ruasr_tel.types import Waveform
from tests.bench import report
from tests.bench.script import RATE_HZ, prompt_samples

GIGAAM_MS = 85.0
"""CPU of a network of GigaAM v3's size per second of audio, int8, at its best (docs/adr/0013)."""
GOAL = 0.10
"""Of that."""
ROUNDS = 3


def lm() -> None:
    """Print what each search costs per second of audio, and its share of GigaAM's network.

    The posteriors are the embedded model's, which are less sure than a large model's: the search
    looks at more letters of them, so this is the dear end.
    """
    report.head("lm: decoding with language models")
    catalog = Catalog.load(default_models_dir())
    model = catalog.resolve(catalog.default)
    made = report.table("search", "CPU ms per s of audio", "beside GigaAM", f"at most {GOAL:.0%}")
    greedy_ms = 0.0
    for named, width in (
        ("none", LED_WIDTH),
        (model.entry.lm, LED_WIDTH // 2),
        (model.entry.lm, LED_WIDTH),
    ):
        engine = onnx.create(to_spec(model, more=lms.options(model.folder, named, width=width)))
        waves = [prepare(each, RATE_HZ, engine.info) for each in prompt_samples()]
        seconds = sum(len(each) for each in waves) / engine.info.sample_rate_hz
        cost_ms = 1000 * min(_cost_s(engine, waves) for _ in range(ROUNDS)) / seconds
        if named == "none":
            greedy_ms = cost_ms
            made.add_row("greedy, with the embedded network", f"{cost_ms:.1f}", "", "")
            continue
        share = (cost_ms - greedy_ms) / GIGAAM_MS
        verdict = "yes" if share <= GOAL else "NO"
        made.add_row(f"width {width}, more", f"{cost_ms - greedy_ms:.1f}", f"{share:.1%}", verdict)
    report.out.print(made)


def _cost_s(engine: Engine, waves: Sequence[Waveform]) -> float:
    began_s = time.process_time()
    for wave in waves:
        engine.decode([wave])
    return time.process_time() - began_s
