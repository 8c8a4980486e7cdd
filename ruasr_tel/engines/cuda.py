"""What this machine has of CUDA, and what is missing, in sentences for `ruasr-tel doctor`.

Looks at files and installed distributions only; loads no library.
"""

import ctypes.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia")
"""Where the kernel module tells of itself and its GPUs."""

NEWEST_CUDA_12 = "1.24.4"
"""onnxruntime-gpu for CUDA 12: 1.26 and older are, and onnx-asr excludes 1.24.1, 1.25 and 1.26."""

LEAST_DRIVER = {12: 525, 13: 580}
"""CUDA -> driver branch it needs (CUDA toolkit release notes, "CUDA Driver")."""

_WHEELS = ("onnxruntime", "onnxruntime-gpu", "sherpa-onnx")
_VERSION = re.compile(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s")
_INSTALL = (
    "`pip uninstall -y onnxruntime onnxruntime-gpu`, then "
    "`pip install 'onnxruntime-gpu[cuda,cudnn]'`"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found.

    Attributes:
        driver: version of the loaded NVIDIA driver, or empty.
        gpus: names of the GPUs.
        wheels: distribution -> version, of those that can use CUDA.
        cudnn: where cuDNN comes from, or empty.
    """

    driver: str = ""
    gpus: tuple[str, ...] = ()
    wheels: Mapping[str, str] | None = None
    cudnn: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence.

    Attributes:
        good: whether CUDA can do with it.
        text: what was found, and the cure where it is not good.
    """

    good: bool
    text: str


def gather(driver: Path = DRIVER) -> Facts:
    """Return what this machine has.

    Args:
        driver: folder of the driver's own files.
    """
    version = driver / "version"
    found = _VERSION.search(version.read_text("utf-8")) if version.is_file() else None
    models = [path.read_text("utf-8") for path in sorted(driver.glob("gpus/*/information"))]
    names = [re.search(r"Model:\s*(.+)", text) for text in models]
    return Facts(
        driver=found.group(1) if found else "",
        gpus=tuple(name.group(1).strip() for name in names if name),
        wheels={name: each for name in _WHEELS if (each := _version(name))},
        cudnn=_cudnn(),
    )


def explain(facts: Facts) -> list[Finding]:
    """Return what the facts mean for the engines `onnx` and `tone`, the first cause first."""
    wheels = facts.wheels or {}
    needed = cuda_of(wheels.get("onnxruntime-gpu", ""))
    return [_driver(facts, needed), *_gpus(facts), _wheel(wheels), *_toolkit(facts, needed)]


def cuda_of(version: str) -> int | None:
    """Return the CUDA that an onnxruntime-gpu of this version is built for; None of no version."""
    numbers = version.split(".")
    if len(numbers) < 2 or not (numbers[0] + numbers[1]).isdecimal():
        return None
    return 13 if (int(numbers[0]), int(numbers[1])) >= (1, 27) else 12


def _driver(facts: Facts, needed: int | None) -> Finding:
    if not facts.driver:
        return Finding(
            False,
            f"no NVIDIA driver is loaded ({DRIVER}/version is missing): install one, after which "
            "`nvidia-smi` names the GPU",
        )
    branch = int(facts.driver.split(".")[0])
    if needed is not None and branch < LEAST_DRIVER[needed]:
        older = f", or take `pip install 'onnxruntime-gpu[cuda,cudnn]=={NEWEST_CUDA_12}'`"
        return Finding(
            False,
            f"driver {facts.driver} is too old for CUDA {needed}: install {LEAST_DRIVER[needed]} "
            f"or newer{older if needed == 13 else ''}",
        )
    return Finding(True, f"NVIDIA driver {facts.driver}")


def _gpus(facts: Facts) -> list[Finding]:
    if not facts.driver:
        return []
    if not facts.gpus:
        return [Finding(False, "the driver has no GPU: is it given to another machine?")]
    return [Finding(True, f"GPU {index}: {name}") for index, name in enumerate(facts.gpus)]


def _wheel(wheels: Mapping[str, str]) -> Finding:
    cpu, gpu = wheels.get("onnxruntime"), wheels.get("onnxruntime-gpu")
    if cpu and gpu:
        return Finding(
            False,
            f"onnxruntime {cpu} and onnxruntime-gpu {gpu} are installed together and overwrite "
            f"each other: {_INSTALL}",
        )
    if not gpu:
        return Finding(
            False, f"onnxruntime {cpu or 'none'} is the build for the CPU only: {_INSTALL}"
        )
    return Finding(True, f"onnxruntime-gpu {gpu}, built for CUDA {cuda_of(gpu)}")


def _toolkit(facts: Facts, needed: int | None) -> Sequence[Finding]:
    if needed is None:
        return ()
    if not facts.cudnn:
        return (
            Finding(
                False,
                "cuDNN 9 is missing: `pip install 'onnxruntime-gpu[cuda,cudnn]'` brings it with "
                "the CUDA libraries, or install the system's and set LD_LIBRARY_PATH",
            ),
        )
    return (Finding(True, f"cuDNN from {facts.cudnn}"),)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _cudnn() -> str:
    for name in ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12"):
        version = _version(name)
        if version:
            return f"{name} {version}"
    return ctypes.util.find_library("cudnn") or ""
