"""Says on what the tests run; nothing else happens here."""

from importlib.metadata import version

PACKAGES = ("numpy", "onnxruntime", "sherpa-onnx", "soxr", "av", "websockets")


def pytest_report_header() -> str:
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)
