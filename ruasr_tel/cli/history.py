"""`history`: the calls of the past, and forgetting them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from ruasr_tel.cli.common import ConfigOption, SetOption, one_sentence, out, read_config
from ruasr_tel.config import Config
from ruasr_tel.errors import ConfigError
from ruasr_tel.recordings.files import Files
from ruasr_tel.transcript import transcript

if TYPE_CHECKING:
    from ruasr_tel.store import CallRow, Store

T = TypeVar("T")

history = typer.Typer(help="Calls and recordings of the past.", no_args_is_help=True)


@history.command("list")
def list_calls(
    text: Annotated[
        str | None, typer.Option(help="Only calls in which this was said, or of this caller.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only calls that began later; in UTC.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    cursor: Annotated[
        str | None, typer.Option(help="Go on from here; the page before says what.")
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Print live calls, the newest first."""
    after = None if since is None else since.replace(tzinfo=UTC)
    with one_sentence():
        page = _with_store(
            read_config(config, settings).config,
            lambda store: store.calls(since=after, limit=limit, cursor=cursor, text=text),
        )
    table = Table("began (UTC)", "call", "door", "from", "profile", "seconds", "finals", "end")
    for call in page.items:
        table.add_row(*map(escape, _cells(call)))
    out.print(table)
    if page.next_cursor is not None:
        out.print(f"there is more: --cursor {page.next_cursor}")


@history.command("show")
def show(
    call_id: Annotated[str, typer.Argument(help="The call's id, as `history list` has it.")],
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Print what was said in a call, and the keys that were pressed in square brackets."""
    with one_sentence():
        loaded = read_config(config, settings).config
        kept = _with_store(loaded, lambda store: store.call(call_id))
        if kept is None:
            raise ConfigError(f"history has no call {call_id!r}: `history list` shows what it has")
    legs = [leg.leg_id for leg in kept.legs]
    out.print(escape(transcript(kept.finals, kept.keys, legs)), soft_wrap=True)


@history.command("purge")
def purge(
    days: Annotated[
        int | None,
        typer.Option(min=1, max=36_500, help="Keep so many of every profile; else as configured."),
    ] = None,
    config: ConfigOption = None,
    settings: SetOption = None,
) -> None:
    """Delete what ended longer ago than it is kept (store.keep_days), now, audio included.

    The server does the same every hour (store.purge_every_h).
    """
    with one_sentence():
        loaded = read_config(config, settings).config
        keep = loaded.store
        if days is not None:
            keep = keep.model_copy(update={"keep_days": days, "keep_days_by_profile": {}})
        gone = _with_store(loaded, lambda store: store.purge(store.now(), keep))
        Files(loaded.recordings.folder()).forget(gone.recordings)
    out.print(
        f"purged: {gone.calls} calls, {len(gone.recordings)} recordings, "
        f"{gone.deliveries} deliveries"
    )


def _with_store(config: Config, work: "Callable[[Store], Awaitable[T]]") -> T:
    """Do it with the configured store.

    Raises:
        ConfigError: the store is switched off, or its URL cannot be used.
        StoreError: the database does not work.
        BadCursor: no page gave that cursor.
    """
    from ruasr_tel.store import Store  # databases: other commands do not load them

    async def run() -> T:
        store = Store(config.store.address())
        await store.open()
        try:
            return await work(store)
        finally:
            await store.close()

    if not config.store.enabled:
        raise ConfigError("history is switched off: set store.enabled to true")
    return asyncio.run(run())


def _cells(call: "CallRow") -> tuple[str, ...]:
    return (
        call.started_at.strftime("%Y-%m-%d %H:%M:%S"),
        call.call_id,
        call.door,
        call.peer,
        call.profile,
        "" if call.duration_s is None else f"{call.duration_s:.1f}",
        "" if call.finals is None else str(call.finals),
        call.reason or "",
    )
