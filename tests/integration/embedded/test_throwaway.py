import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import dashtam_embedded
from integration.embedded.processes import Other, eventually, guards, nothing_runs, postmasters, query


async def test_nothing_is_left() -> None:
    """A throw-away server trades durability for speed and goes with its folder."""
    async with dashtam_embedded.postgres() as server:
        assert await query(server.admin_url, "SHOW fsync") == "off"
        assert server.log_file.is_file()
    assert not server.data_dir.exists()
    assert nothing_runs(server.data_dir)


async def test_nothing_is_left_by_a_killed_process(start: Callable[..., Other]) -> None:
    """The guard ends the server and removes the folder of a user that was killed with kill -9."""
    user = start()
    folder = Path((await user.server())["data_dir"])
    user.kill()
    await eventually(lambda: nothing_runs(folder) and not folder.exists())


async def test_leftovers_are_swept(start: Callable[..., Other]) -> None:
    """Where the guard was killed as well, the next start removes the folder, and no other's."""
    killed, alive = start(), start()
    folder, other_folder = [Path((await user.server())["data_dir"]) for user in (killed, alive)]
    (guard,) = guards(folder)
    os.kill(guard, signal.SIGKILL)
    killed.kill()
    await eventually(lambda: nothing_runs(folder))
    async with dashtam_embedded.postgres():
        assert not folder.exists()
        assert len(postmasters(other_folder)) == 1
    await alive.leave()
    assert not other_folder.exists()


async def test_folder_deleted_under_it(start: Callable[..., Other]) -> None:
    """A user whose folder somebody removed still leaves, and the server ends."""
    user = start()
    folder = Path((await user.server())["data_dir"])
    shutil.rmtree(folder)
    await user.leave()
    await eventually(lambda: not guards(folder))
