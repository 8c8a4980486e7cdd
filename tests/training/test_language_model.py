import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.training import guard
from models.training.audio import read_wav, to_8k
from models.training.language_model import WHEEL, app, drawn, models, news_words, others, rates
from models.training.shards import Utterance
from ruasr_tel.errors import ConfigError
from ruasr_tel.language.text import SPACE, Kind
from ruasr_tel.models.catalog import Catalog, default_models_dir, to_spec
from tests.core.engines.prompts import WAV


def wheel(folder: Path) -> Path:
    """A wheel as natasha's is laid out, with a vocabulary of five words."""
    words = ["В", "ёлка", "елка", "2020", "слово"]
    counts = b"".join(n.to_bytes(4, "little") for n in (9, 2, 3, 8, 1))
    content = len(words).to_bytes(4, "little") + counts + "\n".join(words).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as parts:
        body = gzip.compress(content)
        about = tarfile.TarInfo("vocab.bin")
        about.size = len(body)
        parts.addfile(about, io.BytesIO(body))
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("natasha/data/emb/navec_news_v1_1B_250K_300d_100q.tar", packed.getvalue())
    return path


def test_words_come_with_their_counts_as_models_spell_them(tmp_path: Path) -> None:
    assert news_words(wheel(tmp_path)) == {"в": 9, "елка": 5, "слово": 1}


def test_another_file_is_no_wheel_of_natasha(tmp_path: Path) -> None:
    other = tmp_path / "other.whl"
    other.write_bytes(b"no archive")
    with pytest.raises(ConfigError, match="not natasha's wheel"):
        news_words(other)
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("other.py", "")
    with pytest.raises(ConfigError, match="not natasha's wheel"):
        news_words(other)


def test_frequent_words_are_drawn_more_often_and_every_word_once_at_least() -> None:
    words = " ".join(drawn({"в": 1000, "редкое": 1}, 200)).split()
    assert len(words) == 202
    assert words.count("в") > words.count("редкое") >= 1
    assert list(drawn({"в": 1000, "редкое": 1}, 200)) == list(drawn({"в": 1000, "редкое": 1}, 200))


def test_both_models_know_their_text(tmp_path: Path) -> None:
    found = models(["новый номер", "номер занят"] * 2, ["слово дело"])
    assert {"новый", "номер", "занят", "слово", "дело"} <= set(found[Kind.WORD].words)
    assert SPACE in found[Kind.CHAR].words
    assert (found[Kind.WORD].order, found[Kind.CHAR].order) == (3, 6)


def test_held_out_sentences_never_go_in() -> None:
    held_out = next(text for text in guard.texts() if len(text.split()) >= 4)
    with pytest.raises(ConfigError, match=f"a held-out sentence is in the text: {held_out}"):
        models(["новый номер", held_out], [])


def test_noise_makes_a_network_err_on_what_it_knows_by_heart() -> None:
    spec = to_spec(Catalog.load(default_models_dir()).resolve("ru-mini-ctc-8k"))
    lines = (WAV.parent / "transcripts.tsv").read_text("utf-8").splitlines()[:3]
    heard = [
        Utterance(to_8k(*read_wav(WAV / name)), text, "prompt")
        for name, _, text in (line.split("\t") for line in lines)
    ]
    words = [float(rates(spec, "none", heard, snr_db).split(" / ")[0]) for snr_db in (40.0, -5.0)]
    assert words[0] + 20 < words[1]


def test_the_cure_is_said_in_one_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["tune", str(tmp_path / "nowhere")])
    assert result.exit_code == 2
    assert "is not natasha's wheel" in result.output


def test_what_is_heard_is_not_in_the_text_it_is_heard_by() -> None:
    heard = [[Utterance(np.zeros(1, np.int16), text, "x") for text in ("да", "а б в г")]]
    assert others(["да", "да нет", "когда а б в г", "а б в"], heard) == ["да нет", "а б в"]
