"""`ruasr-tel recordings`: orders to a running server, over its REST door."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import aiohttp
import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table

from ruasr_tel.cli.common import FAILED, err, fail, out
from ruasr_tel.errors import RuasrError
from ruasr_tel.recordings.model import Channels, State
from ruasr_tel.recordings.render import Form

T = TypeVar("T")

SERVER = "http://127.0.0.1:49153"
"""Where the REST door listens by default."""
LOOK_S = 0.5
"""How often to ask for the progress; a bar that moves twice a second looks alive."""
ANSWER_S = 60.0
"""Longest wait for an answer; an upload may take as long as it takes."""

recordings = typer.Typer(help="Recordings as jobs of a running server.", no_args_is_help=True)

ServerOption = Annotated[
    str, typer.Option("--url", help="The server's REST door.", envvar="RUASR_URL")
]
FormOption = Annotated[Form, typer.Option("--format", "-f", help="What to print.")]


class Refused(RuasrError):
    """The server is not there, or does not do what was asked."""


@recordings.command("submit")
def submit(
    sources: Annotated[list[str], typer.Argument(help="URLs or files.", metavar="URL|FILE…")],
    channels: Annotated[Channels, typer.Option(help="What to do with channels.")] = Channels.AUTO,
    profile: Annotated[str | None, typer.Option(help="How to listen.")] = None,
    model: Annotated[str | None, typer.Option(help="Which model.")] = None,
    phrases: Annotated[str | None, typer.Option(help="To prefer, with commas between.")] = None,
    closed: Annotated[
        bool | None, typer.Option("--closed", help="Nothing but them can be heard.")
    ] = None,
    callback_url: Annotated[str | None, typer.Option(help="Where to post the result.")] = None,
    callback_secret: Annotated[
        str | None,
        typer.Option(help="Signs what is posted.", envvar="RUASR_CALLBACK_SECRET"),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Print the ids and do not wait.")
    ] = False,
    style: FormOption = Form.TEXT,
    server: ServerOption = SERVER,
) -> None:
    """Post recordings and wait for their text.

    Each source is one job; where several are given, the text of each begins with its name. The
    exit code is 1 if one of them fails; Ctrl-C stops waiting, not the jobs.
    """
    wishes = {
        "channels": channels.value,
        "profile": profile,
        "model": model,
        "phrases": None if phrases is None else phrases.split(","),
        "closed": closed,
        "callback_url": callback_url,
        "callback_secret": callback_secret,
    }
    if not _run(_submit(server, sources, _given(wishes), detach, style)):
        raise typer.Exit(FAILED)


@recordings.command("list")
def list_recordings(
    state: Annotated[State | None, typer.Option(help="Only those in this state.")] = None,
    text: Annotated[str | None, typer.Option(help="Only those in which this was said.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most so many.")] = 20,
    cursor: Annotated[
        str | None, typer.Option(help="Go on from here; the page before says what.")
    ] = None,
    server: ServerOption = SERVER,
) -> None:
    """Print recordings, the newest first."""
    asked = {"state": state and state.value, "text": text, "limit": limit, "cursor": cursor}
    query = {key: str(value) for key, value in asked.items() if value is not None}
    page = _run(_get(server, "/v1/recordings", query))
    table = Table("accepted (UTC)", "id", "name", "state", "", "reason")
    for each in page["items"]:
        part = "" if each["state"] in ("done", "failed", "cancelled") else _percent(each)
        cells = (each["created_at"][:19].replace("T", " "), each["id"], each["name"])
        table.add_row(*map(escape, (*cells, each["state"], part, each["reason"] or "")))
    out.print(table)
    if page["next_cursor"] is not None:
        out.print(f"there is more: --cursor {page['next_cursor']}")


@recordings.command("show")
def show(
    id: Annotated[str, typer.Argument(help="The recording's id.")],
    style: FormOption = Form.TEXT,
    server: ServerOption = SERVER,
) -> None:
    """Print what was said in a recording, or how far it is."""
    out.print(_run(_shown(server, id, style)), markup=False, end="")


def _given(wishes: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked for."""
    return {key: value for key, value in wishes.items() if value is not None}


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except Refused as error:
        fail(str(error))


async def _submit(
    server: str, sources: list[str], wishes: dict[str, Any], detach: bool, style: Form
) -> bool:
    """Return whether every recording was done (or accepted, if nobody waits)."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        jobs = []
        for source in sources:
            id = await _order(server, source, wishes)
            if detach:
                out.print(id)
            else:
                jobs.append(_ended(server, id, progress, progress.add_task(escape(source))))
        ends = await asyncio.gather(*jobs)
    for source, end in zip(sources, ends, strict=False):
        if end["state"] not in ("done", "delivering"):
            err.print(f"[bold red]error:[/] {escape(f'{source}: {_why(end)}')}")
            continue
        if len(sources) > 1 and style is Form.TEXT:
            out.print(f"{source}:", markup=False)
        out.print(await _shown(server, end["id"], style), markup=False, end="")
    return all(end["state"] in ("done", "delivering") for end in ends)


async def _order(server: str, source: str, wishes: dict[str, Any]) -> str:
    """Return the id of an accepted recording."""
    if source.lower().startswith(("http://", "https://")):
        return str((await _post(server, json={"url": source, **wishes}))["id"])
    path = Path(source)
    try:
        file = await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        raise Refused(f"{source}: {error.strerror}") from error
    with file:
        texts = {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in wishes.items()
        }
        form = aiohttp.FormData(texts)
        form.add_field("upload", file, filename=path.name)
        return str((await _post(server, data=form))["id"])


async def _ended(server: str, id: str, progress: Progress, bar: TaskID) -> dict[str, Any]:
    """Return the recording when it has a result or has ended, moving its bar meanwhile."""
    while True:
        recording: dict[str, Any] = await _get(server, f"/v1/recordings/{id}")
        progress.update(bar, completed=100 * recording["progress"], total=100)
        if recording["state"] in ("done", "delivering", "failed", "cancelled"):
            return recording
        await asyncio.sleep(LOOK_S)


async def _shown(server: str, id: str, style: Form) -> str:
    recording = await _get(server, f"/v1/recordings/{id}")
    if style is Form.JSON:
        return json.dumps(recording, ensure_ascii=False) + "\n"
    if recording["result"] is None:
        return f"{recording['state']} {_percent(recording)}: {_why(recording)}\n"
    async with (
        _asking(server) as session,
        session.get(f"/v1/recordings/{id}", params={"format": style.value}) as answer,
    ):
        return await answer.text()


def _percent(recording: dict[str, Any]) -> str:
    return f"{100 * recording['progress']:.0f} %"


def _why(recording: dict[str, Any]) -> str:
    return str(recording["reason"] or recording["state"])


async def _get(server: str, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
    async with _asking(server) as session, session.get(path, params=query) as answer:
        return await _read(answer)


async def _post(server: str, **body: Any) -> dict[str, Any]:
    async with _asking(server) as session, session.post("/v1/recordings", **body) as answer:
        return await _read(answer)


@asynccontextmanager
async def _asking(server: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session with the server, or say why there is none."""
    limits = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=ANSWER_S)
    try:
        async with aiohttp.ClientSession(server, timeout=limits) as session:
            yield session
    except TimeoutError as error:
        raise Refused(f"{server} does not answer") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise Refused(
            f"{server} cannot be reached ({error}); is `ruasr-tel serve` running there, with "
            "doors.rest?"
        ) from error


async def _read(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """Return the document; an error is the server's own sentence (RFC 9457)."""
    try:
        document = await answer.json(content_type=None)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Refused(f"{answer.url.origin()} is no ruasr_tel: HTTP {answer.status}")
    if answer.status >= 400:
        faults = [f"{each['field']}: {each['message']}" for each in document.get("errors", [])]
        said = document.get("detail") or f"HTTP {answer.status}"
        raise Refused("; ".join([said, *faults]))
    return document
