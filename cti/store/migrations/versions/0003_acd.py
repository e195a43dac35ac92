"""What of the floor must survive a crash: agents and waiting contacts."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the acd room."""
    op.create_table(
        "acd_agent",
        sa.Column("agent", sa.String(40), primary_key=True),
        sa.Column("line", sa.Text, nullable=False),
    )
    op.create_table(
        "acd_waiting",
        sa.Column("call", sa.String(150), primary_key=True),
        sa.Column("contact", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("acd_waiting")
    op.drop_table("acd_agent")
