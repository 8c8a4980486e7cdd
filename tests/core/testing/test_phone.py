"""Simulated phones keep the pace they are asked for, and say why a call did not come about."""

import http

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from ruasr_tel.errors import ProtocolError
from ruasr_tel.plugins import PhoneCall
from ruasr_tel.testing import tone
from ruasr_tel.testing.phone import TAIL_S, dialled, paced
from ruasr_tel.types import Samples


def call(samples: Samples, pace: float, started: list[float]) -> PhoneCall:
    return PhoneCall("", "", samples, 8000, pace, None, lambda _heard: None, started.append)


async def test_all_audio_and_a_silent_tail_come_out_in_messages() -> None:
    audio = tone(0.25)
    started: list[float] = []
    messages = [message async for message in paced(call(audio, 100.0, started), 0.1)]
    whole = b"".join(messages)
    assert [len(message) for message in messages] == [1600] * 12 + [800]
    assert whole == audio.astype("<i2").tobytes() + bytes(round(TAIL_S * 8000) * 2)
    assert len(started) == 1


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/full", "the server refused the call: no room"),
        ("/silent", "the server refused the call: server rejected WebSocket connection: HTTP 503"),
        ("/drop", r"the server dropped the call: received 1012 \(service restart\) over"),
    ],
)
async def test_why_a_call_did_not_come_about(path: str, says: str) -> None:
    async def drop(socket: ServerConnection) -> None:
        await socket.close(1012, "over")

    def refuse(_socket: ServerConnection, request: Request) -> Response | None:
        bodies = {"/full": b"no room\n", "/silent": b""}
        if request.path not in bodies:
            return None
        status = http.HTTPStatus.SERVICE_UNAVAILABLE
        return Response(status, status.phrase, Headers(), bodies[request.path])

    async with serve(drop, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ProtocolError, match=f"^{says}"):
            async with dialled(f"ws://127.0.0.1:{port}{path}") as socket:
                await socket.recv()


async def test_what_is_no_url_of_a_door_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"^the server refused the call: tcp://a:1 isn't"):
        async with dialled("tcp://a:1"):
            pytest.fail("it must not connect")


async def test_a_phone_offers_its_protocol_and_no_extension() -> None:
    async def hear(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with serve(hear, "127.0.0.1", 0, subprotocols=[Subprotocol("media")]) as server:
        port = server.sockets[0].getsockname()[1]
        async with dialled(f"ws://127.0.0.1:{port}", "media") as socket:
            assert socket.subprotocol == "media"
            assert socket.request is not None
            assert "Sec-WebSocket-Extensions" not in socket.request.headers
