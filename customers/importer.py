"""Customers from a CSV file into the tables: each row checked for itself, written a thousand at a time, safe to repeat.

A customer is one by its id, else by its account, else by number and name. A row changes only what its file has columns for;
numbers are the exception: where a file has any, they are all the customer's numbers. Mistakes go to `note` with their line.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.base import Executable

from cti.errors import ConfigError, Finding
from cti.phone_number import index_number
from cti.store import Store, Write
from cti.store.upsert import upsert
from customers.csv_file import CsvFile, Mistake, Record, read_amount, read_date
from customers.customer import clean_text, keys_of_account
from customers.store import customer_table, phone_table

SYNONYMS: dict[str, tuple[str, ...]] = {
    "customer": ("id", "customer id", "customer no", "customer number", "contact id"),
    "account": ("account number", "account no", "account id", "acct"),
    "name": ("full name", "customer name", "display name", "company", "company name"),
    "first_name": ("given name", "forename"),
    "last_name": ("surname", "family name"),
    "phone": ("phone number", "telephone", "tel", "number", "ani", "phones"),
    "mobile": ("mobile phone", "cell", "cell phone", "handy"),
    "home": ("home phone", "phone home", "private phone"),
    "work": ("work phone", "business phone", "office", "office phone", "phone work"),
    "tier": ("segment", "level", "class", "value tier"),
    "language": ("lang", "locale"),
    "email": ("e-mail", "mail", "email address"),
    "lifetime_value": ("ltv", "value", "revenue", "customer value"),
    "since": ("customer since", "created", "created at", "member since"),
    "note": ("notes", "comment", "comments", "remark"),
}
"""What headings mean; case, blanks and signs in a heading do not matter."""

PHONE_FIELDS = ("phone", "mobile", "home", "work")
_LONGEST = {"customer": 64, "account": 64, "name": 200, "tier": 32, "language": 16, "email": 200, "note": 4000}
CHUNK = 1000

Note = Callable[[Mistake], None]
Progress = Callable[[int, int], None]
"""Bytes read, and bytes there are."""

_OWNERS = select(customer_table.c.account, customer_table.c.customer).where(
    customer_table.c.account.in_(bindparam("accounts", expanding=True))
)
_FORGET_PHONES = delete(phone_table).where(phone_table.c.customer == bindparam("of"))
_ADD_PHONE = upsert(phone_table, ["kind"])


@dataclass(slots=True)
class ImportReport:
    """What came of one file."""

    path: Path
    rows: int = 0
    written: int = 0
    left_out: int = 0
    mistakes: int = 0
    ignored: tuple[str, ...] = ()


@dataclass(slots=True)
class Draft:
    """One customer on the way in: its row, and its numbers by key."""

    line: int
    row: dict[str, Any]
    phones: dict[str, dict[str, Any]] = field(default_factory=dict)


class CustomerImport:
    """One file of customers on its way into one store."""

    def __init__(self, store: Store, region: str, note: Note) -> None:
        self._store = store
        self._region = region
        self._note = note
        self._seen: set[str] = set()
        self._put: Executable = insert(customer_table)
        self._has_phones = False

    async def run(self, file: CsvFile, progress: Progress) -> ImportReport:
        """Import every row. Raises ConfigError for headings that can't be used, Unavailable."""
        _require(file, ("customer", "account", *PHONE_FIELDS), "customer, account or phone")
        _require(file, ("name", "first_name", "last_name", "customer", "account"), "name")
        report = ImportReport(file.path, ignored=file.ignored)
        self._put = upsert(customer_table, _columns_of(file))
        self._has_phones = not file.fields.isdisjoint(PHONE_FIELDS)
        note = counting(self._note, report)
        for rows in chunks(file.rows(), CHUNK):
            drafts = []
            for row in rows:
                report.rows += 1
                if isinstance(row, Mistake):
                    note(row)
                elif (draft := self._draft(row, note)) is not None:
                    drafts.append(draft)
            report.written += await self._write(drafts, note)
            progress(file.position, file.size)
        return report

    def _draft(self, record: Record, note: Note) -> Draft | None:
        row: dict[str, Any] = {name: clean_text(record.text(name), longest) for name, longest in _LONGEST.items()}
        if not row["name"]:
            parts = (clean_text(record.text(part), 100) for part in ("first_name", "last_name"))
            row["name"] = " ".join(part for part in parts if part)
        row["account_keys"] = keys_of_account(row["account"])
        row["since"] = _optional(record, "since", read_date, "", "not a date; write YYYY-MM-DD", note)
        row["lifetime_value"] = _optional(record, "lifetime_value", read_amount, 0.0, "not an amount", note)
        draft = Draft(record.line, row, self._phones(record, note))
        if not row["customer"] and not row["account"]:
            if not draft.phones or not row["name"]:
                note(Mistake(record.line, "", "neither id nor account, nor a name with a readable number"))
                return None
            row["customer"] = derived_id("N", row["name"], *sorted(draft.phones))
        row["name"] = row["name"] or row["customer"] or row["account"]
        return draft

    def _phones(self, record: Record, note: Note) -> dict[str, dict[str, Any]]:
        phones: dict[str, dict[str, Any]] = {}
        for kind in PHONE_FIELDS:
            for heading, text in record.cells.get(kind, ()):
                for written in text.replace(";", "|").replace("/", "|").replace(",", "|").split("|"):
                    number = index_number(written.strip(), self._region)
                    if number.key:
                        name = "" if kind == "phone" else kind
                        phones[number.key] = {
                            "number": number.key,
                            "national": number.national,
                            "last9": number.last9,
                            "kind": name,
                        }
                    elif written.strip():
                        note(Mistake(record.line, heading, "not a phone number", is_fatal=False))
        return phones

    async def _write(self, drafts: Sequence[Draft], note: Note) -> int:
        kept = await self._identify(drafts, note)
        if not kept:
            return 0
        try:
            await self._store.write(*self._writes(kept))
        except DBAPIError:
            # One row of the thousand is refused: find it.
            return await self._write_singly(kept, note)
        self._seen.update(draft.row["customer"] for draft in kept)
        return len(kept)

    async def _write_singly(self, drafts: Sequence[Draft], note: Note) -> int:
        written = 0
        for draft in drafts:
            try:
                await self._store.write(*self._writes([draft]))
            except DBAPIError as exc:
                note(Mistake(draft.line, "", f"the database refused it: {exc.orig}"))
            else:
                self._seen.add(draft.row["customer"])
                written += 1
        return written

    async def _identify(self, drafts: Sequence[Draft], note: Note) -> list[Draft]:
        """Give every draft its customer id; rows of one customer become one draft, an account of another's is refused."""
        accounts = sorted({draft.row["account"] for draft in drafts if draft.row["account"]})
        rows = await self._store.read(_OWNERS, {"accounts": accounts}) if accounts else ()
        owners: dict[str, str] = {row.account: row.customer for row in rows}
        kept: dict[str, Draft] = {}
        for draft in drafts:
            account = draft.row["account"]
            customer = draft.row["customer"] or owners.get(account) or account
            if account and owners.setdefault(account, customer) != customer:
                note(Mistake(draft.line, "account", f"is the account of customer {owners[account]} already"))
                continue
            draft.row["customer"] = customer
            draft.row["account"] = account or None
            earlier = kept.pop(customer, None)
            if earlier is not None:
                draft.phones = {**earlier.phones, **draft.phones}
            kept[customer] = draft
        return list(kept.values())

    def _writes(self, drafts: Sequence[Draft]) -> list[Write]:
        writes: list[Write] = []
        if self._has_phones:
            # The first row of a customer in this file clears the numbers known so far; further rows add to it.
            fresh = [{"of": draft.row["customer"]} for draft in drafts if draft.row["customer"] not in self._seen]
            writes.append((_FORGET_PHONES, fresh))
        writes.append((self._put, [draft.row for draft in drafts]))
        phones = [{**phone, "customer": draft.row["customer"]} for draft in drafts for phone in draft.phones.values()]
        writes.append((_ADD_PHONE, phones))
        return writes


async def import_customers(
    store: Store,
    path: Path,
    region: str,
    note: Note,
    progress: Progress = lambda done, total: None,
    renames: Mapping[str, str] | None = None,
) -> ImportReport:
    """Import the customers in `path`; `renames` maps headings to fields. Raises ConfigError, Unavailable."""
    with CsvFile(path, SYNONYMS, renames or {}) as file:
        return await CustomerImport(store, region, note).run(file, progress)


Piece = TypeVar("Piece")


def chunks(pieces: Iterable[Piece], size: int) -> Iterator[list[Piece]]:
    """The pieces in lists of `size`, the last one shorter."""
    chunk: list[Piece] = []
    for piece in pieces:
        chunk.append(piece)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def counting(note: Note, report: ImportReport) -> Note:
    """`note`, with every mistake counted in the report."""

    def count(mistake: Mistake) -> None:
        report.mistakes += 1
        report.left_out += mistake.is_fatal
        note(mistake)

    return count


def derived_id(prefix: str, *parts: str) -> str:
    """An id that is the same whenever the same row is imported again."""
    return f"{prefix}-{hashlib.blake2b(chr(31).join(parts).encode(), digest_size=8).hexdigest()}"


def _columns_of(file: CsvFile) -> list[str]:
    columns: list[str] = [
        name for name in ("tier", "language", "email", "note", "since", "lifetime_value") if name in file.fields
    ]
    if not file.fields.isdisjoint(("name", "first_name", "last_name")):
        columns.append("name")
    if "account" in file.fields:
        columns += ["account", "account_keys"]
    return columns


def _require(file: CsvFile, any_of: Sequence[str], named: str) -> None:
    if file.fields.isdisjoint(any_of):
        mend = f"name a column {named}, or say which one it is with --column HEADING=FIELD"
        raise ConfigError([Finding(str(file.path), "headings", f"no column for {named}", mend, 1)])


Read = TypeVar("Read")


def _optional(
    record: Record, name: str, read: Callable[[str], Read | None], default: Read, why: str, note: Note
) -> Read:
    text = record.text(name)
    value = read(text) if text else default
    if value is None:
        note(Mistake(record.line, record.cells[name][0][0], why, is_fatal=False))
        return default
    return value
