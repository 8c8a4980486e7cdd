"""Installing whole or not at all; the hub is the one of hub_server.py, the models are our own."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ruasr_tel.errors import ModelLoadError, ModelPullError
from ruasr_tel.models import pull as pulling
from ruasr_tel.models.archives import unpack
from ruasr_tel.models.catalog import Catalog, Model
from ruasr_tel.models.entries import ModelEntry, SourceFile
from ruasr_tel.models.manifest import MANIFEST_NAME, Manifest
from ruasr_tel.models.pull import PullOptions, pack, pull, remove, verify
from tests.core.broken_models import CTC, good_model
from tests.core.model_faults import LFS_POINTER
from tests.core.models.hub_server import Hub, serving
from tests.core.models.test_probe import KALDI_FILES

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


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    folder = tmp_path / "models"
    folder.mkdir()
    content = {"default": "mini", "recommended": "mini", "models": [MINI, KALDI, UNCLEAR]}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(content), "utf-8")
    return Catalog.load(folder)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    folder = good_model(tmp_path / "published", CTC)
    files = {name: (folder / name).read_bytes() for name in (MODEL, TOKENS)}
    with serving(Hub({**files, "model.onnx": files[MODEL] + b"\0"})) as running:
        yield running


def entry(catalog: Catalog, name: str = "mini") -> ModelEntry:
    found = catalog.entry(name)
    assert found is not None
    return found


def bring(catalog: Catalog, hub: Hub, name: str = "mini", **options: Any) -> Model:
    return pull(catalog, entry(catalog, name), PullOptions(endpoint=hub.url, **options))


def seen(catalog: Catalog) -> set[str]:
    """What an operator sees in the models folder."""
    return {each.name for each in catalog.models_dir.iterdir()} - {pulling.STAGING_NAME}


def test_a_model_is_installed_with_its_manifest(catalog: Catalog, hub: Hub) -> None:
    told: list[str] = []
    tried: list[Path] = []

    def probe(model: Model) -> None:
        tried.append(model.folder)
        assert model.files()["model"].is_file()
        assert not catalog.folder_of(model.entry).exists()

    model = pull(catalog, entry(catalog), PullOptions(endpoint=hub.url), probe, told.append)
    assert {each.name for each in model.folder.iterdir()} == {MODEL, TOKENS, MANIFEST_NAME}
    assert (model.folder / MODEL).read_bytes() == hub.files[MODEL]
    manifest = Manifest.read(model.folder)
    assert manifest is not None
    assert (manifest.model, manifest.source) == ("mini", "owner/mini@main")
    assert len(tried) == 1
    assert told == [f"2 file(s), 4.3 MB, from {hub.url}", "loading it for a try"]
    assert seen(catalog) == {"catalog.yaml", "mini"}
    assert verify(model) == "2 digest(s) written down when it came from owner/mini@main"


@pytest.mark.parametrize(
    ("precision", "names"),
    [("full", {"model.onnx"}), ("any", {MODEL, "model.onnx"}), ("int8", {MODEL})],
)
def test_the_precision_that_is_asked_for_comes(
    catalog: Catalog, hub: Hub, precision: str, names: set[str]
) -> None:
    model = bring(catalog, hub, precision=precision)
    found = {each.name for each in model.folder.iterdir()}
    assert found == names | {TOKENS, MANIFEST_NAME}


def test_a_file_that_the_model_can_do_without_may_be_absent(catalog: Catalog, hub: Hub) -> None:
    told: list[str] = []
    with_licence = entry(catalog).model_copy(
        update={"content": (*entry(catalog).content, SourceFile(path="LICENSE", optional=True))}
    )
    pull(catalog, with_licence, PullOptions(endpoint=hub.url), tell=told.append)
    assert told[0] == "owner/mini has no LICENSE; the model works without it"
    hub.files["LICENSE"] = b"MIT"
    model = pull(catalog, with_licence, PullOptions(endpoint=hub.url))
    assert (model.folder / "LICENSE").read_bytes() == b"MIT"


def test_a_models_folder_that_is_not_ours_is_named(
    catalog: Catalog, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **more: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ModelPullError, match="do this as the user whom the models belong to"):
        bring(catalog, hub)


def no_checksum(hub: Hub) -> None:
    hub.lies[MODEL] = bytes(len(hub.files[MODEL]))


def not_there(hub: Hub) -> None:
    del hub.files[TOKENS]


def broken_hub(hub: Hub) -> None:
    hub.status[MODEL] = 500


def away(hub: Hub) -> None:
    hub.url = "http://127.0.0.1:9"


def a_pointer(hub: Hub) -> None:
    hub.files[MODEL] = LFS_POINTER


def other_tokens(hub: Hub) -> None:
    hub.files[TOKENS] = "а 0\n".encode()


FAULTS = [
    (no_checksum, "brought another file than expected"),
    (not_there, "is not there (HTTP 404)"),
    (broken_hub, "HTTP 500"),
    (away, "cannot be reached"),
    (a_pointer, "protobuf parsing failed"),
    (other_tokens, "none of <blk>"),
]


@pytest.mark.parametrize(
    ("damage", "says"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
@pytest.mark.parametrize("before", ["nothing", "a model"])
def test_a_failure_changes_nothing(
    catalog: Catalog, hub: Hub, damage: Callable[[Hub], None], says: str, before: str
) -> None:
    target = catalog.folder_of(entry(catalog))
    if before == "a model":
        target.mkdir()
        (target / "mine").write_text("as it was")
    damage(hub)
    with pytest.raises((ModelPullError, ModelLoadError)) as caught:
        bring(catalog, hub)
    assert says in str(caught.value)
    if before == "a model":
        assert [each.name for each in target.iterdir()] == ["mine"]
    else:
        assert seen(catalog) == {"catalog.yaml"}


def test_a_model_that_does_not_load_is_not_installed(catalog: Catalog, hub: Hub) -> None:
    def probe(model: Model) -> None:
        raise ModelLoadError("it is of another kind")

    with pytest.raises(ModelLoadError, match="of another kind"):
        pull(catalog, entry(catalog), PullOptions(endpoint=hub.url), probe)
    assert seen(catalog) == {"catalog.yaml"}
    assert not (catalog.models_dir / pulling.STAGING_NAME / "mini").exists()


def test_a_better_one_takes_the_place_of_a_broken_one(catalog: Catalog, hub: Hub) -> None:
    target = catalog.folder_of(entry(catalog))
    target.mkdir()
    (target / MODEL).write_bytes(LFS_POINTER)
    model = bring(catalog, hub)
    assert verify(model)
    assert seen(catalog) == {"catalog.yaml", "mini"}


def test_the_old_one_comes_back_if_the_new_one_cannot_take_its_place(
    catalog: Catalog, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = catalog.folder_of(entry(catalog))
    target.mkdir()
    (target / "mine").write_text("as it was")
    rename = Path.rename

    def refuse(path: Path, to: Path) -> Path:
        if path.name == "model":
            raise PermissionError(13, "Permission denied", str(to))
        return rename(path, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(ModelPullError, match="Permission denied; nothing was installed"):
        bring(catalog, hub)
    assert (target / "mine").read_text() == "as it was"


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_full_disk_keeps_nothing(
    catalog: Catalog, hub: Hub, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    if when == "before":
        usage = shutil.disk_usage(catalog.models_dir)
        monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=9))
    else:

        def refuse(*args: Any, **more: Any) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr("huggingface_hub.file_download.http_get", refuse)
    with pytest.raises(ModelPullError, match="nothing was installed"):
        bring(catalog, hub)
    assert seen(catalog) == {"catalog.yaml"}
    assert not (catalog.models_dir / pulling.STAGING_NAME / "mini").exists()


def test_an_unclear_licence_must_be_accepted_before_anything_comes(
    catalog: Catalog, hub: Hub
) -> None:
    with pytest.raises(ModelPullError) as caught:
        bring(catalog, hub, "unclear")
    assert str(caught.value) == (
        "the licence of unclear is unknown, which may not allow commercial use; "
        "read https://example.org/mini, then add --accept-licence"
    )
    assert hub.asked == []
    assert bring(catalog, hub, "unclear", accept_licence=True).folder.is_dir()


def test_a_second_process_is_told(catalog: Catalog, hub: Hub) -> None:
    def probe(model: Model) -> None:
        with pytest.raises(ModelPullError, match="mini is being brought by another process"):
            bring(catalog, hub)

    pull(catalog, entry(catalog), PullOptions(endpoint=hub.url), probe)


# --from


def test_a_packed_model_is_installed_without_a_network(
    catalog: Catalog, hub: Hub, tmp_path: Path
) -> None:
    pack(bring(catalog, hub), tmp_path / "mini.tar")
    remove(catalog, entry(catalog))
    hub.asked.clear()
    model = bring(catalog, hub, origin=tmp_path / "mini.tar")
    assert (model.folder / MODEL).read_bytes() == hub.files[MODEL]
    assert verify(model) == "2 digest(s) written down when it came from mini.tar"
    assert hub.asked == []


def test_a_packed_model_that_was_changed_is_refused(
    catalog: Catalog, hub: Hub, tmp_path: Path
) -> None:
    pack(bring(catalog, hub), tmp_path / "mini.tar")
    (tmp_path / "out").mkdir()
    folder = unpack(tmp_path / "mini.tar", tmp_path / "out")
    changed = bytearray((folder / MODEL).read_bytes())
    changed[-1] ^= 1
    (folder / MODEL).write_bytes(changed)
    remove(catalog, entry(catalog))
    with pytest.raises(ModelLoadError, match=r"model\.int8\.onnx is damaged"):
        bring(catalog, hub, origin=folder)
    assert seen(catalog) == {"catalog.yaml"}


def test_an_archive_of_another_model_is_refused(catalog: Catalog, hub: Hub, tmp_path: Path) -> None:
    pack(bring(catalog, hub), tmp_path / "mini.tar")
    with pytest.raises(ModelPullError, match=r"mini\.tar holds the model mini, not unclear"):
        bring(catalog, hub, "unclear", accept_licence=True, origin=tmp_path / "mini.tar")


def test_a_folder_is_copied_without_what_is_not_of_the_model(
    catalog: Catalog, hub: Hub, tmp_path: Path
) -> None:
    clone = good_model(tmp_path / "clone", CTC)
    (clone / ".git").mkdir()
    (clone / ".git" / "config").touch()
    (clone / "pytorch_model.bin").write_bytes(b"a pickle")
    model = bring(catalog, hub, origin=clone)
    assert {each.name for each in model.folder.iterdir()} == {MODEL, TOKENS, MANIFEST_NAME}
    assert clone.is_dir()


def test_a_clone_with_pointers_is_explained_where_it_lies(
    catalog: Catalog, hub: Hub, tmp_path: Path
) -> None:
    clone = good_model(tmp_path / "clone", CTC)
    (clone / MODEL).write_bytes(LFS_POINTER)
    with pytest.raises(ModelLoadError) as caught:
        bring(catalog, hub, origin=clone)
    assert str(clone / MODEL) in str(caught.value)
    assert '"protobuf parsing failed"' in str(caught.value)
    assert f"run `git lfs pull` in {clone}" in str(caught.value)
    assert seen(catalog) == {"catalog.yaml"}


def test_an_origin_that_is_not_there_is_named(catalog: Catalog, hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelPullError, match="nowhere is neither a folder nor an archive"):
        bring(catalog, hub, origin=tmp_path / "nowhere")


# archives of a plain web server


def zip_of_kaldi(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "k.zip", "w") as opened:
        for name, content in KALDI_FILES.items():
            opened.writestr(f"vosk-kaldi/{name}", content)
    return (folder / "k.zip").read_bytes()


def test_a_kaldi_model_comes_as_a_zip_by_a_mirror(
    catalog: Catalog, hub: Hub, tmp_path: Path
) -> None:
    hub.files["vosk-kaldi.zip"] = zip_of_kaldi(tmp_path)
    model = bring(catalog, hub, "kaldi", archive_mirror=f"{hub.url}/archives/")
    found = {p.relative_to(model.folder).as_posix() for p in model.folder.rglob("*") if p.is_file()}
    assert found == {*KALDI_FILES, MANIFEST_NAME}
    assert verify(model).startswith("5 digest(s)")
    assert seen(catalog) == {"catalog.yaml", "kaldi"}


def test_a_zip_that_is_damaged_is_brought_anew_next_time(
    catalog: Catalog, hub: Hub, tmp_path: Path
) -> None:
    whole = zip_of_kaldi(tmp_path)
    hub.files["vosk-kaldi.zip"] = whole[:-30]
    with pytest.raises(ModelPullError, match=r"vosk-kaldi\.zip is damaged or no archive"):
        bring(catalog, hub, "kaldi", archive_mirror=f"{hub.url}/archives")
    assert seen(catalog) == {"catalog.yaml"}
    hub.files["vosk-kaldi.zip"] = whole
    assert bring(catalog, hub, "kaldi", archive_mirror=f"{hub.url}/archives").folder.is_dir()


# verify, pack, remove


def test_a_changed_file_is_found(catalog: Catalog, hub: Hub, tmp_path: Path) -> None:
    model = bring(catalog, hub)
    tokens = model.folder / TOKENS
    tokens.write_bytes(tokens.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(ModelLoadError, match=r"tokens\.txt is damaged: 230 bytes, expected 196"):
        verify(model)
    with pytest.raises(ModelLoadError, match="is damaged"):
        pack(model, tmp_path / "mini.tar")
    assert not (tmp_path / "mini.tar").exists()


def test_a_model_that_was_cloned_can_be_checked_and_packed(
    catalog: Catalog, tmp_path: Path
) -> None:
    model = Model(entry(catalog), good_model(catalog.models_dir / "mini", CTC))
    assert verify(model) == "the catalogue, which has 0 digest(s); `models pull` writes down all"
    pack(model, tmp_path / "mini.tar")
    (tmp_path / "out").mkdir()
    manifest = Manifest.read(unpack(tmp_path / "mini.tar", tmp_path / "out"))
    assert manifest is not None
    assert [each.path for each in manifest.files] == [MODEL, TOKENS]
    assert json.loads(manifest.text())["licence"] == "MIT"


def test_a_removed_model_is_gone(catalog: Catalog, hub: Hub) -> None:
    bring(catalog, hub)
    assert remove(catalog, entry(catalog)) == len(hub.files[MODEL]) + len(hub.files[TOKENS])
    assert seen(catalog) == {"catalog.yaml"}
    with pytest.raises(ModelPullError, match="mini is not in "):
        remove(catalog, entry(catalog))


def test_removing_a_link_leaves_what_it_leads_to(catalog: Catalog, tmp_path: Path) -> None:
    folder = good_model(tmp_path / "elsewhere", CTC)
    (catalog.models_dir / "mini").symlink_to(folder)
    assert remove(catalog, entry(catalog)) == 0
    assert (folder / MODEL).is_file()
    assert seen(catalog) == {"catalog.yaml"}


def test_an_embedded_model_stays(catalog: Catalog) -> None:
    embedded = entry(catalog).model_copy(update={"embedded": True, "source": MINI_PAGE})
    with pytest.raises(ModelPullError, match="mini comes with ruasr-tel and stays"):
        remove(catalog, embedded)
    with pytest.raises(ModelPullError, match="mini comes with ruasr-tel; bring it back with: git"):
        pull(catalog, embedded, PullOptions())


MINI_PAGE = ModelEntry.model_validate({**MINI, "source": {"page": "p"}}).source
