"""The migration history: forward from nothing, back, forward again, and no drift from what the rooms declare."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, inspect

from cti.errors import ConfigError, Unavailable
from cti.store.migrate import migrate, migrate_back, newest_revision, on_connection, revision_of
from cti.store.tables import load_tables


def _tables(url: str) -> set[str]:
    found: set[str] = set()
    on_connection(url, lambda connection: found.update(inspect(connection).get_table_names()))
    return found


def test_empty_to_newest_and_back_again(database_url: str) -> None:
    """A database goes from nothing to the newest schema, back to nothing, and forward again."""
    assert revision_of(database_url) == ""
    migrate(database_url)
    assert revision_of(database_url) == newest_revision()
    tables = _tables(database_url)
    assert "customers_customer" in tables
    migrate_back(database_url, "base")
    assert _tables(database_url) == {"alembic_version"}
    migrate(database_url)
    assert _tables(database_url) == tables


def test_migrating_twice_does_no_harm(database_url: str) -> None:
    """Migrating a database that is already there changes nothing."""
    migrate(database_url)
    migrate(database_url)
    assert revision_of(database_url) == newest_revision()


def test_the_migrated_schema_is_the_declared_one(database_url: str) -> None:
    """Every table, column, type and index that the rooms declare is what the migrations make, and nothing else is."""
    metadata = load_tables()
    migrate(database_url)
    differences: list[object] = []

    def compare(connection: Connection) -> None:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences.extend(compare_metadata(context, metadata))

    on_connection(database_url, compare)
    assert differences == []


def test_drift_is_seen(tmp_path: Path) -> None:
    """The comparison above can fail: an empty declaration differs from the migrated schema."""
    url = f"sqlite:///{tmp_path / 'offhook.db'}"
    migrate(url)
    differences: list[object] = []
    on_connection(
        url, lambda connection: differences.extend(compare_metadata(MigrationContext.configure(connection), MetaData()))
    )
    assert differences


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/x", "sqlite://", "sqlite:///:memory:"])
def test_a_wrong_address_is_named_with_its_mend(url: str) -> None:
    """An address that can't be used is the operator's mistake, with the key and the mend."""
    with pytest.raises(ConfigError) as caught:
        migrate(url)
    assert caught.value.findings[0].key == "database.url"
    assert "sqlite:///" in caught.value.findings[0].mend


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """A database that can't be opened is Unavailable, not a stack of the driver's errors."""
    with pytest.raises(Unavailable):
        migrate(f"sqlite:///{tmp_path / 'nowhere' / 'offhook.db'}")
