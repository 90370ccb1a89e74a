"""Runs migrations on the connection that ``adapters/database/migrate.py`` hands over."""

from alembic import context

from adapters.database.metadata import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,  # for its naming convention
    render_as_batch=True,  # SQLite alters most things by copying the table
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
