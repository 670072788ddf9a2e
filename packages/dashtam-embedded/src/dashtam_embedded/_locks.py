"""Locks that the kernel gives back however their holder ends: all that processes know of each other here."""

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self


class Lock:
    """A whole-file `flock(2)`; it outlives its closing in the programs that were given `fd`, and only there."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def take(self, *, shared: bool = False) -> bool:
        """Whether it could be had at once; what was held before is given back for it."""
        with suppress(BlockingIOError):
            fcntl.flock(self.fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return True
        return False

    def release(self) -> None:
        fcntl.flock(self.fd, fcntl.LOCK_UN)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock, not shared."""
    with suppress(FileNotFoundError), Lock(path) as lock:
        return not lock.take(shared=True)
    return False


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - other processes set no event
        await asyncio.sleep(0.02)
