"""PostgreSQL: how it is made, started and asked."""

import signal
import socket
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dashtam_embedded._binaries import POSTGRES_VARIABLE, postgres_bin
from dashtam_embedded._home import Home
from dashtam_embedded._locks import is_held
from dashtam_embedded._server import Engine, Use
from dashtam_embedded._server import _free_port as _free_port  # noqa: PLC0414 - for the tests' own PostgreSQL

_MAKE: Final = """
    echo "PostgreSQL 17 or newer makes the data folder, here with the programs in $0:"
    "$0/initdb" --pgdata="$1/data" --pwfile="$1/password" --username=dashtam --auth=scram-sha-256 $2 \
      --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 \
      --data-checksums --no-instructions
    echo 'CREATE DATABASE dashtam;' | "$0/postgres" --single -D "$1/data" postgres
"""
_SETTINGS: Final = """
    --listen_addresses=127.0.0.1 --unix_socket_directories= --timezone=UTC --log_timezone=UTC
    --max_connections=100 --shared_buffers=128MB --min_wal_size=32MB --max_wal_size=1GB --jit=off
    --idle_in_transaction_session_timeout=5min
"""  # no socket: its path may have 107 bytes
_THROWAWAY_SETTINGS: Final = "--fsync=off --full_page_writes=off --synchronous_commit=off"


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server; `admin_url` is its superuser's and holds the password, so it is not in the repr."""

    admin_url: str = field(repr=False)
    data_dir: Path
    port: int
    log_file: Path


def _command(program: Path, home: Home, port: int) -> list[str]:
    settings = _SETTINGS + (_THROWAWAY_SETTINGS if home.throwaway else "")
    return [str(program / "postgres"), "-D", str(home.data), *settings.split(), f"--port={port}"]


def _ready_port(home: Home) -> int | None:
    with suppress(FileNotFoundError, ConnectionError, TimeoutError, ValueError):  # fewer lines: not yet ready
        _, _, _, port, _, _, _, status = (home.data / "postmaster.pid").read_text("utf-8").splitlines()
        if status.strip() == "ready" and is_held(home.server):
            socket.create_connection(("127.0.0.1", int(port)), 1).close()
            return int(port)
    return None


_ENGINE: Final = Engine(
    name="postgres",
    title="PostgreSQL",
    variable=POSTGRES_VARIABLE,
    find=postgres_bin,
    make=_MAKE,
    command=_command,
    ready_port=_ready_port,
    stop=signal.SIGINT,  # its fast shutdown: open transactions roll back, data is flushed
    url="postgresql://dashtam:{password}@127.0.0.1:{port}/dashtam",
)


def postgres(data_dir: Path | None = None) -> AbstractAsyncContextManager[PostgresServer]:
    """A PostgreSQL with an empty database `dashtam`, or with what `data_dir` holds since the last time.

    Without `data_dir` the server is this caller's alone and goes with all its data. With it, every process that
    opens the folder shares one server, which ends cleanly with the last of them, killed ones included.
    It may be entered in one event loop and left in another.

    Raises:
        EmbeddedServerError: The server cannot be prepared or does not answer within 60 s.
    """
    return Use(_ENGINE, data_dir, PostgresServer)
