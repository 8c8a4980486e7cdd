from pathlib import Path

import pytest

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.disk import DiskFile, whole_or_none


async def test_a_file_is_written_emptied_and_written_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = await DiskFile.create(path)
    await file.append(b"one")
    assert path.read_bytes() == b"one", "through to the system, not only to a buffer"
    await file.empty()
    await file.append(b"two")
    await file.close()
    assert path.read_bytes() == b"two"


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        await DiskFile.create(tmp_path / "no" / "file")
    assert str(caught.value) == "this server cannot store the file: No such file or directory"
    assert caught.value.retryable is True


async def test_a_full_disk_is_told_once_and_the_file_closes() -> None:
    file = await DiskFile.create(Path("/dev/full"))
    with pytest.raises(FetchError, match="No space left on device"):
        await file.append(b"x")
    await file.close()


def test_a_block_that_fails_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"half")
    with pytest.raises(KeyboardInterrupt), whole_or_none(path):
        raise KeyboardInterrupt
    assert not path.exists()
    with whole_or_none(path):
        path.write_bytes(b"whole")
    assert path.exists()
