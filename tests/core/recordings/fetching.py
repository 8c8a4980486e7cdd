"""What the tests of fetching share."""

import re
from pathlib import Path

import pytest

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.addresses import AddressRules
from ruasr_tel.recordings.fetch import FetchConfig, Fetched, fetch
from tests.core.recordings.peers import Host, Reply, answer, host, loopback_rules

WAV = Path("tests/data/wav/vm-intro.wav").read_bytes()
TLS = Path("tests/data/tls")
TAG = 'ETag: "1"'
QUICK = FetchConfig(
    total_timeout_s=20, stall_timeout_s=5, connect_timeout_s=5, max_resumes=2, resume_delay_s=0
)


def config(**changes: object) -> FetchConfig:
    return FetchConfig.model_validate(QUICK.model_dump() | changes)


async def refused(
    url: str, to: Path, settings: FetchConfig = QUICK, rules: AddressRules | None = None
) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await fetch(url, to, settings, rules=rules or loopback_rules())
    assert_no_file(to)
    return caught.value


def assert_no_file(to: Path) -> None:
    """A fetch that failed leaves nothing."""
    assert not to.exists()
    assert not to.is_symlink()


async def outcome(tmp_path: Path, *replies: Reply, **changes: object) -> tuple[str, bool]:
    """Return the sentence and whether it may succeed later."""
    async with host(*replies) as peer:
        error = await refused(peer.url(), tmp_path / "file", config(**changes))
    return str(error), error.retryable


async def fetched(
    to: Path, peer: Host, settings: FetchConfig = QUICK, path: str = "/call.wav"
) -> Fetched:
    return await fetch(peer.url(path), to, settings, rules=loopback_rules())


def honest(head: str) -> Reply:
    """Serve the recording and parts of it as RFC 9110 wants it."""
    asked = re.search(r"(?im)^range: bytes=(\d+)-\r$", head)
    same = re.search(r'(?im)^if-range: "1"\r$', head)
    return Reply(part(int(asked[1])) if asked and same else answer(WAV, TAG))


def part(start: int, end: int | None = None, total: int | str = len(WAV)) -> bytes:
    body = WAV[start:end]
    span = f"Content-Range: bytes {start}-{start + len(body) - 1}/{total}"
    return answer(body, span, status="206 Partial Content")
