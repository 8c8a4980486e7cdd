"""Types that every room shares."""

from typing import NewType, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]
"""Mono audio, int16, shape (n,), at the rate its owner states."""

Block: TypeAlias = npt.NDArray[np.int16]
"""A stretch of a recording: int16, shape (channels, n), n > 0."""

Waveform: TypeAlias = npt.NDArray[np.float32]
"""Mono audio, float32 in [-1, 1], shape (n,), C-contiguous, at the engine's rate."""

CallId = NewType("CallId", str)
"""One conversation as the PBX knows it (AudioSocket UUID, Asterisk Linkedid, FreeSWITCH UUID)."""

LegId = NewType("LegId", str)
"""One party's audio within a call: `<call id>/<channel>`."""
