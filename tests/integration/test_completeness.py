"""State, audit trail and outbox agree, whatever becomes of a command: every command, every way to end.

Run `pytest -s tests/integration/test_completeness.py` to see the matrix.
"""

import asyncio
import sys
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import batched
from typing import Any, Final
from uuid import UUID

import asyncpg
import attrs
import pytest

from dashtam_core import Dashtam, Settings, hookimpl, identity, provide
from dashtam_core.accounts import (
    AnnotateTransaction,
    Annotation,
    ClearAnnotation,
    ImportStatement,
    TransactionId,
)
from dashtam_core.app import _ROUTES
from dashtam_core.audit import (
    Attempt,
    EntryFilter,
    Outcome,
    PersonalVault,
    Phase,
    RecordedEntry,
    SealAuditLog,
    Sealing,
)
from dashtam_core.connections import SyncAccounts
from dashtam_core.identity import OPERATOR, OWNER, Credential, CredentialId, CredentialKind
from dashtam_core.identity._entities import digest
from dashtam_core.identity._factors import TotpDetails
from dashtam_core.identity._totp import STEP_SECONDS, _code
from dashtam_core.kernel import (
    PUBLIC,
    DomainError,
    ErrorCode,
    ErrorKind,
    Failure,
    Origin,
    Result,
    Subject,
    Success,
    UnavailableCode,
    UnavailableError,
    UserId,
    new_id,
)
from dashtam_core.memory import MemoryProvider, MemoryStore
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
    dump_json,
    emit,
    prepare,
    transaction,
)
from dashtam_core.portfolio import DecideMatch, ForgetDecision, Match, MatchKind, MatchState
from dashtam_core.store import Store, UnitOfWork, identity_store
from dashtam_core.testing.samples import account, row
from dashtam_files import OfxReader
from dashtam_postgres import PostgresStore
from dashtam_postgres._unit import PostgresUnit

OFX: Final = b"""OFXHEADER:100

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>EUR<BANKACCTFROM><BANKID>1<ACCTID>%d<ACCTTYPE>CHECKING
</BANKACCTFROM><BANKTRANLIST><STMTTRN><TRNTYPE>POS<DTPOSTED>20260102<TRNAMT>-1.00<FITID>a<NAME>x</STMTTRN>
</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"""
"""One account with one transaction; %d makes it a new one."""

KEY: Final = "k" * 32
PASSWORD: Final = "nine green kettles sang"
NEW: Final = "seven brown spoons slept"
FACTOR: Final = bytes(20)
OTHER: Final = UserId(UUID(int=10_000))
"""Somebody whom administrators change."""

COMMANDS: Final[dict[type[Command[Any, Any]], Callable[[int], Command[Any, Any]]]] = {
    ImportStatement: lambda n: ImportStatement(OFX % n),
    SyncAccounts: lambda _: SyncAccounts("memory", "mine"),
    identity.EraseUser: lambda _: identity.EraseUser(),
    RetryDeadLetters: lambda _: RetryDeadLetters(),
    ForgetSubscriber: lambda _: ForgetSubscriber("gone"),
    SealAuditLog: lambda _: SealAuditLog(),
    AnnotateTransaction: lambda n: AnnotateTransaction(transaction_id=legs(n)[0], note="mine"),
    ClearAnnotation: lambda n: ClearAnnotation(legs(n)[0]),
    DecideMatch: lambda n: DecideMatch(kind=MatchKind.TRANSFER, state=MatchState.CONFIRMED, **pair(n)),
    ForgetDecision: lambda n: ForgetDecision(kind=MatchKind.DUPLICATE, **pair(n)),
    identity.CreateApiToken: lambda _: identity.CreateApiToken("new"),
    identity.RevokeApiToken: lambda n: identity.RevokeApiToken(credential_id(n, CredentialKind.API_TOKEN)),
    identity.RegisterUser: lambda n: identity.RegisterUser(f"new{email(n)}", PASSWORD),
    identity.VerifyEmail: lambda n: identity.VerifyEmail(secret(n), PASSWORD),
    identity.LogIn: lambda n: identity.LogIn(email(n), PASSWORD),
    identity.RefreshSession: lambda n: identity.RefreshSession(secret(n)),
    identity.EndSessions: lambda n: identity.EndSessions(credential_id(n, CredentialKind.SESSION)),
    identity.ChangeEmail: lambda n: identity.ChangeEmail(f"new{email(n)}"),
    identity.ChangePassword: lambda _: identity.ChangePassword(PASSWORD, NEW),
    identity.RequestPasswordReset: lambda n: identity.RequestPasswordReset(email(n)),
    identity.ResetPassword: lambda n: identity.ResetPassword(secret(n), NEW),
    identity.DeactivateUser: lambda _: identity.DeactivateUser(),
    identity.EnrollFactor: lambda _: identity.EnrollFactor(),
    identity.ConfirmFactor: lambda n: identity.ConfirmFactor(credential_id(n, CredentialKind.TOTP), code_of_now()),
    identity.RemoveFactor: lambda n: identity.RemoveFactor(credential_id(n, CredentialKind.TOTP)),
    identity.CreateUser: lambda n: identity.CreateUser(f"new{email(n)}", PASSWORD),
    identity.ChangeUser: lambda _: identity.ChangeUser(OTHER, role=identity.Role.READ_ONLY),
    identity.RevokeTokens: lambda _: identity.RevokeTokens(OTHER),
    identity.RotateKey: lambda _: identity.RotateKey(KEY, "n" * 32),
    identity.RetireKeys: lambda _: identity.RetireKeys(KEY),
}
"""Every command of the core, and how to make one that would succeed."""
ON_LEGS: Final = {AnnotateTransaction, ClearAnnotation, DecideMatch, ForgetDecision}
PROVEN_BY: Final[Mapping[type[Command[Any, Any]], Sequence[CredentialKind]]] = {
    identity.RevokeApiToken: [CredentialKind.API_TOKEN],
    identity.VerifyEmail: [CredentialKind.PASSWORD, CredentialKind.EMAIL_VERIFICATION],
    identity.LogIn: [CredentialKind.PASSWORD],
    identity.RefreshSession: [CredentialKind.SESSION, CredentialKind.REFRESH_TOKEN],
    identity.EndSessions: [CredentialKind.SESSION, CredentialKind.REFRESH_TOKEN],
    identity.ChangeEmail: [],
    identity.ChangePassword: [CredentialKind.PASSWORD],
    identity.RequestPasswordReset: [],
    identity.ResetPassword: [CredentialKind.PASSWORD_RESET],
    identity.DeactivateUser: [CredentialKind.SESSION, CredentialKind.API_TOKEN],
    identity.EnrollFactor: [],
    identity.ConfirmFactor: [CredentialKind.TOTP],
    identity.RemoveFactor: [CredentialKind.TOTP],
    identity.EraseUser: [CredentialKind.PASSWORD],
}
"""What takes an account, and what that has."""

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

type Case = tuple[type[Command[Any, Any]], str]
type Cell = tuple[tuple[Phase, ...], int, int]

CASES: Final[Sequence[Case]] = [
    (message, ends)
    for message in COMMANDS
    for ends in EXPECTED
    if (ends != "replayed" or message.replayable) and (ends != "denied" or message.permission != PUBLIC)
]
"""What can be: some commands take no idempotency key, and some are for everybody."""

AT_ONCE: Final = 10
"""No more than there are connections, so that on a busy machine nobody waits in vain for one."""
MARK: Final = "mark"
EVENTS: Final = "SELECT count(*) FROM outbox WHERE name IN ('Marked', 'Survived')"


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
    ran_as: Subject | None = None


PLAN: Final = ContextVar[Plan]("plan")


@attrs.frozen
class Marking:
    """A handler that succeeds as it always does, then leaves a mark in the store, and ends as planned."""

    handler: Any
    credentials: identity.Credentials
    outgoing: Outgoing
    unit: UnitOfWork
    plan: Plan

    async def prepare(self, message: Any, /) -> Result[Any, Any]:
        answer: Result[Any, Any] = await self.handler.prepare(message)
        assert isinstance(answer, Success)
        return answer

    async def apply(self, message: Any, *prepared: Any) -> Result[Any, Any]:
        answer: Result[Any, Any] = await self.handler.apply(message, *prepared)
        assert isinstance(answer, Success)
        await self._mark()
        self.outgoing.emit(Marked())
        match self.plan.ends:
            case "failure":
                return refusal()
            case "failure with effects":
                self.outgoing.even_if_failed(Survived(), effect=self._mark)
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

    async def _mark(self) -> None:
        assert self.plan.ran_as is not None
        await self.credentials.add(credential(self.plan.ran_as.user_id, MARK))

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


def email(number: int) -> str:
    return f"p{number}@example.org"


def secret(number: int) -> str:
    """What names this person, and proves that it is they, in whatever kind of credential."""
    return "dashtam_x_" + urlsafe_b64encode(UUID(int=number).bytes + bytes(32)).decode()


def credential_id(number: int, kind: CredentialKind) -> CredentialId:
    return CredentialId(UUID(int=100 * number + list(CredentialKind).index(kind)))


def code_of_now() -> str:
    return _code(FACTOR, int(datetime.now(UTC).timestamp()) // STEP_SECONDS).decode()


async def have_legs(store: Store, person: Subject, number: int) -> None:
    """Gives them two transactions that could be a transfer, annotated and said to be no duplicates."""
    async with store.unit_of_work(person) as unit:
        ours = await unit.accounts.add_accounts([account("1"), account("2")])
        for each, id_, amount in zip(ours, legs(number), ("-5", "5"), strict=True):
            said = attrs.evolve(row("moved", amount=amount), transaction_id=id_)
            await unit.transactions.add(None, {each.account_id: [said]})
        await unit.transactions.annotate(Annotation(transaction_id=legs(number)[0], note="before"))
        await unit.matches.keep(Match(MatchKind.DUPLICATE, *legs(number), MatchState.REJECTED))


async def have_account(world: "World", person: UserId, number: int, kinds: Sequence[CredentialKind] = ()) -> None:
    """Gives them an account with this number's address and secrets."""
    session, address = credential_id(number, CredentialKind.SESSION), identity.EmailAddress(email(number))
    kept = [
        credential(
            person,
            await kept_of(world, person, number, kind),
            kind=kind,
            credential_id=credential_id(number, kind),
            secret_hash=digest(secret(number)),
            session_id=session if kind is CredentialKind.REFRESH_TOKEN else None,
        )
        for kind in kinds
    ]
    async with identity_store(world.store).unit_of_work(Subject(person, frozenset())) as unit:
        await unit.users.add(
            identity.User(person, address, identity.Role.USER, identity.UserStatus.ACTIVE, datetime.now(UTC))
        )
        await unit.users.claim(world.dashtam.container.get(identity.Claims).lookup_key(address.folded))
        for each in kept:
            await unit.credentials.add(each)


async def kept_of(world: "World", person: UserId, number: int, kind: CredentialKind) -> str:
    container = world.dashtam.container
    match kind:
        case CredentialKind.PASSWORD:
            return await container.get(identity.PasswordHasher).hash(PASSWORD)
        case CredentialKind.EMAIL_VERIFICATION:
            return email(number)
        case CredentialKind.TOTP:
            return dump_json(TotpDetails((await container.get(PersonalVault).sealing(person))(FACTOR)))
        case _:
            return ""


def credential(of: UserId, data: str, **more: Any) -> Credential:
    """One that no command has anything to do with, unless it says more."""
    said: dict[str, Any] = {"credential_id": new_id(), "kind": CredentialKind.EMAIL_VERIFICATION} | more
    return Credential(user_id=of, created_at=datetime.now(UTC), data=data, **said)


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


class Sources:
    @hookimpl
    def dashtam_readers(self) -> list[OfxReader]:
        return [OfxReader()]

    @hookimpl
    def dashtam_providers(self) -> list[MemoryProvider]:
        return [MemoryProvider({"mine": [OfxReader().read(OFX % 0).unwrap().batch]})]


@attrs.frozen
class World:
    """An application whose commands leave marks, and what can be counted in it."""

    dashtam: Dashtam
    store: Store

    async def run(
        self, subject: Subject, command: Command[Any, Any], ends: str, key: str | None = None
    ) -> Subject:
        """Sends a command that is made to end so, and answers whom it ran as."""
        PLAN.set(plan := Plan(ends))
        allowed = Subject(subject.user_id, frozenset()) if ends == "denied" else subject
        origin = Origin("test", "192.0.2.1", "agent", "request")
        sending = asyncio.ensure_future(self.dashtam.run(command, allowed, origin, key))
        if ends == "cancelled":
            async with asyncio.timeout(30):
                await plan.reached.wait()
            sending.cancel()
        with suppress(Crash, ZeroDivisionError, UnavailableError, asyncpg.PostgresError, asyncio.CancelledError):
            await sending
        assert plan.ran_as is not None
        return plan.ran_as

    async def entries(self) -> Mapping[UserId, Sequence[RecordedEntry]]:
        """The whole trail in its order, by person."""
        found: dict[UserId, list[RecordedEntry]] = defaultdict(list)
        for entry in reversed(await self.store.audit.entries(EntryFilter(), after=None, limit=10_000)):
            found[entry.user_id].append(entry)
        return found

    async def marks_and_events(self, subject: Subject) -> tuple[int, int]:
        """What there is of the marks that this person's command left, and of their events in the outbox."""
        async with identity_store(self.store).unit_of_work(subject) as unit:
            found = await unit.credentials.list(CredentialKind.EMAIL_VERIFICATION)
            if isinstance(unit, PostgresUnit):
                events = int(await unit.raw.fetchval(EVENTS))
            else:
                assert isinstance(self.store, MemoryStore)
                mine = [event.name for event in self.store.outbox.events if event.user_id == subject.user_id]
                events = sum(name in {"Marked", "Survived"} for name in mine)
        return sum(each.data == MARK for each in found), events


def stages(dashtam: Dashtam, ends: str) -> list[Stage]:
    """The stages of the application, with one that crashes where it is wanted."""
    if ends not in CRASHES:
        return list(dashtam.stages)
    behind, after = CRASHES[ends]
    here = next(n for n, each in enumerate(dashtam.stages) if each is behind or type(each) is behind)
    return [*dashtam.stages[:here], Crashing(ends, after), *dashtam.stages[here:]]


async def somebody_new(_: identity.RegisterUser, __: object) -> Subject:
    """Who registers is nobody, and nobody's cases could not be told apart."""
    return Subject(UserId(new_id()), frozenset())


@asynccontextmanager
async def marked(store: Store) -> AsyncGenerator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity.RegisterUser, "claimant", somebody_new)
        async with opened(store) as world:
            yield world


@asynccontextmanager
async def opened(store: Store) -> AsyncGenerator[World]:
    async with Dashtam.open(
        settings=Settings(key=KEY, mail_url="console:"),
        store=store,
        plugins=[Sources()],
        overrides=[provide(identity.PasswordHasher).value(identity.Argon2Hasher(memory_kib=8, time_cost=1))],
        workers=False,
    ) as dashtam:

        def make(path: Any, request: Any) -> Marking:
            plan, unit = PLAN.get(), request[UnitOfWork]
            plan.ran_as = request[Subject]
            return Marking(path.make_handler(request), unit.credentials, request[Outgoing], unit, plan)

        for message, path in list(dashtam._paths.items()):
            if issubclass(message, Command):
                dashtam._paths[message] = attrs.evolve(path, make_handler=partial(make, path))
        ways = {ends: chain(stages(dashtam, ends)) for ends in EXPECTED}

        async def run(call: Call) -> Answer:
            return await ways[PLAN.get().ends](call)

        dashtam._run = run
        world = World(dashtam, store)
        await have_account(world, OTHER, OTHER.int)
        yield world


async def test_every_command_is_complete_in_memory() -> None:
    """One attempt and one outcome each, as many marks as successes, as many events as marks, nothing left open."""
    async with marked(MemoryStore()) as world:
        await try_everything(world)


async def test_every_command_is_complete_in_postgresql(store: PostgresStore) -> None:
    """The same on the real server."""
    async with marked(store) as world:
        await try_everything(world)


async def try_everything(world: World) -> None:
    """Each command beside the others, each way to end, as a person of its own; then all of it counted."""
    people: dict[Case, Subject] = {}

    async def try_all_ways(message: type[Command[Any, Any]]) -> None:
        for number, (each, ends) in enumerate(CASES, 1):
            if each is message:
                people[each, ends] = await tried(world, message, ends, number)

    for some in batched(COMMANDS, AT_ONCE, strict=False):
        await asyncio.gather(*map(try_all_ways, some))
    await world.dashtam.container.get(Sealing).sweep(timedelta(0))
    entries = await world.entries()
    found: dict[Case, Cell] = {}
    for cases in batched(people, AT_ONCE, strict=False):
        counted = [seen(world, case, people[case], entries[people[case].user_id]) for case in cases]
        found |= zip(cases, await asyncio.gather(*counted), strict=True)
    sys.stdout.write(matrix(found) + "\n")
    assert found == {case: expected(case[1]) for case in CASES}


async def tried(world: World, message: type[Command[Any, Any]], ends: str, number: int) -> Subject:
    """Whom the command ran as: whom its secret or its address names, where that has to say it."""
    person = Subject(UserId(UUID(int=number)), OWNER | OPERATOR)
    if message in ON_LEGS:
        await have_legs(world.store, person, number)
    if message in PROVEN_BY:
        await have_account(world, person.user_id, number, PROVEN_BY[message])
    command = COMMANDS[message](number)
    if ends == "replayed":
        await world.run(person, command, "success", "key")
    ran_as = await world.run(person, command, ends, "key" if ends == "replayed" else None)
    assert message is identity.RegisterUser or ran_as.user_id == person.user_id
    return ran_as


def expected(ends: str) -> Cell:
    phases, marks, events = EXPECTED[ends]
    return (
        (*DONE, *phases) if ends == "replayed" else phases,
        marks + (ends == "replayed"),
        events + (ends == "replayed"),
    )


async def seen(world: World, case: Case, person: Subject, trail: Sequence[RecordedEntry]) -> Cell:
    """What is there of one case: the phases in order, marks and events."""
    message, ends = case
    entries = [entry for entry in trail if entry.action == message.action]
    assert all(says_everything(entry, person) for entry in entries)
    attempts = {entry.attempt_id for entry in entries}
    assert len(attempts) == (0 if not entries else 2 if ends == "replayed" else 1)
    return tuple(entry.phase for entry in entries), *await world.marks_and_events(person)


def says_everything(entry: RecordedEntry, person: Subject) -> bool:
    """Who, what, on what, when by both clocks, with what outcome and from where (PCI DSS 4.0, 10.2.2)."""
    who = entry.user_id == person.user_id
    what = bool(entry.action and entry.resource_type and entry.phase)
    when = entry.occurred_at.tzinfo is not None and entry.recorded_at.tzinfo is not None
    failed = (entry.code is not None) == (entry.phase in {Phase.FAILED, Phase.DENIED})
    origin = (entry.channel, entry.request_id) == ("test", "request") and entry.personal is not None
    return who and what and when and failed and origin


def matrix(found: Mapping[Case, Cell]) -> str:
    """A line for each way to end, a column for each command: its entries, marks and events."""
    lines = ["audit entries (Attempted Succeeded Failed Denied Replayed Indeterminate), state changes, events"]
    for some in batched(COMMANDS, 6, strict=False):
        lines += ["", " " * 30 + "".join(f"{each.__name__:22}" for each in some)]
        for ends in EXPECTED:
            texts = [cell_text(found.get((each, ends)), ends) for each in some]
            lines.append(f"{ends:30}" + "".join(f"{each:22}" for each in texts))
    return "\n".join(line.rstrip() for line in lines)


def cell_text(cell: Cell | None, ends: str) -> str:
    if cell is None:
        return "takes no key" if ends == "replayed" else "is for everybody"
    phases, marks, events = cell
    return f"{'+'.join(phase[0].upper() for phase in phases) or '-':8}{marks} {events}"


def test_every_command_is_tried() -> None:
    """A command that is added to the core is added to the matrix."""
    assert set(COMMANDS) == {each.message for each in _ROUTES if issubclass(each.message, Command)}
