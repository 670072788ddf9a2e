"""One PostgreSQL for every process that opens the same folder."""

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dashtam_embedded import _guard
from dashtam_embedded._binaries import VARIABLE, postgres_bin
from dashtam_embedded._errors import EmbeddedServerError
from dashtam_embedded._home import THROWAWAY, Home, open_home
from dashtam_embedded._locks import Lock, is_held, until

_SECONDS = 60  # for a start with its recovery, and for a stop
_MAKE = """
    set -e; umask 077
    od -An -N18 -tx1 /dev/urandom | tr -d ' \\n' > "$1/password"
    echo "PostgreSQL 17 or newer makes the data folder, here with the programs in $0:"
    "$0/initdb" --pgdata="$1/data" --pwfile="$1/password" --username=dashtam --auth=scram-sha-256 $2 \
      --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 \
      --data-checksums --no-instructions
    echo 'CREATE DATABASE dashtam;' | "$0/postgres" --single -D "$1/data" postgres
"""
_SETTINGS = """
    --listen_addresses=127.0.0.1 --unix_socket_directories= --timezone=UTC --log_timezone=UTC
    --max_connections=100 --shared_buffers=128MB --min_wal_size=32MB --max_wal_size=1GB --jit=off
    --idle_in_transaction_session_timeout=5min
"""  # no socket: its path may have 107 bytes
_THROWAWAY_SETTINGS = "--fsync=off --full_page_writes=off --synchronous_commit=off"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; `admin_url` is its superuser's and holds the password, so it is not in the repr."""

    admin_url: str = field(repr=False)
    data_dir: Path
    port: int
    log_file: Path


def postgres(data_dir: Path | None = None) -> AbstractAsyncContextManager[PostgresServer]:
    """A PostgreSQL with an empty database `dashtam`, or with what `data_dir` holds since the last time.

    Without `data_dir` the server is this caller's alone and goes with all its data. With it, every process that
    opens the folder shares one server, which ends cleanly with the last of them, killed ones included.
    It may be entered in one event loop and left in another.

    Raises:
        EmbeddedServerError: The server cannot be prepared or does not answer within 60 s.
    """
    return _Use(data_dir)


class _Use(AbstractAsyncContextManager[PostgresServer]):
    # Not a generator: a loop closes those that began in it when it ends.
    def __init__(self, data_dir: Path | None) -> None:
        self._data_dir = data_dir
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> PostgresServer:
        try:
            program = await asyncio.to_thread(postgres_bin)
            await asyncio.to_thread(_sweep)
            home = open_home(self._data_dir, "postgres")
            async with AsyncExitStack() as stack:
                users = stack.enter_context(Lock(home.users))
                stack.push_async_callback(_leave, home, users)
                port = await _join(home, users, program)
                password = (home.cluster / "password").read_text(encoding="ascii")
                self._exit = stack.pop_all()
        except (OSError, KeyError) as error:  # KeyError: the system knows no such user
            raise EmbeddedServerError(
                f"{self._data_dir or tempfile.gettempdir()} cannot hold a server's files: {error}. Choose one "
                f"that this user can write in; that of the programs follows XDG_CACHE_HOME or {VARIABLE}."
            ) from error
        url = f"postgresql://dashtam:{password}@127.0.0.1:{port}/dashtam"
        return PostgresServer(url, home.data_dir, port, home.log)

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


async def _join(home: Home, users: Lock, program: Path) -> int:
    """Counts this caller as a user, starts the server unless it runs, and gives its port."""
    try:
        async with asyncio.timeout(_SECONDS):
            await until(lambda: users.take(shared=True))  # not while the last users' server is being stopped
            for _ in range(3):  # somebody else may take the port first
                await _start(home, program)
                await until(lambda: _ready_port(home) is not None or not is_held(home.guard))
                if port := _ready_port(home):
                    return port
    except TimeoutError as error:
        what = f"PostgreSQL in {home.path} did not answer within {_SECONDS} s: remove the cause and open it again."
        raise EmbeddedServerError.with_log(what, home.log) from error
    what = f"PostgreSQL in {home.path} ended while starting; {VARIABLE} may name another version's programs."
    raise EmbeddedServerError.with_log(what, home.log)


async def _start(home: Home, program: Path) -> None:
    """Has a guard start the server, unless there is one or somebody is at it."""
    with Lock(home.guard) as guard, Lock(home.server) as server:
        if not guard.take():
            return
        while not server.take():
            _interrupt(home)  # its guard was killed
            await asyncio.sleep(0.02)
        if home.log.exists():
            home.log.replace(home.log.with_suffix(".previous.log"))
        if not home.cluster.exists():
            await _make_cluster(home, program, server)
        # One of a machine that went down would name a process that may be anybody's by now.
        (home.data / "postmaster.pid").unlink(missing_ok=True)
        remove, settings = (str(home.data_dir), _THROWAWAY_SETTINGS) if home.throwaway else ("", "")
        options = [*_SETTINGS.split(), *settings.split(), f"--port={_free_port()}"]
        await home.run(
            *(sys.executable, "-I", _guard.__file__),
            *(str(home.users), str(server.fd), json.dumps(home.account), remove),
            *(str(program / "postgres"), "-D", str(home.data), *options),
            pass_fds=[guard.fd, server.fd],
        )


async def _make_cluster(home: Home, program: Path, server: Lock) -> None:
    """Makes the cluster beside its place and moves it there whole: half a cluster is never taken for one."""
    half = home.path / "half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    if home.account:
        os.chown(half, home.account["user"], home.account["group"])
    sync = "--no-sync" if home.throwaway else ""
    await home.run("/bin/sh", "-c", _MAKE, str(program), str(half), sync, pass_fds=[server.fd], **home.account)
    half.rename(home.cluster)
    folder = os.open(home.path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


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


def _sweep() -> None:
    """Stops and removes the throw-away servers that nobody uses any more: those whose guard was killed too."""
    for log in Path(tempfile.gettempdir()).glob(f"{THROWAWAY}*/postgres/server.log"):  # its user came before it
        home = Home(log.parent, log.parent.parent, {}, throwaway=True)
        with suppress(OSError):  # just being removed by another
            if home.data_dir.lstat().st_uid == os.geteuid():
                _remove_unless_used(home)


def _remove_unless_used(home: Home) -> None:
    with Lock(home.users) as users:
        if users.take() and not is_held(home.guard):
            _interrupt(home)
            if not is_held(home.server):
                shutil.rmtree(home.data_dir)


def _interrupt(home: Home) -> None:
    """Asks the server, if one runs, for a fast shutdown: open transactions roll back, data is flushed."""
    lines = _pid_file(home)
    if lines and is_held(home.server):
        with suppress(ProcessLookupError):
            os.kill(int(lines[0]), signal.SIGINT)


def _ready_port(home: Home) -> int | None:
    match _pid_file(home):
        case [_, _, _, port, _, _, _, status] if status.strip() == "ready" and is_held(home.server):
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
                return int(port)
        case _:
            pass
    return None


def _pid_file(home: Home) -> list[str]:
    with suppress(FileNotFoundError):
        return (home.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    return []


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
