from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.training import sources
from models.training.__main__ import _weights, app
from models.training.shards import Shard, Utterance, write_shard
from ruasr_tel.errors import ConfigError


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_sentences_are_written_a_line_each(tmp_path: Path) -> None:
    words = tmp_path / "ru.dic"
    words.write_text("2\nстол\nокно\n", "utf-8")
    to = tmp_path / "text.txt"
    code, _ = run("sentences", str(to), "--count", "40", "--dictionary", str(words))
    assert code == 0
    assert len(to.read_text("utf-8").splitlines()) == 40


def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path) -> None:
    missing = str(tmp_path / "ru.dic")
    code, output = run("sentences", str(tmp_path / "text.txt"), "--dictionary", missing)
    assert code == 2
    assert "install Debian's hunspell-ru" in output


def test_an_unknown_engine_source_or_weight_is_named(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("да\n", "utf-8")
    code, output = run("synthesise", "siri", str(text), str(tmp_path / "one"))
    assert (code, "no engine 'siri'; known: espeak, ru_tts, festival" in output) == (2, True)
    code, output = run("adopt", str(tmp_path / "one"), "siri")
    assert (code, "no source 'siri'; known: prompts, festvox" in output) == (2, True)


def test_a_shard_made_elsewhere_is_adopted(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.ones(8000, np.int16))
    (tmp_path / "one.tsv").write_text("0\t8000\tespeak+m1\ttel\tда\n", "utf-8")
    code, output = run("adopt", str(tmp_path / "one"), "espeak")
    assert (code, output.endswith("one: 1 utterances, 0.00 h\n")) == (0, True)
    assert Shard(tmp_path / "one")[0].text == "да"


@pytest.mark.parametrize("weight", ["prompts", "prompts=x", "siri=1", "prompts=-1"])
def test_a_wrong_weight_is_named(weight: str) -> None:
    with pytest.raises(ConfigError, match="--weight takes SOURCE=NUMBER"):
        _weights([weight])
    assert _weights(["prompts=2", "festvox=0.5"]) == {"prompts": 2.0, "festvox": 0.5}


def test_only_real_recordings_are_spliced(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    said = [Utterance(np.ones(8000, np.int16), "да", "x")]
    write_shard(tmp_path / "one", sources.ESPEAK, said)
    arguments = (tmp_path / "none.pt", tmp_path / "one", tmp_path / "two")
    code, output = run("splice", *map(str, arguments))
    assert code == 2
    assert "holds espeak: only prompts and festvox" in " ".join(output.split())
