"""Server-sent events (WHATWG HTML 9.2): numbered, resumable, with a pulse."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from ruasr_tel_adapters.rest.api import API, Api
from ruasr_tel_adapters.rest.problems import Problem

T = TypeVar("T")


class StreamQuery(BaseModel):
    """Where a stream goes on."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    last_event_id: str = Field("", max_length=100)
    """`id` of the last event that the client has; the header Last-Event-ID does the same."""


EVENT_STREAM: Final = "text/event-stream"
PULSE: Final = b": still here\n\n"
END: Final = b"event: end\ndata: {}\n\n"
"""Tells a client not to come back; one that does is told so by 204 (WHATWG HTML 9.2.2)."""

Source = AsyncGenerator[tuple[int, Mapping[str, object]], None]
"""Numbered events; each names its kind by `event`."""


def last_event(request: web.Request, epoch: str) -> int | None:
    """Return the number of the last event that the client has, or None.

    Browsers send it in Last-Event-ID, others may put it into the query (`?last_event_id=`). One of
    another run of the server counts for nothing.

    Args:
        request: what is answered.
        epoch: tells the numbers of this source from those of others.
    """
    said = request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")
    found = re.fullmatch(r"(\w+)-(\d{1,18})", said)
    return int(found[2]) if found and found[1] == epoch else None


async def send_events(
    request: web.Request, source: Source, epoch: str, *, over: bool
) -> web.StreamResponse:
    """Send events until their source ends, the client leaves or the server stops.

    Args:
        request: what is answered.
        source: the events, from the first one that the client lacks.
        epoch: as for `last_event`.
        over: whether no more events will come than are there already.

    Raises:
        Problem: 503, too many streams are open.
    """
    api = request.app[API]
    if api.streams >= api.config.max_streams:
        raise Problem(503, f"{api.streams} event streams are open (doors.rest.max_streams)")
    api.streams += 1
    try:
        async with aclosing(source):
            if not over:
                return await _stream(request, source, epoch)
            kept = [numbered async for numbered in source]
        return await _stream(request, _all(kept), epoch) if kept else web.Response(status=204)
    finally:
        api.streams -= 1


async def _all(events: list[tuple[int, Mapping[str, object]]]) -> Source:
    for numbered in events:
        yield numbered


async def _stream(request: web.Request, source: Source, epoch: str) -> web.StreamResponse:
    api = request.app[API]
    response = web.StreamResponse(
        headers={
            "Content-Type": EVENT_STREAM,
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    try:
        await response.write(PULSE)  # proxies and clients see that the stream is open
        async with aclosing(_with_pulse(source, api)) as numbered_events:
            async for numbered in numbered_events:
                await response.write(PULSE if numbered is None else _block(epoch, *numbered))
        if not api.closing.is_set():  # else the client is to come back to the next server
            await response.write(END)
    except ConnectionResetError:
        pass  # the client left
    return response


def _block(epoch: str, number: int, event: Mapping[str, object]) -> bytes:
    data = json.dumps(event, ensure_ascii=False)
    block = f"id: {epoch}-{number}\nevent: {event['event']}\ndata: {data}\n\n"
    return block.encode("utf-8", "backslashreplace")  # a lone surrogate as JSON escapes it


async def _with_pulse(source: AsyncGenerator[T, None], api: Api) -> AsyncGenerator[T | None, None]:
    """Yield the items of a source, None after each pause of `keep_alive_s`; end at a stop."""
    closing = asyncio.ensure_future(api.closing.wait())
    coming: asyncio.Task[T] | None = None
    try:
        while not api.closing.is_set():
            coming = coming or asyncio.ensure_future(_next(source))
            await asyncio.wait(
                {coming, closing},
                timeout=api.config.keep_alive_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if coming.done():
                try:
                    item = coming.result()
                except StopAsyncIteration:
                    return
                coming = None
                yield item
            elif not api.closing.is_set():
                yield None
    finally:
        closing.cancel()
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})  # the source may be closed only when nobody waits in it


async def _next(source: AsyncGenerator[T, None]) -> T:
    return await anext(source)
