"""The wheel holds what it should, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import ruasr_tel

ROOT = Path(__file__).parents[1]
SHARED = ("configs", "dialplan_examples", "models", "systemd")
BROUGHT = "models/brought-by-a-user/model.onnx"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Build the wheel as a user's checkout would, where a model was brought; downloads nothing."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, source)
    for name in ("ruasr_tel", "adapters", *SHARED):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / BROUGHT).parent.mkdir()
    (source / BROUGHT).touch()
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (file,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(file) as opened:
        yield opened


def shared(wheel: zipfile.ZipFile) -> set[str]:
    """Return the files that an installation puts below share/ruasr_tel."""
    place = f"ruasr_tel-{ruasr_tel.__version__}.data/data/share/ruasr_tel/"
    return {name.removeprefix(place) for name in wheel.namelist() if name.startswith(place)}


def test_its_top_folders_are_the_two_packages_and_its_data(wheel: zipfile.ZipFile) -> None:
    version = ruasr_tel.__version__
    assert {name.partition("/")[0] for name in wheel.namelist()} == {
        "ruasr_tel",
        "ruasr_tel_adapters",
        f"ruasr_tel-{version}.data",
        f"ruasr_tel-{version}.dist-info",
    }


def test_it_holds_every_module_and_the_marks_of_types(wheel: zipfile.ZipFile) -> None:
    modules = {
        path.relative_to(root).as_posix()
        for root in (ROOT, ROOT / "adapters")
        for package in root.glob("ruasr_tel*")
        for path in package.rglob("*.py")
    }
    names = set(wheel.namelist())
    assert modules <= names
    assert {"ruasr_tel/py.typed", "ruasr_tel_adapters/py.typed"} <= names
    assert not any("test_" in name or "__pycache__" in name for name in names)


def test_it_brings_models_examples_and_the_unit(wheel: zipfile.ZipFile) -> None:
    files = shared(wheel)
    assert {name.partition("/")[0] for name in files} == set(SHARED)
    assert {
        "models/catalog.yaml",
        "models/ru-mini-ctc-8k/model.int8.onnx",
        "models/ru-mini-ctc-8k/tokens.txt",
        "models/ru-mini-ctc-8k/README.md",
        "models/silero-vad/silero_vad_op18_ifless.onnx",
        "configs/minimal.yaml",
        "systemd/ruasr-tel.service",
        "systemd/ruasr-tel.socket",
        "dialplan_examples/asterisk/audiosocket.conf",
    } <= files


def test_a_model_that_somebody_brought_is_not_handed_on(wheel: zipfile.ZipFile) -> None:
    assert BROUGHT not in shared(wheel)


def test_every_entry_point_loads(wheel: zipfile.ZipFile) -> None:
    (listed,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    parser = ConfigParser(delimiters=("=",))
    parser.read_string(wheel.read(listed).decode())
    assert {section: sorted(parser[section]) for section in parser.sections()} == {
        "console_scripts": ["ruasr-tel"],
        "ruasr_tel.adapters": [
            "aeap",
            "ari",
            "asterisk_ws",
            "audio_stream",
            "audiosocket",
            "rest",
            "vosk_ws",
        ],
        "ruasr_tel.engines": ["kaldi", "onnx", "scripted", "sherpa", "sherpa_online", "tone"],
    }
    for section in parser.sections():
        for name, place in parser[section].items():
            module, _, attribute = place.partition(":")
            assert hasattr(import_module(module), attribute), name


def test_the_installed_distribution_has_the_same_entry_points() -> None:
    groups = ("ruasr_tel.adapters", "ruasr_tel.engines")
    assert {group: sorted(entry_points(group=group).names) for group in groups} == {
        "ruasr_tel.adapters": [
            "aeap",
            "ari",
            "asterisk_ws",
            "audio_stream",
            "audiosocket",
            "rest",
            "vosk_ws",
        ],
        "ruasr_tel.engines": ["kaldi", "onnx", "scripted", "sherpa", "sherpa_online", "tone"],
    }


def test_the_version_is_one(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith("dist-info/METADATA")]
    assert f"\nVersion: {ruasr_tel.__version__}\n" in wheel.read(metadata).decode()
