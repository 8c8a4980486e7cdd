"""Whatever a client sends, the documented answers come, and never a 500."""

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ruasr_tel.recordings.model import Order
from ruasr_tel_adapters.rest import RestConfig
from ruasr_tel_adapters.rest.routes import openapi_text
from tests.adapters.rest.fakes import DIALOGUE, listening

EXAMPLES = 10
"""Requests per route, within a test run's time."""

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]

# Streams are left out: nothing ends them.
schema = schemathesis.openapi.from_dict(json.loads(openapi_text())).exclude(path_regex="events$")


@dataclass(frozen=True)
class Target:
    """A door that listens.

    Attributes:
        url: where.
        known: what there is, by the name that paths have for it.
        turn: decides whether a request asks for that or for anything.
    """

    url: str
    known: dict[str, str]
    turn: Iterator[int]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Run a door in a thread of its own; schemathesis is synchronous."""
    ready, targets = threading.Event(), list[Target]()
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve(folder: Path) -> None:
        config = RestConfig(max_wait_s=0.01, seed_wait_s=1, max_upload_bytes=4096)
        async with listening(folder, config) as rest:
            rest.recordings.at_once = DIALOGUE
            recording, _ = await rest.recordings.submit(Order(url="http://a/b"))
            known = {"id": recording.id, "call_id": "old"}
            stop = asyncio.Event()
            stops.append((asyncio.get_running_loop(), stop))
            targets.append(Target(rest.door.url, known, itertools.count()))
            ready.set()
            await stop.wait()

    folder = tmp_path_factory.mktemp("rest")
    thread = threading.Thread(target=lambda: asyncio.run(serve(folder)))
    thread.start()
    assert ready.wait(10)
    yield targets[0]
    loop, stop = stops[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_is_a_fault_of_the_server(case: schemathesis.Case[Any], target: Target) -> None:
    for name in set(case.path_parameters or {}) & set(target.known):
        if next(target.turn) % 2:
            case.path_parameters[name] = target.known[name]
    case.call_and_validate(base_url=target.url, checks=CHECKS)
