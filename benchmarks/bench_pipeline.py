"""A command through the whole pipeline in memory, beside a direct call of its handler.

Run: `.venv/bin/python benchmarks/bench_pipeline.py`. The handler makes one entity and stores it. The pipeline adds
log context, authorization, the attempt and its outcome in the audit trail, the transaction and the events' way.
Prints CPU and wall time of one command, medians of interleaved repeats, and the ratio to the direct call.
"""

import asyncio
import gc
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import attrs

from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import Account, AccountId, Accounts, AccountType
from dashtam_core.identity import ACCOUNTS_WRITE, ExternalSubject
from dashtam_core.kernel import Currency, Origin, Permission, Result, Success, new_id
from dashtam_core.memory import MemoryStore
from dashtam_core.messaging import Command, Refused

COMMANDS = 2000
REPEATS = 15
EUR = Currency("EUR")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FROM_WEB = Origin("http", "192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64)", "01890a5d-ac96-774b-bcce-b302099a8057")


@attrs.frozen
class OpenAccount(Command[AccountId, Refused]):
    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "account"
    name: str


@attrs.frozen
class OpenAccountHandler:
    accounts: Accounts

    async def apply(self, command: OpenAccount, /) -> Result[AccountId, Refused]:
        account_id = AccountId(new_id())
        account = Account(
            account_id=account_id,
            provider="bench",
            account_key=account_id.bytes,
            name=command.name,
            account_type=AccountType.CHECKING,
            currency=EUR,
            created_at=NOW,
        )
        await self.accounts.add_accounts([account])
        return Success(account_id)


async def main() -> None:
    """Measures each way in turn, and prints the table."""
    ann, command, store = ExternalSubject("ann"), OpenAccount("Checking"), MemoryStore()
    route = OpenAccount.handled_by(OpenAccountHandler)
    async with Dashtam.open(
        settings=Settings(master_key="k" * 32), store=store, plugins=(), routes=[route], workers=False
    ) as dashtam:
        me, web = dashtam.acting_as(ann), dashtam.acting_as(ann, FROM_WEB)

        async def direct(count: int) -> None:
            async with store.unit_of_work(ann) as unit:
                handler = OpenAccountHandler(unit.accounts)
                for _ in range(count):
                    await handler.apply(command)

        async def through(actor: Any, count: int) -> None:
            for _ in range(count):
                await actor.execute(command)

        ways: dict[str, Callable[[int], Awaitable[None]]] = {
            "direct call": direct,
            "pipeline": lambda count: through(me, count),
            "pipeline, address and agent encrypted": lambda count: through(web, count),
        }
        report(await measured(ways, store))


async def measured(
    ways: dict[str, Callable[[int], Awaitable[None]]], store: MemoryStore
) -> dict[str, list[tuple[float, float]]]:
    """CPU and wall seconds of one command, for each way and repeat."""
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for repeat in range(REPEATS + 1):
        for name, run in ways.items():
            store.people.clear()
            store.trail.entries.clear()
            gc.collect()
            gc.disable()
            cpu, wall = time.process_time(), time.perf_counter()
            await run(COMMANDS)
            spent = (time.process_time() - cpu) / COMMANDS, (time.perf_counter() - wall) / COMMANDS
            gc.enable()
            if repeat:  # the first warms up
                times[name].append(spent)
    return times


def report(times: dict[str, list[tuple[float, float]]]) -> None:
    bare = times["direct call"]
    print(f"{COMMANDS} commands, {REPEATS} repeats    CPU µs   wall µs     ratio (CPU)")
    for name, spent in times.items():
        cpu = statistics.median(each for each, _ in spent)
        wall = statistics.median(each for _, each in spent)
        ratio = statistics.median(each / base for (each, _), (base, _) in zip(spent, bare, strict=True))
        print(f"{name:38} {cpu * 1e6:6.1f} {wall * 1e6:9.1f} {ratio:9.2f}x")


if __name__ == "__main__":
    asyncio.run(main())
