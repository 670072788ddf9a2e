"""Other processes that use embedded servers, and what of their servers is still there."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import attrs
import psutil
import pytest

import dashtam_embedded
from dashtam_embedded import PostgresServer, ValkeyServer, _postgres, _valkey
from dashtam_embedded._server import Engine
from integration.redis.servers import client

_USE = """
import asyncio, json, os, pathlib, subprocess, sys
import dashtam_embedded

async def main():
    server_in = getattr(dashtam_embedded, sys.argv[1])
    async with server_in(pathlib.Path(sys.argv[2]) if sys.argv[2] else None) as server:
        url = server.url if sys.argv[1] == "valkey" else server.admin_url
        answer = {"url": url, "data_dir": str(server.data_dir), "port": server.port}
        print(json.dumps(answer | {"uid": os.getuid()}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


type Server = PostgresServer | ValkeyServer


@attrs.frozen
class Kind:
    """One of the two servers, and what its log says after a clean end."""

    name: str
    engine: Engine
    clean_end: str

    def __call__(self, data_dir: Path | None = None) -> AbstractAsyncContextManager[Server]:
        return dashtam_embedded.valkey(data_dir) if self is VALKEY else dashtam_embedded.postgres(data_dir)


POSTGRES = Kind("postgres", _postgres._ENGINE, "database system is shut down")
VALKEY = Kind("valkey", _valkey._ENGINE, "Valkey is now ready to exit")
KINDS = (POSTGRES, VALKEY)


def url_of(where: str | Server) -> str:
    if isinstance(where, PostgresServer):
        return where.admin_url
    return where.url if isinstance(where, ValkeyServer) else where


class Other:
    """A process of its own that opens a server and keeps it until told to leave."""

    def __init__(
        self, kind: Kind, data_dir: Path | None = None, *, prefix: list[str] | None = None, **environment: str
    ) -> None:
        self.process = subprocess.Popen(
            [*(prefix or []), sys.executable, "-c", _USE, kind.name, str(data_dir or "")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | environment,
        )
        self.pid = self.process.pid

    async def server(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await asyncio.to_thread(self.process.stdout.readline)
        assert line, self.errors()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def errors(self) -> str:
        _, errors = self.process.communicate(timeout=90)
        return str(errors.decode())

    async def leave(self) -> None:
        _, errors = await asyncio.to_thread(self.process.communicate, b"\n", 90)
        assert self.process.returncode == 0, errors.decode()

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=90)


@contextmanager
def others(kind: Kind) -> Generator[Callable[..., Other]]:
    started: list[Other] = []

    def start(*arguments: Any, **options: Any) -> Other:
        started.append(Other(kind, *arguments, **options))
        return started[-1]

    yield start
    for other in started:
        if other.process.poll() is None:
            other.kill()


def guards(data_dir: Path) -> list[int]:
    return _running((sys.executable,), "users.lock", data_dir)


def servers(data_dir: Path) -> list[int]:
    return _running(("/postgres", "/valkey-server"), "cluster/data", data_dir)


def _running(programs: tuple[str, ...], name: str, data_dir: Path) -> list[int]:
    """The processes run so, but for their newly forked children, which still look the same."""
    places = {f"{data_dir}/{kind.name}/{name}" for kind in KINDS}
    found = {
        process.pid: process.info["ppid"]
        for process in psutil.process_iter(["cmdline", "ppid"])
        for program, *arguments in [process.info["cmdline"] or [""]]  # a zombie has none
        if program.endswith(programs) and places.intersection(arguments)
    }
    return [pid for pid, parent in found.items() if parent not in found]


def nothing_runs(data_dir: Path) -> bool:
    return not guards(data_dir) and not servers(data_dir)


async def eventually(condition: Callable[[], object]) -> None:
    """Waits until `condition` holds: long, since only its never holding is a failure."""
    async with asyncio.timeout(45):
        while not condition():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.05)


async def query(url: str, *statements: str) -> Any:
    """Runs the statements and gives the last one's first value."""
    connection = await asyncpg.connect(url)
    try:
        values = [await connection.fetchval(statement) for statement in statements]
    finally:
        await connection.close()
    return values[-1]


def connected(url: str) -> AbstractAsyncContextManager[Any]:
    return (
        client(url, single_connection_client=True)
        if url.startswith("redis:")
        else asyncpg.create_pool(url, min_size=1)
    )


async def put(where: str | Server, name: str, number: int) -> None:
    url = url_of(where)
    if url.startswith("redis:"):
        async with client(url) as redis:
            await redis.set(name, number)
    else:
        await query(
            url,
            "CREATE TABLE IF NOT EXISTS kept (name text PRIMARY KEY, number int)",
            f"INSERT INTO kept VALUES ('{name}', {number}) ON CONFLICT (name) DO UPDATE SET number = {number}",
        )


async def get(where: str | Server, name: str) -> int:
    url = url_of(where)
    if url.startswith("redis:"):
        async with client(url) as redis:
            return int(await redis.get(name) or 0)
    return int(await query(url, f"SELECT number FROM kept WHERE name = '{name}'"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def replaced(path: Path, text: str) -> Generator[None]:
    before = path.read_text()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_text(before)


@contextmanager
def sleeper(*, user: str | None = None, close_fds: bool = True) -> Generator[subprocess.Popen[bytes]]:
    """A program that has nothing to do with any server."""
    process = subprocess.Popen(["sleep", "60"], user=user, close_fds=close_fds, cwd="/")
    yield process
    process.kill()
    process.wait()


def ordinary_user() -> list[str]:
    """What makes a command run as an ordinary user; the capability only lets it reach the interpreter."""
    if os.geteuid() != 0:
        return []
    nobody = pwd.getpwnam("nobody")
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv, which makes a program an ordinary user's, is not installed")
    return [
        setpriv,
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
    ]
