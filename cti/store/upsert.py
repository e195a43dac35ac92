"""Insert, or change the row that is there: one statement for both engines.

PostgreSQL's ON CONFLICT construct is also what SQLAlchemy's SQLite compiler reads, so a statement built here runs on both.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table
from sqlalchemy.dialects.postgresql import Insert, insert


def upsert(table: Table, columns: Sequence[str], **changes: ColumnElement[Any]) -> Insert:
    """Insert a row; where its primary key exists, set `columns` to the new values and `changes` as they say.

    `upsert(pick, ["at"], times=pick.c.times + 1)`. With neither, an existing row is left as it is.
    """
    statement = insert(table)
    keys = list(table.primary_key.columns)
    settings: dict[str, Any] = {name: statement.excluded[name] for name in columns}
    settings.update(changes)
    if not settings:
        return statement.on_conflict_do_nothing(index_elements=keys)
    return statement.on_conflict_do_update(index_elements=keys, set_=settings)
