"""The transaction that everything runs in."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg
import attrs
from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_core.audit import AuditEntry
from dashtam_core.kernel import Subject, UserId
from dashtam_core.messaging import StoredEvent
from dashtam_postgres import _append, _connect
from dashtam_postgres._accounts import PostgresAccounts, PostgresTransactions
from dashtam_postgres._answers import PostgresAnswers
from dashtam_postgres._documents import PostgresDocuments
from dashtam_postgres._identity import PostgresCredentials, PostgresUsers
from dashtam_postgres._lease import Lease
from dashtam_postgres._matches import PostgresMatches
from dashtam_postgres._people import PostgresPeople, PostgresPersonKeys

if TYPE_CHECKING:
    from dashtam_postgres._store import PostgresStore

_WAIT: Final = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_LOCK: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"


class PostgresUnit:
    """One transaction of one person, or of nobody in particular in a `role` that sees everybody's rows.

    Takes a connection when entered, gives it back when left; may be entered again then.
    """

    def __init__(self, store: "PostgresStore", subject: Subject, *, role: str | None = None) -> None:
        self.user_id = self.acting = subject.user_id
        self.entries: list[AuditEntry] = []
        self.events: list[StoredEvent] = []
        self._store = store
        self._role = role
        self._lease: Lease | None = None
        self._raw: asyncpg.Connection[Any] | None = None
        self._discarded = False
        self._alone: set[UserId] = set()

    async def __aenter__(self) -> Self:
        lease = Lease(self._store)
        raw = await lease.__aenter__()
        try:
            begin = f"BEGIN; SELECT {self._acting_as(self._role)}, {self._store.path_setting}"
            await raw.execute(begin, timeout=_connect.POOL_SECONDS)
        except BaseException as error:
            if isinstance(error, TimeoutError):
                raw.terminate()  # the server hangs: nothing can be undone, and nothing was begun
            await lease.__aexit__(type(error), error, None)
            raise
        self._lease, self._raw = lease, raw
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        assert self._lease is not None, "entered"
        lease = self._lease
        try:
            if error is None:
                await self._end()
        except BaseException as failed:
            await lease.__aexit__(type(failed), failed, None)
            raise
        else:
            await lease.__aexit__(kind, error, trace)
        finally:
            self._lease = self._raw = None
            self._discarded = False
            self._alone.clear()
            self.entries, self.events = [], []

    def discard(self) -> None:
        self._discarded = True

    async def flush(self) -> None:
        entries, events = self.entries, self.events
        self.entries, self.events = [], []
        for statement, values in _append.statements(self._store.schema, entries, events):
            await self.raw.execute(statement, *values)

    async def lock(self, *names: object) -> bool:
        """Takes a lock until the end of the transaction, unless another transaction has it.

        What it guards is read in a statement of its own afterwards, which sees what the last holder committed.
        """
        return bool(await self.raw.fetchval(_LOCK, self._name(names)))

    async def wait_for(self, *names: object) -> None:
        """Takes a lock until the end of the transaction, once whoever has it is done."""
        await self.raw.fetchval(_WAIT, self._name(names))

    async def stand_alone(self) -> None:
        """Waits until nobody else changes the account or credentials of whom this acts for: then none does."""
        if self.acting not in self._alone:
            await self.wait_for("person", self.acting)
            self._alone.add(self.acting)

    @asynccontextmanager
    async def setting(self, name: str, value: str, *, after: str = "") -> AsyncGenerator[None]:
        """Sets something in the transaction for as long as the block lasts."""
        statement = "SELECT set_config($1, $2, true)"
        await self.raw.execute(statement, name, value)
        try:
            yield
        finally:
            with suppress(
                asyncpg.InFailedSQLTransactionError
            ):  # nothing more runs in it, and the setting ends with it
                await self.raw.execute(statement, name, after)

    def _name(self, names: Sequence[object]) -> str:
        return "\n".join(map(str, (self._store.schema, *names)))

    async def lend(self, user_id: UserId) -> None:
        """Turns this transaction into that person's unit of work, until `reclaim`."""
        self.user_id = self.acting = user_id
        await self.raw.execute(f"SELECT {self._acting_as('none')}")

    async def reclaim(self) -> None:
        """Writes what was handed over meanwhile, and goes on in the role the transaction began in."""
        if self._discarded:
            raise RuntimeError("a delivery cannot be discarded: raise an error, and the event will come again")
        await self.flush()
        await self.raw.execute(f"SELECT {self._acting_as(self._role)}")

    async def _end(self) -> None:
        if self._discarded:
            await self.raw.execute("ROLLBACK")
            return
        await self.flush()
        if await self.raw.execute("COMMIT") != "COMMIT":
            raise asyncpg.InFailedSQLTransactionError(
                "nothing was committed, because an error of the database was passed over before"
            )

    def _acting_as(self, role: str | None) -> str:
        """Both settings end with the transaction. A person's id needs no quoting, and roles are quoted."""
        subject = f"set_config('app.subject', '{self.user_id}', true)"
        return subject if role is None else f"{subject}, set_config('role', {_connect.literal(role)}, true)"

    @property
    def connection(self) -> AsyncConnection:
        """SQLAlchemy's connection, in the transaction."""
        assert self._lease is not None, "a repository is used inside its unit of work, never while preparing"
        return self._lease.connection

    @property
    def raw(self) -> "asyncpg.Connection[Any]":
        """Asyncpg's connection, in the same transaction: for the paths where SQLAlchemy's price counts.

        asyncpg's own `transaction()` refuses to nest in one that it did not begin: write SAVEPOINT instead.
        """
        assert self._raw is not None, "a repository is used inside its unit of work, never while preparing"
        assert self._raw.is_in_transaction(), "nothing runs outside the unit's transaction"
        return self._raw

    @property
    def accounts(self) -> PostgresAccounts:
        return PostgresAccounts(self)

    @property
    def transactions(self) -> PostgresTransactions:
        return PostgresTransactions(self)

    @property
    def matches(self) -> PostgresMatches:
        return PostgresMatches(self)

    @property
    def documents(self) -> PostgresDocuments:
        return PostgresDocuments(self)

    @property
    def users(self) -> PostgresUsers:
        return PostgresUsers(self)

    @property
    def credentials(self) -> PostgresCredentials:
        return PostgresCredentials(self)

    @property
    def people(self) -> PostgresPeople:
        return PostgresPeople(self)

    @property
    def person_keys(self) -> PostgresPersonKeys:
        return PostgresPersonKeys(self)

    @property
    def answers(self) -> PostgresAnswers:
        return PostgresAnswers(self)

    @property
    def trail(self) -> "Trail":
        return Trail(self)

    @property
    def outbox(self) -> "Outbox":
        return Outbox(self)


@attrs.frozen
class Trail:
    unit: PostgresUnit

    def add(self, entry: AuditEntry, /) -> None:
        self.unit.entries.append(entry)


@attrs.frozen
class Outbox:
    unit: PostgresUnit

    def add(self, events: Sequence[StoredEvent], /) -> None:
        self.unit.events.extend(events)
