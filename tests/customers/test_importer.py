"""CSV files as people send them: every encoding and delimiter, hostile cells, mistakes by line, safe to repeat."""

import asyncio
import csv
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Select, select

from cti.errors import ConfigError
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import migrate
from customers.companions import import_cases, import_purchases
from customers.csv_file import CsvFile, Mistake, Record, read_amount, read_date
from customers.customer import clean_text
from customers.importer import SYNONYMS, import_customers
from customers.store import case_table, customer_table, phone_table, purchase_table

ALL_CUSTOMERS = select(customer_table).order_by(customer_table.c.customer)
ALL_PHONES = select(phone_table).order_by(phone_table.c.customer, phone_table.c.number)


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(migrate, database_url)
    async with open_store(database_url) as opened:
        yield opened


def written(tmp_path: Path, text: str, encoding: str = "utf-8", name: str = "c.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


async def rows_of(store: Store, statement: Select[tuple[object]]) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await store.read(statement)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_encoding_and_delimiter(tmp_path: Path, encoding: str, delimiter: str) -> None:
    """A file reads the same whatever program wrote it."""
    lines = (("Customer ID", "Full Name", "Phone"), ("C1", "Zoë Müller", "+1 202 555 0101"))
    path = written(tmp_path, "\r\n".join(delimiter.join(cells) for cells in lines) + "\r\n", encoding)
    with CsvFile(path, SYNONYMS, {}) as file:
        (row,) = file.rows()
    assert isinstance(row, Record)
    assert (row.line, row.text("customer"), row.text("name")) == (2, "C1", "Zoë Müller")
    assert row.cells["phone"] == [("Phone", "+1 202 555 0101")]


@pytest.mark.asyncio
async def test_customers_are_written(store: Store, tmp_path: Path) -> None:
    """Rows become customers with all their readable numbers; names in two columns are joined."""
    path = written(
        tmp_path,
        "id,account,first name,last name,phone,mobile,phone 2,tier,ltv,since,colour\n"
        'C1,AC-7,Ann,Smith,(202) 555-0101,+442079460018,2025550102/2025550103,gold,"1,234.50",2020-02-03,red\n'
        "C2,,Bob,,204,,,,,,\n",
    )
    mistakes: list[Mistake] = []
    report = await import_customers(store, path, "US", mistakes.append)
    assert (report.rows, report.written, report.left_out, mistakes) == (2, 2, 0, [])
    assert report.ignored == ("colour",)
    ann, bob = await store.read(ALL_CUSTOMERS)
    assert (ann.name, ann.account, ann.account_keys, ann.lifetime_value) == ("Ann Smith", "AC-7", "7", 1234.5)
    assert (ann.tier, ann.since, bob.name, bob.account) == ("gold", "2020-02-03", "Bob", None)
    phones = [(row.customer, row.number, row.kind) for row in await store.read(ALL_PHONES)]
    assert phones == [
        ("C1", "+12025550101", ""),
        ("C1", "+12025550102", ""),
        ("C1", "+12025550103", ""),
        ("C1", "+442079460018", "mobile"),
        ("C2", "204", ""),
    ]


@pytest.mark.asyncio
async def test_importing_again(store: Store, tmp_path: Path) -> None:
    """The same file twice changes nothing; a newer one changes what it has columns for and replaces the numbers."""
    first = written(tmp_path, "id,name,phone,tier\nC1,Ann,2025550101,gold\nC1,Ann,2025550102,gold\n")
    await import_customers(store, first, "US", print)
    once = (await rows_of(store, ALL_CUSTOMERS), await rows_of(store, ALL_PHONES))
    assert len(once[1]) == 2
    await import_customers(store, first, "US", print)
    assert (await rows_of(store, ALL_CUSTOMERS), await rows_of(store, ALL_PHONES)) == once
    await import_customers(store, written(tmp_path, "id,name,phone\nC1,Ann Lee,2025550109\n"), "US", print)
    (ann,) = await store.read(ALL_CUSTOMERS)
    assert (ann.name, ann.tier) == ("Ann Lee", "gold")
    assert [row.number for row in await store.read(ALL_PHONES)] == ["+12025550109"]


@pytest.mark.asyncio
async def test_one_customer_by_account_or_number(store: Store, tmp_path: Path) -> None:
    """Without an id a customer is one by the account, without an account by number and name."""
    await import_customers(store, written(tmp_path, "id,account,name\nC1,AC-1,Ann\n"), "US", print)
    path = written(tmp_path, "account,name,phone\nAC-1,Anne,\nAC-2,Bob,\n,Eve,2025550101\n,Eve,+1 202 555 0101\n")
    report = await import_customers(store, path, "US", print)
    assert report.left_out == 0
    assert {(row.customer[:2], row.name) for row in await store.read(ALL_CUSTOMERS)} == {
        ("C1", "Anne"),
        ("AC", "Bob"),
        ("N-", "Eve"),
    }


@pytest.mark.asyncio
async def test_mistakes_have_their_line(store: Store, tmp_path: Path) -> None:
    """What is wrong is named by line and column; a row is left out only when it can't be used."""
    path = written(
        tmp_path,
        "id,account,name,phone,since,ltv\n"
        "C1,AC-1,Ann,2025550101,2020-02-03,1\n"
        "\n"
        "C2,AC-1,Thief,2025550102,,\n"
        ",,Nobody,,,\n"
        "C3,,Eve,not a number,3.2.2020,lots\n",
    )
    mistakes: list[Mistake] = []
    report = await import_customers(store, path, "US", mistakes.append)
    assert (report.rows, report.written, report.left_out) == (4, 2, 2)
    assert sorted((each.line, each.column, each.is_fatal) for each in mistakes) == [
        (4, "account", True),
        (5, "", True),
        (6, "ltv", False),
        (6, "phone", False),
        (6, "since", False),
    ]


@pytest.mark.asyncio
async def test_hostile_cells_are_text(store: Store, tmp_path: Path) -> None:
    """Markup, formulas, statements and control characters are kept as text, without the control characters."""
    name = "=cmd|' /C calc'!A1 <img src=x onerror=alert(1)> '); DROP TABLE customers_customer;--"
    path = tmp_path / "hostile.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "name", "note"), ("C1", name, "a\x00b\x1b[31m\r\nAction: Originate\u202e!")])
    await import_customers(store, path, "US", print)
    (row,) = await store.read(ALL_CUSTOMERS)
    assert row.name == name
    assert row.note == "ab[31m Action: Originate!"


@pytest.mark.asyncio
async def test_headings_that_mean_nothing(store: Store, tmp_path: Path) -> None:
    """A file without a usable heading is refused with the mend; a heading can be given its meaning."""
    path = written(tmp_path, "Kundennr;Bezeichnung;Telefon\nC1;Ann;2025550101\n")
    with pytest.raises(ConfigError) as caught:
        await import_customers(store, path, "US", print)
    assert "--column" in caught.value.findings[0].mend
    renames = {"Kundennr": "customer", "Bezeichnung": "name", "telefon": "phone"}
    assert (await import_customers(store, path, "US", print, renames=renames)).written == 1
    with pytest.raises(ConfigError):
        await import_customers(store, tmp_path / "none.csv", "US", print)


@pytest.mark.asyncio
async def test_purchases_and_cases(store: Store, tmp_path: Path) -> None:
    """What hangs on a customer comes by id or account, twice does no harm, and nobody's is a mistake."""
    await import_customers(store, written(tmp_path, "id,account,name\nC1,AC-1,Ann\nC2,,Bob\n"), "US", print)
    bought = written(
        tmp_path,
        "customer,account,date,product,price\nC1,,2026-01-02,Router,99.50\n,AC-1,2026-01-03,Cable,5\n"
        "C1,,2026-01-02,Router,99.50\nC9,,2026-01-02,Router,1\nC2,,yesterday,Router,1\n",
    )
    cases = written(
        tmp_path,
        "customer,case,subject,opened,status\nC1,K1,No sync,2026-05-06,open\nC1,K2,Old,2025-05-06,Closed\n",
        name="k.csv",
    )
    for _ in range(2):
        mistakes: list[Mistake] = []
        report = await import_purchases(store, bought, mistakes.append)
        assert (report.written, report.left_out) == (3, 2)
        assert sorted((each.line, each.column) for each in mistakes) == [(5, "customer"), (6, "at")]
        assert (await import_cases(store, cases, mistakes.append)).written == 2
    assert len(await store.read(select(purchase_table))) == 3
    assert {(row.case, row.is_open) for row in await store.read(select(case_table))} == {("K1", True), ("K2", False)}


@pytest.mark.parametrize(
    ("text", "amount"),
    [("12", 12.0), ("1234.5", 1234.5), ("1,234.50", 1234.5), ("1.234,50 €", 1234.5), ("$ -3.20", -3.2), ("12,5", 12.5)],
)
def test_amounts(text: str, amount: float) -> None:
    """Amounts of both worlds are read."""
    assert read_amount(text) == amount


def test_what_is_no_amount_or_date() -> None:
    """What is none is none."""
    assert [read_amount(text) for text in ("", "lots", "1.2.3", "--1", "9" * 40)] == [None] * 5
    assert [read_date(text) for text in ("3.2.2020", "2020-02-30", "", "20200203x")] == [None] * 4
    assert read_date("2020-02-03T10:00:00Z") == "2020-02-03"


@given(st.text(max_size=300), st.integers(1, 50))
def test_clean_text_is_one_line_and_bounded(text: str, longest: int) -> None:
    """Whatever comes in, what is kept is one line, bounded, without control characters; clean text stays as it is."""
    clean = clean_text(text, longest)
    assert len(clean) <= longest
    assert not any(ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 for sign in clean)
    assert clean_text(clean, longest) == clean


@given(st.binary(max_size=400))
def test_any_bytes_are_read_to_the_end(content: bytes) -> None:
    """No file ends an import with a stack: every row is a record or a mistake with a line."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "c.csv"
        path.write_bytes(b"id,name\n" + content)
        with CsvFile(path, SYNONYMS, {}) as file:
            assert all(isinstance(row, Record | Mistake) and row.line >= 2 for row in file.rows())
