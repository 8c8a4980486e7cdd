import asyncio
import errno
import socket

import pytest

from ruasr_tel.errors import ConfigError, PortTaken
from ruasr_tel.sockets import (
    KEEPALIVE,
    cannot_listen,
    held_sockets,
    keep_alive,
    listening_at,
    peer_name,
    url_of,
)


@pytest.mark.parametrize(
    ("address", "name"),
    [(("192.0.2.1", 4000), "192.0.2.1:4000"), (("::1", 4000, 0, 0), "::1:4000"), (None, "unknown")],
)
def test_a_peer_has_a_name(address: tuple[str, int] | None, name: str) -> None:
    assert peer_name(address) == name


def test_an_address_of_six_has_brackets() -> None:
    assert url_of("tcp", "127.0.0.1", 9092) == "tcp://127.0.0.1:9092"
    assert url_of("ws", "::1", 2700) == "ws://[::1]:2700"


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (
            errno.EADDRINUSE,
            PortTaken,
            "ws://a:1 (doors.door) is in use by another program: "
            "stop that one or set doors.door.port",
        ),
        (
            errno.EADDRNOTAVAIL,
            ConfigError,
            "doors.door.host and port: cannot listen on ws://a:1: why",
        ),
    ],
)
def test_a_door_that_cannot_listen_says_what_to_set(
    number: int, kind: type[Exception], says: str
) -> None:
    error = cannot_listen("door", "ws://a:1", OSError(number, "why"))
    assert (type(error), str(error)) == (kind, says)


def test_a_kept_connection_asks_for_its_peer() -> None:
    with socket.socket() as sock:
        keep_alive(asyncio.BaseTransport({"socket": sock}))
        assert [sock.getsockopt(level, name) for level, name, _value in KEEPALIVE] == [1, 60, 10, 6]


@pytest.mark.parametrize(
    ("environ", "held"),
    [
        ({}, {}),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a"}, {"a": 3}),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "b:a"}, {"b": 3, "a": 4}),
        ({"LISTEN_PID": "8", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a"}, {}),
        ({"LISTEN_PID": "7", "LISTEN_FDS": "many", "LISTEN_FDNAMES": "a"}, {}),
        ({"LISTEN_PID": "7", "LISTEN_FDNAMES": "a"}, {}),
    ],
)
def test_sockets_that_the_manager_holds_have_names(
    environ: dict[str, str], held: dict[str, int]
) -> None:
    assert held_sockets(environ, pid=7) == held


def test_two_sockets_of_one_name_are_refused_with_what_to_do() -> None:
    environ = {"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "vosk_ws:vosk_ws"}
    with pytest.raises(ConfigError, match=r"several sockets of the name vosk_ws, .*BindIPv6Only="):
        held_sockets(environ, pid=7)


def test_a_held_socket_goes_before_host_and_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as made:
        monkeypatch.setattr("ruasr_tel.sockets.held_sockets", lambda: {"door": made.fileno()})
        with listening_at("door", "192.0.2.1", 1)["sock"] as sock:
            assert sock.getsockname() == made.getsockname()
        made.getsockname()  # closing ours leaves theirs open
    other = listening_at("other", "192.0.2.1", 1)
    assert (other["host"], other["port"]) == ("192.0.2.1", 1)
    assert "sock" not in other
