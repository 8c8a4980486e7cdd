import shutil
from pathlib import Path

import pytest

from ruasr_tel.engines import calibration
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.models.catalog import Catalog, Model, to_spec
from ruasr_tel.models.entries import SourceFile
from ruasr_tel.models.probe import ENGINES, LAYOUTS
from tests.core.broken_models import CTC, MODELS_DIR, NEMO, TRANSDUCER, good_model
from tests.core.model_faults import LFS_POINTER


@pytest.fixture
def catalog() -> Catalog:
    return Catalog.load(MODELS_DIR)


@pytest.fixture
def bare(tmp_path: Path) -> Catalog:
    """The catalogue in a folder without any model."""
    shutil.copy(MODELS_DIR / "catalog.yaml", tmp_path)
    return Catalog.load(tmp_path)


def test_the_default_is_embedded_and_sound(catalog: Catalog) -> None:
    model = catalog.resolve(catalog.default)
    assert (model.entry.name, model.entry.embedded) == ("ru-mini-ctc-8k", True)
    names = [check.name for check in model.check()]
    assert names == ["model", "model SHA-256", "tokens", "tokens SHA-256", "vocabulary"]


def test_the_embedded_transducer_is_sound(catalog: Catalog) -> None:
    checks = catalog.resolve("ru-mini-transducer-8k").check()
    assert sum(check.name.endswith("SHA-256") for check in checks) == 4


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("Vosk5", "vosk-model-ru"),
        ("vosk5", "vosk-model-ru"),
        ("Gigaam", "gigaam-v2-ctc"),
        ("RU-MINI-CTC-8K", "ru-mini-ctc-8k"),
    ],
)
def test_a_model_answers_to_its_aliases_in_any_case(
    catalog: Catalog, name: str, entry: str
) -> None:
    found = catalog.entry(name)
    assert found is not None
    assert found.name == entry


def test_the_limits_are_those_its_users_run(catalog: Catalog) -> None:
    limits = {
        entry.name: (entry.segment.min_s, entry.segment.best_s, entry.segment.max_s)
        for entry in catalog.entries
    }
    assert limits["vosk-model-ru"] == (2.0, 15.0, 18.0)
    assert limits["gigaam-v2-ctc"] == (0.1, 15.0, 20.0)


def test_every_entry_says_what_it_costs_and_how_to_bring_it(catalog: Catalog) -> None:
    for entry in catalog.entries:
        assert entry.licence in ("MIT", "Apache-2.0", "CC-BY-4.0")
        assert entry.licence_source
        assert entry.commercial is not None
        assert "%" in entry.accuracy or "unpublished" in entry.accuracy
        command = catalog.bring_command(entry)
        if entry.embedded:
            assert command == f"git checkout -- {MODELS_DIR}/{entry.folder}"
        else:
            assert command == f"ruasr-tel models pull {entry.name}"
            assert entry.fetchable


def test_what_an_entry_says_of_its_files_agrees_with_itself(catalog: Catalog) -> None:
    for entry in catalog.entries:
        patterns = {name for names in entry.files.values() for name in names}
        assert set(LAYOUTS[entry.family]) == set(entry.files)
        assert entry.engine == "vad" or entry.engine in ENGINES[entry.family]
        assert set(entry.other_engines) <= set(ENGINES.get(entry.family, ()))
        brought = {each.path for each in entry.wanted("int8")}
        for role, names in entry.files.items():
            assert entry.source.archive or brought & set(names), f"{entry.name}: {role}"
        exact = {each.path for each in entry.content if each.precision != "any"}
        assert exact <= patterns


def test_one_precision_is_brought_unless_both_are_asked_for(catalog: Catalog) -> None:
    entry = catalog.entry("gigaam-v3-ctc")
    assert entry is not None
    rest = {"v3_vocab.txt", "config.json", "LICENSE.txt"}
    assert {each.path for each in entry.wanted("int8")} == {"v3_ctc.int8.onnx", *rest}
    assert {each.path for each in entry.wanted("full")} == {"v3_ctc.onnx", *rest}
    assert len(entry.wanted("any")) == 5
    assert entry.download_bytes("int8") == 224721181 + 198 + 135 + 1070
    unpublished = catalog.entry("gigaam-v3-rnnt")
    assert unpublished is not None
    assert unpublished.download_bytes("int8") is None


def test_a_model_published_in_one_precision_is_brought_whole(catalog: Catalog) -> None:
    entry = catalog.entry("T-one")
    assert entry is not None
    assert entry.wanted("full") == entry.wanted("int8") == entry.content


@pytest.mark.parametrize(
    "name",
    [
        *("Vosk5", "Vosk5SmallStreaming", "Gigaam", "Gigaam_rnnt"),
        *("gigaam-v2-ctc", "gigaam-v2-rnnt", "gigaam-v3-ctc", "gigaam-v3-rnnt"),
        *("gigaam-v3-e2e-ctc", "gigaam-v3-e2e-rnnt", "t-tech/t-one"),
        *("alphacep/vosk-model-ru", "alphacep/vosk-model-small-ru"),
    ],
)
def test_every_russian_model_name_of_the_seed_is_known(catalog: Catalog, name: str) -> None:
    assert catalog.entry(name) is not None


def test_an_engine_that_cannot_run_the_model_is_refused(catalog: Catalog) -> None:
    entry = catalog.entry("Gigaam")
    assert entry is not None
    assert (entry.engine_named(None), entry.engine_named("sherpa")) == ("onnx", "sherpa")
    with pytest.raises(ConfigError) as caught:
        entry.engine_named("tone")
    assert str(caught.value) == (
        "engine.engine is 'tone', but gigaam-v2-ctc runs on onnx or sherpa"
    )


@pytest.mark.parametrize("name", ["silero-vad", str(MODELS_DIR / "silero-vad")])
def test_the_voice_activity_detector_is_no_recogniser(catalog: Catalog, name: str) -> None:
    with pytest.raises(ConfigError, match="silero-vad finds speech but recognises none"):
        catalog.resolve(name)
    entry = catalog.entry("silero-vad")
    assert entry is not None
    assert [c.name for c in Model(entry, catalog.folder_of(entry)).check()] == [
        "model",
        "model SHA-256",
    ]


def test_a_known_model_that_is_not_here_says_how_to_bring_it(bare: Catalog) -> None:
    with pytest.raises(ModelLoadError) as caught:
        bare.resolve("Vosk5")
    assert str(caught.value) == (
        f"model vosk-model-ru is not in {bare.models_dir}/vosk-model-ru; "
        "bring it with: ruasr-tel models pull vosk-model-ru"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [("vosk-5", "did you mean Vosk5? "), ("zzzzzz", ""), ("gigam", "did you mean Gigaam? ")],
)
def test_an_unknown_name_names_the_nearest_and_the_known(
    catalog: Catalog, name: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        catalog.resolve(name)
    assert str(caught.value) == (
        f"model {name!r} is neither a known name nor a folder; {hint}"
        "known: ru-mini-ctc-8k, ru-mini-transducer-8k, vosk-model-ru, vosk-model-small-ru, "
        "vosk-model-streaming-ru, vosk-model-small-streaming-ru, gigaam-v2-ctc, gigaam-v2-rnnt, "
        "gigaam-v3-ctc, gigaam-v3-rnnt, gigaam-v3-e2e-ctc, gigaam-v3-e2e-rnnt, t-one, "
        "vosk-model-small-ru-0.22, vosk-model-ru-0.42, vosk-model-ru-0.10"
    )


@pytest.mark.parametrize("family", [CTC, TRANSDUCER, NEMO])
def test_a_folder_is_a_model_of_the_family_its_files_show(
    bare: Catalog, tmp_path: Path, family: str
) -> None:
    model = bare.resolve(str(good_model(tmp_path / "mine", family)))
    assert (model.entry.name, model.entry.family) == ("mine", family)
    assert model.entry.commercial is None
    assert model.check()[-1].name == "vocabulary"
    assert bare.embedded_notice(model) is None


def test_a_folder_in_onnx_asrs_layout_runs_on_engine_onnx(bare: Catalog, tmp_path: Path) -> None:
    folder = good_model(tmp_path / "mine", CTC)
    assert bare.resolve(str(folder)).entry.engine == "sherpa"
    (folder / "tokens.txt").rename(folder / "v3_vocab.txt")
    assert bare.resolve(str(folder)).entry.engine == "onnx"


def test_the_folder_of_a_known_model_is_that_model(catalog: Catalog) -> None:
    model = catalog.resolve(str(MODELS_DIR / "ru-mini-ctc-8k"))
    assert model.entry.name == "ru-mini-ctc-8k"


def test_the_family_of_a_folder_may_be_told(bare: Catalog, tmp_path: Path) -> None:
    folder = good_model(tmp_path / "mine", TRANSDUCER)
    assert bare.resolve(str(folder), family=NEMO).entry.family == NEMO
    with pytest.raises(ConfigError, match="no model family 'rnnt'; known: transducer, nemo_trans"):
        bare.resolve(str(folder), family="rnnt")


def test_a_folder_without_a_model_is_refused(bare: Catalog, tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="holds no model"):
        bare.resolve(str(tmp_path))


def test_a_folder_whose_tokens_are_a_pointer_says_so(bare: Catalog, tmp_path: Path) -> None:
    folder = good_model(tmp_path / "mine", TRANSDUCER)
    (folder / "tokens.txt").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n")
    with pytest.raises(ModelLoadError, match="git lfs pull"):
        bare.resolve(str(folder))


def test_the_seeds_layouts_are_found(bare: Catalog) -> None:
    folder = bare.models_dir / "vosk-model-ru"
    for name in ("am-onnx/encoder.onnx", "am-onnx/decoder.onnx", "am-onnx/joiner.onnx"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "lang").mkdir()
    (folder / "lang" / "tokens.txt").touch()
    files = bare.resolve("Vosk5").files()
    assert files["encoder"] == folder / "am-onnx" / "encoder.onnx"
    assert files["tokens"] == folder / "lang" / "tokens.txt"
    (folder / "am-onnx" / "encoder.int8.onnx").touch()
    assert bare.resolve("Vosk5").files()["encoder"].name == "encoder.int8.onnx"
    assert bare.resolve("Vosk5").files("cuda")["encoder"].name == "encoder.onnx"

    giga = bare.models_dir / "GigaAMv2_CTC_RU_ASR_for_sherpa_onnx"
    giga.mkdir()
    for name in ("GigaAMv2_ctc_public.onnx", "tokens.txt"):
        (giga / name).touch()
    assert bare.resolve("Gigaam").files()["model"] == giga / "GigaAMv2_ctc_public.onnx"


def test_a_fault_of_a_known_model_comes_with_the_command_that_mends_it(bare: Catalog) -> None:
    folder = bare.models_dir / "vosk-model-ru"
    folder.mkdir()
    with pytest.raises(ModelLoadError) as caught:
        bare.resolve("Vosk5").check()
    assert str(caught.value).startswith(f"{folder} has no encoder file; expected ")
    assert str(caught.value).endswith(
        "fetch the whole model again (`ruasr-tel models pull vosk-model-ru`)"
    )


def test_a_pointer_beside_the_networks_is_told_before_anything_is_loaded(bare: Catalog) -> None:
    folder = good_model(bare.models_dir / "vosk-model-small-ru", TRANSDUCER)
    (folder / "lang").mkdir()
    (folder / "lang/bpe.model").write_bytes(LFS_POINTER)
    (folder / "am").mkdir()
    for path in folder.glob("*.onnx"):
        path.rename(folder / "am" / path.name)
    (folder / "tokens.txt").rename(folder / "lang/tokens.txt")
    entry = bare.entry("vosk-model-small-ru")
    assert entry is not None
    bare_content = [SourceFile(path=each.path, optional=each.optional) for each in entry.content]
    model = Model(entry.model_copy(update={"content": tuple(bare_content)}), folder)
    for look in (model.check, model.look):
        with pytest.raises(ModelLoadError, match=r"lang/bpe\.model is a git-lfs pointer"):
            look()


def test_the_notice_of_an_embedded_model(catalog: Catalog) -> None:
    notice = catalog.embedded_notice(catalog.resolve("ru-mini-ctc-8k"))
    assert notice is not None
    assert "small model for trying out and testing (measured: WER 19 %, CER 4 % on" in notice
    assert "`ruasr-tel models pull gigaam-v3-ctc` and set the model to gigaam-v3-ctc" in notice


def test_the_spec_has_all_the_engine_needs(catalog: Catalog) -> None:
    model = catalog.resolve("ru-mini-transducer-8k")
    assert to_spec(model, provider="cuda", threads=3) == EngineSpec(
        engine="sherpa",
        model="ru-mini-transducer-8k",
        model_dir=MODELS_DIR / "ru-mini-transducer-8k",
        family="transducer",
        provider="cuda",
        threads=3,
        min_segment_s=0.1,
        max_segment_s=20.0,
        options={
            "encoder": "encoder.int8.onnx|encoder.onnx",
            "decoder": "decoder.onnx",
            "joiner": "joiner.onnx",
            "tokens": "tokens.txt",
            "sample_rate_hz": 16000,
            "calibration": calibration.write(model.entry.calibration),
        },
    )


def test_a_model_on_disk_is_an_entry_and_a_folder(catalog: Catalog) -> None:
    entry = catalog.entries[0]
    assert catalog.resolve(entry.name) == Model(entry, catalog.folder_of(entry))
