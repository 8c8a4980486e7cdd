from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.tokens import MAX_BYTES, TokenTable, read_tokens


def written(folder: Path, text: str) -> Path:
    path = folder / "tokens.txt"
    path.write_bytes(text.encode())
    return path


def test_a_bare_space_is_the_word_separator(tmp_path: Path) -> None:
    table = read_tokens(written(tmp_path, "  0\nа 1\n<blk> 2\n"))
    assert table == TokenTable((" ", "а", "<blk>"), crlf=False)
    assert (table.blank, table.outputs) == ("<blk>", 3)


def test_lines_may_come_in_any_order_and_without_a_last_line_end(tmp_path: Path) -> None:
    assert read_tokens(written(tmp_path, "▁да 1\n<blk> 0")).symbols == ("<blk>", "▁да")


def test_windows_line_ends_are_noticed_and_harmless(tmp_path: Path) -> None:
    table = read_tokens(written(tmp_path, "<blk> 0\r\n 1\r\nа 2\r\n"))
    assert table == TokenTable(("<blk>", " ", "а"), crlf=True)


def test_disambiguation_symbols_at_the_end_are_no_outputs(tmp_path: Path) -> None:
    table = read_tokens(written(tmp_path, "<blk> 0\n#1 1\nа 2\n#0 3\n#1 4\n"))
    assert (len(table.symbols), table.outputs) == (5, 3)


@pytest.mark.parametrize(
    ("symbols", "blank"),
    [(("<eps>", "<blk>"), "<blk>"), (("<blank>", "<eps>"), "<eps>"), (("<blank>",), "<blank>")],
)
def test_the_blank_is_the_one_the_loader_takes(symbols: tuple[str, ...], blank: str) -> None:
    assert TokenTable(symbols).blank == blank


def test_a_no_break_space_is_a_symbol(tmp_path: Path) -> None:
    assert read_tokens(written(tmp_path, "<blk> 0\n\u00a0 1\n")).symbols == ("<blk>", "\u00a0")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<blk> 0\nа b 1\n", "line 2: 'а b 1' is not `symbol id`"),
        ("<blk> 0\nа one\n", "line 2: 'а one' is not `symbol id`"),
        ("<blk> 0\nа -1\n", "line 2: 'а -1' is not `symbol id`"),
        ("<blk> 0\n\n", "line 2: '' is not `symbol id`"),
        ("<blk> 0\nа 0\n", "id 0 occurs twice"),
        ("<blk> 0\nа 2\n", "2 lines, but none has id 1"),
        ("а 0\nб 1\n", "none of <blk>, <eps>, <blank> among its 2 symbols"),
        ("", "none of <blk>, <eps>, <blank> among its 0 symbols"),
        ("\ufeff<blk> 0\n", "begins with a byte order mark"),
    ],
)
def test_a_bad_list_ends_in_a_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ModelLoadError) as caught:
        read_tokens(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


def test_a_huge_file_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(ModelLoadError, match="no token list is that large"):
        read_tokens(path)


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_list_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any_tokens.txt"
    path.write_bytes(data)
    try:
        table = read_tokens(path)
    except ModelLoadError:
        return
    assert table.blank in table.symbols


def test_a_tokenizer_vocabulary_is_read_like_tokens(tmp_path: Path) -> None:
    path = tmp_path / "vocab.json"
    path.write_text('{"[PAD]": 3, "а": 0, "ё": 1, "|": 2}', "utf-8")
    assert read_tokens(path) == TokenTable(("а", "ё", " ", "<blk>"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is not an object of symbols"),
        ('{"а": "0"}', "is not an object of symbols"),
        ('{"а": 2, "[PAD]": 0}', "is not an object of symbols"),
        ('{"а": 0, "[PAD]": 0}', "id 0 occurs twice"),
        ('{"а": 0}', "none of <blk>"),
    ],
)
def test_a_wrong_vocabulary_ends_in_a_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "vocab.json"
    path.write_text(content, "utf-8")
    with pytest.raises(ModelLoadError, match=says):
        read_tokens(path)
