"""`models`: list, pull, pack, verify, remove; the hub is on loopback, the models are our own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from ruasr_tel.cli.root import app
from tests.core.broken_models import CTC, MODELS_DIR, good_model
from tests.core.model_faults import LFS_POINTER
from tests.core.models.hub_server import Hub, serving
from tests.core.models.mini import MINI, MODEL, TOKENS, UNCLEAR

WITHIN_S = 60.0


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["models", *words])


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = good_model(tmp_path / "published", CTC)
    with serving(Hub({name: (folder / name).read_bytes() for name in (MODEL, TOKENS)})) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    embedded = {**MINI, "name": "here", "folder": "here", "embedded": True}
    content = {"default": "here", "recommended": "mini", "models": [embedded, MINI, UNCLEAR]}
    (folder / "catalog.yaml").write_text(yaml.safe_dump(content), "utf-8")
    return folder


@pytest.fixture
def at(models: Path) -> tuple[str, ...]:
    """The options that choose that folder, and a model in it."""
    return ("-s", f"models.dir={models}", "-s", "engine.model=here")


# list


def test_every_known_model_is_listed_and_those_not_here_with_a_command_to_copy() -> None:
    result = run("list")
    assert result.exit_code == 0, result.output
    machine, *rest = result.stdout.splitlines()
    assert machine.startswith("this machine: ")
    heads = [line for line in rest if not line.startswith(" ")]
    assert heads[0] == "ru-mini-ctc-8k (CC-BY-4.0: commercial use allowed, in use)"
    assert heads[2] == (
        "vosk-model-ru, also Vosk5 or vosk-model-ru-0.54 or alphacep/vosk-model-ru "
        "(Apache-2.0: commercial use allowed, not here)"
    )
    at = rest.index(heads[2])
    assert rest[at + 1].startswith("    about 74 MB to download; memory not measured; ")
    assert rest[at + 1].endswith("sherpa; 2 to 18 s")
    assert rest[at + 3] == "    bring it: ruasr-tel models pull vosk-model-ru"
    assert "    224.7 MB to download; 447 MB of memory: " in result.stdout
    assert "about 1800 MB to download" in result.stdout
    assert "; tone; 0.3 to 60 s; streaming\n" in result.stdout
    assert "; onnx; 0.1 to 20 s; with punctuation\n" in result.stdout


def test_the_list_for_programs_has_everything() -> None:
    result = run("list", "--json")
    listed = {each["name"]: each for each in json.loads(result.stdout)}
    mini = listed["ru-mini-ctc-8k"]
    assert (mini["installed"], mini["in_use"], mini["fault"]) == (True, True, None)
    assert mini["installed_bytes"] > 4_000_000
    v3 = listed["gigaam-v3-ctc"]
    assert (v3["installed"], v3["download_bytes"], v3["commercial"]) == (False, 224722584, True)
    assert v3["source"]["revision"] == "322c3b29492673eb7d0b434bfa9dfb8653e34d02"
    assert v3["segment"]["max_s"] == 20.0
    assert "content" not in v3


def test_a_configured_model_that_is_not_here_does_not_keep_the_list_back() -> None:
    result = run("list", "-s", "engine.model=Vosk5")
    assert result.exit_code == 0
    assert "(Apache-2.0: commercial use allowed, not here, in use)" in result.stdout


def test_a_model_that_is_not_whole_says_so_in_the_list(models: Path, at: tuple[str, ...]) -> None:
    good_model(models / "mini", CTC)
    (models / "mini" / TOKENS).unlink()
    result = run("list", *at)
    assert "not whole: " in result.stdout
    assert f"{models}/mini has no tokens file" in result.stdout
    assert "bring it: ruasr-tel models pull mini" in result.stdout


def test_a_pointer_in_place_of_a_file_says_so_in_the_list(
    models: Path, at: tuple[str, ...]
) -> None:
    good_model(models / "mini", CTC)
    (models / "mini" / MODEL).write_bytes(LFS_POINTER)
    result = run("list", *at)
    assert f"not whole: {models}/mini/{MODEL} is a git-lfs pointer" in result.stdout
    assert "bring it: ruasr-tel models pull mini" in result.stdout


def test_a_models_folder_without_a_catalogue_is_named(tmp_path: Path) -> None:
    result = run("list", "-s", f"models.dir={tmp_path}")
    assert result.exit_code == 2
    assert result.stderr == f"error: {tmp_path}/catalog.yaml cannot be read: {os.strerror(2)}\n"


# pull and what follows


def test_a_models_whole_life(models: Path, at: tuple[str, ...], hub: Hub, tmp_path: Path) -> None:
    result = run("pull", "mini", *at)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"mini is in {models}/mini; use it with engine.model: mini\n"
    assert "mini: licence MIT, commercial use allowed: https://example.org/mini" in result.stderr
    assert "loading it for a try" in result.stderr

    again = run("pull", "mini", *at)
    assert again.stdout == f"mini is in {models}/mini, whole; --force brings it again\n"

    archive = tmp_path / "mini.tar"
    packed = run("pack", "mini", "-o", str(archive), *at)
    size = f"{len(hub.files[MODEL]) / 1e6:.1f} MB"
    assert packed.stdout == f"{archive}, {size}\n"

    removed = run("remove", "mini", *at)
    assert removed.stdout == f"mini is removed, {size} are free\n"
    assert not (models / "mini").exists()

    hub.status = {MODEL: 500, TOKENS: 500}
    back = run("pull", "mini", "--from", str(archive), "--no-load", *at)
    assert back.exit_code == 0, back.output
    sound = run("verify", *at)
    assert sound.exit_code == 0
    assert sound.stdout == "ok   mini, by 2 digest(s) written down when it came from mini.tar\n"


def test_a_damaged_model_is_brought_again_without_being_asked_twice(
    models: Path, at: tuple[str, ...], hub: Hub
) -> None:
    run("pull", "mini", "--no-load", *at)
    (models / "mini" / MODEL).write_bytes(hub.files[MODEL][:-1])
    result = run("pull", "mini", "--no-load", *at)
    assert f"warning: {models}/mini/{MODEL} is cut off: " in result.stderr
    assert result.stdout.startswith(f"mini is in {models}/mini; use it with")
    assert (models / "mini" / MODEL).read_bytes() == hub.files[MODEL]


def test_a_model_that_the_engine_cannot_load_is_not_installed(
    models: Path, at: tuple[str, ...], hub: Hub
) -> None:
    hub.files[MODEL] = b"no network at all" * 100
    result = run("pull", "mini", *at)
    assert result.exit_code == 2
    assert "is damaged or no ONNX model" in result.stderr
    assert not (models / "mini").exists()


def test_a_model_whose_engine_is_not_here_is_installed_with_a_warning(
    models: Path, at: tuple[str, ...], hub: Hub
) -> None:
    catalog = models / "catalog.yaml"
    catalog.write_text(catalog.read_text().replace("name: mini", "name: mini\n  engine: none"))
    result = run("pull", "mini", *at)
    assert result.exit_code == 0, result.output
    assert "warning: it was not loaded for a try: " in result.stderr
    assert (models / "mini").is_dir()


def test_an_unclear_licence_is_asked_for(models: Path, at: tuple[str, ...], hub: Hub) -> None:
    result = run("pull", "unclear", "--no-load", *at)
    assert result.exit_code == 1
    assert "unclear: licence unknown, commercial use unclear: https://example.org" in result.stderr
    assert "then add --accept-licence" in result.stderr
    accepted = run("pull", "unclear", "--no-load", "--accept-licence", *at)
    assert accepted.exit_code == 0, accepted.output


def test_a_hub_that_is_not_there_is_one_sentence(
    models: Path, at: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = run("pull", "mini", *at)
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert not (models / "mini").exists()


def test_the_configured_mirror_comes_before_the_variable(
    models: Path, at: tuple[str, ...], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = run("pull", "mini", "--no-load", *at, "-s", f"models.endpoint={hub.url}")
    assert result.exit_code == 0, result.output


def test_cuda_brings_full_precision(models: Path, at: tuple[str, ...], hub: Hub) -> None:
    hub.files["model.onnx"] = hub.files[MODEL]
    run("pull", "mini", "--no-load", *at, "-s", "engine.provider=cuda")
    assert {each.name for each in (models / "mini").glob("*.onnx")} == {"model.onnx"}


@pytest.mark.parametrize("how", [("--precision", "full"), ("-s", "engine.provider=cuda")])
def test_another_precision_than_the_one_that_is_here_is_brought(
    models: Path, at: tuple[str, ...], hub: Hub, how: tuple[str, str]
) -> None:
    hub.files["model.onnx"] = hub.files[MODEL]
    run("pull", "mini", "--no-load", *at)
    result = run("pull", "mini", "--no-load", *how, *at)
    assert result.exit_code == 0, result.output
    assert f"{models}/mini has no model.onnx" in result.stderr
    assert {each.name for each in (models / "mini").glob("*.onnx")} == {"model.onnx"}
    again = run("pull", "mini", "--no-load", *how, *at)
    assert again.stdout == f"mini is in {models}/mini, whole; --force brings it again\n"


@pytest.mark.parametrize("command", ["pull", "pack", "verify", "remove"])
def test_an_unknown_name_names_the_nearest(at: tuple[str, ...], command: str) -> None:
    result = run(command, "mimi", *at)
    assert result.exit_code == 2
    assert "did you mean mini? known: here, mini, unclear" in result.stderr


@pytest.mark.parametrize("command", ["pack", "remove"])
def test_a_model_that_is_not_here_cannot_be_packed_or_removed(
    at: tuple[str, ...], command: str
) -> None:
    result = run(command, "mini", *at)
    assert result.exit_code == 1
    assert "mini is not in " in result.stderr


def test_what_is_broken_is_told_by_verify(models: Path, at: tuple[str, ...]) -> None:
    good_model(models / "mini", CTC)
    good_model(models / "unclear", CTC)
    (models / "mini" / MODEL).write_bytes(LFS_POINTER)
    result = run("verify", *at)
    assert result.exit_code == 2
    bad, good = result.stdout.splitlines()
    assert bad.startswith(f"bad  mini: {models}/mini/{MODEL} is a git-lfs pointer")
    assert good.startswith("ok   unclear, by the catalogue, which has 0 digest(s)")


def test_the_model_in_use_is_not_removed_by_accident(models: Path, at: tuple[str, ...]) -> None:
    good_model(models / "mini", CTC)
    used = (*at, "-s", "engine.model=mini")
    result = run("remove", "mini", *used)
    assert result.exit_code == 1
    assert "the configuration names mini; set another one first, or add --force" in result.stderr
    assert run("remove", "mini", "--force", *used).exit_code == 0


@pytest.mark.parametrize(
    "key", ["engine.model", "profiles.default.model", "profiles.yesno.partials.model"]
)
@pytest.mark.parametrize("named", ["name", "another name", "folder", "link"])
def test_a_model_that_is_named_anywhere_is_in_use(
    models: Path, at: tuple[str, ...], tmp_path: Path, key: str, named: str
) -> None:
    good_model(models / "mini", CTC)
    (tmp_path / "link").symlink_to(models / "mini")
    names = {"name": "mini", "another name": "MINI", "folder": f"{models}/mini"}
    used = (*at, "-s", f"{key}={names.get(named, tmp_path / named)}")
    assert "mini (MIT: commercial use allowed, in use)" in run("list", *used).stdout
    result = run("remove", "mini", *used)
    assert result.exit_code == 1
    assert "the configuration names mini; set another one first, or add --force" in result.stderr
    assert (models / "mini").is_dir()
    assert run("remove", "mini", *at).exit_code == 0


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let processes hear Ctrl-C: where a shell runs the tests in the background they would not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_installs_nothing_and_the_next_attempt_goes_on(
    models: Path, at: tuple[str, ...], hub: Hub
) -> None:
    hub.files[MODEL] = bytes(range(256)) * 50_000  # 12.8 MB; it is written by 10 MB
    hub.stall[MODEL] = 11_000_000
    command = [sys.executable, "-m", "ruasr_tel", "models", "pull", "mini", "--no-load", *at]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert hub.stalled.wait(WITHIN_S)
        staging = models / ".staging"
        while not any(each.stat().st_size for each in staging.rglob("*.part")):
            with contextlib.suppress(subprocess.TimeoutExpired):
                assert process.wait(0.05) is None
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1
    assert b"interrupted: nothing was installed; the same goes on" in told
    assert not (models / "mini").exists()
    hub.go_on.set()
    result = run("pull", "mini", "--no-load", *at)
    assert result.exit_code == 0, result.output
    assert set(hub.ranges()) == {"bytes=10485760-"}
    assert (models / "mini" / MODEL).read_bytes() == hub.files[MODEL]


def test_our_own_embedded_models_are_sound(tmp_path: Path) -> None:
    for name in ("ru-mini-ctc-8k", "ru-mini-transducer-8k", "silero-vad"):
        shutil.copytree(MODELS_DIR / name, tmp_path / name)
    shutil.copy(MODELS_DIR / "catalog.yaml", tmp_path)
    result = run("verify", "-s", f"models.dir={tmp_path}")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 3
