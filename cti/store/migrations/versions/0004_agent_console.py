"""The people who may sign in to the console, and their sign-ins."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the agent_console room."""
    op.create_table(
        "agent_console_user",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("agent", sa.String(40), nullable=True),
    )
    op.create_table(
        "agent_console_session",
        sa.Column("token_sha256", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("opened_at", sa.Float, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )
    for column in ("name", "until"):
        op.create_index(f"ix_agent_console_session_{column}", "agent_console_session", [column])


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("agent_console_session")
    op.drop_table("agent_console_user")
