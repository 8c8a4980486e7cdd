"""Models that come as folders and archives, and what is done with those that are here."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from ruasr_tel.errors import ModelLoadError, ModelPullError
from ruasr_tel.models.archives import unpack
from ruasr_tel.models.catalog import Catalog, Model
from ruasr_tel.models.entries import ModelEntry, SourceFile
from ruasr_tel.models.manifest import MANIFEST_NAME, Manifest
from ruasr_tel.models.pull import PullOptions, pack, pull, remove, verify
from tests.core.broken_models import CTC, good_model
from tests.core.model_faults import LFS_POINTER
from tests.core.models.hub_server import Hub
from tests.core.models.mini import MINI, MODEL, TOKENS, bring, entry, mini_catalog, seen
from tests.core.models.test_probe import KALDI_FILES

MINI_PAGE = ModelEntry.model_validate({**MINI, "source": {"page": "p"}}).source


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return mini_catalog(tmp_path)


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
    with zipfile.ZipFile(folder / "k.zip", "w", zipfile.ZIP_DEFLATED) as opened:
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


def with_another_byte(archive: bytes) -> bytes:
    """Return a zip whose directory is sound and whose first file is not."""
    at = len(zipfile.ZipFile(io.BytesIO(archive)).filelist[0].FileHeader())
    return archive[:at] + b"\xff" + archive[at + 1 :]  # RFC 1951, 3.2.3: no such kind of block


def test_a_zip_with_a_damaged_file_is_brought_anew_next_time(
    catalog: Catalog, hub: Hub, tmp_path: Path
) -> None:
    whole = zip_of_kaldi(tmp_path)
    hub.files["vosk-kaldi.zip"] = with_another_byte(whole)
    for _ in range(2):
        with pytest.raises(ModelPullError, match=r"vosk-kaldi\.zip is damaged or no archive"):
            bring(catalog, hub, "kaldi", archive_mirror=f"{hub.url}/archives")
        assert [line.split()[0] for line in hub.asked] == ["HEAD", "GET"]
        hub.asked.clear()
    hub.files["vosk-kaldi.zip"] = whole
    assert bring(catalog, hub, "kaldi", archive_mirror=f"{hub.url}/archives").folder.is_dir()


def test_a_zip_is_not_brought_again_while_its_server_has_the_same(
    catalog: Catalog, hub: Hub, tmp_path: Path
) -> None:
    def stop(model: Model) -> None:
        raise KeyboardInterrupt

    options = PullOptions(archive_mirror=f"{hub.url}/archives")
    hub.files["vosk-kaldi.zip"] = zip_of_kaldi(tmp_path)
    for asked in (["HEAD", "GET"], ["HEAD"]):
        hub.asked.clear()
        with pytest.raises(KeyboardInterrupt):
            pull(catalog, entry(catalog, "kaldi"), options, stop)
        assert [line.split()[0] for line in hub.asked] == asked
    hub.files["vosk-kaldi.zip"] += b"\0"  # zip readers do not mind what follows
    hub.asked.clear()
    assert pull(catalog, entry(catalog, "kaldi"), options).folder.is_dir()
    assert [line.split()[0] for line in hub.asked] == ["HEAD", "GET"]


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


WORDS, PIECES = b"a language model", b"word pieces"


def with_more(catalog: Catalog) -> ModelEntry:
    """The model with files that none of its roles is played by."""
    more = (
        SourceFile(path="words.npz", size_bytes=16, sha256=hashlib.sha256(WORDS).hexdigest()),
        SourceFile(path="bpe.model", optional=True),
    )
    mini = entry(catalog)
    return mini.model_copy(update={"content": (*mini.content, *more)})


def folder_with_more(folder: Path) -> Path:
    good_model(folder, CTC)
    (folder / "words.npz").write_bytes(WORDS)
    (folder / "bpe.model").write_bytes(PIECES)
    return folder


BESIDE = [
    ("words.npz", None, "words.npz is missing; fetch the whole model again"),
    ("words.npz", WORDS[:-1] + b"?", "words.npz is damaged: SHA-256"),
    ("words.npz", WORDS[:-1], "words.npz is cut off: 15 bytes, expected 16"),
    ("bpe.model", LFS_POINTER, "bpe.model is a git-lfs pointer"),
    ("bpe.model", b"", "bpe.model is empty"),
    ("model.onnx", LFS_POINTER, "model.onnx is a git-lfs pointer"),
]


@pytest.mark.parametrize(("name", "content", "says"), BESIDE)
def test_every_file_that_the_catalogue_names_is_checked(
    catalog: Catalog, name: str, content: bytes | None, says: str
) -> None:
    model = Model(with_more(catalog), folder_with_more(catalog.models_dir / "mini"))
    assert verify(model).startswith("the catalogue, which has 1 digest(s)")
    (model.folder / name).unlink(missing_ok=True)
    if content is not None:
        (model.folder / name).write_bytes(content)
    with pytest.raises(ModelLoadError) as caught:
        verify(model)
    assert says in str(caught.value)
    assert "(`ruasr-tel models pull mini`)" in str(caught.value)


def test_what_the_model_can_do_without_may_be_absent(catalog: Catalog) -> None:
    model = Model(with_more(catalog), folder_with_more(catalog.models_dir / "mini"))
    (model.folder / "bpe.model").unlink()
    assert verify(model)


@pytest.mark.parametrize(("name", "content", "says"), BESIDE[:5])
def test_a_folder_is_installed_only_if_all_that_is_taken_of_it_is_sound(
    catalog: Catalog, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    origin = folder_with_more(tmp_path / "clone")
    (origin / name).unlink()
    if content is not None:
        (origin / name).write_bytes(content)
    with pytest.raises(ModelLoadError) as caught:
        pull(catalog, with_more(catalog), PullOptions(origin=origin))
    assert f"{origin}/{says}" in str(caught.value)
    assert seen(catalog) == {"catalog.yaml"}


def test_a_clone_may_lack_the_precision_that_is_not_asked_for(
    catalog: Catalog, tmp_path: Path
) -> None:
    origin = good_model(tmp_path / "clone", CTC)
    (origin / "model.onnx").write_bytes(LFS_POINTER)
    assert pull(catalog, entry(catalog), PullOptions(origin=origin)).folder.is_dir()
    (origin / MODEL).replace(origin / "model.onnx")
    (origin / MODEL).write_bytes(LFS_POINTER)
    model = pull(catalog, entry(catalog), PullOptions(origin=origin, precision="full"))
    assert {each.name for each in model.folder.iterdir()} == {"model.onnx", TOKENS, MANIFEST_NAME}


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
