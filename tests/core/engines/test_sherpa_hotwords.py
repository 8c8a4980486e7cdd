from pathlib import Path

import pytest

from ruasr_tel.engines.kept import KEPT_PHRASES
from ruasr_tel.engines.sherpa_hotwords import Hotwords, hotwords_for
from tests.core.engines.sentencepieces import sentencepiece_model

LETTERS = ("<blk>", " ", *"абвгдежзийклмнопрстуфхцчшщъыьэюя")
PIECES = ("<blk>", "▁", "▁да", "нет", "а", "д", "т")


def test_letters_take_words_one_by_one_with_their_score() -> None:
    written = Hotwords(LETTERS).write(("Иван Иванович", "иван", "ёлка/:#@"), 2)
    assert written == "иван :2.00/иванович :2.00/елка :2.00"


def test_pieces_take_whole_phrases(tmp_path: Path) -> None:
    assert Hotwords(PIECES, tmp_path).write(("да нет", "[unk]"), 1.5) == "да нет :1.50"


def test_what_cannot_be_spelled_is_left_out_and_said_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hotwords = Hotwords(LETTERS)
    for _ in range(2):
        assert hotwords.write(("pin", "код 5", "код"), 1.0) == "код :1.00"
    said = capsys.readouterr().err
    assert said.count("pin\n") == said.count("код 5\n") == 1
    assert hotwords.write(("pin",), 1.0) == ""
    assert hotwords.write(("код",), 0.0) == ""


def test_what_was_left_out_is_not_remembered_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    hotwords = Hotwords(LETTERS)
    for phrases in (("pin",), ("код",) * KEPT_PHRASES, ("pin",)):
        hotwords.write(phrases, 1.0)
    assert capsys.readouterr().err.count("pin\n") == 2


def test_a_model_of_pieces_needs_its_list(tmp_path: Path) -> None:
    assert hotwords_for(LETTERS, tmp_path) is not None
    assert hotwords_for(PIECES, tmp_path) is None
    (tmp_path / "bpe.vocab").write_text("<blk>\t0\n▁да\n", encoding="utf-8")
    assert hotwords_for(PIECES, tmp_path) is None
    (tmp_path / "bpe.vocab").write_text("<blk>\t0\n▁да\t-3.5\n", encoding="utf-8")
    found = hotwords_for(PIECES, tmp_path)
    assert found is not None
    assert found.pieces == tmp_path / "bpe.vocab"


def test_a_list_of_pieces_is_made_from_the_model_of_pieces(tmp_path: Path) -> None:
    model = tmp_path / "bpe.model"
    model.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert hotwords_for(PIECES, tmp_path) is None
    model.write_bytes(sentencepiece_model({"<unk>": 0.0, "▁да": -1.5}))
    found = hotwords_for(PIECES, tmp_path)
    assert found is not None
    with found.spelling() as spelling:
        path = Path(spelling.pop("bpe_vocab"))
        assert spelling == {"modeling_unit": "bpe"}
        assert path.read_text("utf-8") == "<unk>\t0.0\n▁да\t-1.5\n"
    assert not path.exists()


def test_letters_need_no_list() -> None:
    with Hotwords(LETTERS).spelling() as spelling:
        assert spelling == {}
