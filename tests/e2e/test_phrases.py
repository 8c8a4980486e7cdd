"""Phrases and alternatives, from a Vosk client's config to the engine's process and back."""

import json
from typing import Any

import pytest
from websockets.sync.client import connect

from ruasr_tel.models.catalog import Catalog, default_models_dir
from ruasr_tel.testing import TIMEOUT_S
from tests.e2e.letters import transcripts
from tests.e2e.phones import prompt
from tests.e2e.server import WAV, Server

SAID = transcripts()
NAMES = ("agent-loggedoff.wav", "all-circuits-busy-now.wav", "digits_8.wav")
MODEL = Catalog.load(default_models_dir()).resolve("ru-mini-ctc-8k")
HIGHEST_SHARE = max(share for _, share in MODEL.entry.calibration)
CHUNK = 4000  # a quarter of a second


def hear(server: Server, name: str, path: str = "/", **config: Any) -> list[dict[str, Any]]:
    """Play a prompt in lockstep; return the finals that say something."""
    audio = prompt(WAV / name).tobytes()
    replies = []
    with connect(server.urls["vosk_ws"] + path, compression=None) as socket:
        if config:
            socket.send(json.dumps({"config": config}))
        chunks: list[bytes | str] = [audio[at : at + CHUNK] for at in range(0, len(audio), CHUNK)]
        chunks.append('{"eof" : 1}')
        for message in chunks:
            socket.send(message)
            replies.append(json.loads(socket.recv(timeout=3 * TIMEOUT_S)))
    return [reply for reply in replies if reply.get("text") or reply.get("alternatives")]


def texts(finals: list[dict[str, Any]]) -> str:
    return " ".join(final["text"] for final in finals)


def test_a_phrase_list_is_all_that_can_be_said(server: Server) -> None:
    phrases = [SAID[name] for name in NAMES]
    for name in NAMES:
        assert texts(hear(server, name, phrase_list=phrases)) == SAID[name]


def test_what_is_not_on_the_list_is_unk(server: Server) -> None:
    heard = texts(hear(server, "agent-loggedoff.wav", phrase_list=["да", "нет", "[unk]"]))
    assert heard == "[unk]"


def test_the_events_tell_how_well_the_list_fits(server: Server) -> None:
    hear(server, NAMES[0], "/8000?call_id=right", phrase_list=[SAID[NAMES[0]]])
    hear(server, NAMES[0], "/8000?call_id=wrong&phrase_list=да,нет")
    server.ended("right", "wrong")
    right, wrong = (server.of("Final", call_id)[0]["match"] for call_id in ("right", "wrong"))
    assert right > 0.5 > 0.1 > wrong


def test_alternatives_are_several_true_readings(server: Server) -> None:
    (final,) = hear(server, "all-circuits-busy-now.wav", max_alternatives=5, words=0)
    listed = final["alternatives"]
    assert 1 < len(listed) <= 5
    assert len({one["text"] for one in listed}) == len(listed)
    shares = [one["confidence"] for one in listed]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0, abs=1e-4)
    assert all(set(one) == {"confidence", "text"} for one in listed)


def test_words_have_the_confidence_of_the_calibration(server: Server) -> None:
    (final,) = hear(server, "agent-loggedoff.wav")
    confidences = [word["conf"] for word in final["result"]]
    assert all(0.0 < one <= HIGHEST_SHARE for one in confidences)
    assert len(confidences) == 3
