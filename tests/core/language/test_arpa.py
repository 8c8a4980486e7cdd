import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.language import arpa
from ruasr_tel.language.kneser_ney import estimate
from ruasr_tel.language.ngrams import NGrams

TEXT = [["да"], ["нет", "да"], ["да", "да", "нет"]]
TEXTS = st.lists(st.lists(st.sampled_from(["а", "бв", "ё"]), max_size=5), min_size=1).filter(any)
# As SRILM's ngram-count writes it: a preface, CRLF, no <unk>, spaces, no weight where there is none
FOREIGN = (
    "made somewhere\r\n\r\n\\data\\\r\nngram 1=4\r\nngram  2=2\r\n\r\n\\1-grams:\r\n"
    "-99 <s> -0.3\r\n-0.4 </s>\r\n-0.5 да -0.2\r\n-1 нет\r\n\r\n\\2-grams:\r\n"
    "-0.1 да </s>\r\n-0.2 <s> да\r\n\r\n\\end\\\r\n"
)


def same(one: NGrams, other: NGrams) -> bool:
    return (
        one.words == other.words
        and one.firsts == other.firsts
        and np.array_equal(one.keys, other.keys)
        and np.array_equal(one.suffixes, other.suffixes)
        and np.allclose(one.log_probs, other.log_probs, atol=1e-4)
        and np.allclose(one.backoffs, other.backoffs, atol=1e-4)
    )


@settings(deadline=None, max_examples=40)
@given(text=TEXTS, order=st.integers(1, 4), name=st.sampled_from(["m.arpa", "m.arpa.gz"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, text: list[list[str]], order: int, name: str
) -> None:
    path = tmp_path_factory.mktemp("arpa") / name
    model = estimate(text, order, (0, 0, 1))
    arpa.write(model, path)
    assert same(arpa.read(path), model)
    assert path.read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")


def test_the_same_model_gives_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / "a" / "m.gz", tmp_path / "b" / "m.gz"]
    for file in files:
        file.parent.mkdir()
        arpa.write(estimate(TEXT, 2), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_other_toolkits_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "foreign.lm"
    path.write_text(FOREIGN, "utf-8", newline="")
    walker = arpa.read(path).walker()
    assert [one / arpa.LN10 for one in walker.each(["да"])] == pytest.approx([-0.2, -0.1])
    assert [one / arpa.LN10 for one in walker.each(["нет"])] == pytest.approx([-1.3, -0.4])
    assert walker.each(["что"])[0] / arpa.LN10 == pytest.approx(-100.3)


def test_capital_marks_are_the_marks(tmp_path: Path) -> None:
    path = tmp_path / "m.arpa"
    path.write_text(FOREIGN.replace("<s>", "<S>").replace("</s>", "</S>"), "utf-8", newline="")
    assert arpa.read(path).walker().each([])[0] / arpa.LN10 == pytest.approx(-0.3 - 0.4)


def test_a_suffix_that_was_left_out_is_a_shorter_one(tmp_path: Path) -> None:
    path = tmp_path / "m.arpa"
    path.write_text(
        "\\data\\\nngram 1=4\nngram 2=1\nngram 3=1\n\n\\1-grams:\n-99 <s> -0.3\n-0.4 </s>\n"
        "-0.5 да -0.2\n-1 нет -0.7\n\n\\2-grams:\n-0.2 <s> да -0.6\n\n\\3-grams:\n"
        "-0.1 <s> да нет\n\n\\end\\\n",
        "utf-8",
    )
    walker = arpa.read(path).walker()
    found = [one / arpa.LN10 for one in walker.each(["да", "нет", "да"])]
    assert found == pytest.approx([-0.2, -0.1, -0.7 - 0.5, -0.2 - 0.4])


def broken(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelLoadError) as caught:
        arpa.read(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "m.arpa"
    arpa.write(estimate(TEXT, 3), path)
    return path.read_bytes()


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_what_is_cut_off_is_named_so(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = whole.splitlines(keepends=True)
    kept = b"".join(lines[: data.draw(st.integers(1, len(lines) - 1))])
    assert "cut off" in broken(tmp_path_factory.mktemp("cut") / "m.arpa", kept) or kept.startswith(
        b"\\data\\\n"
    )


@settings(deadline=None, max_examples=60)
@given(noise=st.binary(max_size=30), at=st.integers(0, 400))
def test_damage_ends_in_a_model_or_in_our_error(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int
) -> None:
    path = tmp_path_factory.mktemp("noise") / "m.arpa"
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    with suppress(ModelLoadError):
        assert arpa.read(path).words


def test_a_damaged_gzip_is_named_so(tmp_path: Path, whole: bytes) -> None:
    assert "cut off or damaged" in broken(tmp_path / "m.gz", gzip.compress(whole)[:-20])


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "it is no ARPA file"),
        ("просто текст\n".encode() * 200, "it is no ARPA file"),
        (b"mmap lm http://kheafield.com/code format version 5\n\x00\x80\xff", "no ARPA text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"\\data\\\n\n", "announces no words"),
        (b"\\data\\\nngram 2=1\n\n", "line 2, has 'ngram 2=1' where `ngram N=count` belongs"),
        (b"\\data\\\nngram 1=2\n\n\\1-grams:\n-1\ta\n-1\ta\n\n\\end\\\n", "a word twice"),
        (b"\\data\\\nngram 1=1\n\n\\1-grams:\nx\ta\n\n\\end\\\n", "is no number"),
        (b"\\data\\\nngram 1=1\n\n\\1-grams:\n-1\ta b c\n\n\\end\\\n", "line 5, has '-1 a b c'"),
        (b"\\data\\\nngram 1=1\n\n\\1-grams:\n-1\ta\n-1\tb\n\n\\end\\\n", "has '-1\\tb' where"),
        (
            b"\\data\\\nngram 1=2\nngram 2=1\nngram 3=1\n\n\\1-grams:\n-1 a\n-1 b\n\n\\2-grams:\n"
            b"-1 a b\n\n\\3-grams:\n-1 b a b\n\n\\end\\\n",
            "the n-gram 'b a b', but not its beginning",
        ),
        (
            b"\\data\\\nngram 1=1\nngram 2=2\n\n\\1-grams:\n-1 a\n\n\\2-grams:\n-1 a a\n-2 a a\n\n"
            b"\\end\\\n",
            "a 2-gram twice",
        ),
    ],
)
def test_what_is_no_arpa_is_said_with_its_line(tmp_path: Path, content: bytes, fault: str) -> None:
    assert fault in broken(tmp_path / "m.arpa", content)


def test_a_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"nowhere\.arpa is not there; make it with"):
        arpa.read(tmp_path / "nowhere.arpa")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="cannot be read: Is a directory"):
        arpa.read(tmp_path)
