"""Both checkers accept this whole file: what a message answers with is known from its class alone."""
# ruff: noqa: ARG001, ARG002, INP001

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Protocol, assert_never, assert_type

import attrs

from dashtam_core import Actor, Dashtam, Failure, Result, Success, provide
from dashtam_core.accounts import (
    AccountOverview,
    AccountsRefused,
    ImportFailed,
    ImportReport,
    ImportStatement,
    ListAccounts,
)
from dashtam_core.container import Binding, Container
from dashtam_core.identity import CreateApiToken, IdentityRefused, NewApiToken
from dashtam_core.kernel import (
    PUBLIC,
    Clock,
    Currency,
    Money,
    Page,
    Permission,
    Subject,
    ValueRefused,
    and_then,
    map_failure,
    map_success,
)
from dashtam_core.memory import FixedClock
from dashtam_core.messaging import Command, DomainEvent, Query, Refused, Route, Subscription


async def actors_know_answers(dashtam: Dashtam, subject: Subject) -> None:
    """A command or a query answers with its own value, its own error or a refusal."""
    me = dashtam.acting_as(subject)
    assert_type(me, Actor)
    report = await me.execute(ImportStatement(b""))
    assert_type(report, Result[ImportReport, ImportFailed | Refused])
    page = await me.ask(ListAccounts())
    assert_type(page, Result[Page[AccountOverview], AccountsRefused | Refused])
    if isinstance(page, Success):
        assert_type(page.unwrap().items, Sequence[AccountOverview])
    assert_type(await me.execute(CreateApiToken("name")), Result[NewApiToken, IdentityRefused | Refused])
    assert_type(await dashtam.authenticate("token"), Result[Subject, IdentityRefused | Refused])


async def answers_are_matched_whole(me: Actor) -> str:
    """Matching a success and a failure is exhaustive, and so is matching its errors inside."""
    match await me.execute(ImportStatement(b"")):
        case Success(report):
            assert_type(report, ImportReport)
            return report.document.format
        case Failure(error):
            match error:
                case ImportFailed():
                    assert_type(error, ImportFailed)
                    return error.code.value
                case Refused():
                    return error.code.value
                case _:
                    assert_never(error)


def results_chain(text: str) -> None:
    """The three functions keep values and errors apart."""
    money = Money.parse(text, "EUR")
    assert_type(money, Result[Money, ValueRefused])
    amount = map_success(money, lambda each: each.amount)
    assert_type(amount, Result[Decimal, ValueRefused])
    assert_type(map_failure(money, str), Result[Money, str])
    unit = and_then(money, lambda each: Currency.parse(str(each.currency)))
    assert_type(unit, Result[Currency, ValueRefused])


@attrs.frozen
class Greet(Query[str, ValueRefused]):
    """A query of somebody else's."""

    permission: ClassVar[Permission] = PUBLIC
    name: str


@attrs.frozen
class GreetHandler:
    """A handler that needs a port."""

    clock: Clock

    async def apply(self, query: Greet, /) -> Result[str, ValueRefused]:
        """Answers."""
        return Success(f"{query.name} at {self.clock.now()}")


@attrs.frozen
class Double(Command[int, ValueRefused]):
    """A command that is prepared."""

    permission: ClassVar[Permission] = PUBLIC
    text: str


@attrs.frozen
class DoubleHandler:
    """A handler in two steps."""

    async def prepare(self, command: Double, /) -> Result[Money, ValueRefused]:
        """Reads."""
        return Money.parse(command.text, "EUR")

    async def apply(self, command: Double, prepared: Money, /) -> Result[int, ValueRefused]:
        """Writes."""
        return Success(int(prepared.amount) * 2)


assert_type(Greet.handled_by(GreetHandler), Route)
assert_type(Double.prepared_by(DoubleHandler), Route)


async def ask_own(me: Actor) -> None:
    """A message from outside the core is as well known as one from inside."""
    assert_type(await me.ask(Greet("me")), Result[str, ValueRefused | Refused])
    assert_type(await me.execute(Double("2")), Result[int, ValueRefused | Refused])


@attrs.frozen
class Greeted(DomainEvent):
    """An event."""

    name: str


async def hear(event: Greeted) -> None:
    """Hears."""


assert_type(Greeted.heard_by(hear), Subscription)
assert_type(Greeted.heard_by(hear, isolated=False, timeout=0.5), Subscription)


class Port(Protocol):
    """A port."""

    def count(self) -> int:
        """Counts."""
        ...


class Adapter:
    """An adapter that inherits nothing."""

    def count(self) -> int:
        """Counts."""
        return 1


def made(clock: Clock) -> Adapter:
    """A factory with a need."""
    return Adapter()


async def close(port: Port) -> None:
    """What can be done with any adapter of the port."""


def ports_are_bound(container: Container) -> None:
    """A class, a function and a value may all stand for a port."""
    assert_type(provide(Port).by(Adapter), Binding)
    assert_type(provide(Port).by(made), Binding)
    assert_type(provide(Port).value(Adapter()), Binding)
    assert_type(provide(Clock).by(FixedClock), Binding)
    assert_type(provide(Port).by(Adapter, closing=close, ping=close), Binding)
    assert_type(provide(Port).value(Adapter(), ping=close), Binding)
    assert_type(container.get(Port), Port)
