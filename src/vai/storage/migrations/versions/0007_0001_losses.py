"""How often a step's engine died in the middle of it."""

import sqlalchemy as sa
from alembic import op

revision = "0007_0001"
down_revision = "0006_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the count; what was interrupted before begins at none."""
    op.add_column("steps", sa.Column("losses", sa.Integer(), nullable=False, server_default="0"))
