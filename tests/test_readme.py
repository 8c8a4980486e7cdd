"""What the README and the pages beside it tell people to type, paste and read is there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ruasr_tel.cli import app
from ruasr_tel.config import config_tree, load_config
from ruasr_tel.errors import ConfigError
from ruasr_tel.plugins import adapters
from ruasr_tel.profile import DEFAULT_PROFILES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = sorted(
    page
    for folder in (".", "configs", "dialplan_examples", "docs", "docs/adr", "models", "systemd")
    for page in (ROOT / folder).glob("*.md")
)


def shell_lines(page: Path) -> Iterator[str]:
    """Yield the commands in the shell blocks of a page, comments left out."""
    for block in re.findall(
        r"^```(?:sh|bash|console)\n(.*?)^```", page.read_text("utf-8"), re.M | re.S
    ):
        yield from block.replace("\\\n", " ").splitlines()


def commands(page: Path, name: str) -> list[list[str]]:
    """Return the words after `name` of each command of that name, in blocks and in backticks."""
    inline = re.findall(rf"`({re.escape(name)} [^`]*)`", page.read_text("utf-8"))
    found = []
    for line in [*shell_lines(page), *inline]:
        for part in re.split(r"&&|;|\|", line):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words.pop(0)  # a variable for this command
            if words[:1] == [name]:
                found.append(words[1:])
    return found


def everywhere(name: str) -> list[tuple[str, list[str]]]:
    return [
        (page.relative_to(ROOT).as_posix(), words)
        for page in PAGES
        for words in commands(page, name)
    ]


@pytest.mark.parametrize(("page", "words"), everywhere("ruasr-tel"))
def test_every_command_line_is_one_that_ruasr_tel_takes(page: str, words: list[str]) -> None:
    command: Any = typer.main.get_command(app)  # click's, or typer's own copy of it
    context = command.context_class(command, info_name="ruasr-tel")
    while hasattr(command, "resolve_command") and words and not words[0].startswith("-"):
        name, command, words = command.resolve_command(context, words)
        context = command.context_class(command, info_name=name, parent=context)
    if words:  # else the text names a command
        command.parse_args(context, list(words))  # raises what is wrong with them


def test_the_readme_shows_every_command() -> None:
    shown = {words[0] for words in commands(ROOT / "README.md", "ruasr-tel")}
    daily = {"serve", "call", "transcribe", "doctor", "models", "config"}
    assert shown == daily | {"bench", "history", "install-service", "lm"}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))


@pytest.mark.parametrize(("page", "words"), everywhere("make"))
def test_every_make_target_that_is_named_is_there(page: str, words: list[str]) -> None:
    wanted = {word for word in words if "=" not in word and not word.startswith("-")}
    assert wanted <= targets()


def test_the_readme_has_the_commands_that_ci_runs() -> None:
    named = {word for words in commands(ROOT / "README.md", "make") for word in words}
    assert {"setup", "demo", "test", "style", "types", "imports", "bench"} <= named


def links() -> list[tuple[str, str]]:
    return [
        (page.relative_to(ROOT).as_posix(), target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
        if "://" not in target
    ]


@pytest.mark.parametrize(("page", "target"), links())
def test_every_link_leads_to_a_file_and_a_heading(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    assert file.exists()
    if anchor:
        headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.M)
        assert anchor in {
            re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings
        }


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:ruasr_tel|tests|docs|configs)/[^`]*)`", README)))
)
def test_every_path_in_the_readme_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_table_of_doors_has_each_with_its_port() -> None:
    ports = {
        f"127.0.0.1:{adapter.config.model_fields['port'].default}"
        for adapter in adapters().values()
        if adapter.config.model_fields["port"].default  # `ari` connects, it has none of its own
    }
    rows = [line for line in README.splitlines() if line.startswith("| ") and "127.0.0.1:" in line]
    assert {port for port in ports if any(port in row for row in rows)} == ports


def test_the_profiles_it_names_are_those_there_are() -> None:
    (line,) = [line for line in README.splitlines() if "`default`" in line]
    assert {word for word in re.findall(r"`(\w+)`", line)} == set(DEFAULT_PROFILES)


def keys() -> list[str]:
    """Return what looks like a key of the configuration; `NAME` stands for any door's."""
    sections = "|".join(config_tree().model_fields)
    found = re.findall(rf"`((?:{sections})\.[A-Za-z_.]+)`", README)
    return sorted({key.replace(".NAME", ".vosk_ws") for key in found})


def complaint(key: str) -> str:
    try:
        load_config(None, environ={}, overrides={key: "1"})
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", keys())
def test_every_key_is_one_of_the_configuration(key: str) -> None:
    assert "unknown key" not in complaint(key)


def test_a_key_that_is_none_would_be_noticed() -> None:
    assert "unknown key" in complaint("sinks.jsonl.paht")
