"""A million customers in a SQLite file of our own schema, made once and kept in .run/bench.

Customer `n` has the one number `ani(n)`, and every third has bought something. What a run wrote beside them is cleared
before the next.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from bench.row import Say, Scale
from bench.worker import RUN_DIR
from cti.store.migrate import migrate

_RUNS_TABLES = ("voc_contact", "voc_step", "voc_linkedid", "voc_draft", "acd_agent", "acd_waiting")


def ani(number: int) -> str:
    """The E.164 number of customer `number`."""
    return f"+1202{2_000_000 + number}"


def count_of(scale: Scale) -> int:
    """How many customers."""
    return scale.of(1_000_000, 20_000)


def url_of(scale: Scale, say: Say) -> str:
    """The database's URL, made now where it is not there yet."""
    count = count_of(scale)
    path, marker = RUN_DIR / f"people-{count}.db", RUN_DIR / f"people-{count}.made"
    url = f"sqlite:///{path}"
    if not marker.is_file():
        say(f"writing {count:,} customers (once)")
        for left in RUN_DIR.glob(f"{path.name}*"):
            left.unlink()
        migrate(url)
        _fill(url, count)
        marker.touch()
    migrate(url)
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        tables = {name for (name,) in link.execute("select name from sqlite_master where type = 'table'")}
        for table in (*_RUNS_TABLES, *(name for name in tables if name.startswith("agent_console_"))):
            if table in tables:
                link.execute(f"delete from {table}")
        link.execute("pragma wal_checkpoint(truncate)")
    return url


def _fill(url: str, count: int) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as link:
        link.execute("pragma journal_mode = wal")
        link.execute("begin")
        link.executemany(
            "insert into customers_customer (customer, account, account_keys, name, tier, language, email, "
            "lifetime_value, since, note) values (?, ?, ?, ?, ?, 'en', ?, ?, '2020-02-03', '')",
            _customers(count),
        )
        link.executemany(
            "insert into customers_phone (number, customer, national, last9, kind) values (?, ?, ?, ?, '')",
            ((ani(n), f"C{n:07}", ani(n)[2:], ani(n)[-9:]) for n in range(count)),
        )
        link.executemany(
            "insert into customers_purchase (customer, purchase, at, item, amount) values (?, 'p1', '2026-01-02', ?, 99.5)",
            ((f"C{n:07}", f"Router model {n % 40}") for n in range(0, count, 3)),
        )
        link.execute("commit")
        link.execute("analyze")


def _customers(count: int) -> Iterator[tuple[object, ...]]:
    tiers = ("standard", "silver", "gold")
    for n in range(count):
        name = f"Customer Number {n}"
        yield f"C{n:07}", f"4{n:07}", f"4{n:07}", name, tiers[n % 3], f"customer{n}@example.com", float(n % 5000)
