"""Fixtures that tests of several rooms use."""

from tests.postgres import database_url, postgres

__all__ = ["database_url", "postgres"]
