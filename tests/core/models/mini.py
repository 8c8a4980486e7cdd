"""A catalogue of small models that need no network."""

from pathlib import Path
from typing import Any

import yaml

from ruasr_tel.models import pull as pulling
from ruasr_tel.models.catalog import Catalog, Model
from ruasr_tel.models.entries import ModelEntry
from ruasr_tel.models.pull import PullOptions, pull
from tests.core.models.hub_server import Hub

MODEL, TOKENS = "model.int8.onnx", "tokens.txt"
MINI: dict[str, Any] = {
    "name": "mini",
    "family": "nemo_ctc",
    "folder": "mini",
    "files": {"model": [MODEL, "model.onnx"], "tokens": [TOKENS]},
    "content": [
        {"path": MODEL, "precision": "int8"},
        {"path": "model.onnx", "precision": "full"},
        {"path": TOKENS},
    ],
    "licence": "MIT",
    "commercial": True,
    "source": {"page": "https://example.org/mini", "hub": "owner/mini"},
}
KALDI: dict[str, Any] = {
    **MINI,
    "name": "kaldi",
    "family": "kaldi",
    "folder": "kaldi",
    "files": {
        "acoustic": ["am/final.mdl"],
        "features": ["conf/mfcc.conf"],
        "graph": ["graph/HCLr.fst"],
    }
    | {"grammar": ["graph/Gr.fst"]},
    "content": [],
    "source": {"page": "https://example.org", "archive": "https://example.org/vosk-kaldi.zip"},
}
UNCLEAR = {**MINI, "name": "unclear", "folder": "unclear", "licence": "unknown", "commercial": None}


def mini_catalog(tmp_path: Path) -> Catalog:
    folder = tmp_path / "models"
    folder.mkdir()
    content = {"default": "mini", "recommended": "mini", "models": [MINI, KALDI, UNCLEAR]}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(content), "utf-8")
    return Catalog.load(folder)


def entry(catalog: Catalog, name: str = "mini") -> ModelEntry:
    found = catalog.entry(name)
    assert found is not None
    return found


def bring(catalog: Catalog, hub: Hub, name: str = "mini", **options: Any) -> Model:
    return pull(catalog, entry(catalog, name), PullOptions(endpoint=hub.url, **options))


def seen(catalog: Catalog) -> set[str]:
    """What an operator sees in the models folder."""
    return {each.name for each in catalog.models_dir.iterdir()} - {pulling.STAGING_NAME}
