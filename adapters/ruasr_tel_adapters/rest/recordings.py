"""Recordings: post, look, follow, cancel."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import BaseModel, TypeAdapter, ValidationError

from ruasr_tel.errors import BadCursor, ConfigError, Overloaded
from ruasr_tel.recordings.model import Order, Recording, State
from ruasr_tel.recordings.render import Form, render
from ruasr_tel_adapters.rest.api import API, Api
from ruasr_tel_adapters.rest.negotiate import wanted
from ruasr_tel_adapters.rest.operations import FORM, JSON, Answer, Operation
from ruasr_tel_adapters.rest.problems import Problem, invalid, invalid_field
from ruasr_tel_adapters.rest.reading import read_json, read_query, read_uuid
from ruasr_tel_adapters.rest.schema import (
    RecordingDocument,
    RecordingForm,
    RecordingOrder,
    RecordingPage,
    RecordingsQuery,
    Secret,
    ShownAs,
    SubmitQuery,
    Wishes,
    show,
)
from ruasr_tel_adapters.rest.sse import EVENT_STREAM, StreamQuery, last_event, send_events
from ruasr_tel_adapters.rest.upload import receive

if TYPE_CHECKING:
    from ruasr_tel.recordings.jobs import Recordings

TAG = "recordings"
KEY_HEADER = "Idempotency-Key"
_KEY: TypeAdapter[str] = TypeAdapter(Secret)
EPOCH = "r"
"""Numbers of a recording's events are times: they hold for every run of every server."""


def jobs(api: Api) -> "Recordings":
    """Return the recordings of the server.

    Raises:
        Problem: 503, they are switched off.
    """
    if api.server.recordings is None:
        raise Problem(503, "recordings are switched off (recordings.enabled)")
    return api.server.recordings


async def accept(api: Api, order: Order) -> tuple[Recording, bool]:
    """Submit an order; an uploaded file that is not needed goes.

    Raises:
        Problem: 422, no such profile or model; 429, too many orders.
    """
    recordings = jobs(api)
    created = False
    try:
        _check_profile(api, order.profile)
        recording, created = await recordings.submit(order)
    except ConfigError as error:
        raise invalid_field("model", str(error)) from error
    except Overloaded as error:
        raise Problem(429, str(error), headers={"Retry-After": "10"}) from error
    finally:
        if order.upload is not None and not created:
            await asyncio.to_thread(order.upload.unlink, missing_ok=True)
    return recording, created


def _check_profile(api: Api, name: str | None) -> None:
    try:
        api.server.calls.profile(name)
    except ConfigError as error:
        raise invalid_field("profile", str(error)) from error


def is_over(recording: Recording) -> bool:
    """Whether there is a result, delivered or not, or there will be none."""
    return recording.state.ended or recording.result is not None


async def wait(api: Api, recording: Recording, seconds: float) -> Recording:
    """Return a recording when it is over, or as it is after that many seconds.

    Raises:
        Problem: 404, it was deleted meanwhile; 503, the server is stopping.
    """
    try:
        return await api.unless_closing(jobs(api).wait(recording.id, seconds))
    except KeyError as error:
        raise Problem(404, f"recording {recording.id} was deleted") from error


async def find(request: web.Request, *, with_result: bool = False) -> Recording:
    """Return the recording that the path names.

    Args:
        request: what is answered.
        with_result: whether its result is wanted.

    Raises:
        Problem: 404, there is none.
    """
    id = read_uuid(request, "id")
    recording = await jobs(request.app[API]).get(id, with_result=with_result)
    if recording is None:
        raise Problem(404, f"there is no recording {id}")
    return recording


async def submit_recording(request: web.Request) -> web.StreamResponse:
    """Accept a recording by URL or with its file."""
    api = request.app[API]
    api.admit()
    query = read_query(request, SubmitQuery)
    form = _form(request, query)
    order = await _read_order(request, api)
    recording, created = await accept(api, order)
    if query.wait and not is_over(recording):
        recording = await wait(api, recording, min(query.wait, api.config.max_wait_s))
    headers = {"Location": f"/v1/recordings/{recording.id}"}
    if not created:
        headers["Idempotent-Replayed"] = "true"
    if not is_over(recording):
        return _json(show(recording), 202, headers)
    return await _shown(recording, form, query, headers)


async def _read_order(request: web.Request, api: Api) -> Order:
    header = _key(request)
    if request.content_type != FORM:
        if request.content_type != JSON:
            raise Problem(415, f"the body is {request.content_type}, expected {JSON} or {FORM}")
        asked = await read_json(request, RecordingOrder)
        name = asked.name or asked.url.partition("?")[0].rstrip("/").rpartition("/")[2]
        return Order(url=asked.url, name=name, **_wishes(asked, header, asked.metadata))
    uploaded = await receive(request, jobs(api).uploads, api.config.max_upload_bytes, "upload")
    try:
        form = RecordingForm.model_validate({"upload": "", **uploaded.fields})
    except ValidationError as error:
        uploaded.path.unlink(missing_ok=True)
        raise invalid(error) from error
    wishes = _wishes(form, header, form.metadata)
    return Order(upload=uploaded.path, name=uploaded.name, **wishes)


def _key(request: web.Request) -> str | None:
    """Return the idempotency key of the header, or None.

    Raises:
        Problem: 422, it is none.
    """
    key = request.headers.get(KEY_HEADER)
    try:
        return None if key is None else _KEY.validate_python(key)
    except ValidationError as error:
        raise invalid_field(KEY_HEADER, error.errors()[0]["msg"]) from error


def _wishes(asked: Wishes, key: str | None, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "channels": asked.channels,
        "profile": asked.profile,
        "model": asked.model,
        "phrases": asked.phrases,
        "closed": asked.closed,
        "boost": asked.boost,
        "callback_url": asked.callback_url,
        "callback_secret": asked.callback_secret,
        "idempotency_key": asked.idempotency_key or key,
        "metadata": metadata,
    }


async def get_recording(request: web.Request) -> web.StreamResponse:
    """Return a recording, in the wanted form."""
    query = read_query(request, ShownAs)
    form = _form(request, query)
    return await _shown(await find(request, with_result=True), form, query, {})


def _form(request: web.Request, query: ShownAs) -> Form:
    form = query.format or wanted(request.headers.get("Accept", ""))
    if form is None:
        raise Problem(406, f"a result is one of {', '.join(form.media_type for form in Form)}")
    return form


async def _shown(
    recording: Recording, form: Form, query: ShownAs, headers: Mapping[str, str]
) -> web.Response:
    """Return a recording; it is written beside the event loop, for it may be of hours."""
    if form is Form.JSON:
        return await asyncio.to_thread(lambda: _json(show(recording), 200, headers))
    if (result := recording.result) is None:
        why = f": {recording.reason}" if recording.reason else ""
        raise Problem(409, f"the recording is {recording.state}{why}; it has no text")
    text = await asyncio.to_thread(
        render, result, form, leave_out_crosstalk=query.leave_out_crosstalk
    )
    return web.Response(text=text, content_type=form.media_type, charset="utf-8", headers=headers)


def _json(model: BaseModel, status: int, headers: Mapping[str, str]) -> web.Response:
    text = model.model_dump_json()
    return web.Response(status=status, text=text, content_type=JSON, headers=headers)


async def list_recordings(request: web.Request) -> web.StreamResponse:
    """Return a page of recordings."""
    query = read_query(request, RecordingsQuery)
    try:
        page = await jobs(request.app[API]).list(**dict(query))
    except BadCursor as error:
        raise invalid_field("cursor", str(error)) from error
    items = [show(recording) for recording in page.items]
    return _json(RecordingPage(items=items, next_cursor=page.next_cursor), 200, {})


async def cancel_recording(request: web.Request) -> web.StreamResponse:
    """Cancel a recording; one that is cancelled stays so."""
    recordings = jobs(request.app[API])
    cancelled = await recordings.cancel((await find(request)).id)
    recording = await find(request, with_result=True)
    if not cancelled and recording.state is not State.CANCELLED:
        raise Problem(409, f"the recording is {recording.state} already")
    return await _shown(recording, Form.JSON, ShownAs(), {})


async def follow_recording(request: web.Request) -> web.StreamResponse:
    """Send the states and the progress of a recording, to its end."""
    recording = await find(request)
    after = last_event(request, EPOCH)
    events = jobs(request.app[API]).follow(recording.id, -1 if after is None else after)
    return await send_events(request, _named(events), EPOCH, over=recording.state.ended)


async def _named(
    events: AsyncGenerator[tuple[int, dict[str, object]], None],
) -> AsyncGenerator[tuple[int, Mapping[str, object]], None]:
    async for number, event in events:
        yield number, {"event": "state", **event}


_ID = {"id": "The recording, a UUID."}
_SHOWN = Answer(
    "The recording; its result as text, SRT or VTT only once it is done.",
    {
        JSON: RecordingDocument,
        **{form.media_type: None for form in Form if form is not Form.JSON},
    },
)
_STREAM = Answer("The events, to the end.", {EVENT_STREAM: None})

OPERATIONS = (
    Operation(
        "POST",
        "/v1/recordings",
        submit_recording,
        TAG,
        "Post a recording, by URL or with its file",
        {
            200: Answer(f"It has ended: {_SHOWN.description}", _SHOWN.content),
            202: Answer("It was accepted and will not be lost.", {JSON: RecordingDocument}),
        },
        (400, 406, 409, 413, 415, 422, 429, 503, 507),
        "With `?wait=30` the answer comes when it is done, at most that many seconds later. "
        "A second order with the same key (`Idempotency-Key`) is the first one.",
        SubmitQuery,
        {JSON: RecordingOrder, FORM: RecordingForm},
    ),
    Operation(
        "GET",
        "/v1/recordings",
        list_recordings,
        TAG,
        "List recordings, the newest first",
        {200: Answer("A page.", {JSON: RecordingPage})},
        (422, 503),
        query=RecordingsQuery,
    ),
    Operation(
        "GET",
        "/v1/recordings/{id}",
        get_recording,
        TAG,
        "Look at a recording and what was said in it",
        {200: _SHOWN},
        (404, 406, 409, 422, 503),
        "By `Accept` or `?format=`: JSON, text, SRT, VTT.",
        ShownAs,
        path_fields=_ID,
    ),
    Operation(
        "DELETE",
        "/v1/recordings/{id}",
        cancel_recording,
        TAG,
        "Cancel a recording",
        {200: Answer("It is cancelled.", {JSON: RecordingDocument})},
        (404, 409, 422, 503),
        path_fields=_ID,
    ),
    Operation(
        "GET",
        "/v1/recordings/{id}/events",
        follow_recording,
        TAG,
        "Follow a recording",
        {200: _STREAM, 204: Answer("Nothing more will come.")},
        (404, 422, 503),
        "Server-sent events; `Last-Event-ID` resumes.",
        StreamQuery,
        path_fields=_ID,
        endless=True,
    ),
)
