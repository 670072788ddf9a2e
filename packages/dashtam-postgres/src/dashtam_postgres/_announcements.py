"""LISTEN and NOTIFY between processes, on one connection of their own."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import asyncpg

from dashtam_postgres import _connect

if TYPE_CHECKING:
    from dashtam_postgres._store import PostgresStore

type _Raw = "asyncpg.Connection[Any]"


class Announcements:
    """Wakes whoever waits in any process. What is lost on the way costs a waiter the rest of its time, no more.

    The connection is made when it is first needed, and again after it was lost. It is taken out of the pool, so
    that a full pool keeps nobody from hearing.
    """

    def __init__(self, store: "PostgresStore") -> None:
        self._store = store
        self._channel = f"{store.schema}.outbox"[:63]
        self._raw: _Raw | None = None
        self._connecting: asyncio.Task[_Raw | None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._again = False
        self._woken = asyncio.Event()

    def tell(self) -> None:
        """Wakes who waits here at once, and elsewhere soon: what is announced meanwhile is one announcement."""
        self._wake()
        self._again = True
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell(), name="dashtam announcement")

    async def wait(self, seconds: float) -> None:
        """Returns at the next announcement, or after so many seconds."""
        woken = self._woken
        try:
            async with asyncio.timeout(seconds):
                await self._listening()
                await woken.wait()
        except TimeoutError:
            return

    async def aclose(self) -> None:
        for task in (self._telling, self._connecting):
            if task is not None:
                await task
        if self._raw is not None:
            await self._raw.close()

    async def _tell(self) -> None:
        try:
            while self._again:
                self._again = False
                raw = await self._listening()
                if raw is not None:
                    await raw.execute("SELECT pg_notify($1, '')", self._channel)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if self._raw is not None and not self._raw.is_closed():
                raise
        finally:
            self._telling = None

    async def _listening(self) -> _Raw | None:
        """The connection, or None while the database does not answer. Who stops waiting does not stop others."""
        if self._raw is not None and not self._raw.is_closed():
            return self._raw
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(), name="dashtam announcements")
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> _Raw | None:
        raw: _Raw | None = None
        try:
            pooled = await self._store.engine.raw_connection()
            raw = cast("_Raw", pooled.driver_connection)
            pooled.detach()
            await raw.execute("SET synchronous_commit TO off")  # an announcement need not outlive a crash
            await raw.add_listener(self._channel, self._hear)
        except Exception as error:
            if raw is not None:
                raw.terminate()
            if not _connect.unreachable(error):
                raise
            return None
        finally:
            self._connecting = None
        if self._raw is not None:
            self._wake()  # who knows what was missed
        self._raw = raw
        return raw

    def _hear(self, _connection: object, pid: int, _channel: str, _payload: object) -> None:
        if self._raw is None or pid != self._raw.get_server_pid():
            self._wake()

    def _wake(self) -> None:
        self._woken.set()
        self._woken = asyncio.Event()
