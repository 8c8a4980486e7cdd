from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ruasr_tel.engines.base import (
    DecodeOptions,
    EngineInfo,
    EngineSpec,
    Hypothesis,
    Piece,
    StreamingEngine,
)
from ruasr_tel.engines.sherpa_online import SherpaOnlineEngine, create
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.types import Waveform
from tests.core.broken_models import good_model
from tests.core.engines.sentencepieces import sentencepiece_model
from tests.core.engines.streaming_rules import (
    babble,
    hear,
)
from tests.layouts_online import CHUNK_FRAMES, WINDOW_FRAMES, write_toy_zipformer

RATE_HZ = 16000
FRAME = RATE_HZ // 100


def spec(folder: Path, **options: str | int) -> EngineSpec:
    return EngineSpec("sherpa_online", "toy", folder, "online_transducer", options=options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_zipformer(tmp_path_factory.mktemp("zipformer"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> StreamingEngine:
    return create(spec(folder, batch_size=3))  # more streams than that make several batches


def test_the_engine_tells_what_it_is(engine: StreamingEngine) -> None:
    assert engine.info == EngineInfo(
        "sherpa_online", "toy", 16000, batch_size=3, confidence=True, streaming=True, chunk_s=0.32
    )


def test_a_chunk_is_said_once_its_window_is_there(engine: StreamingEngine) -> None:
    # the library waits for one frame more than the window, and a frame of 25 ms needs 7 ms after it
    samples = babble(RATE_HZ, (WINDOW_FRAMES + 2) / 100, 3)
    before, after = samples[: WINDOW_FRAMES * FRAME], samples[WINDOW_FRAMES * FRAME :]
    stream = engine.open_stream()
    assert engine.advance([Piece(stream, before)]) == [Hypothesis("", log_probs=())]
    (heard,) = engine.advance([Piece(stream, after)])
    assert heard.tokens
    assert max(heard.starts_s) < CHUNK_FRAMES / 100


@pytest.mark.parametrize("frames", [1, 31, 32, 33, 44, 45, 46, 64, 77, 96])
def test_the_last_sound_is_not_held_back(engine: StreamingEngine, frames: int) -> None:
    samples = np.full(frames * FRAME, 1e-4, dtype=np.float32)
    loud = babble(RATE_HZ, 0.04, 1)
    samples = np.concatenate([samples, loud])
    (heard,) = engine.decode([samples])
    assert heard.starts_s[-1] >= frames / 100 - 0.04


def test_an_empty_stream_says_nothing(engine: StreamingEngine) -> None:
    nothing = np.empty(0, dtype=np.float32)
    assert hear(engine, [nothing, nothing]) == [Hypothesis("", log_probs=())] * 2
    assert engine.decode([]) == []  # decode_streams([]) is a SIGSEGV


def test_a_long_stream_keeps_its_clock(engine: StreamingEngine) -> None:
    minute = np.zeros(60 * RATE_HZ, dtype=np.float32)
    minute[-4 * FRAME :] = babble(RATE_HZ, 0.04, 1)
    said = hear(engine, [minute] * 4)[-1]
    assert {round(at, 1) for at in said.starts_s} == {60.0, 120.0, 180.0, 240.0}


def test_an_ended_stream_takes_no_more(engine: StreamingEngine) -> None:
    stream = engine.open_stream()
    samples = babble(RATE_HZ, 0.1, 1)
    engine.advance([Piece(stream, samples, last=True)])
    with pytest.raises(DecodeError, match="has ended"):
        engine.advance([Piece(stream, samples)])
    with pytest.raises(DecodeError, match="a str is not a stream of engine sherpa_online"):
        engine.advance([Piece("stream", samples)])


class FakeRecognizer:
    """Says one result; a stream that has heard `1.0` cannot be decoded."""

    def __init__(self, **result: Any) -> None:
        self._result = SimpleNamespace(**result)

    def create_stream(self) -> Any:
        stream = SimpleNamespace(bad=False, ready=True, input_finished=lambda: None)

        def accept(rate: int, samples: Waveform) -> None:
            stream.bad |= bool(samples.max() == 1.0)

        stream.accept_waveform = accept
        return stream

    def is_ready(self, stream: Any) -> bool:
        return bool(stream.ready)

    def decode_streams(self, streams: list[Any]) -> None:
        for stream in streams:
            stream.ready = False
            if stream.bad:
                raise RuntimeError("Non-zero\nstatus")

    def get_result_all(self, stream: Any) -> Any:
        return self._result


@pytest.mark.parametrize("ys_probs", [[-0.1], [-0.1, float("nan")]])
def test_unusable_probabilities_are_none(ys_probs: list[float]) -> None:
    recognizer = FakeRecognizer(
        text=" да  нет", tokens=[" да", " нет"], timestamps=[0, 9], ys_probs=ys_probs
    )
    info = EngineInfo("sherpa_online", "fake", 16000)
    engine = SherpaOnlineEngine(lambda _method: recognizer, info, 0.1)
    assert engine.decode([np.zeros(RATE_HZ, dtype=np.float32)]) == [
        Hypothesis("да нет", (" да", " нет"), (0.0, 1.0))  # no token starts after the audio's end
    ]


def test_what_sherpa_raises_is_a_decode_error() -> None:
    info = EngineInfo("sherpa_online", "fake", 16000)
    engine = SherpaOnlineEngine(lambda _method: FakeRecognizer(), info, 0.1)
    with pytest.raises(DecodeError, match=r"could not decode 1 stream\(s\): Non-zero status"):
        engine.decode([np.ones(9, dtype=np.float32)])


def test_what_the_engine_has_not_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="runs on the CPU only, not on 'cuda'"):
        create(EngineSpec("sherpa_online", "toy", folder, "online_transducer", provider="cuda"))
    with pytest.raises(ConfigError, match="runs family online_transducer, not 'transducer'"):
        create(EngineSpec("sherpa_online", "toy", folder, "transducer"))
    with pytest.raises(ModelLoadError, match="is not a folder"):
        create(spec(tmp_path / "absent"))


def test_an_offline_transducer_is_refused_before_sherpa_sees_it(tmp_path: Path) -> None:
    offline = good_model(tmp_path / "model", "transducer")
    with pytest.raises(ModelLoadError, match="is not streaming: its metadata has no decode_chunk"):
        create(spec(offline))


def one_sound(level: float) -> Waveform:
    """A fifth of a second of noise between silences."""
    noise = np.random.default_rng(0).uniform(-level, level, RATE_HZ // 5)
    silence = np.zeros(RATE_HZ // 2)
    return np.concatenate([silence, noise, silence]).astype(np.float32)


LETTERS = ("<blk>", "<unk>", *"абвгдежзиклмнопрстуф")
PIECES = ("<blk>", "<unk>", *(f"▁{letter}о" for letter in "абвгдежзиклмнпрстуфх"))


@pytest.mark.parametrize("symbols", [LETTERS, PIECES], ids=["letters", "pieces"])
def test_phrases_are_preferred_on_their_own_streams_only(
    tmp_path: Path, symbols: tuple[str, ...]
) -> None:
    folder = write_toy_zipformer(tmp_path / "soft", symbols, slope=1.0)
    (folder / "bpe.model").write_bytes(sentencepiece_model(dict.fromkeys(symbols, -1.0)))
    engine = create(spec(folder))
    assert engine.info.hotwords
    samples = one_sound(0.02)
    (plain,) = engine.decode([samples])

    def place(token: str) -> int:
        return symbols.index(token.replace(" ", "▁"))

    wanted = [each.strip("▁") for each in symbols][max(map(place, plain.tokens)) + 1]
    asked = DecodeOptions(phrases=(wanted,), boost=6.0)
    streams = [engine.open_stream(), engine.open_stream(asked), engine.open_stream()]
    both = engine.advance([Piece(stream, samples, last=True) for stream in streams])
    assert [each.text for each in both[::2]] == [plain.text] * 2
    assert wanted in both[1].text
    assert wanted not in plain.text


def test_a_closed_list_gives_its_phrases_at_the_end(tmp_path: Path) -> None:
    engine = create(spec(write_toy_zipformer(tmp_path / "soft", LETTERS, slope=1.0)))
    assert engine.info.closed_lists
    samples = one_sound(0.02)
    (free,) = engine.decode([samples])
    asked = DecodeOptions(phrases=(f"{free.text[:-1]}н", "мост"), closed=True)
    stream = engine.open_stream(asked)
    (before,) = engine.advance([Piece(stream, samples)])
    (heard,) = engine.advance([Piece(stream, samples[:0], last=True)])
    assert before.text not in asked.phrases
    assert heard.text == asked.phrases[0]
    assert heard.match is not None
    assert 0.5 < heard.match < 1.0


def test_pieces_without_their_model_are_not_preferred(engine: StreamingEngine) -> None:
    samples = babble(RATE_HZ, 0.5, 1)
    assert not engine.info.hotwords
    asked = DecodeOptions(phrases=("да",), closed=True)
    assert engine.decode([samples], asked) == engine.decode([samples])
