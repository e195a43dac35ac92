"""One migration history for the tables of all rooms (Alembic). `cti.store.migrate` runs it."""
