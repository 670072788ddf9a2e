"""The process that keeps one server: its parent, away from the caller's session, for as long as anybody uses it.

Run by path and on the standard library alone. Its own lock and the server's are inherited, held.
"""

import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress


def main(users: str, lock: str, stop: str, account: str, remove: str, *command: str) -> None:
    """Runs `command` until nobody locks `users`, then signals `stop` and removes the folder `remove`, if any."""
    end = int(stop)
    options = json.loads(account) | {"pass_fds": [int(lock)], "preexec_fn": lambda: _end_with_parent(end)}
    server = subprocess.Popen(command, **options)  # noqa: S603 - the package's own
    os.close(int(lock))
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.send_signal(end))
    users_lock = os.open(users, os.O_RDWR)
    unused = False
    while not unused and server.poll() is None:
        time.sleep(0.05)
        with suppress(BlockingIOError):
            fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # kept: newcomers wait for this process's end
            unused = True
    server.send_signal(end)
    server.wait()
    if unused and remove:
        shutil.rmtree(remove, ignore_errors=True)


def _end_with_parent(number: int = signal.SIGINT) -> None:
    """Has Linux send the server this signal when the guard is killed; elsewhere the next opener does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, number)  # PR_SET_PDEATHSIG


if __name__ == "__main__" and os.fork() == 0:  # the parent ends at once, so that nobody has this one to wait for
    main(*sys.argv[1:])
