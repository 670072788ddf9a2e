"""Locks that the kernel gives back however their holder ends: all that processes know of each other here."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from pathlib import Path


class Lock:
    """A whole-file `flock(2)`: asked for, never waited for; gone with its process, even after kill -9.

    Two locks on one file are strangers, in one process too. Programs started later do not inherit them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def shared(self) -> bool:
        return self._take(fcntl.LOCK_SH)

    def exclusive(self) -> bool:
        return self._take(fcntl.LOCK_EX)

    def hand_over(self) -> None:
        """Leaves what is held to the programs that were given `fd`; this becomes a stranger to them."""
        os.close(self.fd)
        self.fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def close(self) -> None:
        fcntl.flock(self.fd, fcntl.LOCK_UN)  # a forked child's copy of the descriptor would keep it
        os.close(self.fd)

    def _take(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def is_held(path: Path) -> bool:
    lock = Lock(path)
    try:
        return not lock.exclusive()
    finally:
        lock.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - other processes set no event
        await asyncio.sleep(0.02)
