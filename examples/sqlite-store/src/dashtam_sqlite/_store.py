"""The store."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from dashtam_core.kernel import Subject
from dashtam_core.store import Capability
from dashtam_sqlite._audit import SqliteAuditLog
from dashtam_sqlite._database import Database
from dashtam_sqlite._deliveries import SqliteDeliveries
from dashtam_sqlite._unit import KEPT_FOR, SqliteUnit


class SqliteStore:
    """A store in one SQLite file. `open_store` makes it."""

    capabilities = frozenset({Capability.TRANSACTIONS, Capability.IMMUTABLE_AUDIT, Capability.ORDERED_OUTBOX})

    def __init__(self, database: Database) -> None:
        self.audit = SqliteAuditLog(database)
        self.deliveries = SqliteDeliveries(database)
        self._database = database

    def unit_of_work(self, subject: Subject, /) -> SqliteUnit:
        return SqliteUnit(self._database, subject)

    async def ping(self) -> None:
        await self._database.look("SELECT count(*) FROM sqlite_schema")

    async def maintain(self) -> None:
        async with self._database.transaction() as sql:
            await sql.run("DELETE FROM answers WHERE kept_at <= ?", datetime.now(UTC) - KEPT_FOR)


@asynccontextmanager
async def open_store(path: str | Path, /, *, busy_seconds: float = 5.0) -> AsyncGenerator[SqliteStore]:
    """The store in a file, which is made if it is not there; closed at the end.

    Raises `UnavailableError` for a file that is not ours, newer or unusable, and after `busy_seconds` of waiting.
    """
    async with Database(str(path), busy_seconds).open() as database:
        yield SqliteStore(database)
