from typing import Any

from ruasr_tel_adapters.rest.asyncapi import document
from tests.adapters.rest.fakes import Rest


def resolve(root: Any, reference: str) -> Any:
    node = root
    for key in reference.removeprefix("#/").split("/"):
        node = node[key]
    return node


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [each for value in node.values() for each in references(value)]
    return [each for value in node for each in references(value)] if isinstance(node, list) else []


def test_every_reference_leads_somewhere() -> None:
    root = document()
    found = references(root)
    assert len(found) > 40
    for reference in found:
        assert isinstance(resolve(root, reference), dict)


def test_the_sockets_and_streams_are_there_with_both_directions() -> None:
    root = document()
    assert {channel["address"] for channel in root["channels"].values()} == {
        "/",
        "/ws",
        "/v1/calls/{call_id}/events",
        "/v1/events",
        "/v1/recordings/{id}/events",
    }
    assert {"receive_vosk", "send_vosk", "send_call", "send_recording"} <= set(root["operations"])
    assert "receive_call" not in root["operations"]
    final = root["components"]["schemas"]["Final"]["properties"]
    assert final["event"] == {"const": "Final"}
    assert {"text", "words", "start_s", "delay_s"} <= set(final)


async def test_the_document_is_served(rest: Rest) -> None:
    assert (await rest.json("GET", "/asyncapi.json"))["asyncapi"] == "3.0.0"
