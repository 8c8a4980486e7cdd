"""Whether the server lives, is ready, and what it is doing."""

from importlib.metadata import version
from typing import Literal

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict

from ruasr_tel_adapters.rest.api import API, STOPPING
from ruasr_tel_adapters.rest.operations import JSON, TEXT, Answer, Operation
from ruasr_tel_adapters.rest.pages import vosk_url
from ruasr_tel_adapters.rest.problems import Problem

TAG = "server"


class _Model(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Health(_Model):
    """A short answer for those who watch the server."""

    status: Literal["ok"] = "ok"


class Status(_Model):
    """What the server is doing."""

    version: str
    """Of ruasr_tel."""
    ready: bool
    """Whether the engine answers and new work is taken."""
    calls: int
    """Running calls."""
    max_calls: int
    """Calls at once."""
    wait_s: float
    """How long a final would wait for the engine now, in seconds."""
    profiles: list[str]
    """Ways to listen."""
    history: bool
    """Whether calls and recordings are kept."""
    recordings: bool
    """Whether recordings are taken."""
    queues: dict[str, int]
    """Work that waits or runs: recordings and deliveries."""
    vosk_url: str
    """Where a browser's microphone finds the Vosk socket."""


async def is_alive(request: web.Request) -> web.StreamResponse:
    """Answer as long as the server answers anything."""
    return _json(Health())


async def is_ready(request: web.Request) -> web.StreamResponse:
    """Say whether new work is welcome."""
    api = request.app[API]
    if not api.accepting:
        raise Problem(503, STOPPING)
    if not api.server.ready():
        raise Problem(503, "the engine does not answer now; it is started again by itself")
    return _json(Health())


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """Return the metrics for Prometheus."""
    text = generate_latest(request.app[API].server.metrics.registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def get_status(request: web.Request) -> web.StreamResponse:
    """Return what the server is doing."""
    api = request.app[API]
    server = api.server
    return _json(
        Status(
            version=version("ruasr-tel"),
            ready=api.accepting and server.ready(),
            calls=len(server.calls),
            max_calls=server.calls.config.max_calls,
            wait_s=server.calls.wait_s,
            profiles=sorted(server.calls.profiles),
            history=server.store is not None,
            recordings=server.recordings is not None,
            queues=await server.recordings.queued() if server.recordings else {},
            vosk_url=vosk_url(request),
        )
    )


def _json(model: BaseModel) -> web.Response:
    return web.Response(
        text=model.model_dump_json(), content_type=JSON, headers={"Cache-Control": "no-store"}
    )


OPERATIONS = (
    Operation(
        "GET",
        "/healthz",
        is_alive,
        TAG,
        "Does the server live?",
        {200: Answer("It does.", {JSON: Health})},
    ),
    Operation(
        "GET",
        "/readyz",
        is_ready,
        TAG,
        "Is new work welcome?",
        {200: Answer("It is.", {JSON: Health})},
        (503,),
    ),
    Operation(
        "GET",
        "/metrics",
        get_metrics,
        TAG,
        "Metrics for Prometheus",
        {200: Answer("The text exposition format.", {TEXT: None})},
    ),
    Operation(
        "GET",
        "/v1/status",
        get_status,
        TAG,
        "What the server is doing",
        {200: Answer("Figures of this moment.", {JSON: Status})},
    ),
)
