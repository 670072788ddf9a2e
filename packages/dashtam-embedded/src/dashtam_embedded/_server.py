"""One server for every process that opens the same folder, whichever kind of server it is."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from dashtam_embedded import _guard
from dashtam_embedded._errors import EmbeddedServerError
from dashtam_embedded._home import THROWAWAY, Home, open_home
from dashtam_embedded._locks import Lock, is_held, until

_SECONDS = 60  # for a start with its recovery, and for a stop
_PREPARE = """
    set -e; umask 077
    od -An -N18 -tx1 /dev/urandom | tr -d ' \\n' > "$1/password"
"""


@dataclass(frozen=True, slots=True)
class Engine:
    """What one kind of server does its own way.

    `make` is a shell script that makes the folder `$1/data` beside `$1/password`, with what `find` gives as `$0`;
    `$2` is `--no-sync` for throw-away data. A file `*.pid` in the data begins with the running server's pid;
    `ready_port` is None until the server answers; the signal `stop` ends it cleanly, even when repeated.
    """

    name: str
    title: str
    variable: str
    find: Callable[[], Path]
    make: str
    command: Callable[[Path, Home, int], list[str]]
    ready_port: Callable[[Home], int | None]
    stop: signal.Signals
    url: str


class Use[S](AbstractAsyncContextManager[S]):
    """One caller's use of the server in a folder, from entering to leaving."""

    # Not a generator: a loop closes those that began in it when it ends.
    def __init__(self, engine: Engine, data_dir: Path | None, server: Callable[[str, Path, int, Path], S]) -> None:
        self._engine, self._data_dir, self._server = engine, data_dir, server
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> S:
        engine = self._engine
        try:
            program = await asyncio.to_thread(engine.find)
            await asyncio.to_thread(_sweep, engine)
            home = open_home(self._data_dir, engine.name)
            async with AsyncExitStack() as stack:
                users = stack.enter_context(Lock(home.users))
                stack.push_async_callback(_leave, home, users)
                port = await _join(engine, home, users, program)
                password = home.password
                self._exit = stack.pop_all()
        except (OSError, KeyError) as error:  # KeyError: the system knows no such user
            raise EmbeddedServerError(
                f"{self._data_dir or tempfile.gettempdir()} cannot hold a server's files: {error}. Choose one "
                f"that this user can write in; that of the programs follows XDG_CACHE_HOME or {engine.variable}."
            ) from error
        return self._server(engine.url.format(password=password, port=port), home.data_dir, port, home.log)

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


async def _join(engine: Engine, home: Home, users: Lock, program: Path) -> int:
    """Counts this caller as a user, starts the server unless it runs, and gives its port."""
    try:
        async with asyncio.timeout(_SECONDS):
            await until(lambda: users.take(shared=True))  # not while the last users' server is being stopped
            for _ in range(3):  # somebody else may take the port first
                await _start(engine, home, program)
                await until(lambda: engine.ready_port(home) is not None or not is_held(home.guard))
                if port := engine.ready_port(home):
                    return port
    except TimeoutError as error:
        what = f"did not answer within {_SECONDS} s: remove the cause and open it again."
        raise EmbeddedServerError.with_log(f"{engine.title} in {home.path} {what}", home.log) from error
    what = f"ended while starting; {engine.variable} may name another version's programs."
    raise EmbeddedServerError.with_log(f"{engine.title} in {home.path} {what}", home.log)


async def _start(engine: Engine, home: Home, program: Path) -> None:
    """Has a guard start the server, unless there is one or somebody is at it."""
    with Lock(home.guard) as guard, Lock(home.server) as server:
        if not guard.take():
            return
        if home.log.exists():  # first, so that nobody reads in it of a server that has ended
            home.log.replace(home.log.with_suffix(".previous.log"))
        while not server.take():
            _interrupt(engine, home)  # its guard was killed
            await asyncio.sleep(0.02)
        if not home.cluster.exists():
            await _make_cluster(engine, home, program, server)
        for stale in home.data.glob("*.pid"):  # after a machine went down it names a process that may be anybody's
            stale.unlink()
        await home.run(
            *(sys.executable, "-I", _guard.__file__),
            *(str(home.users), str(server.fd), str(int(engine.stop)), json.dumps(home.account)),
            *(str(home.data_dir) if home.throwaway else "", *engine.command(program, home, _free_port())),
            pass_fds=[guard.fd, server.fd],
        )


async def _make_cluster(engine: Engine, home: Home, program: Path, server: Lock) -> None:
    """Makes the cluster beside its place and moves it there whole: half a cluster is never taken for one."""
    half = home.path / "half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    home.give(half)
    sync, make = "--no-sync" if home.throwaway else "", _PREPARE + engine.make
    await home.run("/bin/sh", "-c", make, str(program), str(half), sync, pass_fds=[server.fd], **home.account)
    _flush(half / "password")
    half.rename(home.cluster)
    _flush(home.path)


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)


async def _leave(home: Home, users: Lock) -> None:
    """Ceases to be a user; the last one waits until the guard has stopped the server."""

    def is_over() -> bool:
        others = not users.take() and users.take(shared=True)
        users.release()
        return others or not is_held(home.guard)

    with suppress(TimeoutError):  # then the guard goes on alone
        async with asyncio.timeout(_SECONDS):
            await until(is_over)
    if home.throwaway:
        shutil.rmtree(home.data_dir, ignore_errors=True)


def _sweep(engine: Engine) -> None:
    """Stops and removes the throw-away servers that nobody uses any more: those whose guard was killed too."""
    for log in Path(tempfile.gettempdir()).glob(f"{THROWAWAY}*/{engine.name}/server.log"):  # its user came first
        home = Home(log.parent, log.parent.parent, {}, throwaway=True)
        with suppress(OSError):  # just being removed by another
            if home.data_dir.lstat().st_uid == os.geteuid():
                _remove_unless_used(engine, home)


def _remove_unless_used(engine: Engine, home: Home) -> None:
    with Lock(home.users) as users:
        if users.take() and not is_held(home.guard):
            _interrupt(engine, home)
            if not is_held(home.server):
                shutil.rmtree(home.data_dir)


def _interrupt(engine: Engine, home: Home) -> None:
    """Asks the server, if one runs, to end cleanly."""
    for pid_file in home.data.glob("*.pid"):
        with suppress(FileNotFoundError, ProcessLookupError):
            pid = pid_file.read_text(encoding="utf-8").split()[:1]
            if pid and is_held(home.server):
                os.kill(int(pid[0]), engine.stop)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
