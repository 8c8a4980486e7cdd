import errno
import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import ValidationError

from ruasr_tel.log import LogConfig, set_up_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    for handler in handlers:
        root.removeHandler(handler)  # basicConfig(force=True) would close pytest's own
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_is_one_object_a_line_with_time_level_and_context() -> None:
    out = io.StringIO()
    set_up_logging(LogConfig(format="json"), out)
    structlog.get_logger().bind(call_id="42").info("call ended", text="алло")
    assert "алло" in out.getvalue()
    line = json.loads(out.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "call ended", "level": "info", "call_id": "42", "text": "алло"}


@pytest.mark.parametrize(("stream", "is_json"), [(io.StringIO, True), (Terminal, False)])
def test_auto_is_json_unless_a_person_reads(stream: type[io.StringIO], is_json: bool) -> None:
    out = stream()
    set_up_logging(LogConfig(), out)
    structlog.get_logger().info("listening", port=2700)
    assert out.getvalue().startswith("{") is is_json
    assert "listening" in out.getvalue()


def test_console_without_a_terminal_has_no_colours() -> None:
    out = io.StringIO()
    set_up_logging(LogConfig(format="console"), out)
    structlog.get_logger().info("listening", port=2700)
    assert "\x1b" not in out.getvalue()
    assert "port=2700" in out.getvalue()


class Gone(io.StringIO):
    """A terminal that was closed, or a pipe whose reader has ended."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)

    def flush(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        ValueError("I/O operation on closed file"),
    ],
)
def test_a_stream_that_cannot_be_written_harms_nobody_who_logs(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    out = Gone(error)
    set_up_logging(LogConfig(format="json"), out)
    structlog.get_logger().error("engine process ended")
    logging.getLogger("asyncio").error("task failed")
    assert capsys.readouterr().err == ""
    out.error = None  # as where a disk was full
    structlog.get_logger().error("engine ready")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["engine ready"]


def test_lines_below_the_level_are_not_written() -> None:
    out = io.StringIO()
    set_up_logging(LogConfig(level="warning", format="json"), out)
    log = structlog.get_logger()
    log.info("unwanted")
    log.warning("wanted")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["wanted"]


def test_packages_are_heard_from_warning_up() -> None:
    out = io.StringIO()
    set_up_logging(LogConfig(format="json"), out)
    package = logging.getLogger("websockets.server")
    package.info("connection open")
    package.warning("%s handshakes failed", 3)
    line = json.loads(out.getvalue())
    assert line["event"] == "3 handshakes failed"
    assert line["logger"] == "websockets.server"
    assert line["level"] == "warning"


def test_packages_are_heard_in_full_at_debug() -> None:
    out = io.StringIO()
    set_up_logging(LogConfig(level="debug", format="json"), out)
    logging.getLogger("websockets.server").debug("frame")
    assert json.loads(out.getvalue())["event"] == "frame"


@pytest.mark.parametrize("look", ["json", "console"])
def test_a_traceback_never_shows_local_variables(look: str) -> None:
    out = Terminal()
    set_up_logging(LogConfig.model_validate({"format": look}), out)

    def decode() -> None:
        spoken = "-".join(["код", "1234"])
        raise RuntimeError(len(spoken))

    try:
        decode()
    except RuntimeError:
        structlog.get_logger().exception("decode failed")
        logging.getLogger("asyncio").exception("task failed")
    assert out.getvalue().count("RuntimeError: 8") == 2
    assert "код-1234" not in out.getvalue()


def test_a_second_call_changes_loggers_already_in_use() -> None:
    first, second = io.StringIO(), io.StringIO()
    log = structlog.get_logger()
    set_up_logging(LogConfig(format="json"), first)
    log.info("one")
    set_up_logging(LogConfig(format="json", level="debug"), second)
    log.debug("two")
    assert json.loads(first.getvalue())["event"] == "one"
    assert json.loads(second.getvalue())["event"] == "two"


def test_the_default_stream_is_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogConfig(format="json"))
    structlog.get_logger().info("here")
    captured = capsys.readouterr()
    assert (captured.out, json.loads(captured.err)["event"]) == ("", "here")


@pytest.mark.parametrize(
    ("written", "level"), [("INFO", "info"), ("Warn", "warning"), ("FATAL", "critical")]
)
def test_a_level_may_be_written_as_in_other_programs(written: str, level: str) -> None:
    assert LogConfig.model_validate({"level": written}).level == level


@pytest.mark.parametrize("written", ["loud", 10, None])
def test_what_is_no_level_is_refused(written: object) -> None:
    with pytest.raises(ValidationError, match="level"):
        LogConfig.model_validate({"level": written})


def test_journald_gets_the_level_and_no_time_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        file = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{file.st_dev}:{file.st_ino}")
        set_up_logging(LogConfig(), stream)
        structlog.get_logger().warning("a line\nand more", key="ключ")
        logging.getLogger("package").error("theirs")
        try:
            raise ValueError("in\ntwo lines")
        except ValueError:
            structlog.get_logger().exception("failed")
        stream.seek(0)
        warning, theirs, failed = stream.read().splitlines()
    assert warning[:3] == "<4>"
    assert json.loads(warning[3:]) == {"event": "a line\nand more", "key": "ключ"}
    assert theirs.startswith('<3>{"event": "theirs"')
    assert failed.startswith("<3>")
    assert "two lines" in json.loads(failed[3:])["exception"]


def test_a_stream_that_is_not_the_journals_is_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:42")
    with (tmp_path / "redirected").open("w+") as stream:
        set_up_logging(LogConfig(), stream)
        structlog.get_logger().info("here")
        stream.seek(0)
        assert "timestamp" in json.loads(stream.read())
