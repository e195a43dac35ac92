"""The rooms' tables, found by entry point `offhook.tables`: loading them fills `cti.store.metadata`.

Needed where all tables must be known (comparing the migrated schema with the declared one); running needs none of it.
"""

from importlib.metadata import entry_points

from sqlalchemy import MetaData

from cti.store import metadata

GROUP = "offhook.tables"


def load_tables() -> MetaData:
    """The metadata with every installed room's tables on it."""
    for point in entry_points(group=GROUP):
        point.load()
    return metadata
