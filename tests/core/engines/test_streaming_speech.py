"""Streaming engines on models of the published layouts that hear real Russian."""

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.engines import sherpa, sherpa_online, tone
from ruasr_tel.engines.base import (
    DecodeOptions,
    EngineSpec,
    Hypothesis,
    Piece,
    StreamingEngine,
)
from ruasr_tel.models.catalog import Catalog, to_spec
from ruasr_tel.types import Waveform
from tests.core.engines.prompts import RATE_HZ, Prompt, letter_errors, spoken_prompts
from tests.layouts_speech import MODELS_DIR, write_speech_tone, write_speech_zipformer


@pytest.fixture(scope="module")
def spoken() -> list[Prompt]:
    return spoken_prompts()[::2]  # each chunk hears the embedded network's whole window anew


@pytest.fixture(scope="module")
def offline(spoken: list[Prompt]) -> list[Hypothesis]:
    """What the offline engine hears with the same network."""
    engine = sherpa.create(to_spec(Catalog.load(MODELS_DIR).resolve("ru-mini-transducer-8k")))
    return engine.decode([prompt.samples for prompt in spoken])


Writer = Callable[[Path], Path]
Factory = Callable[[EngineSpec], StreamingEngine]


def made(name: str, folder: Path) -> StreamingEngine:
    factories: dict[str, tuple[str, Writer, Factory]] = {
        "tone": ("t_one", write_speech_tone, tone.create),
        "sherpa_online": ("online_transducer", write_speech_zipformer, sherpa_online.create),
    }
    family, write, create = factories[name]
    return create(EngineSpec(name, "speech", write(folder), family))


@pytest.fixture(scope="module", params=["tone", "sherpa_online"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> StreamingEngine:
    return made(request.param, tmp_path_factory.mktemp(request.param))


def at_rate(engine: StreamingEngine, prompts: Sequence[Prompt]) -> list[Waveform]:
    """The prompts, telephone audio at 16 kHz, at the engine's rate."""
    step = RATE_HZ // engine.info.sample_rate_hz
    return [np.ascontiguousarray(prompt.samples[::step]) for prompt in prompts]


@pytest.fixture(scope="module")
def streamed(engine: StreamingEngine, spoken: list[Prompt]) -> list[Hypothesis]:
    """What the streaming engine hears, one prompt at a time; it takes a while."""
    return engine.decode(at_rate(engine, spoken))


def advance_together(
    engine: StreamingEngine, audio: Sequence[Waveform], piece_s: float
) -> list[list[str]]:
    """Push all streams side by side in pieces of this length; return each one's texts in order."""
    step = int(piece_s * engine.info.sample_rate_hz)
    streams = [engine.open_stream() for _ in audio]
    texts: list[list[str]] = [[] for _ in audio]
    for begin in range(0, max(map(len, audio)), step):
        alive = [index for index, samples in enumerate(audio) if begin < len(samples)]
        pieces = [
            Piece(streams[i], audio[i][begin : begin + step], last=begin + step >= len(audio[i]))
            for i in alive
        ]
        for index, heard in zip(alive, engine.advance(pieces), strict=True):
            texts[index].append(heard.text)
    return texts


def test_real_prompts_become_text(streamed: list[Hypothesis], spoken: list[Prompt]) -> None:
    errors = sum(letter_errors(h.text, p.text) for h, p in zip(streamed, spoken, strict=True))
    # measured one at a time, all twelve: 3.2 and 3.3 % of the letters
    assert errors / sum(len(prompt.text) for prompt in spoken) < 0.15


def test_calls_side_by_side_hear_their_own_words(
    engine: StreamingEngine, spoken: list[Prompt]
) -> None:
    audio = at_rate(engine, spoken[:3])
    texts = advance_together(engine, audio, 0.1)
    for prompt, said in zip(spoken, texts, strict=False):
        # int8 networks quantise a batch with one scale: a letter more or less
        assert letter_errors(said[-1], prompt.text) <= 0.25 * len(prompt.text)
        assert all(later.startswith(earlier) for earlier, later in pairwise(said))
        half = said[len(said) // 2]
        assert 0 < len(half) < len(said[-1])  # native partials, long before the end


def test_words_begin_when_the_offline_engine_hears_them(
    engine: StreamingEngine, streamed: list[Hypothesis], offline: list[Hypothesis]
) -> None:
    late = []
    for heard, known in zip(streamed, offline, strict=True):
        alike = SequenceMatcher(None, known.tokens, heard.tokens, autojunk=False)
        for match in alike.get_matching_blocks():
            if match.size >= 4:  # no chance likeness
                late += [
                    heard.starts_s[match.b + index] - known.starts_s[match.a + index]
                    for index in range(match.size)
                ]
    assert len(late) > 100
    # T-one's own delay of 0.33 s is taken out; the zipformer's 0.16 s of lateness is the model's
    expected_s = 0.0 if engine.info.engine == "tone" else 0.16
    assert np.mean(late) == pytest.approx(expected_s, abs=0.05)


def test_sherpa_onnx_hears_the_same_in_this_t_one(tmp_path: Path, spoken: list[Prompt]) -> None:
    from sherpa_onnx import OnlineRecognizer

    ours = made("tone", tmp_path)
    recognizer = OnlineRecognizer.from_t_one_ctc(
        model=str(tmp_path / "model.onnx"), tokens=str(tmp_path / "tokens.txt"), num_threads=1
    )
    samples = at_rate(ours, spoken[:1])[0]
    stream = recognizer.create_stream()
    silence = np.zeros(2400, dtype=np.float32)
    for piece in (silence, samples, silence, silence, silence):
        stream.accept_waveform(8000, piece)
    while recognizer.is_ready(stream):
        recognizer.decode_stream(stream)
    heard = ours.decode([samples])[0].text
    # it scales samples by 32767 and rounds towards 0, which may turn a letter
    assert letter_errors(" ".join(recognizer.get_result(stream).split()), heard) <= 1
    assert letter_errors(heard, spoken[0].text) <= 0.25 * len(spoken[0].text)


@pytest.mark.parametrize("name", ["tone", "sherpa_online"])
def test_a_closed_list_gives_what_was_said_at_its_time(
    tmp_path: Path, spoken: list[Prompt], name: str
) -> None:
    engine = made(name, tmp_path)
    prompt, other = sorted(spoken, key=lambda each: len(each.samples))[1:3]
    (samples,) = at_rate(engine, [prompt])
    asked = DecodeOptions(phrases=(other.text, prompt.text), closed=True)
    listed, free = engine.open_stream(asked), engine.open_stream()
    half = len(samples) // 2
    engine.advance([Piece(stream, samples[:half]) for stream in (listed, free)])
    said, plain = engine.advance(
        [Piece(stream, samples[half:], last=True) for stream in (listed, free)]
    )
    assert said.text == prompt.text
    assert said.match is not None
    assert said.match > 0.5
    assert len(said.starts_s) == len(said.tokens)
    assert said.starts_s[0] == pytest.approx(plain.starts_s[0], abs=0.2)
    # tokens are words where the list is applied to what was heard, letters where the search did
    assert said.starts_s[0] < said.starts_s[-1] < plain.starts_s[-1] + 0.2
