import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.types import Waveform
from ruasr_tel.vad.base import VadState
from ruasr_tel.vad.silero import SileroState, SileroVad

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "models/silero-vad/silero_vad_op18_ifless.onnx"
PROMPTS = sorted((ROOT / "tests/data/wav").glob("*.wav"))
CURE = "reinstall ruasr_tel, or take the file from the silero-vad wheel on PyPI"


@pytest.fixture(scope="module")
def vad() -> SileroVad:
    return SileroVad(MODEL)


def prompt(path: Path) -> Waveform:
    """A prompt between half seconds of line noise, as windows of shape (k, 256)."""
    with wave.open(str(path)) as file:
        speech = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    line = np.random.default_rng(0).normal(0, 10, 4096 + len(speech) + 4096 + 256)
    line[4096 : 4096 + len(speech)] += speech
    return (line[: len(line) // 256 * 256] / 32768).astype(np.float32).reshape(-1, 256)


def one_by_one(vad: SileroVad, windows: Waveform) -> npt.NDArray[np.float32]:
    state = vad.new_state()
    return np.concatenate([vad.score([(state, window[None])])[0] for window in windows])


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.stem)
def test_real_speech_is_heard_and_the_line_before_it_is_not(vad: SileroVad, path: Path) -> None:
    windows = prompt(path)

    (probabilities,) = vad.score([(vad.new_state(), windows)])

    assert probabilities.dtype == np.float32
    assert probabilities[:16].max() < 0.2
    assert probabilities[-8:].max() < 0.2
    # The prompts begin and end within 0.2 s of speech and pause for at most 0.4 s.
    assert (probabilities[16:-16] > 0.5).mean() > 0.7


def test_probabilities_are_those_of_silero_s_own_loop(vad: SileroVad) -> None:
    """The loop of `OnnxWrapper.__call__` in silero-vad's utils_vad.py, for one leg."""
    windows = prompt(PROMPTS[0])
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros((1, 32), np.float32)
    expected = []
    for window in windows:
        heard = np.concatenate((context, window[None]), axis=1)
        output, state = session.run(None, {"input": heard, "state": state, "sr": np.array(8000)})
        context = heard[:, -32:]
        expected.append(output[0, 0])

    (probabilities,) = vad.score([(vad.new_state(), windows)])

    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_the_answer_does_not_depend_on_how_windows_were_handed_over(vad: SileroVad) -> None:
    windows = prompt(PROMPTS[1])
    state = vad.new_state()
    parts = [vad.score([(state, part)])[0] for part in (windows[:3], windows[3:3], windows[3:])]

    np.testing.assert_allclose(np.concatenate(parts), one_by_one(vad, windows), atol=1e-5)


def test_legs_in_one_batch_do_not_hear_each_other(vad: SileroVad) -> None:
    legs = [prompt(path) for path in PROMPTS[:5]]
    states = [vad.new_state() for _ in legs]
    first, second = (3, 0, 17, 1, 8), (0, 2, 2, 30, 1)  # windows of each leg

    early = vad.score([(s, leg[:count]) for s, leg, count in zip(states, legs, first, strict=True)])
    late = vad.score(
        [(s, leg[20 : 20 + count]) for s, leg, count in zip(states, legs, second, strict=True)]
    )

    for leg, *answers, before, after in zip(legs, early, late, first, second, strict=True):
        assert [len(answer) for answer in answers] == [before, after]
        alone = one_by_one(vad, np.concatenate((leg[:before], leg[20 : 20 + after])))
        np.testing.assert_allclose(np.concatenate(answers), alone, atol=1e-4)


def test_no_work_is_no_answer(vad: SileroVad) -> None:
    assert vad.score([]) == []
    assert vad.score([(vad.new_state(), np.zeros((0, 256), np.float32))])[0].shape == (0,)


def test_a_leg_costs_about_a_kilobyte(vad: SileroVad) -> None:
    state = vad.new_state()

    assert state.hidden.nbytes + state.context.nbytes == 1152
    assert not hasattr(state, "__dict__")


def test_a_state_keeps_nothing_of_the_batch_alive(vad: SileroVad) -> None:
    state = vad.new_state()

    vad.score([(state, prompt(PROMPTS[0])[:2])])

    assert isinstance(state, SileroState)
    assert state.hidden.base is None
    assert state.context.base is None


def test_it_uses_one_thread(vad: SileroVad) -> None:
    options = vad._session.get_session_options()

    assert options.intra_op_num_threads == 1
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_state_of_another_detector_is_our_own_bug(vad: SileroVad) -> None:
    with pytest.raises(AssertionError, match="a state of another detector"):
        vad.score([(VadState(), np.zeros((1, 256), np.float32))])


def test_a_missing_model_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError) as error:
        SileroVad(tmp_path / "vad.onnx")

    assert str(error.value) == f"VAD model {tmp_path / 'vad.onnx'} is missing; {CURE}"


def bad_models() -> Iterator[tuple[str, bytes]]:
    whole = MODEL.read_bytes()
    yield "empty", b""
    yield "git-lfs pointer", b"version https://git-lfs.github.com/spec/v1\nsize 2845718\n"
    yield "truncated", whole[:100_000]
    yield "another model", (ROOT / "models/ru-mini-transducer-8k/joiner.onnx").read_bytes()


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in bad_models()])
def test_a_bad_model_is_named_with_its_cure(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "vad.onnx"
    path.write_bytes(data)

    with pytest.raises(ModelLoadError) as error:
        SileroVad(path)

    assert str(error.value).startswith(f"VAD model {path} is not Silero's (")
    assert str(error.value).endswith(f"); {CURE}")
    assert "\n" not in str(error.value)


def test_a_model_that_hears_speech_in_silence_is_refused(tmp_path: Path) -> None:
    """Damage inside the weights loads without an error: only the answer shows it."""
    path = tmp_path / "vad.onnx"
    model = onnx.load(MODEL)
    (bias,) = (
        weights
        for weights in model.graph.initializer
        if weights.name == "model_8k.decoder.decoder.2.bias"
    )
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([50], np.float32), bias.name))
    onnx.save(model, path)

    with pytest.raises(ModelLoadError) as error:
        SileroVad(path)

    assert str(error.value) == (
        f"VAD model {path} is not Silero's (it hears speech in silence, 1.00); {CURE}"
    )
