"""The customers room's own tables and the statements on them.

`number` is E.164 where a number can be read as one, else its bare digits, so an internal extension matches exactly too.
Dates are ISO text (`YYYY-MM-DD`), instants Unix seconds.
"""

from sqlalchemy import Boolean, Column, Float, Integer, String, Table, Text

from cti.store import metadata

customer_table = Table(
    "customers_customer",
    metadata,
    Column("customer", String(64), primary_key=True),
    Column("account", String(64), nullable=True, unique=True),
    Column("account_keys", String(32), nullable=False, index=True),  # the account's digits, as a caller keys them in
    Column("name", String(200), nullable=False),
    Column("tier", String(32), nullable=False),
    Column("language", String(16), nullable=False),
    Column("email", String(200), nullable=False),
    Column("lifetime_value", Float, nullable=False),
    Column("since", String(10), nullable=False),
    Column("note", Text, nullable=False),
)

phone_table = Table(
    "customers_phone",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("customer", String(64), primary_key=True, index=True),
    Column("national", String(32), nullable=False, index=True),
    Column("last9", String(9), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    sqlite_with_rowid=False,
)

purchase_table = Table(
    "customers_purchase",
    metadata,
    Column("customer", String(64), primary_key=True),
    Column("purchase", String(64), primary_key=True),
    Column("at", String(10), nullable=False),
    Column("item", String(200), nullable=False),
    Column("amount", Float, nullable=False),
    sqlite_with_rowid=False,
)

case_table = Table(
    "customers_case",
    metadata,
    Column("customer", String(64), primary_key=True),
    Column("case", String(64), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("opened_at", String(10), nullable=False),
    Column("is_open", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

pick_table = Table(
    "customers_pick",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("customer", String(64), primary_key=True),
    Column("times", Integer, nullable=False),
    Column("at", Float, nullable=False),
    sqlite_with_rowid=False,
)
