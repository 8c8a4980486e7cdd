"""Orders of recordings ask the decoder for phrases."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; orders that are there ask nothing."""
    op.add_column("recordings", sa.Column("asked", sa.JSON(), nullable=True))
