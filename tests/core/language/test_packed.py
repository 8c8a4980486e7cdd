from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.language import arpa, packed
from ruasr_tel.language.kneser_ney import estimate

TEXTS = st.lists(st.lists(st.sampled_from(["а", "бв", "ё"]), max_size=5), min_size=1).filter(any)


@settings(deadline=None, max_examples=40)
@given(text=TEXTS, order=st.integers(1, 4), prune=st.sampled_from([(), (0, 1)]))
def test_what_is_packed_is_what_arpa_has(
    tmp_path_factory: pytest.TempPathFactory, text: list[list[str]], order: int, prune: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("packed")
    model = estimate(text, order, prune)
    packed.write(model, folder / "m.npz")
    packed.write(model, folder / "m.arpa")
    one, other = packed.read(folder / "m.npz"), packed.read(folder / "m.arpa")
    assert one.words == other.words
    assert one.firsts == other.firsts
    for name in ("keys", "suffixes"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    for name in ("log_probs", "backoffs"):  # half precision: 11 bits
        assert np.allclose(getattr(one, name), getattr(other, name), rtol=2**-10, atol=1e-4)


def test_a_suffix_that_was_left_out_is_a_shorter_one(tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(
        "\\data\\\nngram 1=4\nngram 2=1\nngram 3=1\n\n\\1-grams:\n-99 <s> -0.3\n-0.4 </s>\n"
        "-0.5 да -0.2\n-1 нет -0.7\n\n\\2-grams:\n-0.2 <s> да -0.6\n\n\\3-grams:\n"
        "-0.1 <s> да нет\n\n\\end\\\n",
        "utf-8",
    )
    model = arpa.read(tmp_path / "m.arpa")
    packed.write(model, tmp_path / "m.npz")
    assert np.array_equal(packed.read(tmp_path / "m.npz").suffixes, model.suffixes)


def test_the_same_model_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        packed.write(estimate([["а", "б"]], 2), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@settings(deadline=None, max_examples=60)
@given(at=st.integers(0, 1200), noise=st.binary(min_size=1, max_size=20), cut=st.booleans())
def test_damage_ends_in_a_model_or_in_our_error(
    tmp_path_factory: pytest.TempPathFactory, at: int, noise: bytes, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("noise") / "m.npz"
    packed.write(estimate([["а", "б"], ["б"]], 2), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:at] if cut else whole[:at] + noise + whole[at + len(noise) :])
    with suppress(ModelLoadError):
        assert packed.read(path).words


def test_what_is_cut_off_is_named_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    packed.write(estimate([["а", "б"], ["б"]], 2), path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ModelLoadError, match=r"m\.npz is cut off, damaged or none of ours"):
        packed.read(path)


def test_another_archive_is_none_of_ours(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", weights=np.zeros(3))
    with pytest.raises(ModelLoadError, match=r"none of ours .*fetch or build it again"):
        packed.read(tmp_path / "m.npz")


def test_a_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="is not there; make it with"):
        packed.read(tmp_path / "m.npz")
