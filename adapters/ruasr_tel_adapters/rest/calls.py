"""Live calls: those that run, their events, their history; and word of one before it comes."""

import re
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import BaseModel, TypeAdapter

from ruasr_tel.call import Announcement, Call
from ruasr_tel.errors import BadCursor, ConfigError
from ruasr_tel.events import CallEnded, CallStarted, Dtmf, Event, Final
from ruasr_tel.hub import Hub
from ruasr_tel.recordings.render import Form
from ruasr_tel.sinks.jsonl import to_json
from ruasr_tel.store import CallHistory
from ruasr_tel.transcript import transcript
from ruasr_tel.types import CallId
from ruasr_tel_adapters.rest.api import API, Api
from ruasr_tel_adapters.rest.negotiate import wanted
from ruasr_tel_adapters.rest.operations import JSON, TEXT, URLENCODED, Answer, Operation
from ruasr_tel_adapters.rest.problems import Problem, invalid_field
from ruasr_tel_adapters.rest.reading import (
    NO_NUL_PATTERN,
    read_json,
    read_query,
    read_urlencoded,
    read_uuid,
)
from ruasr_tel_adapters.rest.schema import (
    Announce,
    Announced,
    CallPage,
    CallShownAs,
    LiveCall,
    LiveCalls,
    LiveLeg,
    PageQuery,
    storable,
)
from ruasr_tel_adapters.rest.sse import EVENT_STREAM, StreamQuery, last_event, send_events

if TYPE_CHECKING:
    from ruasr_tel.store import Store

TAG = "calls"
CALL_ID_MAX = 256
"""Longest id of a call that is looked for; Asterisk's and FreeSWITCH's have 36 and less."""

ENDING_S = 1.5
"""Longest wait for the last words of a call that is ending; CURL() of the examples waits 2 s."""

UUID_IN_CAPITALS = re.compile(r"(?=.*[A-F])[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
"""A UUID that AudioSocket's calls and announcements have in small letters."""

_HISTORY = TypeAdapter(CallHistory)


def history(api: Api) -> "Store":
    """Return the store.

    Raises:
        Problem: 503, it is switched off.
    """
    if api.server.store is None:
        raise Problem(503, "history is switched off (store.enabled)")
    return api.server.store


async def list_calls(request: web.Request) -> web.StreamResponse:
    """Return a page of calls from the history."""
    query = read_query(request, PageQuery)
    try:
        page = await history(request.app[API]).calls(**dict(query))
    except BadCursor as error:
        raise invalid_field("cursor", str(error)) from error
    return _json(CallPage(items=list(page.items), next_cursor=page.next_cursor))


async def list_live_calls(request: web.Request) -> web.StreamResponse:
    """Return the running calls as they stand."""
    server = request.app[API].server
    return _json(LiveCalls(items=[_live(call, server.hub) for call in server.calls.running()]))


def _live(call: Call, hub: Hub) -> LiveCall:
    latest = hub.latest(call.call_id)
    started = latest.started
    return LiveCall(
        call_id=call.call_id,
        door=call.door,
        profile=started.profile if started else None,
        since=started.at if started else None,
        details=started.details if started else {},
        text=latest.text,
        partial=latest.partial,
        legs=[
            LiveLeg(
                leg_id=leg.leg_id,
                channel=leg.channel,
                clock_s=leg.clock_s,
                level_db=leg.level_db(),
            )
            for leg in call.legs
        ],
    )


async def get_call(request: web.Request) -> web.StreamResponse:
    """Return what is kept of a call; as text what was said so far, of a running one, too."""
    api, call_id = request.app[API], await _call_id(request)
    query = read_query(request, CallShownAs)
    accept = request.headers.get("Accept", "")
    form = Form(query.format) if query.format else wanted(accept, (Form.JSON, Form.TEXT))
    if form is None:
        raise Problem(406, f"a call is {JSON} or {TEXT}")
    if form is Form.TEXT:
        said = await _said(api, call_id, with_keys=query.keys)
        return web.Response(text=said, content_type=TEXT, charset="utf-8")
    text = _HISTORY.dump_json(await _kept(api, call_id)).decode()
    return web.Response(text=text, content_type=JSON)


async def _kept(api: Api, call_id: CallId) -> CallHistory:
    kept = await history(api).call(call_id)
    if kept is None:
        raise Problem(404, f"no call {call_id} is known")
    return kept


async def _said(api: Api, call_id: CallId, *, with_keys: bool) -> str:
    """Return the text of a call: from memory, which is ahead of the database, else from both.

    A dialplan asks the moment the call is handed back, and what was being said is still recognised.
    """
    await api.server.calls.settle(call_id, ENDING_S)
    live = api.server.hub.since_start(call_id)
    finals = [event for event in live if isinstance(event, Final)]
    keys = [event for event in live if isinstance(event, Dtmf)]
    legs = [event.leg_id for event in live if not isinstance(event, CallStarted | CallEnded)]
    if not live or not (isinstance(live[0], CallStarted) or api.server.store is None):
        kept = await _kept(api, call_id)
        finals, keys = [*kept.finals, *finals], [*kept.keys, *keys]
        legs += [leg.leg_id for leg in kept.legs]
    return transcript(finals, keys if with_keys else (), legs)


async def announce_call(request: web.Request) -> web.StreamResponse:
    """Remember what is known of a call before it comes."""
    return _announce(request, await read_json(request, Announce))


async def announce_call_by_form(request: web.Request) -> web.StreamResponse:
    """Remember it, told in the only way that Asterisk's CURL() has of sending something."""
    return _announce(request, await read_urlencoded(request, Announce))


def _announce(request: web.Request, asked: Announce) -> web.Response:
    api = request.app[API]
    call_id = CallId(read_uuid(request, "call_id"))
    if call_id in api.server.calls:
        raise Problem(409, f"call {call_id} is running already")
    details = asked.model_dump(exclude={"profile"}, exclude_none=True)
    try:
        storable(details)
    except ValueError as error:
        raise Problem(422, str(error)) from error
    try:
        api.server.calls.announce(call_id, Announcement(asked.profile, details))
    except ConfigError as error:
        raise invalid_field("profile", str(error)) from error
    return _json(Announced(call_id=call_id, profile=asked.profile, details=details))


async def follow_call(request: web.Request) -> web.StreamResponse:
    """Send the events of a call; one that has not come is waited for."""
    api = request.app[API]
    call_id, hub = await _call_id(request), api.server.hub
    if call_id not in hub and await _is_history(api, call_id):
        raise Problem(
            410, f"the events of {call_id} are not kept; /v1/calls/{call_id} has its text"
        )
    after = last_event(request, api.epoch)
    events = hub.follow(call_id, -1 if after is None else after)
    over = call_id in hub and not hub.is_running(call_id)
    return await send_events(request, _plain(events), api.epoch, over=over)


async def _is_history(api: Api, call_id: CallId) -> bool:
    return api.server.store is not None and await api.server.store.call(call_id) is not None


async def follow_all_calls(request: web.Request) -> web.StreamResponse:
    """Send the events of all calls, from now on or from Last-Event-ID."""
    api = request.app[API]
    events = api.server.hub.follow_all(last_event(request, api.epoch))
    return await send_events(request, _plain(events), api.epoch, over=False)


async def _plain(
    events: AsyncGenerator[tuple[int, Event], None],
) -> AsyncGenerator[tuple[int, Mapping[str, object]], None]:
    async for number, event in events:
        yield number, to_json(event)


async def _call_id(request: web.Request) -> CallId:
    """Return the id of the path; a UUID that no call has as it is written, in its usual form.

    Raises:
        Problem: 404, no id looks like that.
    """
    text = request.match_info["call_id"]
    if len(text) > CALL_ID_MAX or not NO_NUL_PATTERN.match(text):
        raise Problem(404, "no call has such an id")
    api, call_id = request.app[API], CallId(text)
    if not UUID_IN_CAPITALS.fullmatch(text) or call_id in api.server.hub:
        return call_id
    return call_id if await _is_history(api, call_id) else CallId(text.lower())


def _json(model: BaseModel) -> web.Response:
    return web.Response(text=model.model_dump_json(), content_type=JSON)


_STREAM = {200: Answer("The events.", {EVENT_STREAM: None})}
_CALL_TO_COME = {"call_id": "The UUID that the call will have."}
_CALL_ID = {"call_id": "The call, as the PBX knows it."}

OPERATIONS = (
    Operation(
        "GET",
        "/v1/calls",
        list_calls,
        TAG,
        "List calls, the newest first",
        {200: Answer("A page.", {JSON: CallPage})},
        (422, 503),
        query=PageQuery,
    ),
    Operation(
        "GET",
        "/v1/calls/live",
        list_live_calls,
        TAG,
        "List the running calls, with their last text and their levels",
        {200: Answer("The calls.", {JSON: LiveCalls})},
    ),
    Operation(
        "GET",
        "/v1/calls/{call_id}",
        get_call,
        TAG,
        "Look at a call and what was said in it",
        {200: Answer("The call.", {JSON: CallHistory, TEXT: None})},
        (404, 406, 422, 503),
        "By `Accept` or `?format=`: JSON of what is kept, or the text of what was said so far, "
        "which a running call has, too. One party is one line; of more parties every final is a "
        "line with its side.",
        CallShownAs,
        path_fields=_CALL_ID,
    ),
    Operation(
        "PUT",
        "/v1/calls/{call_id}",
        announce_call,
        TAG,
        "Say what is known of a call before it comes",
        {200: Answer("It is remembered.", {JSON: Announced})},
        (400, 409, 413, 415, 422),
        "AudioSocket carries nothing but a UUID. The last word counts.",
        body={JSON: Announce},
        path_fields=_CALL_TO_COME,
    ),
    Operation(
        "POST",
        "/v1/calls/{call_id}",
        announce_call_by_form,
        TAG,
        "Say what is known of a call before it comes, as a form",
        {200: Answer("It is remembered.", {JSON: Announced})},
        (400, 409, 413, 415, 422),
        "The same as PUT, in the form that CURL() of a dialplan sends.",
        body={URLENCODED: Announce},
        path_fields=_CALL_TO_COME,
    ),
    Operation(
        "GET",
        "/v1/calls/{call_id}/events",
        follow_call,
        TAG,
        "Follow a call",
        _STREAM | {204: Answer("Nothing more will come.")},
        (404, 410, 503),
        "Server-sent events as on /asyncapi; `Last-Event-ID` resumes.",
        StreamQuery,
        path_fields=_CALL_ID,
        endless=True,
    ),
    Operation(
        "GET",
        "/v1/events",
        follow_all_calls,
        TAG,
        "Follow all calls",
        _STREAM,
        (503,),
        "Server-sent events as on /asyncapi, from now on; `Last-Event-ID` resumes.",
        StreamQuery,
        endless=True,
    ),
)
