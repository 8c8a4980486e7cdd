"""Every layout of the catalogue, as its source publishes it, brought and loaded by its engine.

The networks are the small ones of tests/layouts.py and tests/layouts_online.py; the digests of the
real ones are left out here.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from ruasr_tel.errors import ModelPullError
from ruasr_tel.models.catalog import Catalog, Model, to_spec
from ruasr_tel.models.entries import ModelEntry, Precision
from ruasr_tel.models.pull import PullOptions, pull, verify
from tests.core.broken_models import MODELS_DIR
from tests.core.models.hub_server import Hub, serving
from tests.layouts import ctc_onnx_asr, ctc_sherpa, rnnt_onnx_asr, rnnt_sherpa
from tests.layouts_online import write_toy_tone, write_toy_zipformer


def tone(folder: Path) -> None:
    write_toy_tone(folder, sherpa=False)


def zipformer(folder: Path) -> None:
    """As alphacep lays it out."""
    write_toy_zipformer(folder)
    for place, names in {"am-onnx": "*.onnx", "lang": "tokens.txt"}.items():
        (folder / place).mkdir()
        for path in list(folder.glob(names)):
            path.rename(folder / place / path.name)


CASES: dict[str, Callable[[Path], None]] = {
    "gigaam-v2-ctc": ctc_sherpa("v2"),
    "gigaam-v2-rnnt": rnnt_sherpa("v2"),
    "gigaam-v3-ctc": ctc_onnx_asr("v3"),
    "gigaam-v3-rnnt": rnnt_onnx_asr("v3"),
    "gigaam-v3-e2e-ctc": ctc_onnx_asr("v3", e2e=True),
    "gigaam-v3-e2e-rnnt": rnnt_onnx_asr("v3", e2e=True),
    "t-one": tone,
    "vosk-model-small-streaming-ru": zipformer,
}


@pytest.fixture
def published(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[ModelEntry, Hub]:
    name: str = request.param
    folder = tmp_path / "published"
    folder.mkdir()
    CASES[name](folder)
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    entry = Catalog.load(MODELS_DIR).entry(name)
    assert entry is not None
    return entry, Hub(files)


def load(model: Model) -> None:
    (engine,) = entry_points(group="ruasr_tel.engines", name=model.entry.engine)
    info = engine.load()(to_spec(model)).info
    assert info.sample_rate_hz == model.entry.sample_rate_hz
    assert info.streaming == model.entry.streaming


@pytest.mark.parametrize("published", CASES, indirect=True)
def test_what_its_source_publishes_is_brought_and_loads(
    tmp_path: Path, published: tuple[ModelEntry, Hub]
) -> None:
    entry, hub = published
    bare = tuple(
        each.model_copy(update={"size_bytes": None, "sha256": None, "optional": True})
        for each in entry.content
    )
    models = Catalog(tmp_path / "models", (entry,), entry.name, entry.name)
    precision: Precision = "int8" if any("int8" in name for name in hub.files) else "full"
    unpinned = entry.model_copy(update={"content": bare})
    with serving(hub):
        model = pull(models, unpinned, PullOptions(None, precision, hub.url), load)
    assert verify(model).endswith(f"{entry.source.hub}@{entry.source.revision or 'main'}")
    brought = {p.relative_to(model.folder).as_posix() for p in model.folder.rglob("*.*")}
    assert brought - {"ruasr-model.json"} == set(hub.files)


@pytest.mark.parametrize("published", ["gigaam-v3-ctc", "t-one"], indirect=True)
def test_what_is_pinned_is_refused_if_it_is_another_file(
    tmp_path: Path, published: tuple[ModelEntry, Hub]
) -> None:
    entry, hub = published
    models = Catalog(tmp_path / "models", (entry,), entry.name, entry.name)
    with serving(hub), pytest.raises(ModelPullError, match="but the catalogue says"):
        pull(models, entry, PullOptions(endpoint=hub.url))
    assert not models.folder_of(entry).exists()
