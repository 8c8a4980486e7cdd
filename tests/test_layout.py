"""The tests mirror the source: every module has its test file."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    ROOT / "ruasr_tel": ROOT / "tests/core",
    ROOT / "adapters/ruasr_tel_adapters": ROOT / "tests/adapters",
    ROOT / "models/training": ROOT / "tests/training",
}
MODULES = {
    module.relative_to(ROOT).as_posix(): tests / module.parent.relative_to(package)
    for package, tests in PACKAGES.items()
    for module in sorted(package.rglob("*.py"))
}
"""Every module, with the folder its tests lie in."""

ONLY_DECLARES = {
    "ruasr_tel/engines/base.py",
    "ruasr_tel/sinks/base.py",
    "ruasr_tel/types.py",
}
"""Names of types, values and protocols: nothing that could be wrong by itself."""
_STORE = "tests/core/store/"
_REST = "tests/adapters/rest/"
TESTED_BY = {
    "ruasr_tel/models/entries.py": "tests/core/models/test_catalog.py",
    "ruasr_tel/work.py": "tests/core/test_jobs.py",
    "ruasr_tel/recordings/config.py": "tests/core/test_config.py",  # with every other section
    "ruasr_tel/recordings/model.py": "tests/core/recordings/test_jobs.py",
    "ruasr_tel/recordings/stages.py": "tests/core/recordings/test_jobs.py",
    "ruasr_tel/store/store.py": _STORE + "test_calls.py",
    "ruasr_tel/store/values.py": _STORE + "test_calls.py",
    "ruasr_tel/store/migrations/__init__.py": _STORE + "test_migrations.py",
    "ruasr_tel/store/migrations/env.py": _STORE + "test_migrations.py",
    "ruasr_tel/store/migrations/versions/v0001_calls_recordings_deliveries.py": (
        _STORE + "test_migrations.py"
    ),
    "ruasr_tel/store/migrations/versions/v0002_what_an_order_asks.py": (
        _STORE + "test_migrations.py"
    ),
    "ruasr_tel/store/migrations/versions/v0003_call_progress.py": (_STORE + "test_migrations.py"),
    "adapters/ruasr_tel_adapters/audio_stream/__init__.py": (
        "tests/adapters/audio_stream/test_config.py"
    ),
    "adapters/ruasr_tel_adapters/audio_stream/connection.py": (
        "tests/adapters/audio_stream/test_server.py"
    ),
    "adapters/ruasr_tel_adapters/ari/tap.py": "tests/adapters/ari/test_server.py",
    "adapters/ruasr_tel_adapters/rest/__init__.py": _REST + "test_server.py",
    "adapters/ruasr_tel_adapters/rest/api.py": _REST + "test_routes.py",
    "adapters/ruasr_tel_adapters/rest/config.py": _REST + "test_server.py",
    "adapters/ruasr_tel_adapters/rest/operations.py": _REST + "test_openapi.py",
    "adapters/ruasr_tel_adapters/rest/reading.py": _REST + "test_routes.py",
    "adapters/ruasr_tel_adapters/rest/schema.py": _REST + "test_openapi.py",
    "adapters/ruasr_tel_adapters/rest/sse.py": _REST + "test_calls.py",
    "ruasr_tel/__main__.py": "tests/e2e/server.py",  # runs every end-to-end test's commands
}
TESTS = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests").rglob("*.py"))]
LONGEST_MODULE = 400


def only_says(module: Path) -> bool:
    """Whether a module holds nothing but its text, imports and names like `__all__`."""
    return all(
        isinstance(each, ast.Expr | ast.Import | ast.ImportFrom)
        or (isinstance(each, ast.Assign) and ast.unparse(each.targets[0]).startswith("__"))
        for each in ast.parse(module.read_text("utf-8")).body
    )


def has_tests(module: str) -> bool:
    path = ROOT / module
    if module in ONLY_DECLARES or (path.name == "__init__.py" and only_says(path)):
        return True
    mirrored = MODULES[module] / f"test_{path.stem.strip('_')}.py"
    return (ROOT / TESTED_BY[module] if module in TESTED_BY else mirrored).is_file()


def test_every_module_has_its_tests() -> None:
    assert [module for module in MODULES if not has_tests(module)] == []


@pytest.mark.parametrize("module", sorted(ONLY_DECLARES))
def test_what_only_declares_has_no_function_with_a_body(module: str) -> None:
    tree = ast.parse((ROOT / module).read_text("utf-8"))
    functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
    for function in functions:
        _text, *body = [ast.unparse(each) for each in function.body]
        assert body in ([], ["..."]), f"{module}: {function.name}"


def test_the_exceptions_are_still_there() -> None:
    assert set(TESTED_BY) | ONLY_DECLARES <= set(MODULES)


def test_no_folder_of_tests_is_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_a_module_is_short_enough_to_know() -> None:
    lines = {
        each: len((ROOT / each).read_text("utf-8").splitlines()) for each in [*MODULES, *TESTS]
    }
    assert {each: count for each, count in lines.items() if count > LONGEST_MODULE} == {}
