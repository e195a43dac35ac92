"""The tables of the voc room."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the voc room."""


def downgrade() -> None:
    """Drop them again."""
