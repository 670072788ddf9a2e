"""A store of Dashtam in one SQLite file."""

from dashtam_sqlite._store import SqliteStore, open_store

__all__ = ["SqliteStore", "open_store"]
