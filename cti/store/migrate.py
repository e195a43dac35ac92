"""Brings a database to the newest schema, or back: Alembic run from code, with no ini file.

Blocking on purpose: call it before the loop starts, or through `asyncio.to_thread`. It needs no room to be importable.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from cti.errors import Unavailable
from cti.store.address import read_address

_FOLDER = Path(__file__).parent / "migrations"


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade the database at `url` to `revision`. Raises Unavailable.

    Creates a missing SQLite file, readable by its owner alone: it holds what customers said.
    """
    address = read_address(url)
    if address.dialect == "sqlite" and address.path.parent.is_dir():
        address.path.touch(mode=0o600)
    _run(url, lambda config: alembic.command.upgrade(config, revision))


def migrate_back(url: str, revision: str) -> None:
    """Downgrade the database at `url` to `revision` ("base" empties it). Raises Unavailable."""
    _run(url, lambda config: alembic.command.downgrade(config, revision))


def newest_revision() -> str:
    """The revision that `migrate` brings a database to."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def revision_of(url: str) -> str:
    """The revision the database at `url` has; "" for one that was never migrated. Raises Unavailable."""
    found: list[str] = []

    def look(connection: Connection) -> None:
        found.append(MigrationContext.configure(connection).get_current_revision() or "")

    on_connection(url, look)
    return found[0]


def _run(url: str, command: Callable[[Config], None]) -> None:
    def carry_out(connection: Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command(config)

    on_connection(url, carry_out)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def on_connection(url: str, work: Callable[[Connection], None]) -> None:
    """Do `work` on a connection of its own to the database at `url`, and commit. Raises Unavailable."""
    address = read_address(url)
    try:
        if address.dialect == "sqlite":
            _on_sqlite(address.path, work)
        else:
            asyncio.run(_on_postgres(address.url, work))
    except (DBAPIError, OSError) as exc:
        raise Unavailable("database", str(exc)) from exc


def _on_sqlite(path: Path, work: Callable[[Connection], None]) -> None:
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            work(connection)
            connection.commit()
    finally:
        engine.dispose()


async def _on_postgres(url: URL, work: Callable[[Connection], None]) -> None:
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10})
    try:
        async with engine.connect() as connection:
            await connection.run_sync(work)
            await connection.commit()
    finally:
        await engine.dispose()
