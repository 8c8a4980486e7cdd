"""The simulated phones' command, with phones that only pretend to call."""

import json
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ruasr_tel.cli import call as command
from ruasr_tel.cli.call import Line, Tail
from ruasr_tel.cli.root import app
from ruasr_tel.errors import ConfigError, ProtocolError
from ruasr_tel.plugins import Heard, PhoneCall, adapters
from ruasr_tel.testing import phrase, silence

WAV = Path(__file__).parents[2] / "data/wav"
EIGHT, PROMPT = str(WAV / "digits_8.wav"), str(WAV / "agent-loggedoff.wav")


class Pretender:
    """A phone without a line.

    Args:
        hears: whether text comes back through its door.
        act: what happens in a call, after its first sample.
    """

    scheme = "ws"

    def __init__(self, hears: bool, act: Callable[[PhoneCall], None]) -> None:
        self.hears = hears
        self.calls: list[PhoneCall] = []
        self._act = act

    async def play(self, call: PhoneCall) -> None:
        self.calls.append(call)
        call.started(time.monotonic() - 2.0)  # as if the first sample had been sent 2 s ago
        self._act(call)


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pretender]:
    def install(door: str, act: Callable[[PhoneCall], None], hears: bool = True) -> Pretender:
        pretender = Pretender(hears, act)
        installed = dict(adapters())
        installed[door] = replace(installed[door], phone=pretender)
        monkeypatch.setattr(command, "adapters", lambda: installed)
        return pretender

    return install


def say(*texts: str) -> Callable[[PhoneCall], None]:
    """Come back with partials, marked by a trailing …, and finals."""

    def act(call: PhoneCall) -> None:
        for text in texts:
            final = not text.endswith("…")
            end_s = 0.5 if final else None
            call.hear(Heard(text.rstrip("…"), final, end_s, time.monotonic()))

    return act


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["call", *words])


@pytest.mark.parametrize(("door", "scheme"), [("vosk_ws", "ws"), ("audiosocket", "tcp")])
def test_a_server_that_is_not_there_is_said(door: str, scheme: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"{scheme}://127.0.0.1:{gone.getsockname()[1]}"
    result = run(EIGHT, "--door", door, "--url", url, "--events", str(tmp_path / "none.jsonl"))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {url}: Connect call failed")
    assert result.stderr.endswith("; is `ruasr-tel serve` running?\n")


# A door that answers


def test_partials_finals_and_delays_are_printed(phone: Callable[..., Pretender]) -> None:
    pretender = phone("vosk_ws", say("во…", "во…", "", "восемь"))
    result = run(EIGHT, "--pace", "2.5", "--profile", "yesno")
    assert result.exit_code == 0, result.output
    partial, final, summary = result.stdout.splitlines()
    assert partial.split()[0] == "digits_8"
    assert partial.endswith("partial во")
    assert "final   восемь" in final
    assert final.endswith("s after the end of speech")
    assert summary.startswith("1 call(s), 1 final(s); end of speech to final: median ")
    (call,) = pretender.calls
    assert (call.pace, call.profile, call.sample_rate_hz) == (2.5, "yesno", 8000)
    assert len(call.samples) == 5251
    assert call.url == "ws://127.0.0.1:2700"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "ws://127.0.0.1:2701"),
        ("::", "ws://[::1]:2701"),
        ("192.0.2.7", "ws://192.0.2.7:2701"),
    ],
)
def test_the_door_is_where_the_configuration_says(
    phone: Callable[..., Pretender], host: str, url: str
) -> None:
    pretender = phone("vosk_ws", say("да"))
    where = ["-s", f"doors.vosk_ws.host={host}", "-s", "doors.vosk_ws.port=2701"]
    assert run(EIGHT, *where).exit_code == 0
    assert pretender.calls[0].url == url


def test_an_address_on_the_command_line_goes_first(phone: Callable[..., Pretender]) -> None:
    pretender = phone("vosk_ws", say("да"))
    assert run(EIGHT, "--url", "ws://192.0.2.7:2700").exit_code == 0
    assert pretender.calls[0].url == "ws://192.0.2.7:2700"


@pytest.mark.parametrize("url", ["2700", "ws://host", "ws://host:many", "ws://:2700"])
def test_an_address_without_host_or_port_is_refused(url: str) -> None:
    result = run(EIGHT, "--url", url)
    assert result.exit_code == 2
    assert result.stderr == (
        f"error: --url is {url!r}; it must be as `ruasr-tel serve` prints it, "
        "like ws://127.0.0.1:2700\n"
    )


def test_several_calls_take_turns_with_the_files(phone: Callable[..., Pretender]) -> None:
    pretender = phone("vosk_ws", say("да"))
    result = run(EIGHT, PROMPT, "--calls", "3")
    assert result.exit_code == 0
    names = [line.split(" s ")[0].split()[:2] for line in result.stdout.splitlines()[:-1]]
    assert names == [["1", "digits_8"], ["2", "agent-loggedoff"], ["3", "digits_8"]]
    assert len({call.call_id for call in pretender.calls}) == 3


def test_no_file_is_left_out(phone: Callable[..., Pretender]) -> None:
    pretender = phone("vosk_ws", say("да"))
    assert run(EIGHT, PROMPT).exit_code == 0
    assert len(pretender.calls) == 2


def test_a_final_without_times_has_no_delay(phone: Callable[..., Pretender]) -> None:
    phone("vosk_ws", lambda call: call.hear(Heard("да", True, None, time.monotonic())))
    result = run(EIGHT)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "1 call(s), 1 final(s)"


def test_a_call_without_text_is_a_failure(phone: Callable[..., Pretender]) -> None:
    phone("vosk_ws", say("да…", ""))
    result = run(EIGHT)
    assert result.exit_code == 1
    assert result.stderr == "error: a call came back without text\n"


def test_a_server_that_is_not_there_is_one_sentence(phone: Callable[..., Pretender]) -> None:
    def refuse(_call: PhoneCall) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    phone("vosk_ws", refuse)
    result = run(EIGHT)
    assert result.exit_code == 1
    assert result.stderr == (
        "error: ws://127.0.0.1:2700: Connection refused; is `ruasr-tel serve` running?\n"
    )


def test_a_refused_call_is_one_sentence(phone: Callable[..., Pretender]) -> None:
    def refuse(_call: PhoneCall) -> None:
        raise ProtocolError("the server refused the call: full")

    phone("vosk_ws", refuse)
    result = run(EIGHT)
    assert result.exit_code == 1
    assert result.stderr == "error: ws://127.0.0.1:2700: the server refused the call: full\n"


def test_a_door_that_is_not_there_is_refused_with_those_that_are() -> None:
    result = run(EIGHT, "--door", "isdn")
    assert result.exit_code == 2
    phones = sorted(name for name, adapter in adapters().items() if adapter.phone)
    assert result.stderr == (
        f"error: no simulated phone for door 'isdn'; there are: {', '.join(phones)}\n"
    )


def test_a_file_that_does_not_decode_is_named() -> None:
    result = run("no-such.wav")
    assert result.exit_code == 1
    assert result.stderr == "error: no-such.wav: No such file or directory\n"


# A door that carries no text back: the server's events have it


def write_down(file: Path, *bodies: Mapping[str, object]) -> Callable[[PhoneCall], None]:
    """Let the server write events of the call, and of another one, into its file."""

    def act(call: PhoneCall) -> None:
        at = "2026-01-02T03:04:05.678+00:00"
        with file.open("a") as out:
            for body in bodies:
                for call_id in ("another", call.call_id):
                    out.write(json.dumps({"at": at, "call_id": call_id, **body}) + "\n")

    return act


STARTED = {"event": "CallStarted"}
PARTIAL = {"event": "Partial", "text": "во", "end_s": 0.4}
FINAL = {"event": "Final", "text": "восемь", "end_s": 0.65}
ENDED = {"event": "CallEnded"}


def test_the_text_is_read_from_the_events_file(
    phone: Callable[..., Pretender], tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"event": "CallEnded", "call_id": "an earlier one"}\n')
    phone("audiosocket", write_down(file, STARTED, PARTIAL, FINAL, ENDED), hears=False)
    result = run(EIGHT, "--door", "audiosocket", "--events", str(file))
    assert result.exit_code == 0, result.output
    partial, final, _ = result.stdout.splitlines()
    assert partial.endswith("partial во")
    assert "final   восемь" in final


def test_the_events_file_of_the_configuration_will_do(
    phone: Callable[..., Pretender], tmp_path: Path
) -> None:
    file = tmp_path / "events.jsonl"
    phone("audiosocket", write_down(file, FINAL, ENDED), hears=False)
    result = run(EIGHT, "--door", "audiosocket", "-s", f"sinks.jsonl.path={file}")
    assert result.exit_code == 0, result.output


def test_without_an_events_file_it_says_which_one() -> None:
    result = run(EIGHT, "--door", "audiosocket")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: audiosocket carries no text back: name the server's events file with --events, "
        "the one that its sinks.jsonl.path says\n"
    )


def test_an_events_file_that_stays_silent_is_the_wrong_one(
    phone: Callable[..., Pretender], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "ENDED_WITHIN_S", 0.1)
    phone("audiosocket", write_down(tmp_path / "right", FINAL), hears=False)
    result = run(EIGHT, "--door", "audiosocket", "--events", str(tmp_path / "wrong"))
    assert result.exit_code == 1
    assert "1 call(s) did not end in the events file within 0.1 s; it must be" in result.stderr


def test_a_file_that_holds_no_events_is_told_at_once(
    phone: Callable[..., Pretender], tmp_path: Path
) -> None:
    file = tmp_path / "server.log"
    file.touch()
    phone("audiosocket", lambda _call: _append(file, "a log line\n"), hears=False)
    result = run(EIGHT, "--door", "audiosocket", "--events", str(file))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {file} is no file of events: ")


def test_a_tail_gives_whole_lines_that_came_since(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    tail = Tail(file)
    assert tail.read() == []
    _append(file, '{"a": 1}\n{"b"')
    assert tail.read() == [{"a": 1}]
    assert tail.read() == []
    _append(file, ": 2}\n")
    assert tail.read() == [{"b": 2}]
    _append(file, "{\n")
    with pytest.raises(ConfigError):
        tail.read()


# Delays


@pytest.mark.parametrize(
    ("end_s", "pace", "delay_s"),
    [
        (1.2, 1.0, 5.0 - 1.0),  # hangover included: the phrase before it ended at 1.0
        (0.9, 1.0, 5.0 - 1.0),  # the last word ended a little before the label
        (2.6, 1.0, 5.0 - 2.5),
        (1.2, 2.0, 5.0 - 0.5),
    ],
)
def test_a_delay_counts_from_the_labelled_end_of_speech(
    end_s: float, pace: float, delay_s: float
) -> None:
    line = Line("a", phrase((1.0, 1.0), (0.5, 1.0)), started_s=100.0, pace=pace)
    line.hear(Heard("да", True, end_s, 105.0))
    assert line.delays_s == pytest.approx([delay_s], abs=0.03)


def test_without_speech_before_it_a_final_has_no_delay() -> None:
    for samples in (silence(1.0), phrase((1.0, 1.0))):
        line = Line("a", samples, started_s=100.0)
        line.hear(Heard("да", True, 0.5, 105.0))
        assert line.delays_s == []


def _append(file: Path, text: str) -> None:
    with file.open("a") as out:
        out.write(text)
