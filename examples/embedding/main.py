"""Dashtam inside a program of your own: your users, your command, your port and your clock. No server.

Run it with `python main.py`, after `pip install dashtam-core dashtam-files`.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar, Protocol

import attrs

from dashtam_core import Actor, Dashtam, Failure, Result, Settings, Success, provide
from dashtam_core.accounts import (
    Accounts,
    BalanceKind,
    ImportFailed,
    ImportStatement,
    ListAccounts,
    ListTransactions,
    StatementImported,
)
from dashtam_core.identity import ACCOUNTS_WRITE, ExternalSubject
from dashtam_core.kernel import Clock, DomainError, ErrorCode, ErrorKind, Money, Permission, Subject, UserId
from dashtam_core.memory import FixedClock
from dashtam_core.messaging import Command, DomainEvent, Outgoing, Refused

JUNE = Path(__file__).with_name("june.ofx")


class GoalCode(ErrorCode):
    """Codes of this program, beside those of Dashtam."""

    TARGET_INVALID = "target_invalid", ErrorKind.INVALID


@attrs.frozen
class GoalRefused(DomainError[GoalCode]):
    """A goal that cannot be set as asked."""


class Goals(Protocol):
    """Where savings goals are kept: a port, so that the handler does not know where that is."""

    async def put(self, user_id: UserId, name: str, target: Money, /) -> None: ...


class GoalsInMemory:
    """An adapter of the port: it fits, and inherits nothing.

    One over your database takes the `UnitOfWork` as well, and writes in the transaction of the command.
    """

    def __init__(self) -> None:
        self.kept: dict[tuple[UserId, str], Money] = {}

    async def put(self, user_id: UserId, name: str, target: Money, /) -> None:
        self.kept[user_id, name] = target


@attrs.frozen
class GoalSet(DomainEvent):
    """A person has a new goal. Told after the commit, to whoever subscribed."""

    user_id: UserId
    name: str


@attrs.frozen
class SetGoal(Command[Money, GoalRefused]):
    """Save up to `target`. The answer is what the accounts in its currency still lack."""

    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "goal"
    name: str
    target: Money


@attrs.frozen
class SetGoalHandler:
    """Its fields are filled by their types: `accounts` works in this command's transaction, for this subject."""

    accounts: Accounts
    goals: Goals
    subject: Subject
    outgoing: Outgoing

    async def apply(self, command: SetGoal, /) -> Result[Money, GoalRefused]:
        target = command.target
        if target.amount <= 0:
            message = f"{target} is nothing to save: name an amount above zero"
            return Failure(GoalRefused(GoalCode.TARGET_INVALID, message))
        await self.goals.put(self.subject.user_id, command.name, target)
        self.outgoing.emit(GoalSet(self.subject.user_id, command.name))
        missing = target
        for overview in await self.accounts.list_accounts(after=None, limit=500):
            for balance in overview.balances:
                if balance.kind is BalanceKind.LEDGER and balance.amount.currency == target.currency:
                    missing -= balance.amount
        return Success(missing)


async def hear_import(event: StatementImported) -> None:
    print(f"  (event: {event.added} new transactions in {len(event.account_ids)} accounts)")


async def hear_goal(event: GoalSet) -> None:
    print(f"  (event: a goal called {event.name!r})")


async def take_in(me: Actor, data: bytes) -> None:
    """Imports a file, and tells what came of it: refusals are values, and the checkers know each of them."""
    match await me.execute(ImportStatement(data, filename="june.ofx")):
        case Success(report):
            news = "known, nothing to do" if report.already_imported else f"{report.document.added} added"
            print(f"{report.document.format} of {report.document.imported_at:%Y-%m-%d}: {news}")
        case Failure(error):
            match error:
                case ImportFailed():
                    print(f"{error.code}: {error.message}")
                case Refused():
                    print(f"not allowed: {error.message}")


async def show(me: Actor) -> None:
    """Prints the accounts with their balances, and the latest transactions."""
    for each in (await me.ask(ListAccounts())).unwrap().items:
        print(each.account.name, *(f"{balance.kind}: {balance.amount}" for balance in each.balances))
    for row in (await me.ask(ListTransactions(limit=3))).unwrap().items:
        print(f"{row.posted_date} {row.amount.text:>8} {row.amount.currency}  {row.description}")


async def set_goal(me: Actor, target: str) -> None:
    match await me.execute(SetGoal("a piano", Money.parse(target, "EUR").unwrap())):
        case Success(missing):
            print(f"{missing} to go")
        case Failure(error):
            print(f"{error.code}: {error.message}")


async def main() -> None:
    goals = GoalsInMemory()
    clock = FixedClock(datetime(2026, 7, 1, 9, 30, tzinfo=UTC))
    async with Dashtam.open(
        settings=Settings(),  # these, instead of the environment's: data lives in memory
        routes=[SetGoal.handled_by(SetGoalHandler)],
        overrides=[provide(Goals).value(goals), provide(Clock).value(clock)],
        subscriptions=[StatementImported.heard_by(hear_import), GoalSet.heard_by(hear_goal)],
    ) as dashtam:
        ann = dashtam.acting_as(ExternalSubject("shop|ann"))  # your user, by the id you have for them
        await take_in(ann, JUNE.read_bytes())
        await take_in(ann, JUNE.read_bytes())  # the same file again changes nothing, and tells nobody
        await take_in(ann, b"Dear customer, ...")
        await show(ann)
        await set_goal(ann, "12000")
        await set_goal(ann, "0")
        ben = dashtam.acting_as(ExternalSubject("shop|ben"))
        print(f"Ben sees {len((await ben.ask(ListTransactions())).unwrap().items)} transactions")
    assert len(goals.kept) == 1, "what was refused is not kept"


if __name__ == "__main__":
    asyncio.run(main())
