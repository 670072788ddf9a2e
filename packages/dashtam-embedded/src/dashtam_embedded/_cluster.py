"""Making PostgreSQL's data folder, or making sure that the one found can be used."""

import os
import secrets
import shutil
import signal
import tempfile
from pathlib import Path

from dashtam_embedded._binaries import VARIABLE
from dashtam_embedded._errors import EmbeddedServerError
from dashtam_embedded._home import Home
from dashtam_embedded._locks import until
from dashtam_embedded._places import Account

_BUILTIN_LOCALES_SINCE = 17
_OPTIONS = """
    --username=dashtam --auth=scram-sha-256 --data-checksums --no-instructions
    --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8
"""


async def prepare(home: Home, account: Account, program: Path, major: int) -> None:
    """Makes the cluster unless there is one, which must be whole and of the programs' major version."""
    if not home.cluster.exists():
        await _initialise(home, account, program, major)
    if not (home.cluster / "password").is_file() or not (home.data / "PG_VERSION").is_file():
        raise EmbeddedServerError(
            f"{home.cluster} is not whole: its password or data/PG_VERSION is missing. "
            "Restore the folder, or move it away to begin with empty data."
        )
    found = (home.data / "PG_VERSION").read_text(encoding="ascii").strip()
    if found != str(major):
        raise EmbeddedServerError(
            f"{home.data} is PostgreSQL {found}'s, the programs in {program} are {major}'s, "
            f"and a major version reads only its own data. Set {VARIABLE} to a bin folder of {found}, "
            "or dump with that version and restore into a new folder."
        )


async def _initialise(home: Home, account: Account, program: Path, major: int) -> None:
    """Makes the cluster beside its place and moves it there whole: half a cluster is never taken for one."""
    if major < _BUILTIN_LOCALES_SINCE:
        raise EmbeddedServerError(
            f"{program} is PostgreSQL {major}'s: set {VARIABLE} to the bin folder of a PostgreSQL 17 or newer."
        )
    for half in home.path.glob("half-*"):
        shutil.rmtree(half, ignore_errors=True)
    half = Path(tempfile.mkdtemp(prefix="half-", dir=home.path))
    password, statement, data = half / "password", half / "create.sql", str(half / "data")
    password.touch(0o600)
    password.write_text(secrets.token_urlsafe(24), encoding="ascii")
    statement.write_text("CREATE DATABASE dashtam;\n", encoding="ascii")
    account.give(password)
    account.give(half)
    sync = ["--no-sync"] if home.throwaway else []
    initdb = [str(program / "initdb"), f"--pgdata={data}", f"--pwfile={password}", *_OPTIONS.split(), *sync]
    await _run(home, account, initdb)
    await _run(home, account, [str(program / "postgres"), "--single", "-D", data, "postgres"], statement)
    statement.unlink()
    half.rename(home.cluster)
    _sync(home.path)


async def _run(home: Home, account: Account, command: list[str], stdin: Path = Path(os.devnull)) -> None:
    process = home.popen(command, account, stdin)
    try:
        await until(lambda: process.poll() is not None)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise EmbeddedServerError.with_log(f"{command[0]} failed with {process.returncode}.", home.log)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
