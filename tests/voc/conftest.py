"""Fixtures of the voc room: a migrated database on either engine, a floor on it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cti.store.migrate import migrate
from tests.voc.floor import Floor, open_floor


@pytest.fixture
def url(database_url: str) -> str:
    """A database with our tables."""
    migrate(database_url)
    return database_url


@pytest_asyncio.fixture
async def floor(url: str) -> AsyncIterator[Floor]:
    """An open floor."""
    async with open_floor(url) as opened:
        yield opened
