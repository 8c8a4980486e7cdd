import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ruasr_tel.errors import ConfigError
from ruasr_tel.recordings.files import Files, suffix
from ruasr_tel.recordings.model import Segment, Transcript

ID = "6f1b1f4e-0000-4000-8000-000000000001"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path / "deep" / "recordings")
    files.open("here")
    yield files
    files.close()


def test_two_servers_of_one_name_do_not_share_a_folder(files: Files) -> None:
    second = Files(files.folder)
    with pytest.raises(ConfigError) as refused:
        second.open("here")
    assert str(refused.value) == (
        f"another server keeps its recordings in {files.folder}; set recordings.dir apart"
    )
    second.open("there")
    second.close()
    files.close()
    second.open("here")
    second.close()


def test_old_folders_are_told_from_new_ones(files: Files) -> None:
    other = ID.replace("1", "2")
    for id in (ID, other):
        files.incoming(id).write_bytes(b"RIFF")
    hour_ago_s = time.time() - 3600
    for path in (files.folder / ID, files.uploads):
        os.utime(path, (hour_ago_s, hour_ago_s))
    assert files.orphans(1800) == [ID]
    assert files.orphans(7200) == []


def test_old_uploads_go_and_new_ones_stay_however_old_their_file_is(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = tmp_path / "call.wav"
    recorded.write_bytes(b"RIFF")
    os.utime(recorded, (0, 0))
    upload = files.uploads / "watch-1"
    upload.hardlink_to(recorded)
    (files.uploads / "gone").symlink_to("nowhere")  # as one that is taken over meanwhile
    assert files.orphans(1800) == []
    assert upload.exists()
    in_an_hour_s = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: in_an_hour_s)
    assert files.orphans(1800) == []
    assert not upload.exists()
    assert recorded.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"recordings\.dir .*/file/x cannot be used: Not a dir"):
        Files(tmp_path / "file" / "x").open("here")


def test_an_upload_moves_into_its_recording_and_goes_with_it(files: Files) -> None:
    upload = files.uploads / "1"
    upload.write_bytes(b"audio")
    path = files.adopt(ID, upload, "Звонок.WAV")
    assert path == files.folder / ID / "audio.wav"
    assert files.audio(ID) == path
    assert path.read_bytes() == b"audio"
    assert not upload.exists()
    files.forget([ID, "6f1b1f4e-0000-4000-8000-000000000002"])
    assert files.audio(ID) is None


def test_a_file_counts_once_it_is_whole(files: Files) -> None:
    files.incoming(ID).write_bytes(b"half")
    assert files.audio(ID) is None
    files.arrived(ID, "call.alaw")
    assert files.audio(ID) == files.folder / ID / "audio.alaw"


def test_a_transcript_comes_back_equal(files: Files) -> None:
    assert files.transcript(ID) is None
    files.incoming(ID)
    transcript = Transcript(2.0, 1, (Segment(0, 0.0, 1.0, "слово", (), 0.5, -20.0),), "cut")
    files.keep_transcript(ID, transcript)
    assert files.transcript(ID) == transcript
    files.drop_transcript(ID)
    files.drop_transcript(ID)
    assert files.transcript(ID) is None


@pytest.mark.parametrize("id", ["../../etc", "", "/etc", "x"])
def test_an_id_is_never_a_path(files: Files, id: str) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        files.audio(id)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("call.wav", ".wav"),
        ("a.b.MP3", ".mp3"),
        ("call", ""),
        ("call.", ""),
        ("call.part", ""),
        ("call.w/../v", ""),
        ("call.слово", ""),
        ("call.averylongsuffix", ""),
    ],
)
def test_only_plain_suffixes_are_kept(name: str, expected: str) -> None:
    assert suffix(name) == expected
