from importlib import metadata
from pathlib import Path

import pytest

from ruasr_tel.engines import cuda
from ruasr_tel.engines.cuda import Facts, Finding, cuda_of, explain, gather

GPU = {"onnxruntime-gpu": "1.32.0"}
WHOLE = Facts("580.65.06", ("NVIDIA H100",), GPU, "nvidia-cudnn-cu13 9.26")


def bad(facts: Facts) -> list[str]:
    return [finding.text for finding in explain(facts) if not finding.good]


def test_a_whole_installation_is_good() -> None:
    assert explain(WHOLE) == [
        Finding(True, "NVIDIA driver 580.65.06"),
        Finding(True, "GPU 0: NVIDIA H100"),
        Finding(True, "onnxruntime-gpu 1.32.0, built for CUDA 13"),
        Finding(True, "cuDNN from nvidia-cudnn-cu13 9.26"),
    ]


def test_a_machine_without_a_gpu_says_so_and_what_to_install() -> None:
    driver, wheel = bad(Facts(wheels={"onnxruntime": "1.32.0"}))
    assert "no NVIDIA driver is loaded" in driver
    assert "onnxruntime 1.32.0 is the build for the CPU only" in wheel
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in wheel


def test_both_wheels_together_are_found() -> None:
    (said,) = bad(Facts(WHOLE.driver, WHOLE.gpus, {**GPU, "onnxruntime": "1.32.0"}, WHOLE.cudnn))
    assert "overwrite each other: `pip uninstall -y onnxruntime onnxruntime-gpu`" in said


@pytest.mark.parametrize(
    ("driver", "version", "says"),
    [
        ("535.183.01", "1.32.0", "too old for CUDA 13: install 580 or newer, or take `pip install"),
        ("470.82.01", "1.24.4", "too old for CUDA 12: install 525 or newer"),
    ],
)
def test_a_driver_that_is_too_old_is_found(driver: str, version: str, says: str) -> None:
    (said,) = bad(Facts(driver, WHOLE.gpus, {"onnxruntime-gpu": version}, WHOLE.cudnn))
    assert says in said


def test_an_older_wheel_is_the_cure_for_an_older_driver() -> None:
    assert bad(Facts("535.1", WHOLE.gpus, {"onnxruntime-gpu": cuda.NEWEST_CUDA_12}, "x")) == []


def test_a_driver_without_a_gpu_and_a_wheel_without_cudnn_are_found() -> None:
    gpu, cudnn = bad(Facts(WHOLE.driver, (), GPU, ""))
    assert "the driver has no GPU" in gpu
    assert "cuDNN 9 is missing" in cudnn


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.26.0", 12), ("1.27.0", 13), ("1.32.0", 13), ("2.0", 13), ("", None), ("1", None)],
)
def test_which_cuda_a_wheel_is_for(version: str, expected: int | None) -> None:
    assert cuda_of(version) == expected


def test_facts_come_from_the_drivers_files_and_the_installed_wheels(tmp_path: Path) -> None:
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:17:30 UTC 2025\n"
        "GCC version:  gcc version 12.2.0\n"
    )
    folder = tmp_path / "gpus" / "0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text("Model: \t\t NVIDIA L4\nIRQ:   \t\t 139\n")
    facts = gather(tmp_path)
    assert facts.driver == "580.65.06"
    assert facts.gpus == ("NVIDIA L4",)
    assert facts.wheels is not None
    assert facts.wheels["sherpa-onnx"] == metadata.version("sherpa-onnx")


def test_a_machine_without_a_driver_has_none(tmp_path: Path) -> None:
    assert gather(tmp_path).driver == ""


def test_cudnn_may_be_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "_version", lambda name: "")
    monkeypatch.setattr("ctypes.util.find_library", lambda name: f"lib{name}.so.9")
    assert gather(Path("/nowhere")).cudnn == "libcudnn.so.9"
