"""The process that keeps one server: its parent, in a session of its own, for as long as anybody uses it.

Run by path and on the standard library alone. It is given two held locks: its seat, which says that a server
is being looked after, and the server's, which passes to the server and says that one still runs.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

_STOP_SECONDS = 30


def main(users: str, server_lock: str, uid: str, gid: str, remove: str, *command: str) -> None:
    """Runs `command` until nobody holds the lock on the file `users`; then removes the folder `remove`, if any."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked.append(number))
    server = _start(command, int(server_lock), int(uid), int(gid))
    users_lock = os.open(users, os.O_RDWR)
    unused = False
    while not unused and not asked and server.poll() is None:
        time.sleep(0.05)
        unused = _nobody_holds(users_lock)  # held from then on: newcomers wait until this process has ended
    _stop(server)
    if unused and remove:
        shutil.rmtree(remove, ignore_errors=True)


def _start(command: tuple[str, ...], lock: int, uid: int, gid: int) -> subprocess.Popen[bytes]:
    server = subprocess.Popen(  # noqa: S603 - the command comes from the package itself
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=(lock,),
        user=None if uid < 0 else uid,
        group=None if gid < 0 else gid,
        extra_groups=None if uid < 0 else [],
        preexec_fn=_ending_with(os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509 - one thread here
    )
    os.close(lock)
    return server


def _ending_with(guard: int) -> Callable[[], None]:
    """Has Linux interrupt the server when the guard is killed; elsewhere the next opener does."""
    prctl, set_death_signal = ctypes.CDLL(None).prctl, 1

    def set_up() -> None:
        prctl(set_death_signal, signal.SIGINT)
        if os.getppid() != guard:
            os._exit(1)

    return set_up


def _nobody_holds(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: open transactions roll back, data is flushed
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # immediate: the next start replays the log
        server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
