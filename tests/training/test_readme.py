import re
from pathlib import Path

from typer.main import get_command

from models.training import needs
from models.training.__main__ import app

README = (Path(__file__).parents[2] / "models/training/README.md").read_text("utf-8")


def test_every_step_is_told_and_none_is_made_up() -> None:
    commands = set(getattr(get_command(app), "commands"))  # noqa: B009 - typer hides the type
    assert set(re.findall(r"\bstep ([a-z]+)", README)) == commands - {"mini"}


def test_every_module_is_named() -> None:
    table = README[README.index("| module |") : README.index("Everything random")]
    modules = {path.stem for path in Path(needs.__file__).parent.glob("*.py")}
    named = set(re.findall(r"`([a-z_]+)`", table))
    assert modules - {"__init__", "__main__", "card_of"} <= named


def test_the_packages_are_those_that_are_checked() -> None:
    (line,) = re.findall(r"apt-get install ([a-z0-9 -]+)`", README)
    assert line.split() == sorted(needs.PACKAGES)
