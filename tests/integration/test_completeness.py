"""State, audit trail and outbox agree, whatever becomes of a command: every command, every way to end.

Run `pytest -s tests/integration/test_completeness.py` to see the matrix.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, Final
from uuid import UUID

import asyncpg
import attrs
from sqlalchemy import text

from dashtam_core import Dashtam, Settings, hookimpl
from dashtam_core import accounts as accounts_room
from dashtam_core import audit as audit_room
from dashtam_core import identity as identity_room
from dashtam_core import messaging as messaging_room
from dashtam_core import portfolio as portfolio_room
from dashtam_core.accounts import (
    Account,
    AccountId,
    Accounts,
    AccountType,
    AnnotateTransaction,
    Annotation,
    ClearAnnotation,
    ImportStatement,
    TransactionId,
)
from dashtam_core.audit import Attempt, EntryFilter, Outcome, Phase, RecordedEntry, SealAuditLog, Sealing
from dashtam_core.identity import OPERATOR, OWNER, CreateApiToken, EraseUser, ExternalSubject
from dashtam_core.kernel import (
    Currency,
    DomainError,
    ErrorCode,
    ErrorKind,
    Failure,
    Origin,
    Result,
    Subject,
    UnavailableCode,
    UnavailableError,
    new_id,
)
from dashtam_core.memory import MemoryStore
from dashtam_core.messaging import (
    Answer,
    Call,
    Command,
    DomainEvent,
    ForgetSubscriber,
    Next,
    Outgoing,
    RetryDeadLetters,
    Stage,
    chain,
    emit,
    prepare,
    transaction,
)
from dashtam_core.portfolio import DecideMatch, ForgetDecision, Match, MatchKind, MatchState
from dashtam_core.store import Store, UnitOfWork
from dashtam_core.testing.samples import row
from dashtam_files import OfxReader
from dashtam_postgres import PostgresStore
from dashtam_postgres._unit import PostgresUnit

OFX: Final = b"""OFXHEADER:100

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>%d<ACCTTYPE>CHECKING
</BANKACCTFROM><BANKTRANLIST><STMTTRN><TRNTYPE>POS<DTPOSTED>20260102<TRNAMT>-1.00<FITID>a<NAME>x</STMTTRN>
</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"""
"""One account with one transaction; %d makes it a new one."""

COMMANDS: Final[dict[type[Command[Any, Any]], Callable[[int], Command[Any, Any]]]] = {
    ImportStatement: lambda n: ImportStatement(OFX % n),
    CreateApiToken: lambda n: CreateApiToken(f"token {n}"),
    EraseUser: lambda _: EraseUser(),
    RetryDeadLetters: lambda _: RetryDeadLetters(),
    ForgetSubscriber: lambda _: ForgetSubscriber("gone"),
    SealAuditLog: lambda _: SealAuditLog(),
    AnnotateTransaction: lambda n: AnnotateTransaction(transaction_id=legs(n)[0], note="mine"),
    ClearAnnotation: lambda n: ClearAnnotation(legs(n)[0]),
    DecideMatch: lambda n: DecideMatch(kind=MatchKind.TRANSFER, state=MatchState.CONFIRMED, **pair(n)),
    ForgetDecision: lambda n: ForgetDecision(kind=MatchKind.DUPLICATE, **pair(n)),
}
"""Every command of the core, and how to make one that would succeed."""
ON_LEGS: Final = {AnnotateTransaction, ClearAnnotation, DecideMatch, ForgetDecision}

CRASHES: Final[dict[str, tuple[Any, bool]]] = {
    "crash before the attempt": (Attempt, False),
    "crash after the attempt": (prepare, False),
    "crash before the transaction": (transaction, False),
    "crash in the transaction": (Outcome, False),
    "crash before the handler": (emit, False),
    "crash after the handler": (emit, True),
    "crash before the commit": (Outcome, True),
    "crash after the commit": (transaction, True),
    "lost reply to the commit": (transaction, True),
}
"""Which stage a crash comes before, or after."""

LOST: Final = (Phase.ATTEMPTED, Phase.INDETERMINATE)
DONE: Final = (Phase.ATTEMPTED, Phase.SUCCEEDED)
FAILED: Final = (Phase.ATTEMPTED, Phase.FAILED)

EXPECTED: Final[dict[str, tuple[tuple[Phase, ...], int, int]]] = {
    "success": (DONE, 1, 1),
    "failure": (FAILED, 0, 0),
    "failure with effects": (FAILED, 1, 1),
    "denied": ((Phase.DENIED,), 0, 0),
    "replayed": ((Phase.REPLAYED,), 0, 0),
    "database error": (FAILED, 0, 0),
    "a bug": (FAILED, 0, 0),
    "cancelled": (LOST, 0, 0),
    "crash before the attempt": ((), 0, 0),
    "crash after the attempt": (LOST, 0, 0),
    "crash before the transaction": (LOST, 0, 0),
    "crash in the transaction": (LOST, 0, 0),
    "crash before the handler": (LOST, 0, 0),
    "crash in the handler": (LOST, 0, 0),
    "crash after the handler": (LOST, 0, 0),
    "crash before the commit": (LOST, 0, 0),
    "crash after the commit": (DONE, 1, 1),
    "lost reply to the commit": (DONE, 1, 1),
}
"""For each way to end: the entries after the sweeper, and how many marks and events there are of it."""

MARK: Final = "mark"


class Code(ErrorCode):
    REFUSED = "refused_on_purpose", ErrorKind.CONFLICT


class Crash(BaseException):
    """What follows does not happen."""


@attrs.frozen
class Marked(DomainEvent):
    """Comes with every command here that succeeds."""


@attrs.frozen
class Survived(DomainEvent):
    """Comes with a command that fails and says so all the same."""


@attrs.define
class Plan:
    """How the next command is to end."""

    ends: str = "success"
    reached: asyncio.Event = attrs.field(factory=asyncio.Event)


@attrs.frozen
class Marking:
    """A handler that does what it always does, then leaves a mark in the store, and ends as planned."""

    handler: Any
    accounts: Accounts
    outgoing: Outgoing
    unit: UnitOfWork
    plan: Plan

    async def prepare(self, message: Any, /) -> Any:
        return await self.handler.prepare(message)

    async def apply(self, message: Any, *prepared: Any) -> Result[Any, Any]:
        answer: Result[Any, Any] = await self.handler.apply(message, *prepared)
        await self.accounts.add_accounts([mark()])
        self.outgoing.emit(Marked())
        match self.plan.ends:
            case "failure":
                return refusal()
            case "failure with effects":
                self.outgoing.even_if_failed(Survived(), effect=lambda: self.accounts.add_accounts([mark()]))
                return refusal()
            case "database error":
                await self._database_error()
            case "a bug":
                raise ZeroDivisionError
            case "cancelled":
                self.plan.reached.set()
                await asyncio.Event().wait()
            case "crash in the handler":
                raise Crash
            case _:
                pass
        return answer

    async def _database_error(self) -> None:
        if isinstance(self.unit, PostgresUnit):
            await self.unit.raw.execute("SELECT 1 / 0")
        raise ZeroDivisionError


def refusal() -> Failure[DomainError[Code]]:
    return Failure(DomainError(Code.REFUSED, "on purpose"))


def legs(number: int) -> tuple[TransactionId, TransactionId]:
    """The two transactions that a person has before a command, if it needs any."""
    return TransactionId(UUID(int=2 * number)), TransactionId(UUID(int=2 * number + 1))


def pair(number: int) -> dict[str, TransactionId]:
    return dict(zip(("first", "second"), legs(number), strict=True))


async def have_legs(store: Store, person: Subject, number: int) -> None:
    """Gives them two transactions that could be a transfer, annotated and said to be no duplicates."""
    async with store.unit_of_work(person) as unit:
        ours = await unit.accounts.add_accounts([mark("file"), mark("file")])
        for account, id_, amount in zip(ours, legs(number), ("-5", "5"), strict=True):
            said = attrs.evolve(row("moved", amount=amount), transaction_id=id_)
            await unit.transactions.add(None, {account.account_id: [said]})
        await unit.transactions.annotate(Annotation(transaction_id=legs(number)[0], note="before"))
        await unit.matches.keep(Match(MatchKind.DUPLICATE, *legs(number), MatchState.REJECTED))


def mark(provider: str = MARK) -> Account:
    id_ = new_id()
    return Account(
        account_id=AccountId(id_),
        provider=provider,
        account_key=id_.bytes,
        name=MARK,
        account_type=AccountType.OTHER,
        currency=Currency("EUR"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@attrs.frozen
class Crashing:
    """A stage that ends everything before or after those behind it; or says that the store did not answer."""

    name: str
    after: bool

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        if self.after:
            await proceed(call)
        if self.name == "lost reply to the commit":
            raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, "nobody answers")
        raise Crash


class Readers:
    @hookimpl
    def dashtam_readers(self) -> list[OfxReader]:
        return [OfxReader()]


@attrs.frozen
class World:
    """An application whose commands leave marks, and what can be counted in it."""

    dashtam: Dashtam
    store: Store
    plan: Plan

    async def run(self, subject: Subject, command: Command[Any, Any], ends: str, key: str | None = None) -> None:
        """Sends a command that is made to end so."""
        self.plan.ends, self.plan.reached = ends, asyncio.Event()
        self.dashtam._run = chain(stages(self.dashtam, ends))
        allowed = Subject(subject.user_id, frozenset()) if ends == "denied" else subject
        origin = Origin("test", "192.0.2.1", "agent", "request")
        sending = asyncio.ensure_future(self.dashtam.run(command, allowed, origin, key))
        if ends == "cancelled":
            async with asyncio.timeout(30):
                await self.plan.reached.wait()
            sending.cancel()
        with suppress(Crash, ZeroDivisionError, UnavailableError, asyncpg.PostgresError, asyncio.CancelledError):
            await sending

    async def entries(self, subject: Subject) -> Sequence[RecordedEntry]:
        wanted = EntryFilter(user_id=subject.user_id)
        return await self.store.audit.entries(wanted, after=None, limit=1000)

    async def marks(self, subject: Subject) -> int:
        async with self.store.unit_of_work(subject) as unit:
            found = await unit.accounts.list_accounts(after=None, limit=1000)
        return sum(each.account.provider == MARK for each in found)

    async def events(self, subject: Subject) -> int:
        """Events of ours in the outbox that came of what this person did."""
        if isinstance(self.store, MemoryStore):
            mine = [event for event in self.store.outbox.events if event.user_id == subject.user_id]
            return sum(event.name in {"Marked", "Survived"} for event in mine)
        async with self.store.unit_of_work(subject) as unit:
            assert isinstance(unit, PostgresUnit)
            query = text("SELECT count(*) FROM outbox WHERE name IN ('Marked', 'Survived')")
            return int(await unit.connection.scalar(query) or 0)


def stages(dashtam: Dashtam, ends: str) -> list[Stage]:
    """The stages of the application, with one that crashes where it is wanted."""
    if ends not in CRASHES:
        return list(dashtam.stages)
    behind, after = CRASHES[ends]
    here = next(n for n, each in enumerate(dashtam.stages) if each is behind or type(each) is behind)
    return [*dashtam.stages[:here], Crashing(ends, after), *dashtam.stages[here:]]


@asynccontextmanager
async def marked(store: Store) -> AsyncGenerator[World]:
    settings = Settings(master_key="k" * 32)
    async with Dashtam.open(settings=settings, store=store, plugins=[Readers()], workers=False) as dashtam:
        plan = Plan()

        def make(path: Any, request: Any) -> Marking:
            unit = request[UnitOfWork]
            return Marking(path.make_handler(request), unit.accounts, request[Outgoing], unit, plan)

        for message, path in list(dashtam._paths.items()):
            if issubclass(message, Command):
                dashtam._paths[message] = attrs.evolve(path, make_handler=partial(make, path))
        yield World(dashtam, store, plan)


async def test_every_command_is_complete_in_memory() -> None:
    """One attempt and one outcome each, as many marks as successes, as many events as marks, nothing left open."""
    async with marked(MemoryStore()) as world:
        await try_everything(world)


async def test_every_command_is_complete_in_postgresql(store: PostgresStore) -> None:
    """The same on the real server."""
    async with marked(store) as world:
        await try_everything(world)


async def try_everything(world: World) -> None:
    """Each command, each way to end, as a person of its own; then all of it counted."""
    numbers = count(1)
    people: dict[tuple[type[Command[Any, Any]], str], Subject] = {}
    for message, make in COMMANDS.items():
        for ends in EXPECTED:
            if ends == "replayed" and not message.replayable:
                continue
            person = people[message, ends] = ExternalSubject(f"{message.__name__} {ends}", OWNER | OPERATOR)
            number = next(numbers)
            if message in ON_LEGS:
                await have_legs(world.store, person, number)
            command = make(number)
            if ends == "replayed":
                await world.run(person, command, "success", "key")
            await world.run(person, command, ends, "key" if ends == "replayed" else None)
    await world.dashtam.container.get(Sealing).sweep(timedelta(0))
    found = {case: await seen(world, *case, person) for case, person in people.items()}
    sys.stdout.write(matrix(found) + "\n")
    assert found == {case: expected(case[1]) for case in people}


def expected(ends: str) -> tuple[tuple[Phase, ...], int, int]:
    phases, marks, events = EXPECTED[ends]
    return (
        (*DONE, *phases) if ends == "replayed" else phases,
        marks + (ends == "replayed"),
        events + (ends == "replayed"),
    )


async def seen(
    world: World, message: type[Command[Any, Any]], ends: str, person: Subject
) -> tuple[tuple[Phase, ...], int, int]:
    """What is there of one case: the phases in order, marks and events."""
    entries = [entry for entry in reversed(await world.entries(person)) if entry.action == message.action]
    assert all(says_everything(entry, person) for entry in entries)
    attempts = {entry.attempt_id for entry in entries}
    assert len(attempts) == (0 if not entries else 2 if ends == "replayed" else 1)
    return tuple(entry.phase for entry in entries), await world.marks(person), await world.events(person)


def says_everything(entry: RecordedEntry, person: Subject) -> bool:
    """Who, what, on what, when by both clocks, with what outcome and from where (PCI DSS 4.0, 10.2.2)."""
    who = entry.user_id == person.user_id
    what = bool(entry.action and entry.resource_type and entry.phase)
    when = entry.occurred_at.tzinfo is not None and entry.recorded_at.tzinfo is not None
    failed = (entry.code is not None) == (entry.phase in {Phase.FAILED, Phase.DENIED})
    origin = (entry.channel, entry.request_id) == ("test", "request") and entry.personal is not None
    return who and what and when and failed and origin


def matrix(found: dict[tuple[type[Command[Any, Any]], str], tuple[tuple[Phase, ...], int, int]]) -> str:
    """A line for each way to end, a column for each command: its entries, marks and events."""
    legend = "audit entries (Attempted Succeeded Failed Denied Replayed Indeterminate), state changes, events"
    width = 18
    lines = ["".join(f"{name:{width}}" for name in ["", *(each.__name__ for each in COMMANDS)])]
    lines[0] = " " * 30 + lines[0].lstrip()
    for ends in EXPECTED:
        cells = [found.get((message, ends)) for message in COMMANDS]
        texts = ["takes no key" if cell is None else cell_text(cell) for cell in cells]
        lines.append(f"{ends:30}" + "".join(f"{each:{width}}" for each in texts))
    return f"\n{legend}\n" + "\n".join(line.rstrip() for line in lines)


def cell_text(cell: tuple[tuple[Phase, ...], int, int]) -> str:
    phases, marks, events = cell
    return f"{'+'.join(phase[0].upper() for phase in phases) or '-':8}{marks} {events}"


def test_every_command_is_tried() -> None:
    """A command that is added to the core is added to the matrix."""
    routes = (*messaging_room.ROUTES, *audit_room.ROUTES, *identity_room.ROUTES, *accounts_room.ROUTES)
    messages = {each.message for each in (*routes, *portfolio_room.ROUTES)}
    assert set(COMMANDS) == {each for each in messages if issubclass(each, Command)}
