"""LISTEN and NOTIFY between processes, on one connection of their own."""

import asyncio
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import asyncpg

from dashtam_postgres import _connect

if TYPE_CHECKING:
    from dashtam_postgres._store import PostgresStore


class Announcements:
    """Wakes whoever waits in any process. What is lost on the way costs a waiter the rest of its time, no more.

    The connection is made when it is first needed, and again after it was lost. It is taken out of the pool, so
    that a full pool keeps nobody from hearing.
    """

    def __init__(self, store: "PostgresStore") -> None:
        self._store = store
        self._channel = f"{store.schema}.outbox"[:63]
        self._raw: asyncpg.Connection[Any] | None = None
        self._connecting = asyncio.Lock()
        self._heard = 0
        self._woken = asyncio.Event()
        self._known: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._telling: asyncio.Task[None] | None = None
        self._again = False

    def tell(self) -> None:
        """Wakes waiters here at once, and those elsewhere soon: announcements that come meanwhile are one."""
        self._wake()
        self._again = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name="dashtam announcement")

    async def wait(self, seconds: float) -> None:
        """Returns when something was announced since this task last returned from here, or in so many seconds."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        known = self._known.setdefault(task, self._heard)
        try:
            async with asyncio.timeout(seconds):
                if await self._listening() is None:
                    await asyncio.sleep(seconds)
                while known == self._heard:
                    await self._woken.wait()
        except TimeoutError:
            return
        self._known[task] = self._heard

    async def aclose(self) -> None:
        if self._telling is not None:
            await self._telling
        if self._raw is not None:
            await self._raw.close()
            self._raw = None

    async def _tell(self) -> None:
        while self._again:
            self._again = False
            raw = await self._listening()
            if raw is None:
                return
            try:
                await raw.execute("SELECT pg_notify($1, '')", self._channel)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if not raw.is_closed():
                    raise

    async def _listening(self) -> "asyncpg.Connection[Any] | None":
        """The connection, or None while the database does not answer."""
        async with self._connecting:
            lost = self._raw
            if lost is None or lost.is_closed():
                try:
                    self._raw = await self._connect()
                except Exception as error:
                    if not _connect.unreachable(error):
                        raise
                    return None
                if lost is not None:
                    self._wake()  # who knows what was missed
            return self._raw

    async def _connect(self) -> "asyncpg.Connection[Any]":
        pooled = await self._store.engine.raw_connection()
        raw = cast("asyncpg.Connection[Any]", pooled.driver_connection)
        pooled.detach()
        try:
            await raw.execute("SET synchronous_commit TO off")  # an announcement need not outlive a crash
            await raw.add_listener(self._channel, self._hear)
        except BaseException:
            raw.terminate()
            raise
        return raw

    def _hear(self, _connection: object, pid: int, _channel: str, _payload: object) -> None:
        if self._raw is None or pid != self._raw.get_server_pid():
            self._wake()

    def _wake(self) -> None:
        self._heard += 1
        self._woken.set()
        self._woken = asyncio.Event()
