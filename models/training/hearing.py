"""What a network hears in held-out recordings, greedily: a look during training.

The figures to publish come from `ruasr-tel bench wer` (the step `evaluate`).
"""

from pathlib import Path

import torch

from models.training import guard, views
from models.training.audio import read_wav, to_8k
from models.training.batches import output_frames
from models.training.network import Network, greedy
from ruasr_tel.accuracy.score import score
from ruasr_tel.types import Samples

_LOOKED_AT = 40
"""Recordings of a manifest, evenly spread: 40 take a second."""


def hear(network: Network, samples: Samples) -> str:
    """Return what a network hears in 8 kHz audio.

    Args:
        network: in evaluation mode, on the CPU.
        samples: int16, shape (n,), at least 0.1 s.
    """
    seen = torch.from_numpy(views.compute(samples))[None]
    frames = seen.shape[2]
    with torch.no_grad():
        scores = network(seen, torch.tensor([frames]))
    return greedy(scores, [output_frames(frames)])[0]


def rates(network: Network, manifest: Path) -> tuple[float, float]:
    """Return word and letter error rates in per cent on some recordings of a manifest.

    Raises:
        ConfigError: a recording is not installed.
    """
    rows = guard.rows([manifest])
    rows = rows[:: max(1, len(rows) // _LOOKED_AT)]
    pairs = [(text, hear(network, to_8k(*read_wav(Path(audio))))) for audio, text in rows]
    found = score(pairs)
    return round(100 * found.wer.rate, 1), round(100 * found.cer.rate, 1)
