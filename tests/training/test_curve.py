import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from models.training.curve import Line, lines_of, read_log, to_svg
from ruasr_tel.errors import ConfigError


def write(path: Path, *facts: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(fact) + "\n" for fact in facts), "utf-8")
    return path


def test_hours_go_on_from_run_to_run(tmp_path: Path) -> None:
    first = write(tmp_path / "a", {"parameters": 3}, {"hours": 1.0, "loss": 2.0})
    second = write(
        tmp_path / "b",
        {"hours": 0.5, "loss": 1.0},
        {"dev": {"prompts": [60.0, 20.0]}},
    )
    assert lines_of(read_log([first, second])) == [
        Line("CER of prompts, %", [(1.5, 20.0)]),
        Line("training loss x 20", [(1.0, 40.0), (1.5, 20.0)]),
    ]


def test_a_log_without_a_loss_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no loss yet"):
        read_log([write(tmp_path / "a", {"parameters": 3})])
    (tmp_path / "b").write_text("{", "utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_log([tmp_path / "b"])


def test_the_picture_has_a_line_for_each() -> None:
    lines = [Line("CER <a>", [(0.0, 90.0), (2.0, 45.0)]), Line("none", [])]
    svg = to_svg("A & B", lines)
    tree = ElementTree.fromstring(svg)
    drawn = [one for one in tree.iter() if one.tag.endswith("polyline")]
    assert [one.get("points") for one in drawn] == ["60.0,70.0 660.0,170.0"]
    texts = [one.text for one in tree.iter() if one.tag.endswith("text")]
    assert "A & B" in texts
    assert "CER <a>" in texts
