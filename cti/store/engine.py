"""Opens the store that `database.url` names: SQLite or PostgreSQL, behind the one port `cti.store.Store`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cti.store import Store
from cti.store.address import read_address
from cti.store.backlog import Tell
from cti.store.postgres import PostgresStore
from cti.store.sqlite import SqliteStore

LIMIT = 100_000
"""Rows outstanding before writes are turned away: at 100 calls a second, a minute and more of a database that is away."""


@asynccontextmanager
async def open_store(
    url: str,
    *,
    tell: Tell = lambda is_up, why: None,
    limit: int = LIMIT,
    patience_s: float = 5.0,
    read_s: float = 10.0,
    drain_s: float = 5.0,
) -> AsyncIterator[Store]:
    """The store at `url`, already migrated (`cti.store.migrate`). Raises ConfigError, Unavailable.

    `tell(is_up, why)` hears of the database going and coming (called in the loop). A `write` raises Unavailable after
    `patience_s`, a read after `read_s`; leaving writes what is waiting, for at most `drain_s` seconds.
    """
    address = read_address(url)
    store: SqliteStore | PostgresStore
    if address.dialect == "sqlite":
        store = SqliteStore(address.path, tell, limit, patience_s, read_s)
    else:
        store = PostgresStore(address.url, tell, limit, patience_s, read_s)
        await store.start()
    try:
        yield store
    finally:
        await store.close(drain_s)
