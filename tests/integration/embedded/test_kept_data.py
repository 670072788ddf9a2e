import asyncio
from pathlib import Path

import psutil
import pytest
from redis.exceptions import AuthenticationError

import dashtam_embedded
from dashtam_core import Settings
from dashtam_core.app import _keyring, key_of
from dashtam_core.identity import MasterKey
from dashtam_core.memory import MemoryStore
from dashtam_embedded import _server
from integration.embedded.processes import Kind, eventually, get, mode, nothing_runs, put, query, servers, url_of
from integration.redis.servers import client

SECRET = "a secret of more than 32 characters"


async def test_data_and_password_outlive_the_server(kind: Kind, reused: Path) -> None:
    """What was committed is there at the next start, under the same password."""
    async with kind(reused) as first:
        await put(first, "answer", 42)
    assert not servers(reused)
    async with kind(reused) as second:
        assert await get(second, "answer") == 42
    assert url_of(first).split("@")[0] == url_of(second).split("@")[0]


def test_entered_and_left_in_different_loops(kind: Kind, reused: Path) -> None:
    """A server opened in one event loop outlives it and is closed in another."""
    use = kind(reused)
    server = asyncio.run(use.__aenter__())
    asyncio.run(put(server, "other_loop", 1))
    asyncio.run(use.__aexit__(None, None, None))
    assert not servers(reused)


async def test_one_process_may_open_it_twice(kind: Kind, reused: Path) -> None:
    """The second opening shares the server and keeps it when the first is left."""
    first, second = kind(reused), kind(reused)
    opened = [await first.__aenter__(), await second.__aenter__()]
    await first.__aexit__(None, None, None)
    await put(opened[1], "twice", 2)
    await second.__aexit__(None, None, None)
    assert opened[0].port == opened[1].port
    assert not servers(reused)


async def test_what_a_postgres_is(reused: Path) -> None:
    """It is durable, in UTF-8 and UTC, on loopback alone, and asks for a password that nobody gets to see."""
    async with dashtam_embedded.postgres(reused) as server:
        for setting, value in {
            "fsync": "on",
            "data_checksums": "on",
            "TimeZone": "UTC",
            "max_connections": "100",
            "listen_addresses": "127.0.0.1",
            "server_encoding": "UTF8",
        }.items():
            assert await query(server.admin_url, f"SHOW {setting}") == value
        assert await query(server.admin_url, "SELECT upper('é') || current_database()") == "Édashtam"
        password = reused / "postgres/cluster/password"
        assert mode(password) == 0o600
        secret = password.read_text()
        assert secret not in repr(server)
        wrong = server.admin_url.replace(secret, "wrong")
        with pytest.raises(Exception, match="password authentication failed"):
            await query(wrong, "SELECT 1")
        assert server.data_dir == reused
        assert secret not in server.log_file.read_text()


async def test_what_a_valkey_is(reused: Path) -> None:
    """Every write goes to a file, it is on loopback alone, and its password is in no list of processes."""
    settings = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "bind": "127.0.0.1"}
    async with dashtam_embedded.valkey(reused) as server, client(server.url) as redis:
        assert await redis.config_get(*settings) == settings
        password = reused / "valkey/cluster/password"
        assert mode(password) == 0o600
        secret = password.read_text()
        assert secret not in repr(server) + server.log_file.read_text()
        assert not [each for each in psutil.process_iter(["cmdline"]) if secret in str(each.info["cmdline"])]
        for url in (server.url.replace(secret, "wrong"), server.url.replace(f":{secret}@", "")):
            with pytest.raises(AuthenticationError):
                await client(url).ping()


async def test_any_path_will_do(kind: Kind, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative, with spaces and non-ASCII letters, longer than the 107 bytes of a socket's path: all are fine."""
    monkeypatch.chdir(folder)
    path = Path("with two  spaces", "[a-z]*?", "données ünïcode 口座 %s $HOME 'quoted'", *["long" * 25] * 4)
    async with kind(path) as server:
        await put(server, "found", 1)
        assert server.data_dir == folder / path


async def test_port_taken_meanwhile(kind: Kind, reused: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that somebody took between choosing and binding is given up for another."""
    free_port, taken = _server._free_port, asyncio.Event()
    squatter = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)

    def ports() -> int:
        if taken.is_set():
            return free_port()
        taken.set()
        return int(squatter.sockets[0].getsockname()[1])

    monkeypatch.setattr(_server, "_free_port", ports)
    async with squatter, kind(reused) as server:
        await put(server, "other_port", 1)


async def test_cancelled_while_starting(kind: Kind, folder: Path) -> None:
    """A start that is given up at any moment leaves no process, and the next one works."""
    for pause in (0.02, 0.05, 0.2, 0.4):
        use = kind(folder)
        opening = asyncio.create_task(use.__aenter__())
        await asyncio.sleep(pause)
        if opening.cancel():
            with pytest.raises(asyncio.CancelledError):
                await opening
        else:
            await use.__aexit__(None, None, None)
        await eventually(lambda: nothing_runs(folder))
    async with kind(folder) as server:
        await put(server, "started", 1)


@pytest.mark.parametrize("said", [None, SECRET])
async def test_what_was_kept_under_a_master_key_is_found_under_it(tmp_path: Path, said: str | None) -> None:
    """The secret of an earlier version, beside the data or configured, stays the root of all keys."""
    (tmp_path / "master.key").write_text(SECRET)
    key = key_of(Settings(store_url="embedded:", data_dir=tmp_path, master_key=said))
    store = MemoryStore()
    await store.keys.add("former", b"", beside=())  # as the migration of a store that was used leaves it
    assert await _keyring(store, key) == MasterKey(SECRET.encode())
    assert not (tmp_path / "dashtam.key").exists()
