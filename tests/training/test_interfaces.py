import io
import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from models.training.interfaces import PACKAGES, Package, sentences
from ruasr_tel.errors import ConfigError

WHEEL = Package("a.whl", "a/*/ru.json", "PyPI a 1", "MIT", "(c) somebody")
TGZ = replace(WHEEL, archive="b.tgz", members="package/ru.json", origin="npm b 1")


def archives(folder: Path, strings: object) -> None:
    content = json.dumps(strings).encode()
    with zipfile.ZipFile(folder / WHEEL.archive, "w") as archive:
        archive.writestr("a/x/ru.json", content)
        archive.writestr("a/x/uk.json", json.dumps(["не сюди"]))
    with tarfile.open(folder / TGZ.archive, "w:gz") as parts:
        about = tarfile.TarInfo("package/ru.json")
        about.size = len(content)
        parts.addfile(about, io.BytesIO(content))


@pytest.mark.parametrize("package", [WHEEL, TGZ])
def test_sentences_are_clean_and_come_once(tmp_path: Path, package: Package) -> None:
    strings = {
        "one": "Введите номер, чтобы продолжить. Попробуйте ещё раз!",
        "two": ["Попробуйте еще раз", 5, None, {"deep": "Осталось {count} минут до «конца» дня"}],
        "three": "Да",
        "four": "Откройте Settings в меню",
    }
    archives(tmp_path, strings)
    assert list(sentences(tmp_path, (package,))) == [
        "введите номер чтобы продолжить",
        "попробуйте еще раз",
        "минут до конца дня",
        "в меню",
    ]


def test_a_missing_broken_or_other_archive_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.whl cannot be read .*get PyPI a 1 by"):
        list(sentences(tmp_path, (WHEEL,)))
    (tmp_path / WHEEL.archive).write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"a\.whl cannot be read"):
        list(sentences(tmp_path, (WHEEL,)))
    archives(tmp_path, ["слово дело"] * 5000)
    cut = (tmp_path / TGZ.archive).read_bytes()
    (tmp_path / TGZ.archive).write_bytes(cut[: len(cut) // 2])
    with pytest.raises(ConfigError, match=r"b\.tgz cannot be read"):
        list(sentences(tmp_path, (TGZ,)))
    with zipfile.ZipFile(tmp_path / WHEEL.archive, "w") as archive:
        archive.writestr("a/x/ru.json", "{")
    with pytest.raises(ConfigError, match=r"a\.whl cannot be read"):
        list(sentences(tmp_path, (WHEEL,)))
    archives(tmp_path, [])
    with pytest.raises(ConfigError, match="another version than PyPI a 1"):
        list(sentences(tmp_path, (replace(WHEEL, members="b/*"),)))


def test_terms_are_permissive_and_authors_named(tmp_path: Path) -> None:
    archives(tmp_path, [])
    for bad in (replace(WHEEL, licence="GPL-3.0-only"), replace(WHEEL, attribution="")):
        with pytest.raises(ConfigError, match=r"permissive ones|whom to name"):
            list(sentences(tmp_path, (bad,)))
    assert len({one.archive for one in PACKAGES}) == len(PACKAGES) > 0
