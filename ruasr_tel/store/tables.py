"""The tables, in SQLAlchemy; every change here needs a migration, a test compares the two."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


def storable(text: str) -> str:
    """Return the text with what a database cannot hold replaced by U+FFFD or a question mark.

    PostgreSQL's text has no NUL (PostgreSQL 17 documentation, 8.3); neither encodes lone
    surrogates, which JSON lets through (RFC 8259, 8.2).
    """
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def fold(text: str) -> str:
    """Return the text as it is searched: no case, ё as е; SQLite's lower() knows ASCII only.

    Letters are whole (NFC), for names from macOS have й and ё in two parts.
    """
    return unicodedata.normalize("NFC", storable(text)).casefold().replace("ё", "е")


def to_json_text(value: object) -> str:
    """Return JSON in UTF-8, lone surrogates escaped; both databases take any other character.

    Raises:
        ValueError: it holds NaN or an infinity, which JSON has not.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class StorableText(TypeDecorator[str]):
    """Text that peers and clients send."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        return None if value is None else storable(value)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, aware UTC on our side; SQLite keeps it without its zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without zone, for nobody knows when that was."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


# SQLite numbers rows by itself only where the key is INTEGER (sqlite.org/autoinc.html).
Key = BigInteger().with_variant(Integer, "sqlite")

# Without AUTOINCREMENT SQLite gives the number of a deleted last row again: cursors would repeat.
NEVER_REUSED = {"sqlite_autoincrement": True}


class Base(DeclarativeBase):
    """Of every table; names its constraints alike in both databases, so migrations can drop them.

    The pattern is SQLAlchemy's own recommendation (docs, "Configuring Constraint Naming").
    """

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {
        str: StorableText,
        float: Double,
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
    }


class Call(Base):
    """A live call."""

    __tablename__ = "calls"
    __table_args__ = (
        UniqueConstraint("call_id", "started_at"),
        Index(None, "profile", "ended_at"),
        NEVER_REUSED,
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    call_id: Mapped[str]
    door: Mapped[str]
    peer: Mapped[str]
    profile: Mapped[str]
    details: Mapped[dict[str, Any]]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    duration_s: Mapped[float | None]
    finals: Mapped[int | None]
    folded: Mapped[str]  # id, peer and details, for the search
    legs: Mapped[list["Leg"]] = relationship(order_by="Leg.pk", passive_deletes=True)


class Leg(Base):
    """One party of a live call."""

    __tablename__ = "legs"
    __table_args__ = (UniqueConstraint("call_pk", "leg_id"),)

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    call_pk: Mapped[int] = mapped_column(ForeignKey(Call.pk, ondelete="CASCADE"))
    leg_id: Mapped[str]
    ledger: Mapped[dict[str, Any] | None]
    outcome: Mapped[dict[str, Any] | None]
    segments: Mapped[list["Segment"]] = relationship(order_by="Segment.pk", passive_deletes=True)
    keys: Mapped[list["PressedKey"]] = relationship(order_by="PressedKey.pk", passive_deletes=True)
    progress: Mapped[list["HeardProgress"]] = relationship(
        order_by="HeardProgress.pk", passive_deletes=True
    )


class Segment(Base):
    """A final."""

    __tablename__ = "segments"
    __table_args__ = (UniqueConstraint("leg_pk", "number"),)

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    leg_pk: Mapped[int] = mapped_column(ForeignKey(Leg.pk, ondelete="CASCADE"))
    number: Mapped[int]
    at: Mapped[datetime]
    text: Mapped[str]
    folded: Mapped[str]
    words: Mapped[list[Any]]
    start_s: Mapped[float]
    end_s: Mapped[float]
    reason: Mapped[str]
    confidence: Mapped[float | None]
    error: Mapped[str | None]
    delay_s: Mapped[float]


class PressedKey(Base):
    """A key press; one is told from another by when it was reported."""

    __tablename__ = "keys"
    __table_args__ = (UniqueConstraint("leg_pk", "at", "digit"),)

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    leg_pk: Mapped[int] = mapped_column(ForeignKey(Leg.pk, ondelete="CASCADE"))
    at: Mapped[datetime]
    digit: Mapped[str]
    at_s: Mapped[float]


class HeardProgress(Base):
    """A tone, music, or an operator's message; one is told from another by when it was told."""

    __tablename__ = "progress"
    __table_args__ = (UniqueConstraint("leg_pk", "at", "kind"),)

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    leg_pk: Mapped[int] = mapped_column(ForeignKey(Leg.pk, ondelete="CASCADE"))
    at: Mapped[datetime]
    kind: Mapped[str]
    start_s: Mapped[float]
    end_s: Mapped[float]
    detail: Mapped[dict[str, Any]]


class Recording(Base):
    """A recording's order and state."""

    __tablename__ = "recordings"
    __table_args__ = (
        CheckConstraint("(url IS NULL) <> (upload IS NULL)", name="one_source"),
        Index(None, "state", "updated_at"),
        NEVER_REUSED,
    )

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    url: Mapped[str | None]
    upload: Mapped[str | None]
    name: Mapped[str]
    channels: Mapped[str]
    profile: Mapped[str | None]
    model: Mapped[str | None]
    asked: Mapped[dict[str, Any] | None]  # of the decoder: phrases, closed, boost
    callback_url: Mapped[str | None]
    callback_secret: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")  # the attribute is SQLAlchemy's own
    state: Mapped[str]
    progress: Mapped[float]
    reason: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    folded: Mapped[str]  # name and URL, for the search
    result: Mapped["Result | None"] = relationship(passive_deletes=True)


class Result(Base):
    """What a recording became; its key lets it be stored once only."""

    __tablename__ = "results"

    recording_pk: Mapped[int] = mapped_column(
        ForeignKey(Recording.pk, ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    dialogue: Mapped[dict[str, Any]]
    folded: Mapped[str]  # the text of its turns, for the search


class Delivery(Base):
    """One try to deliver."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("delivery_id", "attempt"), NEVER_REUSED)

    pk: Mapped[int] = mapped_column(Key, primary_key=True)
    delivery_id: Mapped[str]
    attempt: Mapped[int]
    url: Mapped[str]
    at: Mapped[datetime] = mapped_column(index=True)
    recording_pk: Mapped[int | None] = mapped_column(
        ForeignKey(Recording.pk, ondelete="CASCADE"), index=True
    )
    call_id: Mapped[str | None] = mapped_column(index=True)
    status: Mapped[int | None]
    error: Mapped[str | None]
