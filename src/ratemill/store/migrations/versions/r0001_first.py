"""The first schema."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Build every table, role right, policy and function of the first schema."""
    statements = Path(__file__).with_name("r0001_first.sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements)
