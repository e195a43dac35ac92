"""Contacts: their rows and steps, the linkedids they answer for, drafts of wrap-ups, and how far CEL was read."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the voc room."""
    _create_contact()
    op.create_table(
        "voc_step",
        sa.Column("call", sa.String(150), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "voc_linkedid",
        sa.Column("linkedid", sa.String(250), primary_key=True),
        sa.Column("call", sa.String(150), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_voc_linkedid_call", "voc_linkedid", ["call"])
    op.create_table(
        "voc_draft",
        sa.Column("call", sa.String(150), primary_key=True),
        sa.Column("agent", sa.String(40), primary_key=True),
        sa.Column("disposition", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "voc_cel_mark",
        sa.Column("source", sa.String(300), primary_key=True),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("place", sa.BigInteger, nullable=False),
    )


def _create_contact() -> None:
    op.create_table(
        "voc_contact",
        sa.Column("call", sa.String(150), primary_key=True),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("ended_by", sa.String(20), nullable=False),
        sa.Column("direction", sa.String(10), nullable=False),
        sa.Column("is_inferred", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.Float, nullable=name != "arrived_at") for name in _INSTANTS),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("ani", "ani_e164", "caller_name", "dnis")),
        sa.Column("match", sa.String(20), nullable=False),
        sa.Column("customer", sa.String(64), nullable=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in _TEXTS),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("waited_s", "talk_s", "hold_s", "wrap_up_s")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("disposition", "note")),
        sa.Column("csat", sa.Integer, nullable=True),
    )
    op.create_index("ix_voc_contact_customer_arrived_at", "voc_contact", ["customer", "arrived_at"])
    op.create_index(
        "ix_voc_contact_ani_e164_customer_arrived_at", "voc_contact", ["ani_e164", "customer", "arrived_at"]
    )
    op.create_index("ix_voc_contact_arrived_at", "voc_contact", ["arrived_at"])
    is_open = sa.text("closed_at IS NULL")
    op.create_index("ix_voc_contact_open", "voc_contact", ["closed_at"], sqlite_where=is_open, postgresql_where=is_open)


_INSTANTS = ("arrived_at", "queued_at", "answered_at", "ended_at", "closed_at")
_TEXTS = ("flow", "flow_version", "answers", "queue", "language", "reason", "offers", "agents")


def downgrade() -> None:
    """Drop them again."""
    for table in ("cel_mark", "draft", "linkedid", "step", "contact"):
        op.drop_table(f"voc_{table}")
