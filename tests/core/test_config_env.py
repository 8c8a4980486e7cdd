import math
from collections.abc import Mapping

import pytest
from pydantic import Field

from ruasr_tel.config_env import FOREIGN_NAMES, foreign_entries, is_malformed_address
from ruasr_tel.config_keys import Entry
from ruasr_tel.section import Section


class Log(Section):
    level: str = "info"
    """Level."""


class Engine(Section):
    model: str = "mini"
    """Model."""
    provider: str = "auto"
    """Provider."""
    threads: int = 1
    """Threads."""


class Boundary(Section):
    max_segment_s: float = Field(15, ge=2, le=25)
    """Limit."""


class Profile(Section):
    boundary: Boundary = Boundary()
    """Cuts."""


class VoskWs(Section):
    host: str = "127.0.0.1"
    """Host."""
    port: int = 2700
    """Port."""
    sample_rate: int = 8000
    """Rate."""
    show_words: bool = True
    """Words."""
    max_alternatives: int = 0
    """Alternatives."""


class AudioSocket(Section):
    host: str = "127.0.0.1"
    """Host."""


class Doors(Section):
    audiosocket: AudioSocket = AudioSocket()
    """A door."""
    vosk_ws: VoskWs = VoskWs()
    """Another."""


class Dialogue(Section):
    rhythm_percentile: float = 80
    """Share."""


class Watch(Section):
    write: str = "json"
    """Kind."""
    after: str = "move"
    """Fate."""
    channels: str = "auto"
    """Channels."""


class Tree(Section):
    log: Log = Log()
    """Log."""
    engine: Engine = Engine()
    """Engine."""
    profiles: dict[str, Profile] = Field(default_factory=dict)
    """Profiles."""
    dialogue: Dialogue = Dialogue()
    """Turns."""
    watch: Watch = Watch()
    """Folder."""
    doors: Doors = Doors()
    """Doors."""


class Rest(Section):
    host: str = "127.0.0.1"
    """Host."""
    port: int = 49153
    """Port."""


class DoorsWithRest(Doors):
    rest: Rest = Rest()
    """The seed's door."""


class TreeWithRest(Tree):
    doors: DoorsWithRest = DoorsWithRest()
    """Doors."""


def read(
    environ: Mapping[str, str], *others: str, tree: type[Tree] = Tree
) -> tuple[dict[str, tuple[object, str]], list[str]]:
    taken = [Entry(tuple(key.split(".")), 0, "file") for key in others]
    profiles = {"default": math.inf, "yesno": 5.0}
    entries, warnings = foreign_entries(environ, tree, taken, profiles)
    return {".".join(entry.key): (entry.value, entry.origin) for entry in entries}, warnings


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("LOGGING_LEVEL", "INFO", "log.level"),
        ("NUM_THREADS", "2", "engine.threads"),
        ("PROVIDER", "CUDA", "engine.provider"),
        ("MODEL_NAME", "Gigaam", "engine.model"),
        ("VOSK_MODEL_PATH", "/models/ru", "engine.model"),
        ("VOSK_SERVER_INTERFACE", "0.0.0.0", "doors.vosk_ws.host"),
        ("VOSK_SERVER_PORT", "2701", "doors.vosk_ws.port"),
        ("VOSK_SAMPLE_RATE", "16000", "doors.vosk_ws.sample_rate"),
        ("VOSK_ALTERNATIVES", "3", "doors.vosk_ws.max_alternatives"),
        ("VOSK_SHOW_WORDS", "0", "doors.vosk_ws.show_words"),
        ("BETWEEN_WORDS_PERCENTILE", "70", "dialogue.rhythm_percentile"),
    ],
)
def test_a_variable_sets_its_key(name: str, text: str, key: str) -> None:
    assert read({name: text}) == ({key: (text, f"environment {name}")}, [])
    assert read({name: text}, key) == ({key: (text, f"environment {name}")}, [])


def test_every_variable_of_the_two_servers_is_known() -> None:
    assert {foreign.name for foreign in FOREIGN_NAMES} == {
        "HOST",
        "PORT",
        "LOGGING_LEVEL",
        "NUM_THREADS",
        "PROVIDER",
        "MODEL_NAME",
        "BASE_SAMPLE_RATE",
        "MAX_OVERLAP_DURATION",
        "RECOGNITION_ATTEMPTS",
        "DO_LOCAL_FILE_RECOGNITIONS",
        "DELETE_LOCAL_FILE_AFTR_ASR",
        "HUMAN_FORMAT_MD_FILE",
        "BETWEEN_WORDS_PERCENTILE",
        "VAD_SENSE",
        "MAKE_MONO",
        "VOSK_SERVER_INTERFACE",
        "VOSK_SERVER_PORT",
        "VOSK_SAMPLE_RATE",
        "VOSK_ALTERNATIVES",
        "VOSK_SHOW_WORDS",
        "VOSK_MODEL_PATH",
    }


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("DELETE_LOCAL_FILE_AFTR_ASR", "1", "watch.after", "delete"),
        ("DELETE_LOCAL_FILE_AFTR_ASR", "0", "watch.after", "keep"),
        ("DELETE_LOCAL_FILE_AFTR_ASR", "si", "watch.after", "si"),  # for the check to refuse
        ("HUMAN_FORMAT_MD_FILE", "1", "watch.write", "md"),
        ("HUMAN_FORMAT_MD_FILE", "0", "watch.write", "json"),
        ("MAKE_MONO", "1", "watch.channels", "mix"),
    ],
)
def test_a_switch_of_the_seed_is_put_in_our_words(
    name: str, text: str, key: str, value: str
) -> None:
    assert read({name: text}) == ({key: (value, f"environment {name}")}, [])


@pytest.mark.parametrize("name", ["MAKE_MONO", "DO_LOCAL_FILE_RECOGNITIONS"])
def test_a_switch_that_is_off_as_it_is_here_is_no_news(name: str) -> None:
    assert read({name: "0"}) == ({}, [])


def test_nothing_set_sets_nothing_and_empty_is_not_set() -> None:
    names = [foreign.name for foreign in FOREIGN_NAMES if foreign.name != "VOSK_SHOW_WORDS"]
    assert read({}) == ({}, [])
    assert read(dict.fromkeys(names, "")) == ({}, [])


def test_empty_show_words_is_no_as_in_vosk_server() -> None:
    entries, _ = read({"VOSK_SHOW_WORDS": ""})
    assert entries == {"doors.vosk_ws.show_words": ("false", "environment VOSK_SHOW_WORDS")}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("BASE_SAMPLE_RATE", "each call is recognised from its own rate"),
        ("RECOGNITION_ATTEMPTS", "it had none in the seed either"),
        (
            "DO_LOCAL_FILE_RECOGNITIONS",
            "the folder that `watch.folder` names is watched, none without it",
        ),
        ("VAD_SENSE", "set `profiles.<name>.boundary.threshold`; lower hears more"),
        ("PORT", "there is no doors.rest.port here"),
    ],
)
def test_a_variable_without_effect_says_why(name: str, why: str) -> None:
    assert read({name: "8000"}) == ({}, [f"environment {name} has no effect: {why}"])


def test_port_is_the_rest_doors_where_there_is_one() -> None:
    entries, warnings = read({"PORT": "49153"}, tree=TreeWithRest)
    assert (entries, warnings) == ({"doors.rest.port": ("49153", "environment PORT")}, [])


def test_host_is_every_doors_unless_the_door_has_its_own() -> None:
    both = ["doors.audiosocket.host", "doors.vosk_ws.host"]
    expected = dict.fromkeys(both, ("0.0.0.0", "environment HOST"))
    assert read({"HOST": "0.0.0.0"}) == (expected, [])
    assert list(read({"HOST": "0.0.0.0"}, both[1])[0]) == [both[0]]
    entries, _ = read({"HOST": "0.0.0.0", "VOSK_SERVER_INTERFACE": "::1"})
    assert entries[both[1]] == ("::1", "environment VOSK_SERVER_INTERFACE")


@pytest.mark.parametrize("host", ["localhost", "::", "0.0.0.0.0"])
def test_host_may_be_localhost_and_a_bad_address_is_left_to_the_check(host: str) -> None:
    entries, warnings = read({"HOST": host})
    assert entries["doors.vosk_ws.host"] == (host, "environment HOST")
    assert warnings == []


def test_host_that_is_a_machines_name_is_ignored_with_a_warning() -> None:
    assert read({"HOST": "pbx01"}) == (
        {},
        [
            "environment HOST is 'pbx01', taken for this machine's name: ignored;"
            " give an address such as 0.0.0.0, or set a door's own host"
        ],
    )


def test_a_service_link_of_kubernetes_is_no_port() -> None:
    link = "tcp://10.96.0.1:2700"
    assert read({"VOSK_SERVER_PORT": link}) == (
        {},
        [
            f"environment VOSK_SERVER_PORT is '{link}', a Kubernetes service link: ignored;"
            " set enableServiceLinks: false, or another service name"
        ],
    )


def test_the_longest_buffer_is_every_profiles_unless_the_profile_has_its_own() -> None:
    environ = {"MAX_OVERLAP_DURATION": "4"}
    value = ("4", "environment MAX_OVERLAP_DURATION")
    default, yesno, own = (
        f"profiles.{name}.boundary.max_segment_s" for name in ("default", "yesno", "own")
    )
    assert read(environ) == ({default: value, yesno: value}, [])
    assert read(environ, yesno, "profiles.own", "profiles") == ({default: value, own: value}, [])


def test_the_longest_buffer_leaves_a_shorter_limit_of_a_profile_as_it_is() -> None:
    entries, warnings = read({"MAX_OVERLAP_DURATION": "12"}, "profiles.own")
    names = ("default", "own")
    assert list(entries) == [f"profiles.{name}.boundary.max_segment_s" for name in names]
    assert warnings == []


@pytest.mark.parametrize(("text", "taken"), [("30", 25), ("1.5", 2), ("nan", 25)])
def test_the_longest_buffer_is_kept_within_bounds(text: str, taken: int) -> None:
    entries, warnings = read({"MAX_OVERLAP_DURATION": text})
    assert {value for value, _ in entries.values()} == {str(taken)}
    assert warnings == [
        f"environment MAX_OVERLAP_DURATION is {text}, taken as {taken}: allowed are 2 to 25"
    ]


def test_a_longest_buffer_that_is_no_number_is_left_to_the_check() -> None:
    entries, warnings = read({"MAX_OVERLAP_DURATION": "long"})
    assert {value for value, _ in entries.values()} == {"long"}
    assert warnings == []


def test_a_models_folder_beats_its_name() -> None:
    entries, _ = read({"VOSK_MODEL_PATH": "/m", "MODEL_NAME": "Vosk5"})
    assert entries == {"engine.model": ("/m", "environment VOSK_MODEL_PATH")}


@pytest.mark.parametrize("host", ["0.0.0.0.0", "1.2.3", "999.1.1.1", "::g", "127.0.0.1:80", "1"])
def test_what_looks_like_an_address_must_be_one(host: str) -> None:
    assert is_malformed_address(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "fe80::1", "localhost", "pbx.example", "a1"])
def test_addresses_and_names_are_fine(host: str) -> None:
    assert not is_malformed_address(host)
