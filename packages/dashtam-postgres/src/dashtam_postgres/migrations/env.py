"""Runs the migrations on the connection, and in the schema, that `upgrade` hands over."""

from alembic import context

from dashtam_postgres._tables import metadata

_given = context.config.attributes
context.configure(connection=_given["connection"], target_metadata=metadata, version_table_schema=_given["schema"])
with context.begin_transaction():
    context.run_migrations()
