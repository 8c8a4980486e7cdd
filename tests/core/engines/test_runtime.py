import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.runtime import (
    Device,
    cuda_refusal,
    on_device,
    open_session,
    return_free_memory,
)
from ruasr_tel.errors import ConfigError, ModelLoadError
from tests.layouts_networks import MODELS_DIR

MODEL = MODELS_DIR / "ru-mini-ctc-8k" / "model.int8.onnx"
CUDA = "CUDAExecutionProvider"


class FakeRuntime:
    """An onnxruntime-gpu that makes sessions on `provider`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
        self.asked: list[Any] = []
        self.preloaded = False

        def session(path: Path, options: Any, providers: list[Any]) -> Any:
            self.asked = providers
            return SimpleNamespace(get_providers=lambda: [provider])

        def preload() -> None:
            self.preloaded = True

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
        monkeypatch.setattr(onnxruntime, "preload_dlls", preload)
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)


def test_a_session_runs_on_one_thread() -> None:
    session = open_session(MODEL)
    options = session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert not options.enable_mem_pattern
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_what_is_no_model_ends_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x" * 500)
    with pytest.raises(ModelLoadError, match=r"model\.onnx is damaged or no ONNX model \(500 byt"):
        open_session(path)


def test_cuda_on_the_cpu_build_is_refused() -> None:
    assert cuda_refusal() is not None
    with pytest.raises(ConfigError, match=r"pip install 'onnxruntime-gpu\[cuda,cudnn\]'"):
        open_session(MODEL, Device("cuda"))


def test_cuda_gets_its_device_and_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRuntime(monkeypatch, CUDA)
    open_session(MODEL, Device("cuda", index=1, memory_mb=2048))
    (name, options), last = fake.asked
    assert (name, last) == (CUDA, "CPUExecutionProvider")
    assert options["device_id"] == "1"
    assert options["gpu_mem_limit"] == str(2 * 2**30)
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert fake.preloaded


def test_a_silent_fallback_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRuntime(monkeypatch, "CPUExecutionProvider")
    with pytest.raises(ConfigError, match="fell back to the CPU: GPU 3 cannot be used"):
        open_session(MODEL, Device("cuda", index=3))


# -- where a model is loaded


def loaded(provider: str, *, fails: tuple[str, ...] = (), **options: int) -> tuple[str, str, str]:
    """Load by a function that fails on some devices; return what, where, and why not on CUDA."""

    def load(device: Device) -> str:
        if device.provider in fails:
            raise ModelLoadError(f"no {device.provider}")
        return f"on {device.provider} {device.index} {device.memory_mb}"

    spec = EngineSpec("onnx", "mine", provider=provider, options=options)
    what, device, fallback = on_device(spec, load)
    return what, device.provider, fallback


def test_the_cpu_is_taken_where_it_is_asked_for_or_all_there_is() -> None:
    assert loaded("cpu") == loaded("auto") == ("on cpu 0 0", "cpu", "")


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(ConfigError, match="provider 'tpu' is unknown; known: auto, cpu, cuda"):
        loaded("tpu")


@pytest.mark.parametrize("provider", ["auto", "cuda"])
def test_cuda_is_taken_where_it_works(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRuntime(monkeypatch, CUDA)
    assert loaded(provider, gpu=2, gpu_memory_mb=512) == ("on cuda 2 512", "cuda", "")


def test_only_auto_falls_back_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRuntime(monkeypatch, CUDA)
    assert loaded("auto", fails=("cuda",)) == ("on cpu 0 0", "cpu", "no cuda")
    with pytest.raises(ModelLoadError, match="no cuda"):
        loaded("cuda", fails=("cuda",))


def test_a_model_that_fails_everywhere_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRuntime(monkeypatch, CUDA)
    with pytest.raises(ModelLoadError, match="no cpu"):
        loaded("auto", fails=("cuda", "cpu"))


def test_memory_is_returned_where_the_libc_can(monkeypatch: pytest.MonkeyPatch) -> None:
    trimmed: list[int] = []
    library = SimpleNamespace(malloc_trim=trimmed.append)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    return_free_memory()
    assert trimmed == [0]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    return_free_memory()
