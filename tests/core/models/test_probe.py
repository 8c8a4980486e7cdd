from pathlib import Path

import pytest

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.probe import (
    LAYOUTS,
    Check,
    check_files,
    detect_family,
    find_files,
)
from tests.core.broken_models import CTC, NEMO, TRANSDUCER, good_model
from tests.core.model_faults import FILE_FAULTS, Fault


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
    assert details["encoder"] == "encoder.int8.onnx, 4.3 MB"
    assert details["joiner"] == "joiner.onnx, 320 bytes"


def test_a_changed_byte_in_a_known_file_is_found(tmp_path: Path) -> None:
    folder = good_model(tmp_path / "model", TRANSDUCER)
    files = find_files(folder, LAYOUTS[TRANSDUCER])
    digest = "3338073b76302115c9fb3291ac7fb5185f5ca78f024b2a5767a3c82cdab5ca31"
    checks = check_files(files, TRANSDUCER, {"joiner.onnx": digest})
    assert Check("joiner SHA-256", digest[:12]) in checks
    data = bytearray(files["joiner"].read_bytes())
    data[-1] ^= 1
    files["joiner"].write_bytes(data)
    with pytest.raises(ModelLoadError, match=r"joiner\.onnx is damaged: SHA-256 .* fetch it again"):
        check_files(files, TRANSDUCER, {"joiner.onnx": digest})


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
