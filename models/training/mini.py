"""The whole recipe in five minutes on two cores: a tiny model that loads, decodes and is measured.

It is worth nothing as a model. It shows that every step still runs and fits the next one.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from models.training import evaluate, festvox, guard, needs, prompts, sentences, units, voices
from models.training.evaluate import Figures, Task
from models.training.schedule import Schedule
from models.training.shards import write_shard
from models.training.sources import FESTVOX, PROMPTS
from models.training.voices import Engine

Say = Callable[[str], None]

MINUTES = 2.0
_SENTENCES = 500
_FESTVOX_PHRASES = 150  # of the first recordings: aligning all 527 takes a minute
_SPOKEN = {"espeak": slice(0, 120), "ru_tts": slice(0, 400), "festival": slice(400, 440)}
_PROCESSES = 2
_SAVE_EVERY_S = 25.0
_EVERY_MEASURED = 8  # of the held-out prompts: 16 recordings
_LINES = ("clean", "alaw")


def run(folder: Path, say: Say, minutes: float = MINUTES) -> dict[str, Figures]:
    """Run the miniature; return what its models were measured to hear, by layout and engine.

    Args:
        folder: for everything that is made; one of an older run is emptied.
        say: told of each step and its seconds.
        minutes: of training.

    Raises:
        ConfigError: something is missing, or a step failed.
    """
    needs.check()
    shutil.rmtree(folder, ignore_errors=True)
    with _step(say, "text"):
        text = _text(folder / "text.txt")
    with _step(say, "real speech"):
        _real(folder / "shards")
    with _step(say, "voice without its held-out recordings"):
        units.copy_voice(folder / "voice")
    with _step(say, "synthetic speech"):
        _synthetic(folder, text)
    with _step(say, "training on two processes"):
        _train(folder, minutes)
    with _step(say, "averaging and export"):
        _export(folder)
    with _step(say, "loading, decoding and measuring"):
        return _measure(folder)


@contextmanager
def _step(say: Say, name: str) -> Iterator[None]:
    began_s = time.monotonic()
    yield
    say(f"{name}: {time.monotonic() - began_s:.0f} s")


def _text(path: Path) -> list[str]:
    kept_out = guard.Guard(guard.everything())
    words = sentences.read_dictionary()
    made = list(sentences.generate(_SENTENCES, guard=kept_out, dictionary=words))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{sentence}\n" for sentence in made), "utf-8")
    return made


def _real(shards: Path) -> None:
    write_shard(shards / "prompts", PROMPTS, prompts.utterances())
    write_shard(shards / "festvox", FESTVOX, islice(festvox.utterances(), _FESTVOX_PHRASES))


def engines(voice: Path) -> dict[str, Engine]:
    """Return every synthesiser by its source's name.

    Args:
        voice: folder of the cleaned festvox voice.
    """
    made = (voices.espeak(), voices.ru_tts(), voices.festival(voice))
    return {engine.source.name: engine for engine in made}


def _synthetic(folder: Path, text: list[str]) -> None:
    for name, engine in engines(folder / "voice").items():
        spoken = voices.utterances(engine, text[_SPOKEN[name]], seed=0)
        write_shard(folder / "shards" / name, engine.source, spoken)


def _train(folder: Path, minutes: float) -> None:
    from models.training.network import Size
    from models.training.train import Plan, train

    schedule = Schedule(  # short, nearly unchanged speech in small batches: it learns letters
        highest_rate=4e-3,
        warm_steps=30,
        first_strength=0.0,
        last_strength=0.1,
        short_s=2.5,
        longest_s=4.0,
        batch_s=8.0,
    )
    plan = Plan(
        folder=folder / "run",
        shards=folder / "shards",
        minutes=minutes,
        size=Size(d=96, heads=4, fine=1, middle=1, last=1),
        schedule=schedule,
        weights={"prompts": 4.0},
        processes=_PROCESSES,
        save_every_s=_SAVE_EVERY_S,
    )
    train(plan)


def _export(folder: Path) -> None:
    from models.training import checkpoint, export_ctc, export_transducer

    kept = sorted((folder / "run").glob("step-*.pt"))
    mean = checkpoint.average([checkpoint.load(path) for path in kept])
    mean.save(folder / "mean.pt")
    export_ctc.export(mean, folder / "ctc")
    export_transducer.export(mean, folder / "transducer")


def _measure(folder: Path) -> dict[str, Figures]:
    rows = guard.rows([guard.PROMPTS])[::_EVERY_MEASURED]
    manifest = folder / "measured.tsv"
    manifest.write_text("".join(f"{audio}\t{text}\n" for audio, text in rows), "utf-8")
    found: dict[str, Figures] = {}
    for layout, engine in (("ctc", "onnx"), ("ctc", "sherpa"), ("transducer", "sherpa")):
        task = Task(f"{layout} on engine {engine}", manifest)
        file = folder / f"figures-{layout}-{engine}.json"
        found[task.title] = evaluate.measure(
            task, folder / layout, file, engine=engine, conditions=_LINES
        )
    return found
