"""The HTTP routes of the seed, for its clients: same fields, same keys, true values.

The seed is Sanich137/ASR_FastAPI_WS_RU_sherpa-onnx; what differs is listed in docs/migration.md.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import structlog
from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from ruasr_tel.recordings.model import Channels, Order, Recording
from ruasr_tel.recordings.seed import seed_failure, seed_response
from ruasr_tel_adapters.rest.api import API, Api
from ruasr_tel_adapters.rest.operations import FORM, JSON, TEXT, Answer, Operation
from ruasr_tel_adapters.rest.problems import Problem, as_problem, invalid
from ruasr_tel_adapters.rest.reading import read_json
from ruasr_tel_adapters.rest.recordings import accept, is_over, jobs, wait
from ruasr_tel_adapters.rest.schema import Url
from ruasr_tel_adapters.rest.upload import receive

TAG = "seed"
PREFER: Final = "status"
"""A client that sends `Prefer: status` (RFC 7240) gets failures with their own HTTP status."""
MEMINFO: Final = Path("/proc/meminfo")

_log = structlog.get_logger(__name__)


def _loose_bool(value: object) -> object:
    """Return null and an empty form field as no, as the seed takes them."""
    return False if value is None or value == "" else value


Flag = Annotated[bool, BeforeValidator(_loose_bool)]


class _Options(BaseModel):
    """What both routes take; what has no effect here is taken and said so in the docs."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True)

    keep_raw: Flag = True
    """Return `raw_data`; no empties it, together with do_dialogue."""
    do_dialogue: Flag = False
    """Fill `sentenced_data`: turns of all channels in order of time."""
    make_mono: Flag = False
    """Mix the channels first."""
    do_punctuation: Flag = False
    """Without effect: a model that punctuates always does."""
    do_diarization: Flag = False
    """Without effect: `diarized_data` stays empty."""
    diar_vad_sensity: int = 3
    """Without effect."""
    speech_speed_correction_multiplier: float | None = 1
    """Without effect."""


class SeedUrlOrder(_Options):
    """A recording to be fetched, in the seed's words."""

    AudioFileUrl: Url
    """Where it is; any path and any format."""
    do_echo_clearing: Flag = True
    """Leave what is the other side heard faintly out of `sentenced_data` and `raw_data`."""
    do_auto_speech_speed_correction: Flag = True
    """Without effect."""


class SeedFileForm(_Options):
    """A recording that is sent along, in the seed's words."""

    file: Annotated[str, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})]
    """The file."""
    do_echo_clearing: Flag = False
    """Leave what is the other side heard faintly out of `sentenced_data` and `raw_data`."""
    do_auto_speech_speed_correction: Flag = False
    """Without effect."""


_Asked = SeedUrlOrder | SeedFileForm
_Reader = Callable[[web.Request, Api], Awaitable[tuple[Order, _Asked]]]


class SeedAnswer(BaseModel):
    """The seed's answer to a recording."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    success: bool
    """Whether there is a result."""
    error_description: str
    """Why not."""
    raw_data: dict[str, JsonValue]
    """For each channel (`channel_1`, …) its recognised segments with words."""
    sentenced_data: dict[str, JsonValue]
    """With do_dialogue: `raw_text_sentenced_recognition`, `list_of_sentenced_recognitions`,
    `full_text_only`, `err_state`."""
    diarized_data: dict[str, JsonValue]
    """Empty."""


class SeedAlive(BaseModel):
    """The seed's answer to /is_alive."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    error: bool = False
    """Whether the engine does not answer."""
    error_description: str | None = None
    """The same in words."""
    state: Literal["idle", "in_work"]
    """Whether there is work."""
    tasks_in_work: int
    """Running calls and recordings."""
    free_memory_mb: float | None
    """The machine's free memory (the seed: its GPU's)."""
    gpu_load_percent: float | None = None
    """Unknown: the engine's process is the one that sees the GPU."""
    temperature_celsius: float | None = None
    """Unknown."""


async def post_one_step_req(request: web.Request) -> web.StreamResponse:
    """Recognise a recording by its URL while the client waits."""
    return await _answer(request, _by_url)


async def post_file(request: web.Request) -> web.StreamResponse:
    """Recognise a recording that is sent along while the client waits."""
    return await _answer(request, _by_file)


async def _by_url(request: web.Request, api: Api) -> tuple[Order, _Asked]:
    asked = await read_json(request, SeedUrlOrder)
    name = asked.AudioFileUrl.partition("?")[0].rpartition("/")[2]
    return Order(url=asked.AudioFileUrl, name=name, channels=_channels(asked)), asked


async def _by_file(request: web.Request, api: Api) -> tuple[Order, _Asked]:
    if request.content_type != FORM:
        raise Problem(415, f"the body is {request.content_type}, expected {FORM}")
    uploaded = await receive(request, jobs(api).uploads, api.config.max_upload_bytes, "file")
    try:
        asked = SeedFileForm.model_validate({**uploaded.fields, "file": ""})
    except ValidationError as error:
        uploaded.path.unlink(missing_ok=True)
        raise invalid(error) from error
    return Order(upload=uploaded.path, name=uploaded.name, channels=_channels(asked)), asked


def _channels(asked: _Options) -> Channels:
    return Channels.MIX if asked.make_mono else Channels.SPLIT


async def _answer(request: web.Request, read: _Reader) -> web.StreamResponse:
    """Return a result, or its failure with 200, or with its status where the client prefers it."""
    api = request.app[API]
    try:
        api.admit()
        order, asked = await read(request, api)
        recording, _ = await accept(api, order)
        recording = await wait(api, recording, api.config.seed_wait_s)
        # beside the event loop, which live calls share: the result may be of hours
        return await asyncio.to_thread(lambda: _json(_result(recording, asked)))
    except Exception as error:  # noqa: BLE001 - each failure is told in the seed's way
        problem = as_problem(error)
    wants_status = PREFER in request.headers.get("Prefer", "").lower().split(",")
    _log.info("recording refused on a route of the seed", status=problem.status)
    return _json(
        seed_failure(problem.detail),
        problem.status if wants_status else 200,
        {**problem.headers, **({"Preference-Applied": PREFER} if wants_status else {})},
    )


def _result(recording: Recording, asked: _Asked) -> Mapping[str, JsonValue]:
    if not is_over(recording):
        raise Problem(
            504,
            f"not done yet, at {recording.progress:.0%}; "
            f"GET /v1/recordings/{recording.id} will have the result",
        )
    if recording.result is None:
        raise Problem(422, recording.reason or f"the recording is {recording.state}")
    return seed_response(
        recording.result,
        keep_raw=asked.keep_raw,
        do_dialogue=asked.do_dialogue,
        do_echo_clearing=asked.do_echo_clearing,
    )


async def seed_is_alive(request: web.Request) -> web.StreamResponse:
    """Answer as the seed does, on any machine."""
    server = request.app[API].server
    ready = server.ready()
    queues = await server.recordings.queued() if server.recordings else {}
    tasks = len(server.calls) + queues.get("recording", 0)
    alive = SeedAlive(
        error=not ready,
        error_description=None if ready else "the engine does not answer now",
        state="in_work" if tasks else "idle",
        tasks_in_work=tasks,
        free_memory_mb=_free_memory_mb(),
    )
    return _json(alive.model_dump())


def _free_memory_mb() -> float | None:
    """Return the machine's available memory in MiB (proc_meminfo(5)), None where nobody says."""
    try:
        lines = MEMINFO.read_text().splitlines()
    except OSError:
        return None
    kib = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return round(int(kib[0]) / 1024, 1) if kib else None


async def explain_socket(request: web.Request) -> web.StreamResponse:
    """Say how the seed's socket is used."""
    return web.Response(text="A WebSocket: see /asyncapi.\n")


def _json(
    body: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    text = json.dumps(body, ensure_ascii=False)
    return web.Response(status=status, text=text, content_type=JSON, headers=headers)


_ABOUT = (
    "A failure is `success: false` with status 200, as ever; with `Prefer: status` it has its own."
)
_ANSWERS = {
    200: Answer("The result, or with `success: false` why there is none.", {JSON: SeedAnswer}),
    **{
        status: Answer("With `Prefer: status`: the failure.", {JSON: SeedAnswer})
        for status in (400, 413, 415, 422, 429, 500, 503, 504, 507)
    },
}

OPERATIONS = (
    Operation(
        "POST",
        "/post_one_step_req",
        post_one_step_req,
        TAG,
        "Recognise a recording by URL",
        _ANSWERS,
        (403,),
        _ABOUT,
        body={JSON: SeedUrlOrder},
        deprecated=True,
    ),
    Operation(
        "POST",
        "/post_file",
        post_file,
        TAG,
        "Recognise a recording that is sent along",
        _ANSWERS,
        (403,),
        _ABOUT,
        body={FORM: SeedFileForm},
        deprecated=True,
    ),
    Operation(
        "GET",
        "/is_alive",
        seed_is_alive,
        TAG,
        "Does the server live?",
        {200: Answer("It does.", {JSON: SeedAlive})},
        deprecated=True,
    ),
    Operation(
        "POST",
        "/ws",
        explain_socket,
        TAG,
        "How the seed's socket is used",
        {200: Answer("In words.", {TEXT: None})},
        (403,),
        deprecated=True,
    ),
)
