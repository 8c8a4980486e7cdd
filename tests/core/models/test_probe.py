import hashlib
from pathlib import Path
from typing import get_args

import pytest

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.entries import Family
from ruasr_tel.models.probe import (
    ENGINES,
    KALDI,
    LAYOUTS,
    NEMO_CTC,
    NEMO_TRANSDUCER,
    ONLINE_TRANSDUCER,
    OPTIONAL,
    T_ONE,
    Check,
    Known,
    check_files,
    detect_family,
    find_files,
)
from tests.core.broken_models import CTC, NEMO, TRANSDUCER, good_model
from tests.core.model_faults import FILE_FAULTS, LFS_POINTER, Fault


@pytest.mark.parametrize("family", [CTC, TRANSDUCER, NEMO])
def test_a_good_model_is_found_recognised_and_passed(tmp_path: Path, family: str) -> None:
    folder = good_model(tmp_path / "model", family)
    assert detect_family(folder) == family
    checks = check_files(find_files(folder, LAYOUTS[family]), family)
    assert [check.name for check in checks] == [*LAYOUTS[family], "vocabulary"]
    assert checks[-1] == Check("vocabulary", "34 symbols, blank <blk>")


@pytest.mark.parametrize("fault", FILE_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_the_files_ends_in_a_sentence(tmp_path: Path, fault: Fault) -> None:
    folder = good_model(tmp_path / "model", fault.family)
    fault.damage(folder)
    with pytest.raises(ModelLoadError) as caught:
        check_files(find_files(folder, LAYOUTS[fault.family]), fault.family)
    for words in (str(folder), *fault.says):
        assert words in str(caught.value)


def test_the_sizes_are_shown(tmp_path: Path) -> None:
    folder = good_model(tmp_path / "model", TRANSDUCER)
    files = find_files(folder, LAYOUTS[TRANSDUCER])
    details = {check.name: check.detail for check in check_files(files, TRANSDUCER)}
    size = files["encoder"].stat().st_size
    assert details["encoder"] == f"encoder.int8.onnx, {size / 1e6:.1f} MB"
    assert details["joiner"] == "joiner.onnx, 320 bytes"


def test_a_changed_byte_in_a_known_file_is_found(tmp_path: Path) -> None:
    folder = good_model(tmp_path / "model", TRANSDUCER)
    files = find_files(folder, LAYOUTS[TRANSDUCER])
    digest = hashlib.sha256(files["joiner"].read_bytes()).hexdigest()
    known = {files["joiner"]: Known(320, digest)}
    checks = check_files(files, TRANSDUCER, known)
    assert Check("joiner SHA-256", digest[:12]) in checks
    data = bytearray(files["joiner"].read_bytes())
    data[-1] ^= 1
    files["joiner"].write_bytes(data)
    with pytest.raises(ModelLoadError, match=r"joiner\.onnx is damaged: SHA-256 .* fetch it again"):
        check_files(files, TRANSDUCER, known)


def test_windows_line_ends_are_shown(tmp_path: Path) -> None:
    folder = good_model(tmp_path / "model", CTC)
    tokens = folder / "tokens.txt"
    tokens.write_bytes(tokens.read_bytes().replace(b"\n", b"\r\n"))
    checks = check_files(find_files(folder, LAYOUTS[CTC]), CTC)
    assert checks[-1].detail == "34 symbols, blank <blk> (Windows line ends)"


def test_int8_comes_first_on_the_cpu_and_last_in_full_precision(tmp_path: Path) -> None:
    for name in ("model.onnx", "model.int8.onnx", "tokens.txt"):
        (tmp_path / name).touch()
    assert find_files(tmp_path, LAYOUTS[CTC])["model"].name == "model.int8.onnx"
    full = find_files(tmp_path, LAYOUTS[CTC], full_precision=True)
    assert full["model"].name == "model.onnx"


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (
            ["am-onnx/encoder.onnx", "am-onnx/decoder.onnx", "am-onnx/joiner.onnx"],
            "am-onnx/encoder.onnx",
        ),
        (["v3_encoder_int8.onnx", "v3_decoder.onnx", "v3_joint.onnx"], "v3_encoder_int8.onnx"),
        (
            ["encoder-99.onnx", "encoder-99.int8.onnx", "decoder.onnx", "joiner.onnx"],
            "encoder-99.int8.onnx",
        ),
    ],
)
def test_other_layouts_are_found(tmp_path: Path, names: list[str], found: str) -> None:
    (tmp_path / "am-onnx").mkdir()
    (tmp_path / "lang").mkdir()
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "lang" / "tokens.txt").write_text("<blk> 0\nа 1\n", "utf-8")
    assert detect_family(tmp_path) == TRANSDUCER
    files = find_files(tmp_path, LAYOUTS[TRANSDUCER])
    assert files["encoder"] == tmp_path / found
    assert files["tokens"] == tmp_path / "lang" / "tokens.txt"


def test_several_equal_candidates_are_not_guessed_between(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx", "tokens.txt"):
        (tmp_path / name).touch()
    with pytest.raises(ModelLoadError, match=r"a\.onnx, b\.onnx; rename the right one to model"):
        find_files(tmp_path, LAYOUTS[CTC])


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="holds no model: expected encoder, decoder"):
        detect_family(tmp_path)


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = good_model(tmp_path / "model", CTC)

    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelLoadError, match=r"model\.int8\.onnx cannot be read: Permission"):
        check_files(find_files(folder, LAYOUTS[CTC]), CTC)


def test_a_check_reads_well() -> None:
    assert str(Check("encoder", "encoder.onnx, 259.0 MB")) == "encoder: encoder.onnx, 259.0 MB"


KALDI_FILES = {
    "am/final.mdl": b"\0B<TransitionModel> " + b"x" * 300,
    "conf/mfcc.conf": b"--sample-frequency=16000\n",
    "conf/model.conf": b"--beam=13.0\n",
    "graph/HCLr.fst": bytes.fromhex("d6fdb27e") + b"x" * 300,
    "graph/Gr.fst": bytes.fromhex("d6fdb27e") + b"x" * 300,
}
"""The least that vosk-api's src/model.cc opens; what is in it means nothing."""


def kaldi_model(folder: Path) -> Path:
    for name, content in KALDI_FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def files_of(folder: Path, family: str) -> dict[str, Path]:
    return find_files(folder, LAYOUTS[family], optional=OPTIONAL.get(family, ()))


def test_a_kaldi_folder_is_found_recognised_and_passed(tmp_path: Path) -> None:
    folder = kaldi_model(tmp_path / "vosk-model-small-ru-0.22")
    assert detect_family(folder) == KALDI
    files = files_of(folder, KALDI)
    assert list(files) == ["acoustic", "features", "graph", "grammar"]
    assert [check.name for check in check_files(files, KALDI)] == list(files)


def test_an_old_kaldi_folder_is_flat(tmp_path: Path) -> None:
    kaldi_model(tmp_path)
    for name in KALDI_FILES:
        (tmp_path / name).rename(tmp_path / Path(name).name)
    assert detect_family(tmp_path) == KALDI
    assert check_files(files_of(tmp_path, KALDI), KALDI)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("am/final.mdl", b"Entry not found" * 30, "final.mdl is damaged or no Kaldi .mdl file"),
        ("am/final.mdl", b"", "final.mdl is empty"),
        ("graph/HCLr.fst", b"\0" * 300, "HCLr.fst is damaged or no Kaldi .fst file"),
        ("graph/HCLr.fst", None, "has no graph file; expected graph/HCLG.fst"),
        ("graph/Gr.fst", None, "needs a Gr.fst beside it"),
        ("conf/model.conf", None, "has no conf/model.conf; fetch the whole model again"),
        ("conf/mfcc.conf", None, "has no features file; expected conf/mfcc.conf"),
    ],
)
def test_a_broken_kaldi_folder_ends_in_a_sentence(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    kaldi_model(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelLoadError) as caught:
        check_files(files_of(tmp_path, KALDI), KALDI)
    assert str(tmp_path) in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("vosk-model-small-streaming-ru", ONLINE_TRANSDUCER),
        ("vosk-model-small-ru", TRANSDUCER),
    ],
)
def test_a_transducer_for_streams_says_so_in_its_folders_name(
    tmp_path: Path, name: str, family: str
) -> None:
    folder = good_model(tmp_path / name, TRANSDUCER)
    assert detect_family(folder) == family
    assert check_files(files_of(folder, family), family)[-1].name == "vocabulary"


@pytest.mark.parametrize("layout", ["T-one", "sherpa-onnx-streaming-t-one-russian-2025-09-08"])
def test_t_one_is_known_by_its_vocabulary_or_its_folder(tmp_path: Path, layout: str) -> None:
    folder = tmp_path / layout
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"x" * 300)
    if layout == "T-one":
        (folder / "vocab.json").write_text('{"а": 0, "|": 1, "[PAD]": 2}', "utf-8")
    else:
        (folder / "tokens.txt").write_text("а 0\n  1\n<blk> 2\n", "utf-8")
    assert detect_family(folder) == T_ONE
    checks = check_files(files_of(folder, T_ONE), T_ONE)
    assert checks[-1].detail == "3 symbols, blank <blk>"


@pytest.mark.parametrize(
    ("size", "says"),
    [(319, "is damaged: 320 bytes, expected 319"), (321, "is cut off: 320 bytes, expected 321")],
)
def test_a_file_of_another_size_is_cut_off_or_damaged(tmp_path: Path, size: int, says: str) -> None:
    files = files_of(good_model(tmp_path / "model", TRANSDUCER), TRANSDUCER)
    with pytest.raises(ModelLoadError, match=says):
        check_files(files, TRANSDUCER, {files["joiner"]: Known(size)})


def test_every_family_has_its_layout() -> None:
    assert set(get_args(Family)) == set(LAYOUTS)
    assert set(ENGINES) == set(LAYOUTS) - {"silero_vad"}


_NETWORK = b"\x08\x08\x12" + b"x" * 300
_CTC_TOKENS = "\u2581 0\nа 1\n<blk> 2\n".encode()
_ICEFALL_TOKENS = "<blk> 0\nа 1\n".encode()
PUBLISHED: dict[str, tuple[str, dict[str, bytes]]] = {
    "GigaAM by onnx-asr, CTC": (
        NEMO_CTC,
        {"v3_ctc.int8.onnx": _NETWORK, "v3_vocab.txt": _CTC_TOKENS},
    ),
    "GigaAM by onnx-asr, RNNT": (
        NEMO_TRANSDUCER,
        {f"v3_rnnt_{part}.int8.onnx": _NETWORK for part in ("encoder", "decoder", "joint")}
        | {"v3_vocab.txt": _CTC_TOKENS},
    ),
    "streaming zipformer": (
        ONLINE_TRANSDUCER,
        {f"am-onnx/{part}.onnx": _NETWORK for part in ("encoder", "decoder", "joiner")}
        | {"lang/tokens.txt": _ICEFALL_TOKENS},
    ),
    "T-one": (T_ONE, {"model.onnx": _NETWORK, "vocab.json": b'{"a": 0, "|": 1, "[PAD]": 2}'}),
    "Kaldi": (KALDI, {k: v for k, v in KALDI_FILES.items() if k != "conf/model.conf"}),
}
"""The files of each published layout, as far as they are looked at without an ONNX reader."""

DAMAGES = {
    "missing": (None, ("has no ", "needs a Gr.fst")),
    "empty": (b"", ("is empty",)),
    "pointer": (LFS_POINTER, ("git-lfs pointer", "protobuf parsing failed")),
    "page": (b"<!DOCTYPE html><html>" + b" " * 300, ("is a web page",)),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("layout", PUBLISHED)
def test_any_broken_file_of_any_published_layout_ends_in_a_sentence(
    tmp_path: Path, layout: str, damage: str
) -> None:
    family, files = PUBLISHED[layout]
    content, says = DAMAGES[damage]
    for number, broken in enumerate(files):
        folder = tmp_path / str(number)
        for name, whole in {**files, "conf/model.conf": b"--beam=13.0"}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(whole)
        check_files(files_of(folder, family), family)
        (folder / broken).unlink()
        if content is not None:
            (folder / broken).write_bytes(content)
        with pytest.raises(ModelLoadError) as caught:
            check_files(files_of(folder, family), family)
        assert str(folder) in str(caught.value)
        assert any(words in str(caught.value) for words in says), str(caught.value)
