"""Commands to a server that nobody depends on: many in one round trip, each answered soon or not at all."""

import asyncio
import logging
import math
import time
from asyncio import Future, Task
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisError

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_redis._place import Place

SECONDS: Final = 0.1
"""How long a round trip may take. A call takes one, or waits for the end of another's before its own."""
_TICKS: Final = 10
_SLOW_TICKS: Final = 3
_SLOW_AT_MOST: Final = 5
_TRIPS: Final = 4
_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 30.0
_CALM_SECONDS: Final = 60.0
_CLOSED: Final = "this process lets go of it"

LOST: Final = (RedisError, OSError, TimeoutError, AttributeError)
"""What a client raises without an answer; the last is asyncio's before 3.13.10, of a connection that was reset."""

_log: Final = logging.getLogger(__name__)

type Word = str | bytes | int | float
type Command = tuple[Word, ...]
type Asked = tuple[Command, Future[Any]]


class _Trip:
    """Commands under way together, for ten ticks at most.

    A tick cannot pass while the event loop is busy elsewhere, and after that an answer is read first. So a lag of
    ours, however long, counts as one tick, and the server is not blamed for it.
    """

    def __init__(self, asked: Sequence[Asked], task: Task[Sequence[Any]], tick: float) -> None:
        self.asked, self.task, self._tick = asked, task, tick
        self.ticks = 0
        self._timer = task.get_loop().call_later(tick, self._pass)

    def end(self) -> None:
        self._timer.cancel()

    def _pass(self) -> None:
        self.ticks += 1
        if self.ticks < _TICKS:
            self._timer = self.task.get_loop().call_later(self._tick, self._pass)
        else:
            self.task.cancel()


class Link:
    """The way to one server, shared by all tasks of a process.

    Commands that come while others are under way go out together as one pipeline. A caller who is cancelled leaves
    its command, and nobody else hears its answer.

    What fails opens the circuit: from then on every call is refused at once, until a write that is tried in the
    background twice a second works. Where it opens again within a minute it is tried half as often each time, but
    at least twice a minute. Five answers in a row that take three ticks, 30 ms, are a failure too: the store would
    have answered by then. One alone may be chance.
    """

    def __init__(self, place: Place, *, seconds: float = SECONDS) -> None:
        self.place, self._seconds = place, seconds
        # The client's own limits are by the clock alone: a trip ends before them.
        self._client = place.client(connections=_TRIPS + 1, seconds=seconds * _TICKS)
        self._waiting: list[Asked] = []
        self._under_way: set[_Trip] = set()
        self._probing: Task[None] | None = None
        self._why: str | None = None
        """Why nothing is sent now; None: all is well."""
        self._slow = 0
        self._pause, self._well_since = _PAUSE_SECONDS, -math.inf

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
            loop.call_soon(self._send_waiting)
        return await answer

    async def aclose(self) -> None:
        """Lets go of the server. What waits for an answer gets none."""
        self._why = _CLOSED
        tasks: list[Task[Any]] = [trip.task for trip in self._under_way]
        if self._probing is not None:
            tasks.append(self._probing)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._refuse_waiting(_CLOSED)
        with suppress(*LOST):  # however its connections end
            await self._client.aclose()

    def _send_waiting(self) -> None:
        if len(self._under_way) < _TRIPS:
            asked, self._waiting = [each for each in self._waiting if not each[1].done()], []
            if asked:
                self._send(asked)

    def _send(self, asked: Sequence[Asked]) -> None:
        asking = self._asked([command for command, _ in asked])
        task = asyncio.create_task(asking, name="dashtam redis round trip")
        trip = _Trip(asked, task, self._seconds / _TICKS)
        self._under_way.add(trip)
        task.add_done_callback(partial(self._ended, trip))

    async def _asked(self, commands: Sequence[Command]) -> Sequence[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: Sequence[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _ended(self, trip: _Trip, task: Task[Sequence[Any]]) -> None:
        """Gives everybody an answer, however it ended: nobody is left waiting."""
        trip.end()
        self._under_way.remove(trip)
        self._slow = self._slow + 1 if trip.ticks >= _SLOW_TICKS else 0
        answers = self._heard(task, len(trip.asked))
        refusals = [refusal_in(answer) for answer in answers]
        if why := next(filter(None, refusals), None) or self._too_slow():
            self._open(why)
        for (_, future), answer, refusal in zip(trip.asked, answers, refusals, strict=True):
            _settle(future, self._gone(refusal) if refusal else answer)
        self._send_waiting()

    def _heard(self, task: Task[Sequence[Any]], count: int) -> Sequence[Any]:
        if task.cancelled():
            return [TimeoutError(f"no answer within {self._seconds} s")] * count
        error = task.exception()
        return task.result() if error is None else [error] * count

    def _too_slow(self) -> str | None:
        slow = self._slow >= _SLOW_AT_MOST
        return f"answers take more than {self._seconds * _SLOW_TICKS / _TICKS:.3f} s" if slow else None

    def _open(self, why: str) -> None:
        """Sends nothing more until it works again."""
        if self._why is None:
            self._why = why
            again = time.monotonic() - self._well_since < _CALM_SECONDS
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS) if again else _PAUSE_SECONDS
            _log.warning("cache out of reach, going on without", extra={"server": self.place.name, "why": why})
            # In no context: what it logs is nobody's request.
            probing = asyncio.create_task(self._probe(), name="dashtam redis probe", context=Context())
            self._probing = probing
        self._refuse_waiting(self._why)

    async def _probe(self) -> None:
        """Tries to write until that works again, and as fast as it should."""
        since = time.monotonic()
        while self._why is not None:
            await asyncio.sleep(self._pause)
            written: Future[Any] = asyncio.get_running_loop().create_future()
            self._send([(("SET", f"{self.place.prefix}:probe", b"", "PX", 1000), written)])
            with suppress(UnavailableError):
                await written
                if self._slow == 0:
                    self._why, self._well_since = None, time.monotonic()
        seconds = round(time.monotonic() - since, 1)
        _log.warning("cache works again", extra={"server": self.place.name, "seconds": seconds})

    def _refuse_waiting(self, why: str) -> None:
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            _settle(future, self._gone(why))

    def _gone(self, why: str) -> UnavailableError:
        told = f"the cache at {self.place.name} is of no use now ({why}): see to it; Dashtam goes on without"
        return UnavailableError(UnavailableCode.CACHE_UNREACHABLE, told)


def refusal_in(answer: object) -> str | None:
    """What went wrong, where an answer is an error; None for one that says a script is not known, as any other."""
    known = not isinstance(answer, BaseException) or isinstance(answer, NoScriptError)
    return None if known else f"{type(answer).__name__}: {answer}"


def _settle(future: Future[Any], answer: Any) -> None:
    """Gives an answer to who asked, unless they left."""
    if not future.done():
        (future.set_exception if isinstance(answer, Exception) else future.set_result)(answer)
