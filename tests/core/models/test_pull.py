"""Installing whole or not at all; the hub is the one of hub_server.py, the models are our own."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ruasr_tel.errors import ModelLoadError, ModelPullError
from ruasr_tel.models import pull as pulling
from ruasr_tel.models.catalog import Catalog, Model
from ruasr_tel.models.entries import Precision, SourceFile
from ruasr_tel.models.manifest import MANIFEST_NAME, Manifest
from ruasr_tel.models.pull import PullOptions, lacking, pull, verify
from tests.core.broken_models import CTC, good_model
from tests.core.model_faults import LFS_POINTER
from tests.core.models.hub_server import Hub
from tests.core.models.mini import MODEL, TOKENS, bring, entry, mini_catalog, seen
from tests.core.models.test_probe import KALDI_FILES


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return mini_catalog(tmp_path)


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
    megabytes = len(hub.files[MODEL]) / 1e6
    assert told == [f"2 file(s), {megabytes:.1f} MB, from {hub.url}", "loading it for a try"]
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


@pytest.mark.parametrize(
    ("precision", "missing"), [("full", ["model.onnx"]), ("any", ["model.onnx"]), ("int8", [])]
)
def test_what_a_precision_lacks_is_named(
    catalog: Catalog, hub: Hub, precision: Precision, missing: list[str]
) -> None:
    assert lacking(bring(catalog, hub), precision) == missing


def test_an_archive_without_the_precision_that_is_asked_for_says_so(
    catalog: Catalog, tmp_path: Path
) -> None:
    told: list[str] = []
    origin = good_model(tmp_path / "clone", CTC)
    pull(catalog, entry(catalog), PullOptions(origin, "full"), tell=told.append)
    assert told == [f"from {origin}", "clone has no model.onnx"]


def test_a_model_that_is_published_in_int8_only_says_so(catalog: Catalog, hub: Hub) -> None:
    told: list[str] = []
    only = tuple(each for each in entry(catalog).content if each.precision != "full")
    int8 = entry(catalog).model_copy(update={"content": only})
    model = pull(catalog, int8, PullOptions(None, "full", hub.url), tell=told.append)
    assert told[0] == "the catalogue knows mini in int8 only; that is brought"
    assert (model.folder / MODEL).is_file()
    assert lacking(model, "full") == []


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


def test_a_lock_that_is_not_ours_is_named(catalog: Catalog, hub: Hub) -> None:
    (catalog.models_dir / pulling.STAGING_NAME / "mini.lock").mkdir(parents=True)
    with pytest.raises(ModelPullError) as caught:
        bring(catalog, hub)
    assert f"{pulling.STAGING_NAME}/mini.lock: {os.strerror(21)}; " in str(caught.value)
    assert "do this as the user whom the models belong to" in str(caught.value)


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


@pytest.mark.parametrize("left", ["target", "model"])
def test_an_interruption_between_the_renames_changes_nothing(
    catalog: Catalog, hub: Hub, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    target = catalog.folder_of(entry(catalog))
    target.mkdir()
    (target / "mine").write_text("as it was")
    rename = Path.rename

    def interrupt(path: Path, to: Path) -> Path:
        if path.name == "model":
            raise KeyboardInterrupt
        moved = rename(path, to)
        if left == "target" and path == target:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bring(catalog, hub)
    assert (target / "mine").read_text() == "as it was"


def test_a_model_that_a_kill_took_away_comes_back(catalog: Catalog, hub: Hub) -> None:
    """A killed process cannot tidy up; the next attempt does, whatever becomes of it."""
    target = catalog.folder_of(entry(catalog))
    old = catalog.models_dir / pulling.STAGING_NAME / "mini" / "old"
    good_model(old, CTC)
    away(hub)
    with pytest.raises(ModelPullError, match="cannot be reached"):
        bring(catalog, hub)
    assert verify(Model(entry(catalog), target))


def mine(folder: Path) -> dict[str, bytes]:
    """Put files of an operator into a model's folder; return them."""
    (folder / "lm").mkdir()
    (folder / "lm/calls.arpa").write_bytes(b"my own words")
    (folder / "notes.txt").write_bytes(b"my own notes")
    (folder / "link.arpa").symlink_to("lm/calls.arpa")
    return {"lm/calls.arpa": b"my own words", "notes.txt": b"my own notes"}


@pytest.mark.parametrize("came", ["pulled", "cloned"])
def test_what_is_not_the_models_stays_in_its_folder(
    catalog: Catalog, hub: Hub, monkeypatch: pytest.MonkeyPatch, came: str
) -> None:
    model = Model(entry(catalog), catalog.folder_of(entry(catalog)))
    if came == "pulled":
        bring(catalog, hub)
    else:
        good_model(model.folder, CTC)
        (model.folder / ".git").mkdir()
        (model.folder / ".git/config").touch()
    own = mine(model.folder)
    (model.folder / "model.onnx").write_bytes(b"of another precision")
    told: list[str] = []
    if came == "cloned":  # from another disk

        def refuse(*args: object, **more: object) -> None:
            raise OSError(18, os.strerror(18))

        monkeypatch.setattr(os, "link", refuse)
    pull(catalog, entry(catalog), PullOptions(endpoint=hub.url), tell=told.append)
    assert {name: (model.folder / name).read_bytes() for name in own} == own
    assert (model.folder / "link.arpa").readlink() == Path("lm/calls.arpa")
    assert told[-1] == "kept, for they are not of the model: link.arpa, lm/calls.arpa, notes.txt"
    found = {each.name for each in model.folder.iterdir()}
    assert found == {MODEL, TOKENS, MANIFEST_NAME, "lm", "notes.txt", "link.arpa"}
    manifest = Manifest.read(model.folder)
    assert manifest is not None
    assert [each.path for each in manifest.files] == [MODEL, TOKENS]


def test_of_a_model_whose_files_nobody_named_nothing_old_stays(
    catalog: Catalog, tmp_path: Path
) -> None:
    kaldi = entry(catalog, "kaldi")
    origin = tmp_path / "origin"
    for name, content in KALDI_FILES.items():
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        (origin / name).write_bytes(content)
    shutil.copytree(origin, catalog.folder_of(kaldi))
    (catalog.folder_of(kaldi) / "rescore.fst").write_bytes(b"of the last version")
    model = pull(catalog, kaldi, PullOptions(origin=origin))
    assert not (model.folder / "rescore.fst").exists()


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
