"""The store port: rooms' own tables on one engine, SQLite or PostgreSQL, with one migration history.

Each room declares its tables in its `store.py` on `metadata` (prefix: the room's name) and writes only those.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Executable, MetaData, Row, Select

metadata = MetaData()

Write = tuple[Executable, Mapping[str, Any] | Sequence[Mapping[str, Any]]]
"""A statement and its parameters. Build statements once, at module level: equal statements are written together."""


class Store(Protocol):
    """What a room may do with its tables. Every method raises Unavailable when the database is away."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    async def write(self, *writes: Write) -> None:
        """Carry out these writes in one transaction; returns when they are durable (group commit)."""

    def write_soon(self, *writes: Write) -> None:
        """The same without waiting, in order with all other writes. Kept and retried while the database is away."""

    async def point(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """An indexed point read: a few rows by key. On SQLite done in the loop (microseconds): never anything that scans."""

    def point_now(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]] | None:
        """`point` without awaiting, for an ear that must tell at once; None on an engine that can't (PostgreSQL)."""

    async def read(self, statement: Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Any other read; never in the loop."""
