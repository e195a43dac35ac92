"""What Alembic runs: it takes the connection that `cti.store.migrate` made and carries out the steps on it.

Steps name their tables themselves (`op.create_table`), so no room has to be importable to migrate.
"""

from alembic import context

from cti.store import metadata


def run() -> None:
    """Carry out the steps on the connection in the configuration's attributes."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
