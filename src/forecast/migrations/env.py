"""Run migrations on the connection that `store.migrate` hands over."""

from alembic import context

from forecast.records import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
