"""One PostgreSQL for every process that opens the same folder."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dashtam_embedded import _cluster, _guard
from dashtam_embedded._binaries import postgres_bin
from dashtam_embedded._errors import EmbeddedServerError
from dashtam_embedded._home import Home, open_home
from dashtam_embedded._locks import Lock, is_held, until
from dashtam_embedded._places import Account, account_for, sweep

_SECONDS = 60  # for a start with its recovery, and for a stop
_PORTS_TRIED = 5
_SETTINGS = """
    --listen_addresses=127.0.0.1 --unix_socket_directories= --timezone=UTC --log_timezone=UTC
    --max_connections=100 --shared_buffers=32MB --min_wal_size=32MB --max_wal_size=256MB --jit=off
    --idle_in_transaction_session_timeout=5min
"""  # no socket: its path may have 107 bytes
_THROWAWAY_SETTINGS = "--fsync=off --full_page_writes=off --synchronous_commit=off"
_guards: dict[Path, subprocess.Popen[bytes]] = {}  # by home; this process's children, which nobody else may reap


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
        EmbeddedServerError: The server cannot be prepared, does not answer within 60 s, or does not stop.
    """
    return _Use(data_dir)


class _Use(AbstractAsyncContextManager[PostgresServer]):
    # Not a generator: a loop closes those that began in it when it ends.
    def __init__(self, data_dir: Path | None) -> None:
        self._data_dir = data_dir
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> PostgresServer:
        program, major = await postgres_bin()
        await asyncio.to_thread(sweep, _interrupt)
        async with AsyncExitStack() as stack:
            home = open_home(self._data_dir, "postgres")
            stack.callback(home.close)
            stack.push_async_callback(_leave, home)
            port = await _join(home, program, major)
            password = (home.cluster / "password").read_text(encoding="ascii")
            self._exit = stack.pop_all()
        url = f"postgresql://dashtam:{password}@127.0.0.1:{port}/dashtam"
        return PostgresServer(url, home.data_dir, port, home.log)

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()


async def _join(home: Home, program: Path, major: int) -> int:
    """Counts this caller as a user, starts the server unless it runs, and gives its port."""
    try:
        async with asyncio.timeout(_SECONDS):
            await until(home.users.shared)  # fails while the last users' server is being stopped
            while True:
                if home.seat.exclusive():
                    await _start(home, program, major)
                if port := await _ready_port(home):
                    return port
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        what = f"PostgreSQL in {home.path} did not answer within {_SECONDS} s: remove the cause and open it again."
        raise EmbeddedServerError.with_log(what, home.log) from error


async def _leave(home: Home) -> None:
    """Stops the server and waits for its end if this caller is the last user."""
    try:
        async with asyncio.timeout(_SECONDS):
            await until(home.turn.exclusive)
            last = home.users.exclusive() or not home.users.shared()  # or the guard saw first that nobody is left
            if last and home.path.exists():  # else somebody removed it: then the guard ends without being asked
                await until(lambda: _has_stopped(home))
    except TimeoutError as error:
        what = f"PostgreSQL in {home.path} did not stop within {_SECONDS} s: its guard keeps trying."
        raise EmbeddedServerError.with_log(what, home.log) from error
    if home.throwaway:
        shutil.rmtree(home.data_dir, ignore_errors=True)


def _has_stopped(home: Home) -> bool:
    _interrupt(home.path)
    if not home.seat.exclusive() or _runs(home.path):
        return False
    _reap(home)
    return True


def _interrupt(home: Path) -> None:
    """Asks the server, if one runs, for a fast shutdown: open transactions roll back, data is flushed."""
    lines = _pid_file(home)
    if lines and _runs(home):
        with suppress(ProcessLookupError):
            os.kill(int(lines[0]), signal.SIGINT)


def _runs(home: Path) -> bool:
    try:
        return is_held(home / "server.lock")
    except FileNotFoundError:  # the guard removed a throw-away home
        return False


def _pid_file(home: Path) -> list[str]:
    try:
        return (home / "cluster/data/postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def _reap(home: Home) -> None:
    if guard := _guards.pop(home.path, None):
        guard.wait()  # its seat is free, so it is ending


async def _ready_port(home: Home) -> int | None:
    """The server's port, once it has answered a connection there."""
    match _pid_file(home.path):
        case [_, _, _, port, _, _, _, status] if status.strip() == "ready" and _runs(home.path):
            return int(port) if await _answers(int(port)) else None
        case _:
            return None


async def _answers(port: int) -> bool:
    """Whether a connection gets past "starting up" (the protocol's StartupMessage, as `pg_isready` sends it)."""
    body = (196608).to_bytes(4) + b"user\0dashtam\0database\0dashtam\0\0"
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write((4 + len(body)).to_bytes(4) + body)
            answer = await reader.read(1024)
        finally:
            writer.close()
    except OSError:
        return False
    return bool(answer) and b"C57P03\0" not in answer  # SQLSTATE cannot_connect_now


async def _start(home: Home, program: Path, major: int) -> None:
    """Has a guard start the server; this caller holds the guard's seat, so nobody else is at it."""
    try:
        _reap(home)
        account = account_for(home.cluster)
        if home.log.exists():
            home.log.replace(home.log.with_suffix(".previous.log"))
        await _cluster.prepare(home, account, program, major)
        settings = _SETTINGS + (_THROWAWAY_SETTINGS if home.throwaway else "")
        command = [str(program / "postgres"), "-D", str(home.data), *settings.split()]
        for _ in range(_PORTS_TRIED):
            port = _free_port()
            guard = await _spawn_guard(home, account, [*command, f"--port={port}"])
            if await _is_up(home, guard):
                return
            if _is_free(port):
                break
        raise EmbeddedServerError.with_log(f"PostgreSQL in {home.path} ended while starting.", home.log)
    finally:
        home.seat.hand_over()


async def _is_up(home: Home, guard: subprocess.Popen[bytes]) -> bool:
    while guard.poll() is None:
        if await _ready_port(home):
            return True
        await asyncio.sleep(0.02)
    return False


async def _spawn_guard(home: Home, account: Account, command: list[str]) -> subprocess.Popen[bytes]:
    server = Lock(home.path / "server.lock")
    try:
        while not server.exclusive():
            _interrupt(home.path)  # a server whose guard was killed
            await asyncio.sleep(0.02)
        # One of a machine that went down would name a process that may be anybody's by now.
        (home.data / "postmaster.pid").unlink(missing_ok=True)
        user = [str(-1 if number is None else number) for number in (account.uid, account.gid)]
        remove = str(home.data_dir) if home.throwaway else ""
        guard = [
            sys.executable,
            "-I",
            _guard.__file__,
            str(home.path / "users.lock"),
            str(server.fd),
            *user,
            remove,
        ]
        _guards[home.path] = home.popen([*guard, *command], Account(), pass_fds=(home.seat.fd, server.fd))
        return _guards[home.path]
    finally:
        server.hand_over()
        server.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
