"""The durable PostgreSQL store of Dashtam."""

from dashtam_postgres._migrate import upgrade
from dashtam_postgres._store import DEFAULT_SCHEMA, PostgresStore, open_store

__all__ = ["DEFAULT_SCHEMA", "PostgresStore", "open_store", "upgrade"]
