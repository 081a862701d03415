"""The elements that a forEach step runs over."""

import sqlalchemy as sa
from alembic import op

revision = "0002_0001"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what a forEach step keeps of its elements."""
    op.add_column("steps", sa.Column("elements", sa.Text()))
    op.add_column("steps", sa.Column("elements_attempt", sa.Integer()))
