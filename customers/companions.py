"""What customers bought and what they are waiting on, from CSV files beside the customers' own; safe to repeat.

A row names its customer by id or by account; a row of nobody we know is a Mistake with its line.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, or_, select

from cti.errors import ConfigError, Finding
from cti.store import Store
from cti.store.upsert import upsert
from customers.csv_file import CsvFile, Mistake, Record, read_amount, read_date
from customers.customer import clean_text
from customers.importer import CHUNK, ImportReport, Note, Progress, chunks, counting, derived_id
from customers.store import case_table, customer_table, purchase_table

_WHOSE = {
    "customer": ("id", "customer id", "customer no", "customer number", "contact id"),
    "account": ("account number", "account no", "account id", "acct"),
}
PURCHASE_SYNONYMS: dict[str, tuple[str, ...]] = {
    **_WHOSE,
    "purchase": ("purchase id", "order", "order id", "order number", "invoice"),
    "at": ("date", "purchased at", "order date", "bought at", "day"),
    "item": ("product", "article", "description", "what"),
    "amount": ("price", "total", "value", "sum"),
}
CASE_SYNONYMS: dict[str, tuple[str, ...]] = {
    **_WHOSE,
    "case": ("case id", "case number", "ticket", "ticket id"),
    "title": ("subject", "summary", "description"),
    "opened_at": ("opened", "date", "created", "created at", "open date"),
    "status": ("state",),
}
_CLOSED = frozenset({"closed", "done", "resolved", "solved", "cancelled", "canceled"})
_OPEN = frozenset({"", "open", "new", "pending", "waiting", "in progress", "reopened"})

_OWNERS = select(customer_table.c.customer, customer_table.c.account).where(
    or_(
        customer_table.c.customer.in_(bindparam("customers", expanding=True)),
        customer_table.c.account.in_(bindparam("accounts", expanding=True)),
    )
)
_PUT_PURCHASE = upsert(purchase_table, ["at", "item", "amount"])
_PUT_CASE = upsert(case_table, ["title", "opened_at", "is_open"])

Reader = Callable[[Record, str, Note], dict[str, Any] | None]
"""A row's values for its customer, or None with a Mistake noted."""


async def import_purchases(
    store: Store, path: Path, note: Note, progress: Progress = lambda done, total: None
) -> ImportReport:
    """Import what customers bought. Raises ConfigError, Unavailable."""
    times: Counter[str] = Counter()

    def read(record: Record, customer: str, note: Note) -> dict[str, Any] | None:
        at, amount = read_date(record.text("at")), read_amount(record.text("amount"))
        item = clean_text(record.text("item"), 200)
        if at is None or amount is None or not item:
            column, why = ("at", "not a date; write YYYY-MM-DD") if at is None else ("amount", "not an amount")
            note(Mistake(record.line, column if item else "item", why if item else "is empty"))
            return None
        purchase = clean_text(record.text("purchase"), 64)
        if not purchase:
            # The same thing bought twice on one day is two purchases; importing the file again is none.
            alike = derived_id("P", customer, at, item, f"{amount:.6f}")
            times[alike] += 1
            purchase = f"{alike}-{times[alike]}"
        return {"customer": customer, "purchase": purchase, "at": at, "item": item, "amount": amount}

    with CsvFile(path, PURCHASE_SYNONYMS, {}) as file:
        _require(file, ("at", "item", "amount"))
        return await _import(store, file, _PUT_PURCHASE, read, note, progress)


async def import_cases(
    store: Store, path: Path, note: Note, progress: Progress = lambda done, total: None
) -> ImportReport:
    """Import what customers are waiting on; a case with a closed status is closed. Raises ConfigError, Unavailable."""

    def read(record: Record, customer: str, note: Note) -> dict[str, Any] | None:
        opened_at, title = read_date(record.text("opened_at")), clean_text(record.text("title"), 200)
        if opened_at is None or not title:
            note(
                Mistake(
                    record.line,
                    "opened_at" if title else "title",
                    "not a date; write YYYY-MM-DD" if title else "is empty",
                )
            )
            return None
        status = record.text("status").lower()
        if status not in _OPEN | _CLOSED:
            note(Mistake(record.line, "status", "unknown status, taken as open", is_fatal=False))
        case = clean_text(record.text("case"), 64) or derived_id("K", customer, opened_at, title)
        return {
            "customer": customer,
            "case": case,
            "title": title,
            "opened_at": opened_at,
            "is_open": status not in _CLOSED,
        }

    with CsvFile(path, CASE_SYNONYMS, {}) as file:
        _require(file, ("title", "opened_at"))
        return await _import(store, file, _PUT_CASE, read, note, progress)


async def _import(
    store: Store, file: CsvFile, statement: Any, read: Reader, note: Note, progress: Progress
) -> ImportReport:
    report = ImportReport(file.path, ignored=file.ignored)
    note = counting(note, report)
    for rows in chunks(file.rows(), CHUNK):
        report.rows += len(rows)
        records = [row for row in rows if isinstance(row, Record)]
        for mistake in rows:
            if isinstance(mistake, Mistake):
                note(mistake)
        owners = await _owners(store, records)
        values = []
        for record in records:
            customer = owners.get(_key(record, "customer")) or owners.get("account " + _key(record, "account"))
            if customer is None:
                note(Mistake(record.line, "customer", "no customer with this id or account"))
            elif (value := read(record, customer, note)) is not None:
                values.append(value)
        if values:
            await store.write((statement, values))
        report.written += len(values)
        progress(file.position, file.size)
    return report


async def _owners(store: Store, records: Sequence[Record]) -> Mapping[str, str]:
    """Customer ids by id, and by "account " and account."""
    customers = sorted({_key(record, "customer") for record in records} - {""})
    accounts = sorted({_key(record, "account") for record in records} - {""})
    owners: dict[str, str] = {}
    for row in await store.read(_OWNERS, {"customers": customers, "accounts": accounts}):
        owners[row.customer] = row.customer
        if row.account:
            owners[f"account {row.account}"] = row.customer
    return owners


def _key(record: Record, field: str) -> str:
    return clean_text(record.text(field), 64)


def _require(file: CsvFile, fields: Sequence[str]) -> None:
    missing = [field for field in fields if field not in file.fields]
    if file.fields.isdisjoint(_WHOSE):
        missing.append("customer (or account)")
    if missing:
        why = f"no column for {', '.join(missing)}"
        raise ConfigError([Finding(str(file.path), "headings", why, "name the columns so", 1)])
