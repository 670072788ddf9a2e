"""Reading in a worker thread: where a long reading lets others run, and stops when nobody waits for it."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Final

import attrs

from dashtam_core.accounts._errors import ImportCode, ImportFailed, failed
from dashtam_core.kernel import Result

READING_THREADS: Final = 2
READING_WAITING: Final = 32
"""How many files may wait for a thread, beyond those being read."""

_cancelled: ContextVar[threading.Event | None] = ContextVar("dashtam_reading_cancelled", default=None)


class ReadingStoppedError(Exception):
    """Nobody waits for this reading any more."""


def checkpoint() -> None:
    """Called by a reader every few hundred rows: the event loop gets its turn, and a cancelled reading ends here.

    Raises:
        ReadingStoppedError: whoever asked for the reading has gone.
    """
    flag = _cancelled.get()
    if flag is not None and flag.is_set():
        raise ReadingStoppedError
    time.sleep(0)


@attrs.define
class Reading:
    """A few threads for readers, and a queue with an end. Cancelling the caller stops the reading."""

    _pool: ThreadPoolExecutor = attrs.field(
        factory=lambda: ThreadPoolExecutor(READING_THREADS, thread_name_prefix="dashtam-reading"), init=False
    )
    _asked: int = attrs.field(default=0, init=False)

    async def run[T](self, work: Callable[[], Result[T, ImportFailed]], /) -> Result[T, ImportFailed]:
        """What `work` answers, or TOO_BUSY when too many files wait already."""
        if self._asked >= READING_THREADS + READING_WAITING:
            return failed(ImportCode.TOO_BUSY, "too many files are being read: try again in a minute")
        self._asked += 1
        flag = threading.Event()
        context = copy_context()
        context.run(_cancelled.set, flag)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, work)
        finally:
            flag.set()
            self._asked -= 1

    def close(self) -> None:
        """Ends the threads once what they read is read; nothing new begins."""
        self._pool.shutdown(wait=False, cancel_futures=True)
