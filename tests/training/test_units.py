from pathlib import Path

import pytest

from models.training import units
from models.training.units import held_out_units, without_units
from ruasr_tel.errors import ConfigError

CATALOGUE = """EST_File index
DataType ascii
EST_Header_End
a_1 ru_0064 0.0 0.1 0.2
a_2 ru_0001 0.2 0.3 0.4
b_1 ru_0064 0.4 0.5 0.6
""".splitlines()
TREES = """;; trees
(set! clunits_selection_trees '(
("a"
((name is x) (((1 0.5) (2 0.7)) 0.6)
 (((2 0.1)) 0.1)))
("b"
(((1 0.2) (7 0.3)) 0.9))
))
"""


def test_units_of_recordings_are_found() -> None:
    assert held_out_units(CATALOGUE, {"ru_0064"}) == {"a_1", "b_1"}


def test_units_go_by_the_phone_of_their_tree() -> None:
    removal = without_units(TREES, {"a_1", "b_7"})
    assert (removal.kept, removal.dropped, removal.forced) == (3, 2, 0)
    assert "((2 0.7))" in removal.trees
    assert "((1 0.2))" in removal.trees
    assert without_units(TREES, set()).trees == TREES


def test_an_empty_leaf_is_told() -> None:
    removal = without_units(TREES, {"b_1", "b_7"})
    assert (removal.kept, removal.dropped, removal.forced) == (4, 1, 1)


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    folder = tmp_path / "voice"
    for name, text in (
        ("festival/clunits/msu_ru_nsh.catalogue", "\n".join(CATALOGUE)),
        ("festival/trees/msu_ru_nsh.tree", TREES),
        ("wav/ru_0064.wav", "held out"),
        ("wav/ru_0001.wav", "to learn from"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "latin-1")
    return folder


def test_the_copy_has_neither_units_nor_files_of_held_out_recordings(
    voice: Path, tmp_path: Path
) -> None:
    removal = units.copy_voice(tmp_path / "copy", voice)
    assert removal.dropped == 2
    trees = (tmp_path / "copy/festival/trees/msu_ru_nsh.tree").read_text("latin-1")
    assert trees == removal.trees
    assert [path.name for path in (tmp_path / "copy/wav").iterdir()] == ["ru_0001.wav"]


def test_a_missing_voice_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="install Debian's festvox-ru"):
        units.copy_voice(tmp_path / "copy", tmp_path / "no")


def test_a_leaf_of_held_out_units_only_is_refused(voice: Path, tmp_path: Path) -> None:
    catalogue = voice / "festival/clunits/msu_ru_nsh.catalogue"
    catalogue.write_text("\n".join([*CATALOGUE, "b_7 ru_0064 0 0 0"]), "latin-1")
    with pytest.raises(ConfigError, match=r"1 leaves of .* hold held-out units only"):
        units.copy_voice(tmp_path / "copy", voice)
