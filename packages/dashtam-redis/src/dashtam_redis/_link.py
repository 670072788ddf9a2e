"""Commands to a server that nobody depends on: many in one round trip, each answered soon or not at all."""

import asyncio
import logging
import time
from asyncio import Future, Task
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from redis.exceptions import ConnectionError as LostError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as SilentError

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_redis._place import Place

SECONDS: Final = 0.1
"""How long a command may take. Within it, what is not there is noticed, and from then on not waited for."""
SLOW_SECONDS: Final = 0.02
"""An answer that takes longer is no gain: after some of these the server counts as gone too."""
_SLOW_AT_MOST: Final = 5
_PROBE_SECONDS: Final = 0.5
_CONNECTIONS: Final = 4
_CLOSED: Final = "this process lets go of it"

LOST: Final = (LostError, SilentError, OSError, TimeoutError, AttributeError)
"""What a client raises without an answer; the last is asyncio's before 3.13.10, of a connection that was reset."""

_log: Final = logging.getLogger(__name__)

type Word = str | bytes | int | float
type Command = tuple[Word, ...]
type Asked = tuple[Command, Future[Any]]


class Link:
    """The way to one server, shared by all tasks of a process.

    Commands that come while others are under way go out together as one pipeline. A caller who is cancelled leaves
    its command, and nobody else hears its answer. What fails opens the circuit: from then on every call is refused
    at once, until a write that is tried in the background twice a second has worked.
    """

    def __init__(self, place: Place, *, seconds: float = SECONDS) -> None:
        self.place, self._seconds = place, seconds
        self._client = place.client(connections=_CONNECTIONS, seconds=seconds)
        self._waiting: list[Asked] = []
        self._under_way: set[Task[None]] = set()
        self._probing: Task[None] | None = None
        self._why: str | None = None
        """Why nothing is sent now; None: all is well."""
        self._slow = 0

    async def call(self, *command: Word) -> Any:
        """The server's answer to a command.

        Raises:
            UnavailableError: none in time, or the server takes no such command now. It may have been done.
        """
        if self._why is not None:
            raise self._gone(self._why)
        loop = asyncio.get_running_loop()
        answer: Future[Any] = loop.create_future()
        self._waiting.append((command, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._send)
        return await answer

    async def aclose(self) -> None:
        """Lets go of the server. What waits for an answer gets none."""
        tasks = [*self._under_way, *([self._probing] if self._probing else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._why = _CLOSED
        self._refuse_all(_CLOSED)
        await self._client.aclose()

    def _send(self, _: object = None) -> None:
        if len(self._under_way) >= _CONNECTIONS:
            return
        batch, self._waiting = [each for each in self._waiting if not each[1].done()], []
        if batch:
            task = asyncio.create_task(self._round_trip(batch), name="dashtam redis round trip")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.remove)
            task.add_done_callback(self._send)

    async def _round_trip(self, batch: Sequence[Asked]) -> None:
        try:
            answers = await self._asked([command for command, _ in batch])
        except LOST as error:
            self._open(_said(error))
            self._refuse(batch, _said(error))
        except asyncio.CancelledError:
            self._refuse(batch, _CLOSED)
            raise
        else:
            self._settle(batch, answers)

    async def _asked(self, commands: Sequence[Command]) -> Sequence[Any]:
        began = time.perf_counter()
        async with asyncio.timeout(self._seconds):
            answers = await self._sent(commands)
        self._slow = self._slow + 1 if time.perf_counter() - began > SLOW_SECONDS else 0
        if self._slow >= _SLOW_AT_MOST:
            self._open(f"it takes more than {SLOW_SECONDS * 1000:.0f} ms to answer")
        return answers

    async def _sent(self, commands: Sequence[Command]) -> Sequence[Any]:
        if len(commands) > 1:
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: Sequence[Any] = await pipeline.execute(raise_on_error=False)
            return answers
        try:
            return [await self._client.execute_command(*commands[0])]
        except ResponseError as error:
            return [error]

    def _open(self, why: str) -> None:
        """Sends nothing more until it works again."""
        if self._why is None:
            self._why = why
            _log.warning("cache out of reach, going on without", extra={"server": self.place.name, "why": why})
            self._probing = asyncio.create_task(self._probe(), name="dashtam redis probe")
        self._refuse_all(why)

    async def _probe(self) -> None:
        """Tries to write until that works again, and as fast as it should."""
        since = time.monotonic()
        while self._why is not None:
            await asyncio.sleep(_PROBE_SECONDS)
            began = time.perf_counter()
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._client.set(f"{self.place.prefix}:probe", b"", px=1000)
                if time.perf_counter() - began <= SLOW_SECONDS:
                    self._why, self._slow = None, 0
        seconds = round(time.monotonic() - since, 1)
        _log.warning("cache works again", extra={"server": self.place.name, "seconds": seconds})

    def _refuse_all(self, why: str) -> None:
        waiting, self._waiting = self._waiting, []
        self._refuse(waiting, why)

    def _refuse(self, batch: Sequence[Asked], why: str) -> None:
        _settle(batch, [self._gone(why) for _ in batch])

    def _settle(self, batch: Sequence[Asked], answers: Sequence[Any]) -> None:
        """Gives everybody their answer. A server that works, and yet takes no such command now, is of no use."""
        for refusal in filter(None, map(refusal_in, answers)):
            self._open(refusal)
        _settle(batch, [self._gone(refusal_in(each) or "") if refusal_in(each) else each for each in answers])

    def _gone(self, why: str) -> UnavailableError:
        told = f"the cache at {self.place.name} is of no use now ({why}): see to it; Dashtam goes on without"
        return UnavailableError(UnavailableCode.CACHE_UNREACHABLE, told)


def _settle(batch: Sequence[Asked], answers: Sequence[Any]) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if not future.done():
            (future.set_exception if isinstance(answer, Exception) else future.set_result)(answer)


def refusal_in(answer: object) -> str | None:
    """What a server says that takes no such command now: it is full, or a replica, or knows us not.

    An error of ours has no code that the client leaves in its text, and no class of its own.
    """
    if not isinstance(answer, ResponseError) or isinstance(answer, NoScriptError):
        return None
    own = type(answer) is not ResponseError or str(answer).partition(" ")[0].isupper()
    return str(answer) if own else None


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
