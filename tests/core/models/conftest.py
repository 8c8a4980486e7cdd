"""What the tests of bringing models share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.broken_models import CTC, good_model
from tests.core.models.hub_server import Hub, serving
from tests.core.models.mini import MODEL, TOKENS


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    folder = good_model(tmp_path / "published", CTC)
    files = {name: (folder / name).read_bytes() for name in (MODEL, TOKENS)}
    with serving(Hub({**files, "model.onnx": files[MODEL] + b"\0"})) as running:
        yield running
