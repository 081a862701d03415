"""Files that steps attach: what is known of them, and the list of contents to be removed."""

import sqlalchemy as sa
from alembic import op

revision = "0012_0001"
down_revision = "0011_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, the indexes and the table."""
    for name in ("name", "media_type", "sha256", "place"):
        op.add_column("artifacts", sa.Column(name, sa.Text()))
    is_file = sa.text("place IS NOT NULL")
    for name, columns, unique in (
        ("ix_artifacts_place", ["place"], False),
        ("ix_artifacts_sha256", ["tenant_id", "sha256"], False),
        ("uq_artifacts_name", ["action_run_id", "name"], True),
    ):
        op.create_index(name, "artifacts", columns, unique=unique, sqlite_where=is_file, postgresql_where=is_file)
    op.create_table(
        "removed_contents",
        sa.Column("artifact_id", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("artifact_id", name=op.f("pk_removed_contents")),
    )
    op.create_index(op.f("ix_removed_contents_place"), "removed_contents", ["place"])
