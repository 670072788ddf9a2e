"""Valkey: how it is made, started and asked."""

import re
import signal
import socket
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dashtam_embedded._binaries import VALKEY_VARIABLE, valkey_server
from dashtam_embedded._home import Home
from dashtam_embedded._locks import is_held
from dashtam_embedded._server import Engine, Use

# The list of processes shows arguments to everybody, and a configuration file's name would be taken for a pattern.
_START: Final = 'exec "$@" <<end\nrequirepass $(cat "$0")\nend\n'
_SETTINGS: Final = "--bind 127.0.0.1 --set-proc-title no --always-show-logo no --appendfsync everysec"
_READY: Final = re.compile(rb"port=(\d+)\b.*Ready to accept connections", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    """A running server; `url` is its only user's and holds the password, so it is not in the repr."""

    url: str = field(repr=False)
    data_dir: Path
    port: int
    log_file: Path


def _command(program: Path, home: Home, port: int) -> list[str]:
    return [
        *("/bin/sh", "-c", _START, str(home.cluster / "password"), str(program), "-", *_SETTINGS.split()),
        *("--port", str(port), "--dir", str(home.data), "--pidfile", str(home.data / "valkey.pid")),
        *("--save", "", "--appendonly", "no" if home.throwaway else "yes"),
    ]


def _ready_port(home: Home) -> int | None:
    """Asks with the password only whoever is known to hold the port: the log says so once it does."""
    with suppress(FileNotFoundError, ConnectionError, TimeoutError):
        if is_held(home.server) and (ready := _READY.search(home.log.read_bytes())):
            port = int(ready[1])
            with (
                socket.create_connection(("127.0.0.1", port), 1) as connection,
                connection.makefile("rb") as replies,
            ):
                connection.sendall(f"AUTH {home.password}\r\nPING\r\n".encode())
                if [replies.readline(), replies.readline()] == [b"+OK\r\n", b"+PONG\r\n"]:
                    return port
    return None


_ENGINE: Final = Engine(
    name="valkey",
    title="Valkey",
    variable=VALKEY_VARIABLE,
    find=valkey_server,
    make='mkdir "$1/data"',
    command=_command,
    ready_port=_ready_port,
    stop=signal.SIGTERM,  # a second SIGINT would be taken for impatience
    url="redis://:{password}@127.0.0.1:{port}/0",
)


def valkey(data_dir: Path | None = None) -> AbstractAsyncContextManager[ValkeyServer]:
    """An empty Valkey, or one with what `data_dir` holds since the last time.

    It is shared, kept, ended and fails as `postgres` does. With `data_dir` what was acknowledged outlives a crash
    of the server, and, about a second later, one of the machine.
    """
    return Use(_ENGINE, data_dir, ValkeyServer)
