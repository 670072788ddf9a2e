"""How a message runs: order of the stages, all or nothing, and events after the commit."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import attrs
import pytest

from dashtam_core import AssemblyError, Dashtam, Settings, logs, provide
from dashtam_core.accounts import Account, AccountId, Accounts, AccountType
from dashtam_core.app import Actor
from dashtam_core.audit import EntryFilter, Phase
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import (
    ANONYMOUS,
    PUBLIC,
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
from dashtam_core.memory import MemoryEventBus, MemoryStore
from dashtam_core.memory._store import MemoryUnit
from dashtam_core.messaging import (
    Answer,
    Call,
    Command,
    DomainEvent,
    Next,
    Notes,
    Outgoing,
    Query,
    RefusalCode,
    Refused,
    Route,
    Subscription,
    chain,
)

WRITE: Final = Permission("test:write")
ANN = ExternalSubject("ann", frozenset({WRITE}))


class Code(ErrorCode):
    NO = "no", ErrorKind.CONFLICT


NO = DomainError(Code.NO, "no")


@attrs.frozen
class Added(DomainEvent):
    number: int


@attrs.frozen
class Other(DomainEvent):
    number: int


@attrs.frozen
class Add(Command[int, DomainError[Code]]):
    """Adds an account and emits two events, then ends as told."""

    permission: ClassVar[Permission] = WRITE
    resource_type: ClassVar[str] = "account"
    ends: str = "well"
    number: int = 1


class Trace(list[str]):
    """What happened, in order."""


@attrs.frozen
class AddHandler:
    accounts: Accounts
    outgoing: Outgoing
    store: MemoryStore
    trace: Trace

    async def prepare(self, command: Add, /) -> Result[str, DomainError[Code]]:
        self.trace.append(f"prepare, unit open: {self.store.lock.locked()}")
        if command.ends == "badly in prepare":
            return Failure(NO)
        return Success("prepared")

    async def apply(self, command: Add, prepared: str, /) -> Result[int, DomainError[Code]]:
        self.trace.append(f"apply {prepared}, unit open: {self.store.lock.locked()}")
        await self.accounts.add_accounts([_account()])
        self.outgoing.emit(Added(command.number))
        self.outgoing.emit(Other(command.number))
        match command.ends:
            case "badly":
                return Failure(NO)
            case "in a crash":
                raise ZeroDivisionError
            case "cancelled":
                raise asyncio.CancelledError
            case _:
                return Success(command.number)


@attrs.frozen
class Count(Query[int, DomainError[Code]]):
    permission: ClassVar[Permission] = PUBLIC
    resource_type: ClassVar[str] = "account"


@attrs.frozen
class CountHandler:
    accounts: Accounts

    async def apply(self, query: Count, /) -> Result[int, DomainError[Code]]:
        return Success(len(await self.accounts.list_accounts(after=None, limit=500)))


ROUTES = (Add.prepared_by(AddHandler), Count.handled_by(CountHandler))


def _account() -> Account:
    id_ = new_id()
    return Account(
        account_id=AccountId(id_),
        provider="test",
        account_key=id_.bytes,
        name="one",
        account_type=AccountType.OTHER,
        currency=Currency("EUR"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@asynccontextmanager
async def assembled(
    trace: Trace,
    routes: Sequence[Route] = ROUTES,
    subscriptions: Iterable[Subscription] = (),
    slow_seconds: float = 1.0,
) -> AsyncGenerator[Dashtam]:
    store = MemoryStore()
    async with Dashtam.open(
        settings=Settings(master_key="k" * 32, slow_seconds=slow_seconds),
        store=store,
        plugins=(),
        overrides=(provide(Trace).value(trace), provide(MemoryStore).value(store)),
        routes=routes,
        subscriptions=subscriptions,
        workers=False,
    ) as dashtam:
        yield dashtam


@attrs.frozen
class World:
    """An application with a subscriber that looks at the store whenever it hears of something."""

    trace: Trace
    dashtam: Dashtam

    def ann(self) -> Actor:
        return self.dashtam.acting_as(ANN)

    async def count(self) -> int:
        number: int = (await self.ann().ask(Count())).unwrap()
        return number

    async def trail(self, subject: Subject = ANN) -> list[tuple[str, Phase, str | None]]:
        """What the audit trail tells of a person, in order."""
        entries = await self.dashtam.store.audit.entries(
            EntryFilter(user_id=subject.user_id), after=None, limit=100
        )
        return [(entry.action, entry.phase, entry.code) for entry in reversed(entries)]


@asynccontextmanager
async def a_world(*first: Subscription) -> AsyncGenerator[World]:
    trace = Trace()

    async def hear(event: Added) -> None:
        async with asyncio.timeout(30):  # a unit that is still open would block the count for ever
            trace.append(f"heard {event.number}, stored: {await world.count()}")

    async def hear_other(event: Other) -> None:
        trace.append(f"heard other {event.number}")

    told = (*first, Added.heard_by(hear), Other.heard_by(hear_other))
    async with assembled(trace, subscriptions=told) as dashtam:
        world = World(trace, dashtam)
        yield world


async def test_stages_run_in_order() -> None:
    """Preparing comes before the unit is entered, the handler inside it, and events after it is committed."""
    async with a_world() as world:
        assert await world.ann().execute(Add(number=7)) == Success(7)
        assert world.trace == [
            "prepare, unit open: False",
            "apply prepared, unit open: True",
            "heard 7, stored: 1",
            "heard other 7",
        ]


@pytest.mark.parametrize("ends", ["badly", "badly in prepare"])
async def test_a_failure_undoes_everything(ends: str) -> None:
    """A failure is the answer: nothing is stored and nobody hears of it."""
    async with a_world() as world:
        assert await world.ann().execute(Add(ends)) == Failure(NO)
        assert await world.count() == 0
        assert not [each for each in world.trace if "heard" in each]
        assert len(world.trace) == (1 if ends == "badly in prepare" else 2)


@pytest.mark.parametrize(
    ("ends", "error"), [("in a crash", ZeroDivisionError), ("cancelled", asyncio.CancelledError)]
)
async def test_an_exception_undoes_everything(ends: str, error: type[BaseException]) -> None:
    """A bug or a cancellation passes through as it is, and leaves nothing stored and nothing told."""
    async with a_world() as world:
        with pytest.raises(error):
            await world.ann().execute(Add(ends))
        assert await world.count() == 0
        assert not [each for each in world.trace if "heard" in each]
        assert await world.ann().execute(Add()) == Success(1)


@pytest.mark.parametrize("subject", [ExternalSubject("ann", frozenset()), ANONYMOUS, ExternalSubject("ann")])
async def test_without_the_permission_nothing_runs(subject: Subject) -> None:
    """A subject that lacks the permission is refused before either step of the handler, and told which it is."""
    async with a_world() as world:
        answer = await world.dashtam.acting_as(subject).execute(Add())
        refused = answer.failure()
        assert isinstance(refused, Refused)
        assert refused.code is RefusalCode.PERMISSION_DENIED
        assert "test:write" in refused.message
        assert world.trace == []
        assert await world.dashtam.acting_as(subject).ask(Count()) == Success(0)


async def _fail(event: Added) -> None:
    raise RuntimeError(f"cannot hear {event.number}")


async def test_a_failing_subscriber_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A subscriber that raises is logged by name; the others hear, and the command has succeeded."""
    async with a_world(Added.heard_by(_fail)) as world:
        assert await world.ann().execute(Add()) == Success(1)
        assert world.trace[2:] == ["heard 1, stored: 1", "heard other 1"]
        (entry,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert (entry.levelname, entry.getMessage()) == ("ERROR", "subscriber failed: _fail on Added")
        assert entry.exc_info


LOGGED = """
import asyncio, attrs
from dashtam_core.memory import MemoryEventBus
from dashtam_core.messaging import DomainEvent

@attrs.frozen
class Happened(DomainEvent):
    password: str = attrs.field(repr=False)

async def hear(event):
    password = event.password
    raise RuntimeError("no")

asyncio.run(MemoryEventBus([Happened.heard_by(hear)]).publish(Happened("hunter" + str(2))))
"""


def _logged() -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LOGGED], capture_output=True, text=True, check=True)


def test_a_failing_subscriber_shows_no_secret() -> None:
    """What is logged of a subscriber that raises has no values of its variables in it."""
    logged = _logged()
    assert "subscriber failed" in logged.stdout + logged.stderr
    assert "hunter2" not in logged.stdout + logged.stderr


def test_logs_are_not_a_programs_output() -> None:
    """A program that prints its answers is not interrupted by our log."""
    logged = _logged()
    assert logged.stdout == ""
    assert "subscriber failed" in logged.stderr


whose: ContextVar[str] = ContextVar("whose", default="nobody")


async def test_subscribers_do_not_mix() -> None:
    """What a subscriber sets in its context is seen by no other and not by who sent the command."""
    seen: list[str] = []

    async def hear(event: Added) -> None:
        seen.append(whose.get())
        whose.set("a subscriber")

    async with a_world(Added.heard_by(hear), Added.heard_by(hear)) as world:
        assert await world.ann().execute(Add()) == Success(1)
        assert (seen, whose.get()) == (["nobody", "nobody"], "nobody")


async def test_events_of_messages_do_not_mix() -> None:
    """Many commands at once each tell of their own events alone."""
    async with a_world() as world:

        async def send(number: int) -> None:
            assert await world.ann().execute(Add(number=number)) == Success(number)

        await asyncio.gather(*map(send, range(50)))
        heard = [each.split(",")[0] for each in world.trace if each.startswith("heard") and "other" not in each]
        assert sorted(heard) == sorted(f"heard {number}" for number in range(50))
        assert await world.count() == 50


def _noted(trace: Trace, name: str) -> Any:
    async def stage(call: Call, proceed: Next, /) -> Answer:
        trace.append(f"{name} in")
        answer = await proceed(call)
        trace.append(f"{name} out")
        return answer

    return stage


def a_call(unit: MemoryUnit) -> Call:
    handler = CountHandler(unit.accounts)
    return Call(Count(), ROUTES[1], ANN, handler, unit, Outgoing(), Notes(), Origin(), new_id())


async def test_stages_wrap_each_other() -> None:
    """A chain goes in by the stages in order, and out the other way round; without stages it is the handler."""
    trace, store = Trace(), MemoryStore()
    unit = store.unit_of_work(ANN)
    call = a_call(unit)
    assert await chain([_noted(trace, "a"), _noted(trace, "b")])(call) == Success(0)
    assert trace == ["a in", "b in", "b out", "a out"]
    assert await chain([])(call) == Success(0)


async def test_a_stage_may_answer_itself() -> None:
    """A stage that does not go on keeps those behind it from running."""
    trace = Trace()

    async def refuse(call: Call, proceed: Next, /) -> Answer:
        return Failure(NO)

    unit = MemoryStore().unit_of_work(ANN)
    call = a_call(unit)
    assert await chain([_noted(trace, "a"), refuse, _noted(trace, "b")])(call) == Failure(NO)
    assert trace == ["a in", "a out"]


@attrs.frozen
class Bare(Query[int, DomainError[Code]]):
    """A message whose author forgot the permission."""


@attrs.frozen
class BareHandler:
    async def apply(self, query: Bare, /) -> Result[int, DomainError[Code]]:
        return Success(1)


async def test_a_message_without_a_permission_does_not_start() -> None:
    """Who forgets the permission is told at start, and nothing runs unguarded."""
    with pytest.raises(AssemblyError, match="Bare names no permission"):
        async with assembled(Trace(), routes=[Bare.handled_by(BareHandler)]):
            raise AssertionError


async def test_two_handlers_for_a_message_do_not_start() -> None:
    """A message has exactly one handler."""
    with pytest.raises(AssemblyError, match="Count has two handlers"):
        async with assembled(Trace(), routes=[*ROUTES, ROUTES[1]]):
            raise AssertionError


async def test_a_message_without_a_handler_is_explained() -> None:
    """Sending what nobody handles names the message and what to do."""
    async with assembled(Trace(), routes=[]) as dashtam:
        with pytest.raises(AssemblyError, match="no handler is registered for Count: add its route"):
            await dashtam.acting_as(ANN).ask(Count())


async def test_a_bus_tells_subscribers_in_order_and_of_their_events_alone() -> None:
    """Subscribers hear the event class they asked for, in the order they were registered."""
    trace = Trace()

    async def first(event: Added) -> None:
        await asyncio.sleep(0)
        trace.append(f"first {event.number}")

    async def second(event: Added) -> None:
        trace.append(f"second {event.number}")

    bus = MemoryEventBus([Added.heard_by(first), Added.heard_by(second)])
    await bus.publish(Added(1))
    await bus.publish(Other(2))
    assert trace == ["first 1", "second 1"]


def _lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    return [(each.levelname, each.message, getattr(each, "outcome", "")) for each in caplog.records]


async def test_a_command_leaves_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """The line says how the command went and how long it took; a query leaves one only for who debugs."""
    caplog.set_level("INFO", "dashtam_core")
    async with assembled(Trace()) as dashtam:
        ann = dashtam.acting_as(ANN)
        await ann.execute(Add())
        await ann.execute(Add("badly"))
        await dashtam.acting_as(ANONYMOUS).execute(Add())
        with pytest.raises(ZeroDivisionError):
            await ann.execute(Add("in a crash"))
        await ann.ask(Count())
    outcomes = ["succeeded", "no", "permission_denied", "raised"]
    assert _lines(caplog) == [("INFO", "command", outcome) for outcome in outcomes]
    assert all(each.__dict__["milliseconds"] >= 0 for each in caplog.records)


async def test_what_is_slow_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A message that takes as long as the limit, queries too, leaves a warning instead."""
    async with assembled(Trace(), slow_seconds=1e-9) as dashtam:
        await dashtam.acting_as(ANN).execute(Add())
        await dashtam.acting_as(ANN).ask(Count())
    assert _lines(caplog) == [("WARNING", f"slow {kind}", "succeeded") for kind in ("command", "query")]


async def test_everything_logged_meanwhile_says_whose_it_is() -> None:
    """Command, call, subject and request stand in every line that its handler or a subscriber causes."""
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.configure(format="json", stream=stream)
        async with a_world(Added.heard_by(_fail)) as world:
            origin = Origin(request_id="r-1")
            await world.dashtam.acting_as(ANN, origin).execute(Add())
    finally:
        root.handlers[:], root.level = before, level
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["subscriber failed: _fail on Added", "command"]
    for line in lines:
        assert (line["action"], line["request_id"]) == ("add", "r-1")
        assert line["subject"] == str(ANN.user_id)
    assert len({line["call_id"] for line in lines}) == 1
