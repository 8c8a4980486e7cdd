from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines.pieces import read_pieces
from tests.core.engines.sentencepieces import sentencepiece_model


def test_pieces_come_with_their_scores(tmp_path: Path) -> None:
    path = tmp_path / "bpe.model"
    path.write_bytes(sentencepiece_model({"<unk>": 0.0, "▁да": -1.5, "нет": -2.25}))
    assert read_pieces(path) == [("<unk>", 0.0), ("▁да", -1.5), ("нет", -2.25)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no pieces"),
        (b"\x12\x00", "has no pieces"),
        (b"\x0a\x05\x0a", "is no sentencepiece model"),
        (b"\x0a\x03\x0a\x01\xff", "is no sentencepiece model"),
        (b"\x0f", "is no sentencepiece model"),
        (b"\x80", "is no sentencepiece model"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is no sentencepiece model"),
    ],
)
def test_a_broken_model_of_pieces_ends_in_a_sentence(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "bpe.model"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=says):
        read_pieces(path)


@given(content=st.binary(max_size=60))
def test_any_bytes_give_pieces_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.model"
    path.write_bytes(content)
    try:
        found = read_pieces(path)
    except ValueError:
        return
    assert all(isinstance(score, float) for _, score in found)
