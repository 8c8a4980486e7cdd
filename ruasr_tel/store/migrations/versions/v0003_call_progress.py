"""Call progress: what was heard on a leg, and what became of a dialled call."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBER: sa.Double[float] = sa.Double()


def upgrade() -> None:
    """Make the table, and the column of legs."""
    op.add_column("legs", sa.Column("outcome", sa.JSON(), nullable=True))
    op.create_table(
        "progress",
        sa.Column("pk", KEY, nullable=False),
        sa.Column("leg_pk", KEY, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("start_s", NUMBER, nullable=False),
        sa.Column("end_s", NUMBER, nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["leg_pk"], ["legs.pk"], name=op.f("fk_progress_leg_pk"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pk", name=op.f("pk_progress")),
        sa.UniqueConstraint("leg_pk", "at", "kind", name=op.f("uq_progress_leg_pk_at_kind")),
    )
