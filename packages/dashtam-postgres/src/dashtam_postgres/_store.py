"""The durable store."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Self, cast

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dashtam_core.kernel import ANONYMOUS, Subject, UnavailableCode, UnavailableError
from dashtam_core.messaging import KEPT_FOR
from dashtam_core.store import Capability
from dashtam_postgres import _connect
from dashtam_postgres._audit import PostgresAuditLog
from dashtam_postgres._deliveries import CLEAR, PostgresDeliveries
from dashtam_postgres._identity import CLEAR_CREDENTIALS, CLEAR_PEOPLE, PostgresRootKeys
from dashtam_postgres._lease import Lease
from dashtam_postgres._limits import CLEAR_LIMITS, PostgresRateLimiter
from dashtam_postgres._tables import REVISION
from dashtam_postgres._unit import PostgresUnit

DEFAULT_SCHEMA: Final = "dashtam"

# Superuser or BYPASSRLS; the owner, or who may become it; and who sees everybody without becoming the worker.
_POWERS: Final = text("""
    SELECT r.rolsuper OR r.rolbypassrls OR EXISTS (
        SELECT FROM pg_class c WHERE c.relnamespace = to_regnamespace(:schema)
        AND pg_has_role(r.oid, c.relowner, 'MEMBER')
    ) OR EXISTS (
        SELECT FROM pg_policy p, unnest(p.polroles) AS worker
        WHERE p.polrelid = to_regclass(:schema || '.audit_leaf') AND pg_has_role(r.oid, worker, 'USAGE')
    ) FROM pg_roles r WHERE r.rolname = current_user
""")
_WORKER: Final = """
SELECT r.rolname FROM pg_policy p JOIN pg_roles r ON r.oid = ANY (p.polroles) AND r.rolname = p.polname
WHERE p.polrelid = to_regclass($1) AND pg_has_role(session_user, r.oid, 'SET') ORDER BY r.rolname LIMIT 1
"""
_ROOM_LEFT: Final = (
    "SELECT to_regclass($1 || to_char(now() + interval '2 months', '\"audit_entry_\"YYYY_MM')) IS NOT NULL"
)


class PostgresStore:
    """A store in one schema of a PostgreSQL database, over an engine of the caller's own if they like.

    Entered as an async context it is checked to be ready, and at the end closes what it has beside the engine,
    which stays open: it is its maker's.
    """

    capabilities = frozenset(
        {
            Capability.TRANSACTIONS,
            Capability.ROW_LEVEL_SECURITY,
            Capability.BULK_COPY,
            Capability.IMMUTABLE_AUDIT,
            Capability.ORDERED_OUTBOX,
            Capability.IDENTITY,
        }
    )

    def __init__(self, engine: AsyncEngine, *, schema: str = DEFAULT_SCHEMA, place: str = "the database") -> None:
        if not _connect.NAME.fullmatch(schema):
            raise ValueError(f"{schema[:80]!r} is no name for a schema: letters, digits, _ and - only")
        self.engine = engine
        self.schema = schema
        self.place = place
        self.plain_pool = False
        """Whether the pool does nothing beside handing out connections, as ours: no pings, no resets."""
        self.path_setting = f"""set_config('search_path', '"{schema}"', true)"""
        self.audit = PostgresAuditLog(self)
        self.deliveries = PostgresDeliveries(self)
        self.limits = PostgresRateLimiter(self)
        self.keys = PostgresRootKeys(self)
        self._worker: str | None = None

    async def __aenter__(self) -> Self:
        await self.ping()
        await self._make_room()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def unit_of_work(self, subject: Subject, /) -> PostgresUnit:
        return PostgresUnit(self, subject)

    @asynccontextmanager
    async def work(self) -> AsyncGenerator[PostgresUnit]:
        """A transaction over everybody's rows, as the worker role. For what runs in the background.

        Raises:
            UnavailableError: the role of this store may not become the worker.
        """
        worker = await self._find_worker()
        if worker is None:
            raise UnavailableError(
                UnavailableCode.STORE_NOT_CONFIGURED,
                "the role of DASHTAM_STORE_URL may not become the one that seals, delivers and clears up: do that "
                "in a process whose role may, or GRANT it <application role>_worker WITH INHERIT FALSE, SET TRUE",
            )
        async with PostgresUnit(self, ANONYMOUS, role=worker) as unit:
            yield unit

    async def maintain(self) -> None:
        async with self.work() as unit:
            await unit.raw.execute("SELECT audit_partitions()")
        async with self.work() as unit:
            await unit.wait_for("maintain")
            await unit.raw.execute("DELETE FROM idempotency WHERE created_at < now() - $1::interval", KEPT_FOR)
            for statement in (CLEAR, CLEAR_PEOPLE, CLEAR_CREDENTIALS, CLEAR_LIMITS):
                await unit.raw.execute(statement)

    async def aclose(self) -> None:
        """Ends the connection that the store has beside the engine's pool, to hear of events."""
        await self.deliveries.aclose()

    async def ping(self) -> None:
        """Returns if the database answers, is migrated, and the role is one that row-level security binds."""
        try:
            async with self.engine.connect() as connection:
                await self._check(connection)
        except (DBAPIError, OSError, asyncpg.PostgresError) as error:
            if _connect.unreachable(error):
                raise _connect.unavailable(error, self.place) from error
            raise

    async def _check(self, connection: AsyncConnection) -> None:
        found = await _revision(connection, self.schema)
        if found != REVISION:
            raise _not_migrated(found)
        if await connection.scalar(_POWERS, {"schema": f'"{self.schema}"'}):
            raise UnavailableError(
                UnavailableCode.STORE_ROLE_TOO_POWERFUL,
                "the role of DASHTAM_STORE_URL is a superuser, bypasses row-level security, owns the tables or "
                "sees what the worker role sees, so nothing would keep people apart: put that role in "
                "DASHTAM_STORE_ADMIN_URL, and one of its own in DASHTAM_STORE_URL; "
                "`dashtam db upgrade` creates it",
            )

    async def _make_room(self) -> None:
        """Entries need a partition to go to. Whoever may not make one leaves that to who may."""
        async with Lease(self) as raw:
            enough = await raw.fetchval(_ROOM_LEFT, f'"{self.schema}".')
        if not enough and await self._find_worker() is not None:
            await self.maintain()

    async def _find_worker(self) -> str | None:
        if self._worker is None:
            async with Lease(self) as raw:
                self._worker = await raw.fetchval(_WORKER, f'"{self.schema}".audit_leaf')
        return self._worker


@asynccontextmanager
async def open_store(
    url: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    pool_size: int = _connect.POOL_SIZE,
    pool_seconds: float = _connect.POOL_SECONDS,
) -> AsyncGenerator[PostgresStore]:
    """The store at `url`, checked to be ready; its connections are closed at the end.

    Whoever finds all `pool_size` connections taken waits for `pool_seconds`, and is then refused as `store_busy`.

    Raises:
        UnavailableError: no answer, not migrated, or a role that row-level security does not bind.
    """
    engine = _connect.engine(url, pool_size=pool_size, pool_seconds=pool_seconds)
    store = PostgresStore(engine, schema=schema, place=_connect.place(url))
    store.plain_pool = True
    try:
        async with store:
            yield store
    finally:
        await engine.dispose()


async def _revision(connection: AsyncConnection, schema: str) -> str | None:
    """Which migration the schema is at; None where there is none at all."""
    table = f'"{schema}".alembic_version'
    if (await connection.execute(text("SELECT to_regclass(:table)"), {"table": table})).scalar() is None:
        return None
    return cast("str | None", (await connection.execute(text(f"SELECT version_num FROM {table}"))).scalar())  # noqa: S608


def _not_migrated(found: str | None) -> UnavailableError:
    if found is not None and found > REVISION:
        return UnavailableError(
            UnavailableCode.STORE_NOT_MIGRATED,
            f"the database is at migration {found}, newer than this dashtam-postgres knows ({REVISION}): "
            "upgrade the package",
        )
    state = "has no Dashtam tables" if found is None else f"is at migration {found}, and {REVISION} is needed"
    return UnavailableError(
        UnavailableCode.STORE_NOT_MIGRATED,
        f"the database {state}: set DASHTAM_STORE_ADMIN_URL to its owner and run `dashtam db upgrade`",
    )
