from pathlib import Path

import pytest

from models.training.stamps import write_manifest
from ruasr_tel.errors import ConfigError


def stamp(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}_desc_ru.ogg").write_bytes(b"")
    (folder / f"{name}.txt").write_text(f"A thing.\nde.utf8=Ein Ding.\n{text}\nuk.utf8=Річ.\n")


def test_texts_are_clean_and_come_once(tmp_path: Path) -> None:
    stamps = tmp_path / "stamps/animals"
    stamps.mkdir(parents=True)
    stamp(stamps, "a", "ru.utf8=Знак «Уступите дорогу» — жёлтый, кое-где белый.")
    stamp(stamps, "b", "ru.utf8=Знак «уступите дорогу» - жёлтый, кое где белый!")
    stamp(stamps, "c", "ru.utf8=10 центов США.")
    stamp(stamps, "d", "ru.utf8=Это программа Tux.")
    stamp(stamps, "e", "fr.utf8=Un truc.")
    stamp(stamps, "f", "ru=Лев и кот.")
    stamp(stamps, "h", "ru=Чёрный дрозд.")
    (stamps / "g_desc_ru.ogg").write_bytes(b"")
    assert write_manifest(tmp_path / "to/manifest.tsv", tmp_path / "stamps") == 2
    rows = (tmp_path / "to/manifest.tsv").read_text("utf-8").splitlines()
    assert rows == [
        f"{stamps / 'a_desc_ru.ogg'}\tзнак уступите дорогу желтый кое где белый",
        f"{stamps / 'f_desc_ru.ogg'}\tлев и кот",
    ]


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="apt-get install tuxpaint-stamps-default"):
        write_manifest(tmp_path / "manifest.tsv", tmp_path)
