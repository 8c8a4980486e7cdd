"""Calls at the pace of a call into the running server, by both doors."""

import asyncio
import re
import socket
from pathlib import Path

import pytest

from ruasr_tel.testing import TIMEOUT_S
from tests.e2e.letters import character_error, transcripts
from tests.e2e.phones import Dialled, prompt
from tests.e2e.server import WAV, Server, call, ruasr_tel, running

SAID = transcripts()
SHORT = WAV / "all-circuits-busy-now.wav"
EARLY = WAV / "agent-loggedoff.wav"
TWO_PHRASES = WAV / "pbx-invalid.wav"


def printed(stdout: str, kind: str) -> list[str]:
    """Return the texts of the partials or finals that `ruasr-tel call` printed."""
    return re.findall(rf" s {kind} +(.*?)(?: [0-9.]+ s after the end of speech)?$", stdout, re.M)


def test_a_call_by_the_vosk_door_prints_partials_finals_and_delays(server: Server) -> None:
    url = server.urls["vosk_ws"]
    result = ruasr_tel("call", EARLY, "--url", url)
    assert result.returncode == 0, result
    heard = " ".join(printed(result.stdout, "final"))
    assert character_error(heard, SAID[EARLY.name]) < 0.1
    assert printed(result.stdout, "partial")
    assert heard.startswith(printed(result.stdout, "partial")[0].split()[0])
    summary = result.stdout.splitlines()[-1]
    told = re.fullmatch(
        r"1 call\(s\), (\d) final\(s\); end of speech to final: "
        r"median ([0-9.]+) s, p95 [0-9.]+ s",
        summary,
    )
    assert told is not None
    assert int(told[1]) == len(printed(result.stdout, "final"))
    assert 0.3 < float(told[2]) < 0.5 + TIMEOUT_S  # the endpoint alone takes 0.5 s


def test_several_calls_at_once_and_faster_than_life(server: Server) -> None:
    url = server.urls["vosk_ws"]
    result = ruasr_tel("call", SHORT, TWO_PHRASES, "--calls", "3", "--pace", "4", "--url", url)
    assert result.returncode == 0, result
    assert result.stdout.splitlines()[-1].startswith("3 call(s), ")
    names = {line.split()[1] for line in result.stdout.splitlines()[:-1]}
    assert names == {SHORT.stem, TWO_PHRASES.stem}


def test_a_call_by_audiosocket_is_heard_by_the_events_file(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    with running(sinks__jsonl__path=events) as own:
        url = own.urls["audiosocket"]
        words = ("--door", "audiosocket", "--url", url, "--pace", "2", "--calls", "2")
        playing = call(SHORT, *words, "--events", events)
        said, complaints = playing.communicate(timeout=6 * TIMEOUT_S)
    assert (playing.returncode, complaints) == (0, "")
    first, second = printed(said, "final")
    assert first == second
    assert character_error(first, SAID[SHORT.name]) < 0.25


def test_without_a_server_it_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    result = ruasr_tel("call", SHORT, "--url", url)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {url}: Connect call failed")
    assert result.stderr.endswith("; is `ruasr-tel serve` running?\n")


def test_an_unknown_profile_is_refused_with_the_known_ones(server: Server) -> None:
    url = server.urls["vosk_ws"]
    result = ruasr_tel("call", SHORT, "--url", url, "--profile", "sing")
    assert result.returncode == 1
    assert (
        "there is no profile 'sing'; known profiles: default, dialogue, dictation, digits, yesno"
        in result.stderr
    )


@pytest.mark.parametrize("door", ["vosk_ws", "audiosocket"])
async def test_what_a_call_said_is_in_its_events_and_not_in_the_log(
    server: Server, door: str
) -> None:
    dialled = Dialled(prompt(TWO_PHRASES))
    async with asyncio.timeout(3 * TIMEOUT_S):
        await dialled.play(server, door, pace=2.0)
    (ended,) = await asyncio.to_thread(server.ended, dialled.call_id)
    (started,) = server.of("CallStarted", dialled.call_id)
    assert started["door"] == door
    (ledger,) = ended["ledgers"].values()
    assert ledger["difference"] == 0
    assert ledger["dropped"] == {}
    assert ledger["received"] == ledger["decoded"] + ledger["silence"]
    finals = server.of("Final", dialled.call_id)
    assert len(finals) == ended["finals"]
    text = " ".join(final["text"] for final in finals)
    assert character_error(text, SAID[TWO_PHRASES.name]) < 0.1
    assert all(0 < final["confidence"] < 1 for final in finals)
    for word in [word for final in finals for word in final["words"]]:
        assert 0 < word["confidence"] < 1
        assert 0 <= word["start_s"] < word["end_s"] <= ended["duration_s"]
    assert "номер" in text
    assert not any("номер" in str(line) for line in server.log)
    if door == "vosk_ws":
        assert dialled.text == " ".join(text.split())
