"""One connection to one file, in a thread of its own, and one transaction at a time on it."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from importlib.resources import files
from itertools import chain
from typing import Final, Self, cast

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_sqlite._values import plain

# What was committed outlives a power cut; rows belong to whom they say; what is erased is overwritten.
_PRAGMAS: Final = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON"
_STATE: Final = """SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
FROM pragma_application_id, pragma_user_version"""
_OURS, _VERSION = 1148414068, 1  # as in schema.sql
_TAKEN: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "TimeoutError")
_BROKEN: Final = tuple(f"SQLITE_{name}" for name in ("CANTOPEN", "CORRUPT", "FULL", "IOERR", "NOTADB", "READONLY"))


class Database:
    """A file. Whoever waits for the transaction of another longer than `busy_seconds` is refused."""

    _connection: sqlite3.Connection

    def __init__(self, path: str, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "dashtam sqlite")
        self._opened = ExitStack()
        self._opened.callback(self._thread.shutdown, wait=False)

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Self]:
        try:
            await self._call(self._connect)
            yield self
        finally:
            await self._call(self._opened.close)

    @asynccontextmanager
    async def transaction(self, *, writing: bool = True) -> AsyncGenerator[Self]:
        """All or nothing: committed when the block is left, rolled back if it raises or is cancelled."""
        await self.begin(writing=writing)
        whole = False
        try:
            yield self
            whole = True
        finally:
            await self.end(keep=whole)

    async def begin(self, *, writing: bool = True) -> None:
        """Raises `UnavailableError` if another transaction, here or in another process, takes too long."""
        with _explained(self._path):
            async with asyncio.timeout(self._busy_seconds):
                await self._turn.acquire()
        try:
            await self._call(self._connection.execute, "BEGIN IMMEDIATE" if writing else "BEGIN")
        except BaseException:
            await self.end(keep=False)
            raise

    async def end(self, *, keep: bool) -> None:
        try:
            if keep:
                await self.run("COMMIT")
        finally:
            try:
                await self._call(self._connection.rollback)  # does nothing where the commit came first
            finally:
                self._turn.release()

    async def fetch(self, query: str, *values: object) -> Sequence[sqlite3.Row]:
        return await self._call(lambda: self._execute(query, values).fetchall())

    async def find(self, query: str, wanted: Mapping[str, object], last: str) -> Sequence[sqlite3.Row]:
        """Rows that meet each condition whose value is not None; a tuple is a value for each mark."""
        asked = {condition: value for condition, value in wanted.items() if value is not None}
        where = f"WHERE {' AND '.join(asked)}" if asked else ""
        values = [
            cast("tuple[object, ...]", each) if isinstance(each, tuple) else (each,) for each in asked.values()
        ]
        return await self.fetch(f"{query} {where} {last}", *chain(*values))

    async def look(self, query: str, *values: object) -> Sequence[sqlite3.Row]:
        """What is there, in a transaction of its own that keeps no other process from writing."""
        async with self.transaction(writing=False):
            return await self.fetch(query, *values)

    async def run(self, statement: str, *values: object) -> int:
        """How many rows were changed."""
        return await self._call(lambda: self._execute(statement, values).rowcount)

    async def insert(self, table: str, rows: Sequence[Mapping[str, object]], *, known: str = "") -> int:
        """Adds rows that have the same columns; how many were new, where `ON CONFLICT` says what is `known`."""
        names = rows[0] if rows else ()
        columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" for _ in names)
        statement = f"INSERT INTO {table} ({columns}) VALUES ({marks}) {known}"  # noqa: S608 - our own names
        values = ([row[name] for name in names] for row in rows)
        return await self._call(lambda: sum(self._execute(statement, each).rowcount for each in values))

    async def _call[T](self, work: Callable[..., T], *args: object) -> T:
        """Works in the connection's thread, behind what came before and to its end, also if nobody waits for it.

        That is what makes cancelling safe: a rollback comes after the statement whose caller went away.
        """
        with _explained(self._path):
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work, *args))

    def _execute(self, statement: str, values: Iterable[object]) -> sqlite3.Cursor:
        # SQLite ends a transaction by itself after some errors; what came next would be committed on its own.
        assert self._connection.in_transaction, "an error of SQLite was passed over: let it end the unit of work"
        return self._connection.execute(statement, [plain(value) for value in values])

    def _connect(self) -> None:
        """Makes the tables in an empty file; refuses one that is another's or newer before anything is written."""
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=self._busy_seconds)
        self._connection = self._opened.enter_context(closing(connection))
        ((application, version, tables),) = connection.execute(_STATE)
        if application != _OURS and (application or version or tables):
            problem = "is a SQLite file of another program: name one that is new in DASHTAM_STORE_URL"
            raise UnavailableError(UnavailableCode.STORE_NOT_CONFIGURED, f"{self._path} {problem}")
        if version > _VERSION:
            problem = f"has schema {version}, and this dashtam-sqlite knows {_VERSION}: upgrade the package"
            raise UnavailableError(UnavailableCode.STORE_NOT_MIGRATED, f"{self._path} {problem}")
        connection.row_factory = sqlite3.Row
        connection.executescript(_PRAGMAS)
        if not application:  # of two at one time the second finds everything there
            schema = files("dashtam_sqlite").joinpath("schema.sql").read_text()
            connection.executescript(f"BEGIN IMMEDIATE; {schema} COMMIT;")


@contextmanager
def _explained(path: str) -> Generator[None]:
    """What SQLite says of a file that cannot be used, as an error that says what to do."""
    try:
        yield
    except (TimeoutError, sqlite3.DatabaseError) as error:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        if name.startswith(_TAKEN):
            problem = "somebody else writes to it for long: try again in a few seconds"
            raise UnavailableError(UnavailableCode.STORE_BUSY, f"{path}: {problem}") from error
        if name.startswith(_BROKEN):
            problem = f"{error}: check DASHTAM_STORE_URL, that the folder exists and may be written, and the disk"
            raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, f"{path}: {problem}") from error
        raise
