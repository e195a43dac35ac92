"""Where the database is: `database.url` read once, every mistake named with its mend."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from cti.errors import ConfigError, Finding

MEND = "write sqlite:///path/to/offhook.db or postgresql://user:password@host/name"


@dataclass(frozen=True, slots=True)
class Address:
    """A database's address: `dialect` is `sqlite` (with `path`) or `postgresql` (with `url` for asyncpg)."""

    dialect: str
    url: URL
    path: Path = Path()


def read_address(url: str) -> Address:
    """The address in `database.url`. Raises ConfigError."""
    try:
        parts = make_url(url)
    except ArgumentError as exc:
        raise _mistake("not an address of a database") from exc
    dialect = parts.get_backend_name()
    if dialect == "sqlite":
        if not parts.database or parts.database == ":memory:":
            raise _mistake("SQLite needs a file: the writer and the readers are connections of their own")
        return Address("sqlite", parts, Path(parts.database).expanduser().absolute())
    if dialect in ("postgresql", "postgres"):
        return Address("postgresql", parts.set(drivername="postgresql+asyncpg"))
    raise _mistake(f"{dialect} is not a database we know")


def _mistake(why: str) -> ConfigError:
    return ConfigError([Finding("settings", "database.url", why, MEND)])
