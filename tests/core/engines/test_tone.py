import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ruasr_tel.engines import runtime
from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    EngineInfo,
    EngineSpec,
    Hypothesis,
    Piece,
    StreamingEngine,
)
from ruasr_tel.engines.ctc import GreedyCtc, Posteriors, Vocabulary
from ruasr_tel.engines.runtime import Device
from ruasr_tel.engines.tone import ToneEngine, ToneNetwork, create
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.models.online_graphs import ToneShape
from ruasr_tel.types import Waveform
from tests.core.engines.streaming_rules import (
    babble,
    hear,
)
from tests.layouts_online import RATE_HZ, TONE_CHUNK, TONE_LABELS, TONE_STATE, write_toy_tone


def spec(folder: Path, **options: str | int) -> EngineSpec:
    return EngineSpec("tone", "toy", folder, "t_one", options=options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_tone(tmp_path_factory.mktemp("tone"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> StreamingEngine:
    return create(spec(folder, batch_size=3))  # more streams than that make several batches


def letters(*levels: int) -> Waveform:
    """Frames of 240 samples of these int16 levels."""
    return (np.repeat(levels, 240) / 32768).astype(np.float32)


def test_the_engine_tells_what_it_is(engine: StreamingEngine) -> None:
    assert engine.info == EngineInfo(
        engine="tone",
        model="toy",
        sample_rate_hz=8000,
        batch_size=3,
        confidence=True,
        streaming=True,
        chunk_s=0.3,
        hotwords=True,
        closed_lists=True,
        alternatives=10,
        lms=True,
    )


def test_frames_become_letters_at_their_times(engine: StreamingEngine) -> None:
    quiet = [0] * 12  # 0.36 s, so that the model's delay of 0.33 s still lies in the stream
    (heard,) = engine.decode([letters(*quiet, 4000, 4000, 0, 9000, *quiet)])
    # a frame of level 4000 is the symbol of id 4, every other frame that of id 5
    assert heard.tokens == tuple(TONE_LABELS[index] for index in (4, 5, 10))
    assert heard.text == "дей"
    # frames 12, 13, 15 of 30 ms, less the model's delay
    assert heard.starts_s == (0.03, 0.06, 0.12)
    assert heard.log_probs == pytest.approx((-0.01,) * 3)


@pytest.mark.parametrize("sherpa", [True, False])
def test_both_layouts_give_the_same(tmp_path: Path, engine: StreamingEngine, sherpa: bool) -> None:
    samples = babble(RATE_HZ, 1.0, 5)
    other = create(spec(write_toy_tone(tmp_path, sherpa=sherpa)))
    assert other.decode([samples]) == engine.decode([samples])
    assert (tmp_path / "vocab.json").exists() is not sherpa


def test_sherpa_onnx_hears_the_same_in_the_same_file(folder: Path, engine: StreamingEngine) -> None:
    from sherpa_onnx import OnlineRecognizer

    samples = letters(*range(500, 30000, 1000))
    recognizer = OnlineRecognizer.from_t_one_ctc(
        model=str(folder / "model.onnx"), tokens=str(folder / "tokens.txt"), num_threads=1
    )
    stream = recognizer.create_stream()
    padding = np.zeros(TONE_CHUNK, dtype=np.float32)
    for piece in (padding, samples, padding, padding, padding):
        stream.accept_waveform(RATE_HZ, piece)
    while recognizer.is_ready(stream):
        recognizer.decode_stream(stream)
    (heard,) = engine.decode([samples])
    assert recognizer.get_result(stream) == heard.text
    assert heard.text == "бгежийлнпсуфцшъь"


def test_what_a_whole_chunk_says_is_said_at_once(engine: StreamingEngine) -> None:
    stream = engine.open_stream()
    almost = letters(*[2000] * 10)[:-1]
    assert engine.advance([Piece(stream, almost)]) == [Hypothesis("", log_probs=())]
    (heard,) = engine.advance([Piece(stream, letters(2000)[:1])])
    assert len(heard.tokens) == 10


def test_the_last_sample_is_not_held_back(engine: StreamingEngine) -> None:
    silence = np.zeros(5 * TONE_CHUNK, dtype=np.float32)
    for count in (1, TONE_CHUNK - 1, TONE_CHUNK, TONE_CHUNK + 1):
        samples = silence[:count].copy()
        samples[-1] = 0.5
        assert len(hear(engine, [samples])[-1].tokens) == 1


def test_an_empty_stream_says_nothing(engine: StreamingEngine) -> None:
    nothing = np.empty(0, dtype=np.float32)
    assert hear(engine, [nothing, nothing]) == [Hypothesis("", log_probs=())] * 2
    assert engine.decode([]) == []


def test_a_long_stream_keeps_its_clock(engine: StreamingEngine) -> None:
    minute = np.zeros(60 * RATE_HZ, dtype=np.float32)
    minute[-TONE_CHUNK : -TONE_CHUNK + 240] = 0.25
    said = hear(engine, [minute] * 4)[-1]
    assert len(said.tokens) == 4
    assert said.starts_s == pytest.approx([60 * n - 0.3 - 0.33 for n in (1, 2, 3, 4)])


def test_a_stream_that_is_dropped_frees_its_memory(engine: StreamingEngine) -> None:
    samples = babble(RATE_HZ, 0.65, 1)

    def drop_streams(count: int) -> int:
        for _ in range(count):
            engine.advance([Piece(engine.open_stream(), samples)])
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = drop_streams(20)
        assert drop_streams(100) - before < TONE_STATE * 2  # a state is fp16
    finally:
        tracemalloc.stop()


def test_an_ended_stream_takes_no_more(engine: StreamingEngine) -> None:
    stream = engine.open_stream()
    engine.advance([Piece(stream, letters(1), last=True)])
    with pytest.raises(DecodeError, match="has ended"):
        engine.advance([Piece(stream, letters(1))])
    with pytest.raises(DecodeError, match="a str is not a stream of engine tone"):
        engine.advance([Piece("stream", letters(1))])


class KeptDecoder:
    """Keeps the posteriors it is given; finds one alternative."""

    hotwords = closed_lists = True
    alternatives = 2
    lm = ""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._greedy = GreedyCtc(vocabulary)
        self.given: list[tuple[Posteriors, DecodeOptions]] = []

    def is_plain(self, options: DecodeOptions) -> bool:
        return options == DecodeOptions()

    def decode(self, posteriors: Posteriors, options: DecodeOptions) -> Hypothesis:
        self.given.append((posteriors, options))
        found = self._greedy.decode(posteriors, options)
        return Hypothesis(found.text, found.tokens, found.starts_s, alternatives=(found,))


class LevelSession:
    """A network without weights: symbol 0 where a sample is above 0, symbol 2, the blank, else."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.batches: list[int] = []

    def run(self, outputs: Sequence[str], feed: dict[str, Any]) -> list[Any]:
        if self.error is not None and self.batches:
            raise self.error
        signal, state = feed["signal"][:, :, 0], feed["state"]
        self.batches.append(len(signal))
        log_probs = np.full((*signal.shape, 3), -5.0, dtype=np.float16)
        log_probs[..., 0] = np.where(signal > 0, -0.5, -6.0)
        log_probs[..., 2] = np.where(signal > 0, -6.0, -0.5)
        return [log_probs, state + 1]


def with_session(session: LevelSession) -> tuple[ToneEngine, KeptDecoder]:
    """An engine of chunks of 4 samples, a frame each."""
    shape = ToneShape(4, 1, ("signal", "state"), ("logprobs", "state_next"))
    vocabulary = Vocabulary(("а", " ", "<blk>"), blank=2)
    decoder = KeptDecoder(vocabulary)
    info = EngineInfo("tone", "fake", 8000, batch_size=2)
    return ToneEngine(ToneNetwork(session, shape), vocabulary, decoder, info), decoder


def test_a_decoder_gets_all_posteriors_of_an_ended_stream_with_options() -> None:
    engine, decoder = with_session(LevelSession())
    options = DecodeOptions(phrases=("а",))
    plain, asking = engine.open_stream(), engine.open_stream(options)
    first, rest = np.array([0, 0.5, 0, 0, 0.5], np.float32), np.zeros(2, np.float32)
    earlier = engine.advance([Piece(plain, first), Piece(asking, first)])
    assert earlier[0] == earlier[1]
    assert decoder.given == []
    said = engine.advance([Piece(plain, rest, last=True), Piece(asking, rest, last=True)])
    assert said[0].alternatives == ()
    assert said[1].text == said[0].text == "аа"
    assert said[1].alternatives[0].text == "аа"
    ((posteriors, asked),) = decoder.given
    assert asked == options
    assert posteriors.frame_s == 1 / 8000
    # 4 of padding, 7 of audio, 1 to fill the chunk, 4 of padding
    assert posteriors.log_probs.argmax(axis=1).tolist() == [2] * 5 + [0] + [2] * 2 + [0] + [2] * 7
    assert plain.log_probs == []


def test_batches_are_no_larger_than_allowed() -> None:
    session = LevelSession()
    engine, _ = with_session(session)
    samples = np.zeros(4, dtype=np.float32)
    engine.advance([Piece(engine.open_stream(), samples) for _ in range(5)])
    assert session.batches == [1, 2, 2, 1]  # the padding, once; five streams


def test_what_onnxruntime_raises_is_a_decode_error() -> None:
    engine, _ = with_session(LevelSession(RuntimeError("no\nmemory")))
    with pytest.raises(DecodeError, match="onnxruntime could not run fake: no memory"):
        engine.decode([np.zeros(4, dtype=np.float32)], PLAIN)


def test_loud_samples_are_clipped_not_wrapped(engine: StreamingEngine) -> None:
    (heard,) = engine.decode([letters(33000, -33000)])
    assert heard.tokens == (" ", "я")  # ids 33 and 32: int16 ends at 32 thousands on both sides


def test_another_family_or_provider_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="runs family t_one, not 'nemo_ctc'"):
        create(EngineSpec("tone", "toy", folder, "nemo_ctc"))
    with pytest.raises(ConfigError, match="provider 'tpu' is unknown"):
        create(EngineSpec("tone", "toy", folder, "t_one", provider="tpu"))


@pytest.mark.skipif(runtime.cuda_refusal() is None, reason="this onnxruntime has CUDA")
def test_cuda_is_refused_where_it_is_not(folder: Path) -> None:
    with pytest.raises(ConfigError, match="provider cuda needs onnxruntime-gpu"):
        create(EngineSpec("tone", "toy", folder, "t_one", provider="cuda"))
    assert (
        create(EngineSpec("tone", "toy", folder, "t_one", provider="auto")).info.provider == "cpu"
    )


def test_on_a_gpu_one_thread_takes_the_batches_of_the_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_gpu(_spec: EngineSpec, load: Callable[[Device], Any]) -> tuple[Any, Device, str]:
        return load(runtime.CPU), Device("cuda"), ""

    monkeypatch.setattr(runtime, "on_device", on_gpu)
    info = create(spec(folder, gpu_batch_size=5)).info
    assert (info.provider, info.slots, info.batch_size) == ("cuda", 1, 5)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="is not a folder"):
        create(spec(tmp_path / "absent"))
    with pytest.raises(ModelLoadError, match=r"has no model file; expected model\.onnx"):
        create(spec(tmp_path))
