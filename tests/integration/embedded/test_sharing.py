import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from dashtam_embedded._locks import Lock
from integration.embedded.processes import (
    POSTGRES,
    Kind,
    Other,
    connected,
    eventually,
    get,
    guards,
    nothing_runs,
    put,
    servers,
    sleeper,
)

type Starter = Callable[..., Other]


async def test_one_server_for_all_until_the_last_is_killed(kind: Kind, reused: Path, start: Starter) -> None:
    """Two processes share a server; it survives the first's kill -9 and ends, unharmed, after the second's."""
    first, second = start(reused), start(reused)
    one, two = await asyncio.gather(first.server(), second.server())
    assert one["url"] == two["url"]
    await put(one["url"], "before", 1)
    first.kill()
    await put(two["url"], "after", 2)
    assert len(servers(reused)) == len(guards(reused)) == 1
    second.kill()
    await eventually(lambda: nothing_runs(reused))
    assert kind.clean_end in (reused / kind.name / "server.log").read_text()
    async with kind(reused) as server:
        assert [await get(server, name) for name in ("before", "after")] == [1, 2]


async def test_a_program_of_the_users_does_not_keep_the_server(kind: Kind, reused: Path) -> None:
    """What a user started and left behind is not a user."""
    with ExitStack() as stack:
        async with kind(reused):
            stack.enter_context(sleeper(close_fds=False))
        assert not servers(reused)


async def test_ctrl_c_ends_the_server_by_the_context(kind: Kind, reused: Path, start: Starter) -> None:
    """SIGINT to the user's terminal, which the server is not part of, stops it only as its context is left."""
    user = start(reused)
    await user.server()
    (server,) = servers(reused)
    assert os.getsid(server) != os.getsid(user.pid)
    os.killpg(user.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in await asyncio.to_thread(user.errors)
    assert not servers(reused)


async def test_a_killed_guard_takes_the_server_along(kind: Kind, reused: Path, start: Starter) -> None:
    """The next to open starts a new server beside the user who lost theirs; no data is lost."""
    user = start(reused)
    url = (await user.server())["url"]
    await put(url, "before_guard", 1)
    (guard,) = guards(reused)
    os.kill(guard, signal.SIGKILL)
    async with kind(reused) as server:
        assert await get(server, "before_guard") == 1
        assert len(servers(reused)) == 1
        await user.leave()
        assert await get(server, "before_guard") == 1
    await eventually(lambda: not servers(reused))


async def test_a_leftover_server_is_stopped_first(kind: Kind, reused: Path, start: Starter) -> None:
    """A server that outlived its guard, as it would where the kernel tells it nothing, makes room for the next."""
    user = start(reused)
    url = (await user.server())["url"]
    (leftover,), (guard,) = servers(reused), guards(reused)
    await put(url, "before_leftover", 1)
    async with connected(url):
        os.kill(leftover, signal.SIGSTOP)
        os.kill(guard, signal.SIGKILL)
        newcomer = kind(reused)
        opening = asyncio.create_task(newcomer.__aenter__())
        await asyncio.sleep(0.3)
        assert not opening.done()
        os.kill(leftover, signal.SIGCONT)
        assert await get(await opening, "before_leftover") == 1
        assert kind.clean_end in (reused / kind.name / "server.previous.log").read_text()
        assert leftover not in servers(reused)
        user.kill()
        await newcomer.__aexit__(None, None, None)


async def test_a_crashed_server_is_replaced(kind: Kind, reused: Path, start: Starter) -> None:
    """After kill -9 of the server itself the next to open recovers the data."""
    user = start(reused)
    url = (await user.server())["url"]
    await put(url, "before_crash", 1)
    (killed,) = servers(reused)
    os.kill(killed, signal.SIGKILL)
    async with kind(reused) as server:
        assert await get(server, "before_crash") == 1
    await user.leave()
    assert not servers(reused)


async def test_a_newcomer_waits_for_the_shut_down(kind: Kind, reused: Path) -> None:
    """Whoever comes while the last server is being stopped waits, then starts anew."""
    async with kind(reused):
        pass
    stopping = Lock(reused / kind.name / "users.lock")
    assert stopping.take()
    newcomer = kind(reused)
    opening = asyncio.create_task(newcomer.__aenter__())
    await asyncio.sleep(0.3)
    assert not opening.done()
    stopping.release()
    await put(await opening, "newcomer", 1)
    await newcomer.__aexit__(None, None, None)


async def test_coming_and_going(kind: Kind, reused: Path) -> None:
    """However openings and leavings overlap, every user gets a server that answers, and none is left."""

    async def use(number: int) -> None:
        await asyncio.sleep(number * 0.04)
        async with kind(reused) as server:
            await put(server, f"seen_{number}", number)

    await use(0)
    await asyncio.gather(*(use(number) for number in range(1, 16)))
    assert not servers(reused)
    async with kind(reused) as server:
        assert [await get(server, f"seen_{number}") for number in range(16)] == [*range(16)]


@pytest.mark.parametrize("kind", [POSTGRES], indirect=True, ids=["postgres"])  # the other's is made in no time
async def test_half_a_cluster_is_not_taken_for_one(kind: Kind, folder: Path, start: Starter) -> None:
    """A process killed while it prepares the data folder leaves nothing that the next one trusts."""
    user = start(folder)
    await eventually(lambda: list(folder.glob("postgres/half/data/*")))
    user.kill()
    assert not (folder / "postgres/cluster").exists()
    async with kind(folder) as server:
        await put(server, "whole", 1)
    await eventually(lambda: _left_over(folder) == ["cluster"])


def _left_over(folder: Path) -> list[str]:
    return [path.name for path in (folder / "postgres").iterdir() if path.is_dir()]


async def test_a_guard_that_is_told_to_end(kind: Kind, reused: Path, start: Starter) -> None:
    """As the machine goes down the guard stops the server cleanly before it ends."""
    user = start(reused)
    await user.server()
    (guard,) = guards(reused)
    os.kill(guard, signal.SIGTERM)
    await eventually(lambda: nothing_runs(reused))
    assert kind.clean_end in (reused / kind.name / "server.log").read_text()
    await user.leave()
