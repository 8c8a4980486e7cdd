"""Every route, and the documents that are made from them."""

import json
from functools import cache

from aiohttp import web

from ruasr_tel_adapters.rest import audio, calls, health, recordings, seed
from ruasr_tel_adapters.rest.asyncapi import document as asyncapi_document
from ruasr_tel_adapters.rest.openapi import document as openapi_document
from ruasr_tel_adapters.rest.operations import JSON, Operation

OPERATIONS: tuple[Operation, ...] = (
    *recordings.OPERATIONS,
    *audio.OPERATIONS,
    *calls.OPERATIONS,
    *health.OPERATIONS,
    *seed.OPERATIONS,
)


@cache
def openapi_text() -> str:
    """Return the OpenAPI document as JSON."""
    return json.dumps(openapi_document(OPERATIONS), ensure_ascii=False)


@cache
def asyncapi_text() -> str:
    """Return the AsyncAPI document as JSON."""
    return json.dumps(asyncapi_document(), ensure_ascii=False)


async def get_openapi(request: web.Request) -> web.StreamResponse:
    """Return the OpenAPI document."""
    return web.Response(text=openapi_text(), content_type=JSON)


async def get_asyncapi(request: web.Request) -> web.StreamResponse:
    """Return the AsyncAPI document."""
    return web.Response(text=asyncapi_text(), content_type=JSON)


DOCUMENTS = {"/openapi.json": get_openapi, "/asyncapi.json": get_asyncapi}
