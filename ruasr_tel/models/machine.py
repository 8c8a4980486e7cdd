"""Whether a model fits this machine: its memory, and CUDA where there is any."""

import os
from dataclasses import dataclass
from pathlib import Path

from ruasr_tel.models.entries import ModelEntry

_CUDA_PROVIDER = "CUDAExecutionProvider"
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a model may use.

    Attributes:
        memory_mb: physical memory in megabytes.
        cuda: whether there are a driver and an onnxruntime that uses it.
    """

    memory_mb: int
    cuda: bool


def this_machine() -> Machine:
    """Return what this machine has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(memory // 1_000_000, _NVIDIA_DRIVER.exists() and _onnxruntime_has_cuda())


def fits(entry: ModelEntry, machine: Machine) -> bool | None:
    """Return whether `entry` fits into the memory, or None where nobody measured its need."""
    if entry.memory_mb is None:
        return None
    return entry.memory_mb < machine.memory_mb


def _onnxruntime_has_cuda() -> bool:
    import onnxruntime as ort

    return _CUDA_PROVIDER in ort.get_available_providers()
