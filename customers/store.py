"""The customers room's own tables and the statements on them.

`number` is E.164 where a number can be read as one, else its bare digits, so an internal extension matches exactly too.
Dates are ISO text (`YYYY-MM-DD`), instants Unix seconds. What takes several point reads is a plan: a generator that asks
for rows, so one text serves `ask_now` (SQLite, in the caller's own breath) and `ask` (any engine).
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Boolean, Column, Float, Integer, Row, Select, String, Table, Text, bindparam, select, update

from cti.caller import CustomerProfile, OpenCase, Purchase
from cti.ids import CustomerId
from cti.phone_number import PhoneNumber, read_number
from cti.store import Store, Write, metadata
from cti.store.upsert import upsert
from customers.match import Found, Pick, Reading

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

Answer = TypeVar("Answer")
Plan = Generator[tuple[Select[Any], Mapping[str, Any]], Sequence[Row[Any]], Answer]
"""Asks for point reads one after the other and returns what they come to."""

MOST_CANDIDATES = 25
"""A company's switchboard may have hundreds of customers behind it; no agent chooses among more than these."""

_open_case = (
    select(case_table.c.title)
    .where(case_table.c.customer == customer_table.c.customer, case_table.c.is_open.is_(True))
    .order_by(case_table.c.opened_at.desc())
    .limit(1)
    .scalar_subquery()
    .label("open_case")
)
_who = select(customer_table.c.customer, customer_table.c.name, customer_table.c.tier, _open_case)
_who_by_phone = _who.join_from(phone_table, customer_table, phone_table.c.customer == customer_table.c.customer)

BY_NUMBER = _who_by_phone.where(phone_table.c.number == bindparam("number")).limit(MOST_CANDIDATES)
BY_NATIONAL = _who_by_phone.where(phone_table.c.national == bindparam("national")).limit(MOST_CANDIDATES)
BY_LAST_NINE = _who_by_phone.where(phone_table.c.last9 == bindparam("last9")).limit(MOST_CANDIDATES)
BY_CUSTOMER = _who.where(customer_table.c.customer == bindparam("customer"))
PICKS = select(pick_table.c.customer, pick_table.c.times, pick_table.c.at).where(
    pick_table.c.number == bindparam("number")
)

BY_ACCOUNT = select(customer_table.c.customer).where(customer_table.c.account == bindparam("account"))
BY_ACCOUNT_KEYS = select(customer_table.c.customer).where(customer_table.c.account_keys == bindparam("keys")).limit(2)

CUSTOMER = select(customer_table).where(customer_table.c.customer == bindparam("customer"))
PHONES = select(phone_table.c.number).where(phone_table.c.customer == bindparam("customer"))
PURCHASES = (
    select(purchase_table.c.at, purchase_table.c.item, purchase_table.c.amount)
    .where(purchase_table.c.customer == bindparam("customer"))
    .order_by(purchase_table.c.at.desc())
    .limit(10)
)
OPEN_CASES = (
    select(case_table.c.case, case_table.c.title, case_table.c.opened_at)
    .where(case_table.c.customer == bindparam("customer"), case_table.c.is_open.is_(True))
    .order_by(case_table.c.opened_at.desc())
    .limit(10)
)

_PICKED = upsert(pick_table, ["at"], times=pick_table.c.times + 1)
_UNPICKED = (
    update(pick_table)
    .where(pick_table.c.number == bindparam("of_number"), pick_table.c.customer == bindparam("of_customer"))
    .values(times=pick_table.c.times - 1)
)


def picked(number: str, customer: CustomerId, now: float) -> Write:
    """An agent chose this customer for this number."""
    return _PICKED, {"number": number, "customer": customer, "times": 1, "at": now}


def unpicked(number: str, customer: CustomerId) -> Write:
    """An agent took such a choice back."""
    return _UNPICKED, {"of_number": number, "of_customer": customer}


def who_has(number: PhoneNumber) -> Plan[tuple[tuple[Found, ...], dict[CustomerId, Pick]]]:
    """Everybody found under the number by its strongest reading that finds anybody, and what agents picked for it."""
    for reading, statement, parameters in (
        (Reading.WHOLE, BY_NUMBER, {"number": number.key}),
        (Reading.NATIONAL, BY_NATIONAL, {"national": number.national}),
        (Reading.LAST_NINE, BY_LAST_NINE, {"last9": number.last9}),
    ):
        if not all(parameters.values()):
            continue
        rows = yield statement, parameters
        if rows:
            found = tuple(_found(row, reading) for row in rows)
            picks = yield PICKS, {"number": number.key}
            return found, {CustomerId(row.customer): Pick(row.times, row.at) for row in picks}
    return (), {}


def who_is(customer: CustomerId) -> Plan[Found | None]:
    """The customer of this id; None when there is none."""
    rows = yield BY_CUSTOMER, {"customer": customer}
    return _found(rows[0], Reading.WHOLE) if rows else None


def whose_account(account: str, keys: str) -> Plan[CustomerId | None]:
    """Whose account this is: as written, else by its digits where they are only one customer's."""
    rows = yield BY_ACCOUNT, {"account": account}
    if not rows and keys:
        rows = yield BY_ACCOUNT_KEYS, {"keys": keys}
    return CustomerId(rows[0].customer) if len(rows) == 1 else None


def describe(customer: CustomerId, region: str) -> Plan[CustomerProfile | None]:
    """Everything we know of this customer; numbers as a person in `region` writes them."""
    key = {"customer": customer}
    rows = yield CUSTOMER, key
    if not rows:
        return None
    one = rows[0]
    phones = yield PHONES, key
    purchases = yield PURCHASES, key
    cases = yield OPEN_CASES, key
    return CustomerProfile(
        customer=customer,
        name=one.name,
        tier=one.tier,
        language=one.language,
        phones=tuple(read_number(row.number, region).display for row in phones),
        email=one.email,
        account=one.account or "",
        lifetime_value=one.lifetime_value,
        since=one.since,
        open_cases=tuple(OpenCase(row.case, row.title, row.opened_at) for row in cases),
        purchases=tuple(Purchase(row.at, row.item, row.amount) for row in purchases),
        note=one.note,
    )


def ask_now(store: Store, plan: Plan[Answer]) -> tuple[Answer] | None:
    """The plan's answer at once (in a tuple of one), or None on an engine that has to wait. Raises Unavailable."""
    try:
        wanted = next(plan)
        while True:
            rows = store.point_now(*wanted)
            if rows is None:
                plan.close()
                return None
            wanted = plan.send(rows)
    except StopIteration as end:
        return (end.value,)


async def ask(store: Store, plan: Plan[Answer]) -> Answer:
    """The plan's answer. Raises Unavailable."""
    try:
        wanted = next(plan)
        while True:
            wanted = plan.send(await store.point(*wanted))
    except StopIteration as end:
        answer: Answer = end.value
        return answer


def _found(row: Row[Any], reading: Reading) -> Found:
    return Found(CustomerId(row.customer), row.name, row.tier, reading, row.open_case or "")
