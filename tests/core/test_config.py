from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import ValidationError

from ruasr_tel.config import Config, Loaded, config_tree, load_config
from ruasr_tel.config_env import FOREIGN_NAMES
from ruasr_tel.config_keys import Key, fields, find, values
from ruasr_tel.errors import ConfigError
from ruasr_tel.plugins import adapters
from ruasr_tel.profile import DEFAULT_PROFILES, Profile

CONFIGS = Path(__file__).parents[2] / "configs"


def load(
    text: str = "",
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    at: Path,
) -> Loaded:
    path = at / "ruasr.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ or {}, overrides)


def told(text: str = "", environ: Mapping[str, str] | None = None, *, at: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, environ, at=at)
    return str(caught.value).replace(f"{at}/", "").splitlines()


def test_nothing_configured_is_the_defaults() -> None:
    loaded = load_config(environ={})
    assert loaded.config == config_tree()()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.warnings == ()
    assert loaded.config.engine.model == "ru-mini-ctc-8k"


def test_every_door_listens_on_loopback_until_told_otherwise() -> None:
    config = load_config(environ={}).config
    hosts = {key: value for key, value in values(config) if key[-1] == "host"}
    assert {("doors", "vosk_ws", "host"), ("doors", "audiosocket", "host")} <= set(hosts)
    assert set(hosts.values()) == {"127.0.0.1"}
    assert config.door("vosk_ws").port == 2700
    assert config.door("audiosocket").port == 9092


def test_every_installed_adapter_has_its_section_below_doors() -> None:
    config = load_config(environ={}).config
    sections = {name: type(config.door(name)) for name in type(config.doors).model_fields}
    assert sections == {name: adapter.config for name, adapter in adapters().items()}


def test_every_field_says_what_it_is() -> None:
    undocumented = [".".join(key) for key, field in fields(config_tree()) if not field.description]
    assert undocumented == []


def test_every_section_says_what_it_is() -> None:
    assert [
        name for name, field in config_tree().model_fields.items() if not field.description
    ] == []
    doors = config_tree()().doors
    assert [name for name, field in type(doors).model_fields.items() if not field.description] == []


def test_the_tree_is_frozen() -> None:
    config = load_config(environ={}).config
    with pytest.raises(ValidationError, match="frozen"):
        config.engine = config.engine  # type: ignore[misc]  # that is what is tested
    with pytest.raises(ValidationError, match="frozen"):
        config.engine.threads = 3  # type: ignore[misc]  # that is what is tested


def test_the_process_environment_is_read_where_none_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "ruasr.yaml"
    path.write_text("engine: {threads: 3}", encoding="utf-8")
    monkeypatch.setenv("RUASR_CONFIG", str(path))
    monkeypatch.setenv("RUASR__ENGINE__MODEL", "Gigaam")
    config = load_config().config
    assert (config.engine.threads, config.engine.model) == (3, "Gigaam")


def test_a_tree_made_by_hand_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG", '{"level": "debug"}')
    monkeypatch.setenv("METRICS", "7")
    assert Config().log.level == "info"


def test_a_file_on_the_command_line_beats_the_variable(tmp_path: Path) -> None:
    environ = {"RUASR_CONFIG": str(tmp_path / "missing.yaml")}
    assert load("engine: {threads: 2}", environ, at=tmp_path).config.engine.threads == 2


def test_later_sources_win_and_origins_tell_which(tmp_path: Path) -> None:
    key = "engine.threads"
    text = "engine:\n  threads: 1\n"
    seed = {"NUM_THREADS": "2"}
    own = {**seed, "RUASR__ENGINE__THREADS": "3"}
    line = load(text, own, {"engine.threads": 4}, at=tmp_path)
    for loaded, threads, origin in (
        (load(at=tmp_path), None, "default"),
        (load(text, at=tmp_path), 1, f"file {tmp_path}/ruasr.yaml, line 2"),
        (load(text, seed, at=tmp_path), 2, "environment NUM_THREADS"),
        (load(text, own, at=tmp_path), 3, "environment RUASR__ENGINE__THREADS"),
        (line, 4, "command line"),
    ):
        assert (loaded.config.engine.threads, loaded.origins[key]) == (threads, origin)


def test_origins_name_every_value() -> None:
    loaded = load_config(environ={"RUASR__PROFILES__SURVEY": "{}"})
    assert set(loaded.origins) == {".".join(key) for key, _ in values(loaded.config)}
    assert "profiles.survey.boundary.endpoint_ms" in loaded.origins


def test_a_partial_profile_keeps_its_other_values(tmp_path: Path) -> None:
    text = "profiles:\n  yesno:\n    boundary:\n      endpoint_ms: 400\n  survey:\n"
    profiles = load(text, at=tmp_path).config.profiles
    yesno = DEFAULT_PROFILES["yesno"]
    boundary = yesno.boundary.model_copy(update={"endpoint_ms": 400})
    assert profiles == {
        **DEFAULT_PROFILES,
        "yesno": yesno.model_copy(update={"boundary": boundary}),
        "survey": Profile(),
    }


def test_profiles_may_be_given_as_objects() -> None:
    mine = Profile()
    assert Config(profiles={"mine": mine}).profiles == {**DEFAULT_PROFILES, "mine": mine}


def test_profiles_that_are_no_table_are_refused() -> None:
    with pytest.raises(ValidationError, match="profiles"):
        Config.model_validate({"profiles": 5})


# --- what other servers' users have in their environment


def test_every_foreign_variable_has_its_key_except_the_rest_doors() -> None:
    def exists(dotted: str) -> bool:
        key: Key = tuple(dotted.split("."))
        if dotted.startswith("doors.<name>"):
            key = ("doors", "audiosocket", *key[2:])
        return find(config_tree(), key) is not None

    missing = {each.name for each in FOREIGN_NAMES if each.key and not exists(each.key)}
    assert missing <= {"PORT"}


def test_the_seeds_environment_starts(tmp_path: Path) -> None:
    environ = {
        "LOGGING_LEVEL": "INFO",
        "NUM_THREADS": "2",
        "HOST": "0.0.0.0",
        "MODEL_NAME": "Gigaam",
        "BASE_SAMPLE_RATE": "8000",
        "MAX_OVERLAP_DURATION": "12",
        "RECOGNITION_ATTEMPTS": "1",
        "PROVIDER": "CUDA",
    }
    loaded = load("doors: {vosk_ws: {host: 127.0.0.1}}", environ, at=tmp_path)
    config = loaded.config
    assert config.log.level == "info"
    assert (config.engine.threads, config.engine.model, config.engine.provider) == (
        2,
        "Gigaam",
        "cuda",
    )
    assert (config.door("audiosocket").host, config.door("vosk_ws").host) == (
        "0.0.0.0",
        "127.0.0.1",
    )
    limits = {name: each.boundary.max_segment_s for name, each in config.profiles.items()}
    assert limits == dict.fromkeys(DEFAULT_PROFILES, 12.0) | {"yesno": 5.0}
    assert len(loaded.warnings) == 2


def test_vosk_servers_environment_starts(tmp_path: Path) -> None:
    environ = {
        "VOSK_SERVER_INTERFACE": "0.0.0.0",
        "VOSK_SERVER_PORT": "2701",
        "VOSK_SAMPLE_RATE": "16000",
        "VOSK_ALTERNATIVES": "2",
        "VOSK_SHOW_WORDS": "False",
        "VOSK_MODEL_PATH": "models/gigaam",
    }
    loaded = load(environ=environ, at=tmp_path)
    door = loaded.config.door("vosk_ws")
    assert (door.host, door.port, door.sample_rate) == ("0.0.0.0", 2701, 16000)
    assert (door.max_alternatives, door.show_words) == (2, False)
    assert loaded.config.engine.model == "models/gigaam"
    assert loaded.origins["doors.vosk_ws.port"] == "environment VOSK_SERVER_PORT"
    assert loaded.warnings == ()


def test_the_host_of_the_seeds_readme_ends_in_a_sentence(tmp_path: Path) -> None:
    assert told(environ={"HOST": "0.0.0.0.0"}, at=tmp_path) == [
        "doors.aeap.host is '0.0.0.0.0' (environment HOST): no address to listen on;"
        " 0.0.0.0 means every one of this machine's"
    ]


def test_a_variable_with_too_few_underscores_is_warned_of() -> None:
    warnings = load_config(environ={"RUASR_DOORS_VOSK_WS_PORT": "1"}).warnings
    assert warnings == (
        "environment RUASR_DOORS_VOSK_WS_PORT has no effect:"
        " did you mean RUASR__DOORS__VOSK_WS__PORT?",
    )


# --- what is wrong is said


@pytest.mark.parametrize(
    ("text", "environ", "sentences"),
    [
        (
            "doors:\n  vosk:\n    port: 2700\n",
            {"RUASR__ENGINE__MODLE": "x"},
            [
                "unknown key doors.vosk (file ruasr.yaml, line 2): did you mean doors.vosk_ws?",
                "unknown key engine.modle (environment RUASR__ENGINE__MODLE):"
                " did you mean engine.model?",
            ],
        ),
        (
            "engine:\n  threads: 0\n",
            {"PROVIDER": "tensorrt", "VOSK_SERVER_PORT": "70000"},
            [
                "engine.provider is 'tensorrt' (environment PROVIDER):"
                " must be 'auto', 'cpu' or 'cuda'",
                "engine.threads is 0 (file ruasr.yaml, line 2): must be at least 1",
                "doors.vosk_ws.port is '70000' (environment VOSK_SERVER_PORT):"
                " must be at most 65535",
            ],
        ),
        (
            "",
            {"MAX_OVERLAP_DURATION": "long", "RUASR__PROFILES__A__BOUNDARY__MAX_SEGMENT_S": "3"},
            [
                f"profiles.{name}.boundary.max_segment_s is 'long'"
                " (environment MAX_OVERLAP_DURATION): must be a number"
                for name in sorted(DEFAULT_PROFILES)
            ],
        ),
        (
            "",
            {"DELETE_LOCAL_FILE_AFTR_ASR": "si"},
            [
                "watch.after is 'si' (environment DELETE_LOCAL_FILE_AFTR_ASR):"
                " must be 'keep', 'delete' or 'move'"
            ],
        ),
        (
            "profiles:\n  yesno:\n    boundary:\n      threshold: 0.3\n",
            {"RUASR__PROFILES__YESNO__BOUNDARY__THRESHOLD_OFF": "0.4"},
            [
                "profiles.yesno.boundary (file ruasr.yaml, line 4;"
                " environment RUASR__PROFILES__YESNO__BOUNDARY__THRESHOLD_OFF):"
                " threshold_off (0.4) must not exceed threshold (0.3)"
            ],
        ),
        (
            "doors:\n  vosk_ws:\n    profile: yesnno\n    host: ''\n",
            {},
            [
                "doors.vosk_ws.host is '' (file ruasr.yaml, line 4): no address to listen on;"
                " 0.0.0.0 means every one of this machine's",
                "doors.vosk_ws.profile is 'yesnno' (file ruasr.yaml, line 3):"
                " the profiles are default, yesno, digits, dialogue, dictation",
            ],
        ),
        (
            "metrics: {host: 1.2.3.4.5}\n",
            {},
            [
                "metrics.host is '1.2.3.4.5' (file ruasr.yaml, line 1): no address to listen on;"
                " 0.0.0.0 means every one of this machine's"
            ],
        ),
    ],
)
def test_bad_values_get_one_sentence_each(
    tmp_path: Path, text: str, environ: dict[str, str], sentences: list[str]
) -> None:
    assert sorted(told(text, environ, at=tmp_path)) == sorted(sentences)


# --- the examples


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_loads(path: Path) -> None:
    loaded = load_config(path, environ={})
    assert loaded.warnings == ()
    assert any(origin.startswith("file ") for origin in loaded.origins.values())


def test_the_examples_are_there() -> None:
    names = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert {"minimal", "vosk5", "gigaam", "cuda", "demo"} <= names
