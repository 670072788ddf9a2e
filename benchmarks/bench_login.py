"""Logging in on PostgreSQL: beside one argon2id verification, in a storm, and for addresses that nobody has.

Run: `.venv/bin/python benchmarks/bench_login.py [attempts]`, 1,000 for each sort by default. Prints wall time and
CPU of a log-in beside those of the verification in it; the lag of the event loop while 64 clients log in without a
pause; the medians of wrong log-ins at known and at unknown addresses, one of each in either order, and how likely
that is if both come from one distribution (Mann and Whitney); and 64 refreshes of one token at a time.
"""

import asyncio
import math
import random
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from bench_http import Lag

import dashtam_embedded
from dashtam_core import Actor, Dashtam, Settings, UnavailableError, provide
from dashtam_core.audit import PersonalVault
from dashtam_core.identity import (
    Allowance,
    Argon2Hasher,
    Claims,
    Credential,
    CredentialId,
    CredentialKind,
    EmailAddress,
    LogIn,
    Rate,
    RateLimiter,
    RefreshSession,
    Role,
    User,
    UserStatus,
)
from dashtam_core.kernel import ANONYMOUS, Origin, Subject, UserId, new_id
from dashtam_core.store import identity_store
from dashtam_postgres import upgrade

PASSWORD = "violet harbour gravel 77"
STORM_SECONDS = 5.0
CLIENTS = 64


class Unlimited:
    """Lets everything pass: what is measured here is what comes after the limits."""

    async def take(self, wanted: Mapping[str, Rate], /) -> Allowance:
        assert wanted
        return Allowance(0.0)


@asynccontextmanager
async def opened() -> AsyncGenerator[Dashtam]:
    async with dashtam_embedded.postgres() as server:
        await upgrade(server.admin_url, app_role="dashtam_app", app_password="bench")
        url = f"postgresql://dashtam_app:bench@{server.admin_url.rpartition('@')[2]}"
        free = [provide(RateLimiter).by(Unlimited)]
        async with Dashtam.open(
            settings=Settings(store_url=url, key="k" * 32, slow_seconds=60), overrides=free
        ) as dashtam:
            yield dashtam


async def have(dashtam: Dashtam, addresses: list[str], encoded: str) -> None:
    """People with one password, put into the store without hashing it for each, and with the key that each has."""
    vault = dashtam.container.get(PersonalVault)
    claims, store, now = dashtam.container.get(Claims), identity_store(dashtam.store), datetime.now(UTC)
    for text in addresses:
        user_id, address = UserId(new_id()), EmailAddress.parse(text).unwrap()
        await vault.sealing(user_id)
        async with store.unit_of_work(Subject(user_id, frozenset())) as unit:
            await unit.users.add(User(user_id, address, Role.USER, UserStatus.ACTIVE, now))
            await unit.users.claim(claims.lookup_key(address.folded))
            await unit.credentials.add(
                Credential(
                    credential_id=CredentialId(new_id()),
                    user_id=user_id,
                    kind=CredentialKind.PASSWORD,
                    created_at=now,
                    data=encoded,
                )
            )


async def cost(work: Callable[[], Awaitable[object]], times: int) -> tuple[float, float]:
    """Median wall time and mean CPU of this process, in milliseconds."""
    walls = list[float]()
    began = time.process_time()
    for _ in range(times):
        start = time.perf_counter()
        await work()
        walls.append((time.perf_counter() - start) * 1e3)
    return statistics.median(walls), (time.process_time() - began) / times * 1e3


async def beside_one_verification(nobody: Actor, hasher: Argon2Hasher, encoded: str, address: str) -> None:
    await cost(lambda: nobody.execute(LogIn(address, PASSWORD)), 20)  # to warm up
    verify = await cost(lambda: hasher.verify(encoded, PASSWORD), 200)
    log_in = await cost(lambda: nobody.execute(LogIn(address, PASSWORD)), 200)
    for name, (wall, cpu) in (("argon2id verification", verify), ("log-in", log_in)):
        print(f"{name:24} {wall:6.1f} ms  CPU {cpu:6.1f} ms")
    print(f"{'log-in / verification':24} {log_in[0] / verify[0]:6.2f} x   CPU {log_in[1] / verify[1]:6.2f} x")


async def storm(dashtam: Dashtam, addresses: list[str]) -> None:
    lag, counts = Lag(), {"in": 0, "turned away": 0}
    until = time.perf_counter() + STORM_SECONDS

    async def client(number: int) -> None:
        nobody = dashtam.acting_as(ANONYMOUS, Origin("http", f"10.0.0.{number}"))
        while time.perf_counter() < until:
            try:
                (await nobody.execute(LogIn(addresses[number % len(addresses)], PASSWORD))).unwrap()
                counts["in"] += 1
            except UnavailableError:
                counts["turned away"] += 1
                await asyncio.sleep(0.1)

    sampler = asyncio.create_task(lag.sample())
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    sampler.cancel()
    print(f"storm of {CLIENTS} clients: {counts['in'] / STORM_SECONDS:.0f} log-ins/s, {counts}  {lag}")


async def alike(nobody: Actor, addresses: list[str]) -> None:
    known, unknown = list[float](), list[float]()
    for number, address in enumerate(addresses):
        pair = [(known, address), (unknown, f"nobody{number}@example.org")]
        for times, text in random.sample(pair, 2):  # neither is always the one after the other
            start = time.perf_counter()
            await nobody.execute(LogIn(text, "not the password of it"))
            times.append((time.perf_counter() - start) * 1e3)
    medians = f"known {statistics.median(known):.2f} ms, unknown {statistics.median(unknown):.2f} ms"
    print(f"{len(known)} wrong log-ins each: {medians}, p = {mann_whitney(known, unknown):.3f}")


def mann_whitney(one: list[float], other: list[float]) -> float:
    """Two-sided, by the normal approximation, which is exact enough from some dozens on."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    rank_sum = sum(rank for rank, (_, group) in enumerate(ranked, 1) if group == 0)
    n, m = len(one), len(other)
    u = rank_sum - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


async def refreshes(nobody: Actor, address: str, rounds: int) -> None:
    token = (await nobody.execute(LogIn(address, PASSWORD))).unwrap().refresh_token
    successors, refused = set[int](), 0
    began = time.perf_counter()
    for _ in range(rounds):
        asked: RefreshSession = RefreshSession(token)
        answers = await asyncio.gather(*(nobody.execute(asked) for _ in range(CLIENTS)))
        refused += sum(each.value_or(None) is None for each in answers)
        found = {each.unwrap().refresh_token for each in answers if each.value_or(None)}
        successors.add(len(found))
        token = found.pop()
    each = (time.perf_counter() - began) / rounds / CLIENTS * 1e3
    told = f"successors {successors}, refused {refused}, {each:.2f} ms each"
    print(f"{rounds} times {CLIENTS} refreshes of one token: {told}")


async def main(attempts: int) -> None:
    async with opened() as dashtam:
        hasher = Argon2Hasher()
        encoded, nobody = await hasher.hash(PASSWORD), dashtam.acting_as(ANONYMOUS, Origin("http", "10.0.0.1"))
        addresses = [f"person{number}@example.org" for number in range(attempts)]
        await have(dashtam, addresses, encoded)
        await beside_one_verification(nobody, hasher, encoded, addresses[0])
        await storm(dashtam, addresses)
        await alike(nobody, addresses)
        await refreshes(nobody, addresses[1], max(1, attempts // 10))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 1_000))
