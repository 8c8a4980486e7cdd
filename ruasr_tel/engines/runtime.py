"""onnxruntime sessions as engines want them: one thread each, small, on the CPU or on CUDA.

In the engine's process only. onnxruntime itself falls back to the CPU with a line on stderr where
CUDA does not work; here that is an error, and falling back is the caller's decision.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.models.graphs import damaged

PROVIDERS = ("auto", "cpu", "cuda")
T = TypeVar("T")
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Device:
    """Where a session runs.

    Attributes:
        provider: `cpu` or `cuda`.
        index: which GPU.
        memory_mb: the most of its memory that the arena of one session takes; 0: no limit.
    """

    provider: str = "cpu"
    index: int = 0
    memory_mb: int = 0


CPU = Device()


def cuda_refusal() -> str | None:
    """Return why this onnxruntime cannot use CUDA, with the cure, or None if it may."""
    import onnxruntime as ort

    if _CUDA in ort.get_available_providers():
        return None
    return (
        f"provider cuda needs onnxruntime-gpu, installed is the CPU build {ort.__version__}: run "
        "`pip uninstall -y onnxruntime` and `pip install 'onnxruntime-gpu[cuda,cudnn]'`, "
        "or set the provider to cpu"
    )


def on_device(spec: EngineSpec, load: Callable[[Device], T]) -> tuple[T, Device, str]:
    """Load a model where `spec.provider` says.

    `spec.options` may hold `gpu`, its number, and `gpu_memory_mb`.

    Args:
        spec: what to load.
        load: loads it on a device; called again for the CPU where `auto` falls back.

    Returns:
        What `load` returned, where it runs, and why not on CUDA although this onnxruntime has it.

    Raises:
        ConfigError: there is no such provider, or CUDA was asked for and does not work.
        ModelLoadError: the model cannot be used.
    """
    if spec.provider not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        raise ConfigError(f"provider {spec.provider!r} is unknown; known: {known}")
    if spec.provider == "cpu" or (spec.provider == "auto" and cuda_refusal() is not None):
        return load(CPU), CPU, ""
    options = spec.options
    gpu = Device("cuda", int(options.get("gpu", 0)), int(options.get("gpu_memory_mb", 0)))
    try:
        return load(gpu), gpu, ""
    except (ConfigError, ModelLoadError) as exc:
        if spec.provider == "cuda":
            raise
        return load(CPU), CPU, str(exc)


def open_session(path: Path, device: Device = CPU) -> Any:
    """Return an onnxruntime session of the network at `path`; it is safe to share by threads.

    Raises:
        ModelLoadError: it is no ONNX file, or a damaged one.
        ConfigError: CUDA was asked for and does not work.
    """
    import onnxruntime as ort

    if device.provider == "cuda":
        refusal = cuda_refusal()
        if refusal is not None:
            raise ConfigError(refusal)
        ort.preload_dlls()  # the CUDA and cuDNN wheels' libraries; does nothing without them
    try:
        session = ort.InferenceSession(path, _options(), providers=_providers(device))
    except Exception as exc:  # onnxruntime raises a dozen unrelated types
        raise damaged(path, exc) from exc
    if device.provider == "cuda" and session.get_providers()[0] != _CUDA:
        raise ConfigError(
            f"onnxruntime fell back to the CPU: GPU {device.index} cannot be used; "
            "`ruasr-tel doctor` says what is missing"
        )
    return session


def return_free_memory() -> None:
    """Give the heap that loading has used back to the system, where glibc can.

    Our measurement, a 235 MB model: 463 MB resident after check and load, 245 MB after this.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _options() -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # two calls on one thread each beat one on two (measured)
    options.inter_op_num_threads = 1
    # A pattern is kept for every shape that was seen, and segments have any length; without it
    # GigaAM is 3 % faster, too (our measurement).
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors
    return options


def _providers(device: Device) -> list[Any]:
    if device.provider == "cpu":
        return [_CPU]
    options = {
        "device_id": str(device.index),
        # The default doubles the arena at every extension; lengths differ, so ask for no more.
        "arena_extend_strategy": "kSameAsRequested",
        # The exhaustive default tries every algorithm anew for every length.
        "cudnn_conv_algo_search": "HEURISTIC",
    }
    if device.memory_mb:
        options["gpu_mem_limit"] = str(device.memory_mb * 2**20)
    return [(_CUDA, options), _CPU]
