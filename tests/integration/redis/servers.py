"""Servers for the tests of an adapter, a line to them that fails, and ways to have them fail."""

import asyncio
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from dashtam_embedded._binaries import valkey_server
from dashtam_embedded._guard import _end_with_parent
from dashtam_embedded._server import _free_port

_CHUNK = 64 * 1024
_PATIENCE = 30.0
_PASSWORD = "password of the tests"


def client(url: str, **options: Any) -> Any:
    """A client that tries nothing twice; untyped, since the library leaves the options of each command so."""
    once = Retry(NoBackoff(), 0)
    return Redis.from_url(url, retry=once, **options)  # pyright: ignore[reportUnknownMemberType] - its options have no types


@asynccontextmanager
async def read_only(url: str) -> AsyncGenerator[None]:
    """Has the server refuse writes, as one does that became a replica; here of nobody."""
    async with client(url) as administrator:
        await administrator.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            await administrator.replicaof("NO", "ONE")


@asynccontextmanager
async def full(url: str) -> AsyncGenerator[None]:
    """Has the server refuse whatever would need memory."""
    async with client(url) as administrator:
        await administrator.config_set("maxmemory-policy", "noeviction", "maxmemory", 1)
        try:
            yield
        finally:
            await administrator.config_set("maxmemory", 0)


class Proxy:
    """A line on loopback to a server: slow by `delay` seconds for each chunk, hanging or cut.

    It forwards 64 KiB at a time and takes no more from one end than the other accepts. With `tls` it is encrypted.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None = None) -> None:
        self.delay = 0.0
        self.accepted = 0
        """How many connections there were."""
        self._to, self._tls = urlsplit(url), tls
        self._flows = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Server | None = None
        # Bound, not listening: while the line is cut, the port refuses connections and stays this proxy's.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._port.bind(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """The server's, by way of this line."""
        port = self._port.getsockname()[1]
        there = self._to._replace(netloc=self._to.netloc.replace(f":{self._to.port}", f":{port}"))
        return there._replace(scheme="rediss" if self._tls else "redis").geturl()

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        self._port.close()

    async def cut(self) -> None:
        """Closes all connections and refuses new ones."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def hang(self) -> None:
        """From now on accepts connections and forwards nothing."""
        self._flows.clear()

    async def mend(self) -> None:
        """Forwards again, and first what it has held back."""
        self._flows.set()
        if self._listening is None:
            _, port = self._port.getsockname()
            self._listening = await asyncio.start_server(
                self._accept, "127.0.0.1", port, reuse_port=True, ssl=self._tls
            )

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):  # the server is gone, and so is this connection
                its_reader, its_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
                try:
                    await asyncio.gather(self._forward(reader, its_writer), self._forward(its_reader, writer))
                finally:
                    its_writer.transport.abort()
        finally:
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                while chunk := await reader.read(_CHUNK):
                    await asyncio.sleep(self.delay)
                    await self._flows.wait()
                    writer.write(chunk)
                    await writer.drain()
        finally:
            writer.transport.abort()


class OwnServer:
    """A Valkey on a port that stays its own, which a test may stop, continue, kill and start again."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program, self._folder, self._port = program, folder, _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{_PASSWORD.replace(' ', '%20')}@127.0.0.1:{self._port}/0"

    async def start(self, *, empty: bool = False) -> None:
        """Starts it with what it held, or with nothing, and returns when it answers."""
        if empty:
            shutil.rmtree(self._folder / "appendonlydir")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it returns at once
                [
                    *(self._program, "--port", str(self._port), "--bind", "127.0.0.1", "--dir", self._folder),
                    *("--save", "", "--appendonly", "yes", "--requirepass", _PASSWORD),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call of prctl: nothing outlives the tests
            )
        async with asyncio.timeout(_PATIENCE), client(self.url) as asking:
            while not await _answers(asking):
                assert self._process.poll() is None, (self._folder / "log").read_text()
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """As when the machine goes down."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE)

    def pause(self) -> None:
        """It keeps its connections and does nothing, until `resume`."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@asynccontextmanager
async def running(parent: str) -> AsyncGenerator[OwnServer]:
    """A Valkey that runs, with its files in a folder below this one, both gone at the end."""
    with tempfile.TemporaryDirectory(prefix="own-server-", dir=parent) as folder:
        server = OwnServer(valkey_server(), Path(folder))
        try:
            await server.start()
            yield server
        finally:
            server.kill()


async def _answers(asking: Any) -> bool:
    with suppress(OSError, RedisError):
        return bool(await asking.ping())
    return False
