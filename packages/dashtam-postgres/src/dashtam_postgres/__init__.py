"""The durable PostgreSQL store of Dashtam."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dashtam_postgres._migrate import upgrade
    from dashtam_postgres._retention import Retired, retire
    from dashtam_postgres._store import DEFAULT_SCHEMA, PostgresStore, open_store
    from dashtam_postgres._unit import PostgresUnit

__all__ = ["DEFAULT_SCHEMA", "PostgresStore", "PostgresUnit", "Retired", "open_store", "retire", "upgrade"]

_HOMES: Final = {
    "DEFAULT_SCHEMA": "_store",
    "PostgresStore": "_store",
    "PostgresUnit": "_unit",
    "Retired": "_retention",
    "open_store": "_store",
    "retire": "_retention",
    "upgrade": "_migrate",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for: `dashtam` loads this package's plugin at each start, and SQLAlchemy is slow."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
