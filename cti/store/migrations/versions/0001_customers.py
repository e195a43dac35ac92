"""The people we know: customers, their numbers, purchases, cases, and whom agents picked for a shared number.

The pattern for the other rooms' files: explicit operations, names of indexes as SQLAlchemy gives them
(`ix_<table>_<column>`), and a way back that drops in the opposite order.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of the customers room."""
    op.create_table(
        "customers_customer",
        sa.Column("customer", sa.String(64), primary_key=True),
        sa.Column("account", sa.String(64), nullable=True, unique=True),
        sa.Column("account_keys", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("tier", sa.String(32), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("email", sa.String(200), nullable=False),
        sa.Column("lifetime_value", sa.Float, nullable=False),
        sa.Column("since", sa.String(10), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    op.create_index("ix_customers_customer_account_keys", "customers_customer", ["account_keys"])
    _create_what_hangs_on_a_customer()


def _create_what_hangs_on_a_customer() -> None:
    op.create_table(
        "customers_phone",
        sa.Column("number", sa.String(32), primary_key=True),
        sa.Column("customer", sa.String(64), primary_key=True),
        sa.Column("national", sa.String(32), nullable=False),
        sa.Column("last9", sa.String(9), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sqlite_with_rowid=False,
    )
    for column in ("customer", "national", "last9"):
        op.create_index(f"ix_customers_phone_{column}", "customers_phone", [column])
    op.create_table(
        "customers_purchase",
        sa.Column("customer", sa.String(64), primary_key=True),
        sa.Column("purchase", sa.String(64), primary_key=True),
        sa.Column("at", sa.String(10), nullable=False),
        sa.Column("item", sa.String(200), nullable=False),
        sa.Column("amount", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "customers_case",
        sa.Column("customer", sa.String(64), primary_key=True),
        sa.Column("case", sa.String(64), primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("opened_at", sa.String(10), nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "customers_pick",
        sa.Column("number", sa.String(32), primary_key=True),
        sa.Column("customer", sa.String(64), primary_key=True),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them again."""
    for table in ("pick", "case", "purchase", "phone", "customer"):
        op.drop_table(f"customers_{table}")
