import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import dashtam_embedded
from dashtam_embedded import _guard
from dashtam_embedded._locks import Lock
from integration.embedded.processes import Kind, Other, eventually, guards, nothing_runs, query, servers
from integration.redis.servers import client


async def test_nothing_is_left(kind: Kind) -> None:
    """A throw-away server goes with its folder."""
    async with kind() as server:
        assert len(servers(server.data_dir)) == 1
        assert server.log_file.is_file()
    assert not server.data_dir.exists()
    assert not servers(server.data_dir)


async def test_speed_for_durability() -> None:
    """A throw-away server waits for no disk."""
    async with dashtam_embedded.postgres() as server:
        assert await query(server.admin_url, "SHOW fsync") == "off"
    async with dashtam_embedded.valkey() as other, client(other.url) as redis:
        assert await redis.config_get("appendonly", "save") == {"appendonly": "no", "save": ""}


def test_the_guard_alone(folder: Path) -> None:
    """Once nobody holds the users' lock the guard ends its program and removes what it was told to."""
    (folder / "users.lock").touch()
    (folder / "data").mkdir()
    server, handler = Lock(folder / "server.lock"), signal.getsignal(signal.SIGTERM)
    try:
        _guard.main(f"{folder}/users.lock", str(server.fd), "2", "{}", f"{folder}/data", "sleep", "60")
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert not (folder / "data").exists()


async def test_nothing_is_left_by_killed_processes(kind: Kind, reused: Path, start: Callable[..., Other]) -> None:
    """The guard cleans up after kill -9 of a user; where it was killed too, the next start does, only there."""
    killed, alive = start(), start()
    folder, other_folder = [Path((await user.server())["data_dir"]) for user in (killed, alive)]
    (guard,) = guards(folder)
    os.kill(guard, signal.SIGKILL)
    killed.kill()
    await eventually(lambda: nothing_runs(folder))
    async with kind(reused):
        assert not folder.exists()
        assert len(servers(other_folder)) == 1
    alive.kill()
    await eventually(lambda: nothing_runs(other_folder) and not other_folder.exists())


async def test_folder_deleted_under_it(start: Callable[..., Other]) -> None:
    """A user whose folder somebody removed still leaves, and the server ends."""
    user = start()
    folder = Path((await user.server())["data_dir"])
    shutil.rmtree(folder)
    await user.leave()
    await eventually(lambda: not guards(folder))
