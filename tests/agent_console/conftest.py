"""A migrated database to copy: migrating once is enough for all of these tests."""

import shutil
from pathlib import Path

import pytest

from cti.store.migrate import migrate


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table, and nothing in it."""
    path = tmp_path_factory.mktemp("console") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Path:
    """A fresh copy of it."""
    return Path(shutil.copy(migrated_file, tmp_path / "offhook.db"))
