import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import asyncpg

import dashtam_embedded
from dashtam_embedded._locks import Lock
from integration.embedded.processes import Other, eventually, guards, nothing_runs, postmasters, query, sleeper

type Starter = Callable[..., Other]


async def test_one_server_for_all_until_the_last_is_killed(reused: Path, start: Starter) -> None:
    """Two processes share a server; it survives the first's kill -9 and ends, unharmed, after the second's."""
    first, second = start(reused), start(reused)
    one, two = await asyncio.gather(first.server(), second.server())
    assert one["url"] == two["url"]
    await query(one["url"], "CREATE TABLE shared AS SELECT 1 AS n")
    first.kill()
    assert await query(two["url"], "INSERT INTO shared VALUES (2) RETURNING n") == 2
    assert len(postmasters(reused)) == len(guards(reused)) == 1
    second.kill()
    await eventually(lambda: nothing_runs(reused))
    async with dashtam_embedded.postgres(reused) as server:
        assert await query(server.admin_url, "SELECT count(*) FROM shared") == 2
        assert "was shut down at" in server.log_file.read_text()  # and so needed no recovery


async def test_a_program_of_the_users_does_not_keep_the_server(reused: Path) -> None:
    """What a user started and left behind is not a user."""
    with ExitStack() as stack:
        async with dashtam_embedded.postgres(reused):
            stack.enter_context(sleeper(close_fds=False))
        assert not postmasters(reused)


async def test_ctrl_c_ends_the_server_by_the_context(reused: Path, start: Starter) -> None:
    """SIGINT to the user's terminal, which the server is not part of, stops it only as its context is left."""
    user = start(reused)
    await user.server()
    (postmaster,) = postmasters(reused)
    assert os.getsid(postmaster) != os.getsid(user.pid)
    os.killpg(user.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in await asyncio.to_thread(user.errors)
    assert not postmasters(reused)


async def test_a_killed_guard_takes_the_server_along(reused: Path, start: Starter) -> None:
    """The next to open starts a new server beside the user who lost theirs; no data is lost."""
    user = start(reused)
    url = (await user.server())["url"]
    await query(url, "CREATE TABLE before_guard AS SELECT 1 AS n")
    (guard,) = guards(reused)
    os.kill(guard, signal.SIGKILL)
    async with dashtam_embedded.postgres(reused) as server:
        assert await query(server.admin_url, "SELECT n FROM before_guard") == 1
        assert len(postmasters(reused)) == 1
        await user.leave()
        assert await query(server.admin_url, "SELECT n FROM before_guard") == 1
    assert not postmasters(reused)


async def test_a_leftover_server_is_stopped_first(reused: Path, start: Starter) -> None:
    """A server that outlived its guard, as it would where the kernel tells it nothing, makes room for the next."""
    user = start(reused)
    url = (await user.server())["url"]
    (postmaster,), (guard,) = postmasters(reused), guards(reused)
    connection = await asyncpg.connect(url)
    os.kill(postmaster, signal.SIGSTOP)
    os.kill(guard, signal.SIGKILL)
    newcomer = dashtam_embedded.postgres(reused)
    opening = asyncio.create_task(newcomer.__aenter__())
    await asyncio.sleep(0.3)
    assert not opening.done()
    os.kill(postmaster, signal.SIGCONT)
    assert await query((await opening).admin_url, "SELECT 1") == 1
    assert postmaster not in postmasters(reused)
    user.kill()
    await newcomer.__aexit__(None, None, None)
    connection.terminate()


async def test_a_crashed_server_is_replaced(reused: Path, start: Starter) -> None:
    """After kill -9 of PostgreSQL itself the next to open recovers the data."""
    user = start(reused)
    url = (await user.server())["url"]
    await query(url, "CREATE TABLE before_crash AS SELECT 1 AS n")
    (postmaster,) = postmasters(reused)
    os.kill(postmaster, signal.SIGKILL)
    async with dashtam_embedded.postgres(reused) as server:
        assert await query(server.admin_url, "SELECT n FROM before_crash") == 1
    await user.leave()
    assert not postmasters(reused)


async def test_a_newcomer_waits_for_the_shut_down(reused: Path) -> None:
    """Whoever comes while the last server is being stopped waits, then starts anew."""
    async with dashtam_embedded.postgres(reused):
        pass
    stopping = Lock(reused / "postgres/users.lock")
    assert stopping.take()
    newcomer = dashtam_embedded.postgres(reused)
    opening = asyncio.create_task(newcomer.__aenter__())
    await asyncio.sleep(0.3)
    assert not opening.done()
    stopping.release()
    assert await query((await opening).admin_url, "SELECT 1") == 1
    await newcomer.__aexit__(None, None, None)


async def test_coming_and_going(reused: Path) -> None:
    """However openings and leavings overlap, every user gets a server that answers, and none is left."""

    async def use(number: int) -> None:
        await asyncio.sleep(number * 0.04)
        async with dashtam_embedded.postgres(reused) as server:
            await query(
                server.admin_url, "CREATE TABLE IF NOT EXISTS seen (n int)", f"INSERT INTO seen VALUES ({number})"
            )

    await use(0)
    await asyncio.gather(*(use(number) for number in range(1, 16)))
    assert not postmasters(reused)
    async with dashtam_embedded.postgres(reused) as server:
        assert await query(server.admin_url, "SELECT count(*) FROM seen") == 16


async def test_half_a_cluster_is_not_taken_for_one(folder: Path, start: Starter) -> None:
    """A process killed while it prepares the data folder leaves nothing that the next one trusts."""
    user = start(folder)
    await eventually(lambda: list(folder.glob("postgres/half/data/*")))
    user.kill()
    assert not (folder / "postgres/cluster").exists()
    async with dashtam_embedded.postgres(folder) as server:
        assert await query(server.admin_url, "SELECT 1") == 1
    await eventually(lambda: _left_over(folder) == ["cluster"])


def _left_over(folder: Path) -> list[str]:
    return [path.name for path in (folder / "postgres").iterdir() if path.is_dir()]


async def test_a_guard_that_is_told_to_end(reused: Path, start: Starter) -> None:
    """As the machine goes down the guard stops the server cleanly before it ends."""
    user = start(reused)
    await user.server()
    (guard,) = guards(reused)
    os.kill(guard, signal.SIGTERM)
    await eventually(lambda: nothing_runs(reused))
    assert "database system is shut down" in (reused / "postgres/server.log").read_text()
    await user.leave()
