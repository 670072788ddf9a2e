"""An application of our own for the proofs: commands that leave marks, and what the database says of them."""

import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, cast

import asyncpg
import attrs

from dashtam_core import Dashtam, Settings, hookimpl
from dashtam_core.accounts import Account, AccountId, Accounts, AccountType
from dashtam_core.audit import Phase, Sealing
from dashtam_core.identity import ACCOUNTS_WRITE, OPERATOR, OWNER, ExternalSubject
from dashtam_core.kernel import (
    Currency,
    DomainError,
    ErrorCode,
    ErrorKind,
    Failure,
    Origin,
    Permission,
    Result,
    Subject,
    Success,
    new_id,
)
from dashtam_core.messaging import Command, DomainEvent, Notes, Outgoing
from dashtam_core.store import Store, UnitOfWork
from dashtam_files import OfxReader
from dashtam_postgres import PostgresStore
from dashtam_postgres._unit import PostgresUnit

FULL: Final = os.environ.get("HYPOTHESIS_PROFILE") == "prove"
SETTINGS: Final = Settings(key="k" * 32)
ORIGIN: Final = Origin("test", "192.0.2.1", "agent", "request")
"""With personal data, so that the person's key is looked for as well."""

OFX: Final = b"""OFXHEADER:100

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>%d<ACCTTYPE>CHECKING
</BANKACCTFROM><BANKTRANLIST><STMTTRN><TRNTYPE>POS<DTPOSTED>20260102<TRNAMT>-1.00<FITID>%b<NAME>x</STMTTRN>
</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"""
"""One account with one transaction, which two files share only if they say so."""
LOST: Final = (Phase.ATTEMPTED, Phase.INDETERMINATE)
DONE: Final = (Phase.ATTEMPTED, Phase.SUCCEEDED)
FAILED: Final = (Phase.ATTEMPTED, Phase.FAILED)


def size(ordinary: int, full: int) -> int:
    """How much of a proof this run does."""
    return full if FULL else ordinary


def tell(proof: str, **figures: object) -> None:
    """One line with what was counted, for whoever runs with `-s`."""
    sys.stdout.write(f"\n{proof}: {', '.join(f'{name} {value}' for name, value in figures.items())}\n")


class Code(ErrorCode):
    REFUSED = "refused_on_purpose", ErrorKind.CONFLICT


@attrs.frozen
class Marked(DomainEvent):
    """Nobody asked to hear of this: it stays in the outbox, to be counted."""

    mark: str


@attrs.frozen
class Called(DomainEvent):
    """A durable subscriber hears of this."""

    mark: str


@attrs.frozen
class Mark(Command[str, DomainError[Code]]):
    """Leaves one account of this name, and one event; then waits in the transaction, or fails, as it is told."""

    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "mark"
    mark: str
    hold: float = 0.0
    refuse: bool = False
    call: bool = False

    @property
    def resource_id(self) -> str | None:
        return self.mark


@attrs.frozen
class MarkHandler:
    accounts: Accounts
    outgoing: Outgoing
    notes: Notes
    unit: UnitOfWork

    async def apply(self, command: Mark, /) -> Result[str, DomainError[Code]]:
        await self.accounts.add_accounts([account(command.mark)])
        self.outgoing.emit(Called(command.mark) if command.call else Marked(command.mark))
        self.notes.privately(note=command.mark)
        await INSIDE(command.mark)
        if command.hold:
            await raw(self.unit).execute("SELECT pg_sleep($1)", command.hold)
        if command.refuse:
            return Failure(DomainError(Code.REFUSED, "on purpose"))
        return Success(f"marked {command.mark}")


class Inside:
    """What happens inside the next transactions, after their write: nothing, unless a test says otherwise."""

    def __init__(self) -> None:
        self.does: Callable[[str], Any] | None = None

    async def __call__(self, mark: str) -> None:
        if self.does is not None:
            await self.does(mark)


INSIDE: Final = Inside()
ROUTES: Final = (Mark.handled_by(MarkHandler),)


class Readers:
    @hookimpl
    def dashtam_readers(self) -> list[OfxReader]:
        return [OfxReader()]


def raw(unit: Any) -> "asyncpg.Connection[Any]":
    return cast("PostgresUnit", unit).raw


def account(name: str) -> Account:
    """A new one each time, whatever its name: what is done twice is there twice."""
    id_ = new_id()
    return Account(
        account_id=AccountId(id_),
        provider="mark",
        account_key=id_.bytes,
        name=name,
        account_type=AccountType.OTHER,
        currency=Currency("EUR"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def statement(number: int, transaction: str) -> bytes:
    """A file with one transaction of an account."""
    return OFX % (number, transaction.encode())


def person(number: int) -> Subject:
    return ExternalSubject(f"person {number}", OWNER | OPERATOR)


@asynccontextmanager
async def application(store: Store, *, workers: bool = False, **more: Any) -> AsyncGenerator[Dashtam]:
    async with Dashtam.open(
        settings=SETTINGS, store=store, plugins=[Readers()], routes=ROUTES, workers=workers, **more
    ) as dashtam:
        yield dashtam


async def marked(
    dashtam: Dashtam, mark: str, *, who: int = 0, key: str | None = None, **how: Any
) -> Result[Any, Any]:
    return await dashtam.run(Mark(mark, **how), person(who), ORIGIN, key)


async def sweep(dashtam: Dashtam) -> int:
    """Closes every attempt without an outcome, however young."""
    return await dashtam.container.get(Sealing).sweep(timedelta(0))


@attrs.frozen
class Books:
    """What the database says of each mark: how often its state and event are there, and every attempt."""

    state: Counter[str]
    events: Counter[str]
    attempts: dict[str, list[tuple[str, ...]]]

    def ends(self, phase: Phase) -> Counter[str]:
        """How many attempts at each mark ended so."""
        found = Counter({mark: _count(phases, phase) for mark, phases in self.attempts.items()})
        return +found

    def check(self) -> None:
        """State, audit trail and outbox agree, and every attempt has one outcome."""
        odd = {
            mark: attempts
            for mark, attempts in self.attempts.items()
            if not all(_is_closed(phases) for phases in attempts)
        }
        assert not odd, f"attempts without exactly one outcome: {odd}"
        assert self.state == self.ends(Phase.SUCCEEDED), (
            "state is there without its entry, or the other way around"
        )
        assert self.events == self.state, "events are lost, or there are too many"


def _count(attempts: Sequence[tuple[str, ...]], phase: Phase) -> int:
    return sum(phase in phases for phases in attempts)


def _is_closed(phases: tuple[str, ...]) -> bool:
    match phases:
        case ("attempted", outcome):
            return Phase(outcome).ends and outcome != "denied"
        case ("denied",) | ("replayed",):
            return True
        case _:
            return False


async def books(admin_url: str) -> Books:
    """Everything that is there of our marks, but for the events that somebody hears."""
    async with connection(admin_url) as owner:
        state = await owner.fetch(
            "SELECT name, count(*) AS n FROM dashtam.account WHERE provider = 'mark' GROUP BY 1"
        )
        events = await owner.fetch(
            "SELECT payload::json->>'mark' AS name, count(*) AS n FROM dashtam.outbox "
            "WHERE name = 'Marked' GROUP BY 1"
        )
        entries = await owner.fetch(
            "SELECT resource_id, array_agg(phase ORDER BY recorded_at, phase) AS phases FROM dashtam.audit_entry "
            "WHERE action = 'mark' GROUP BY attempt_id, resource_id"
        )
    attempts: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
    for row in entries:
        attempts[row["resource_id"]].append(tuple(row["phases"]))
    return Books(_counter(state), _counter(events), attempts)


def _counter(rows: Iterable[Any]) -> Counter[str]:
    return Counter({row["name"]: row["n"] for row in rows})


@asynccontextmanager
async def connection(url: str) -> AsyncGenerator["asyncpg.Connection[Any]"]:
    opened = await asyncpg.connect(url)
    try:
        yield opened
    finally:
        await opened.close()


async def execute(url: str, *statements: str) -> None:
    async with connection(url) as opened:
        for statement in statements:
            await opened.execute(statement)


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Waits until the condition, an async function, holds: long, since only its never holding is a failure."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - servers set no event
            await asyncio.sleep(0.02)


async def nothing_open(admin_url: str, *, seconds: float = 30.0) -> None:
    """Waits until no client has a transaction open on this database."""
    async with connection(admin_url) as owner:

        async def closed() -> bool:
            return not await owner.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL"
            )

        await until(closed, seconds)


def taken(store: PostgresStore) -> int:
    """How many of the pool's connections are with somebody."""
    pool: Any = store.engine.pool
    return int(pool.checkedout())


async def all_given_back(store: PostgresStore) -> None:
    async def none() -> bool:
        return taken(store) == 0

    await until(none, 30)
