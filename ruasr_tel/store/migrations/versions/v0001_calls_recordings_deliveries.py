"""Calls, recordings and deliveries: the first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
TIME = sa.DateTime(timezone=True)
NUMBER: sa.Double[float] = sa.Double()
JSON = sa.JSON()


def upgrade() -> None:
    """Make the tables."""
    _calls()
    _legs()
    _segments()
    _keys()
    _recordings()
    _results()
    _deliveries()


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("call_id", TEXT, nullable=False),
        sa.Column("door", TEXT, nullable=False),
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("profile", TEXT, nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("duration_s", NUMBER, nullable=True),
        sa.Column("finals", sa.Integer(), nullable=True),
        sa.Column("folded", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_calls")),
        sa.UniqueConstraint("call_id", "started_at", name=op.f("uq_calls_call_id_started_at")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_calls_profile_ended_at"), "calls", ["profile", "ended_at"])


def _legs() -> None:
    op.create_table(
        "legs",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("call_pk", KEY, nullable=False),
        sa.Column("leg_id", TEXT, nullable=False),
        sa.Column("ledger", JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["call_pk"], ["calls.pk"], name=op.f("fk_legs_call_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_legs")),
        sa.UniqueConstraint("call_pk", "leg_id", name=op.f("uq_legs_call_pk_leg_id")),
    )


def _segments() -> None:
    op.create_table(
        "segments",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("leg_pk", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("folded", TEXT, nullable=False),
        sa.Column("words", JSON, nullable=False),
        sa.Column("start_s", NUMBER, nullable=False),
        sa.Column("end_s", NUMBER, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("confidence", NUMBER, nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("delay_s", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(
            ["leg_pk"], ["legs.pk"], name=op.f("fk_segments_leg_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_segments")),
        sa.UniqueConstraint("leg_pk", "number", name=op.f("uq_segments_leg_pk_number")),
    )


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("leg_pk", KEY, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("digit", TEXT, nullable=False),
        sa.Column("at_s", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(
            ["leg_pk"], ["legs.pk"], name=op.f("fk_keys_leg_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_keys")),
        sa.UniqueConstraint("leg_pk", "at", "digit", name=op.f("uq_keys_leg_pk_at_digit")),
    )


def _recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("idempotency_key", TEXT, nullable=True),
        sa.Column("url", TEXT, nullable=True),
        sa.Column("upload", TEXT, nullable=True),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("channels", TEXT, nullable=False),
        sa.Column("profile", TEXT, nullable=True),
        sa.Column("model", TEXT, nullable=True),
        sa.Column("callback_url", TEXT, nullable=True),
        sa.Column("callback_secret", TEXT, nullable=True),
        sa.Column("metadata", JSON, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("progress", NUMBER, nullable=False),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("folded", TEXT, nullable=False),
        sa.CheckConstraint(
            "(url IS NULL) <> (upload IS NULL)", name=op.f("ck_recordings_one_source")
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_recordings")),
        sa.UniqueConstraint("id", name=op.f("uq_recordings_id")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_recordings_idempotency_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_recordings_state_updated_at"), "recordings", ["state", "updated_at"])


def _results() -> None:
    op.create_table(
        "results",
        sa.Column("recording_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("dialogue", JSON, nullable=False),
        sa.Column("folded", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_pk"],
            ["recordings.pk"],
            name=op.f("fk_results_recording_pk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recording_pk", name=op.f("pk_results")),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("delivery_id", TEXT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("recording_pk", KEY, nullable=True),
        sa.Column("call_id", TEXT, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["recording_pk"],
            ["recordings.pk"],
            name=op.f("fk_deliveries_recording_pk"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "delivery_id", "attempt", name=op.f("uq_deliveries_delivery_id_attempt")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_deliveries_at"), "deliveries", ["at"])
    op.create_index(op.f("ix_deliveries_call_id"), "deliveries", ["call_id"])
    op.create_index(op.f("ix_deliveries_recording_pk"), "deliveries", ["recording_pk"])
