"""Both checkers refuse every line that is marked so, and no other."""
# ruff: noqa: ARG002, INP001

from typing import ClassVar, Protocol

import attrs

from dashtam_core import Actor, Result, Success, provide
from dashtam_core.accounts import ListAccounts
from dashtam_core.identity import CreateApiToken, IdentityRefused
from dashtam_core.kernel import PUBLIC, Clock, Money, Permission, ValueRefused
from dashtam_core.messaging import Command, DomainEvent, Query


@attrs.frozen
class Ask(Query[str, ValueRefused]):
    """A query that answers with text."""

    permission: ClassVar[Permission] = PUBLIC


@attrs.frozen
class Do(Command[int, ValueRefused]):
    """A command that answers with a number."""

    permission: ClassVar[Permission] = PUBLIC


class WrongAnswer:
    """Answers with a number where a text is due."""

    async def apply(self, query: Ask, /) -> Result[int, ValueRefused]:
        """Answers."""
        return Success(1)


class WrongError:
    """Fails with an error the query does not have."""

    async def apply(self, query: Ask, /) -> Result[str, IdentityRefused]:
        """Answers."""
        return Success("")


class WiderError:
    """May fail with one error more."""

    async def apply(self, query: Ask, /) -> Result[str, ValueRefused | IdentityRefused]:
        """Answers."""
        return Success("")


class WrongMessage:
    """Handles another message."""

    async def apply(self, command: Do, /) -> Result[str, ValueRefused]:
        """Answers."""
        return Success("")


class NotAsync:
    """Answers at once."""

    def apply(self, query: Ask, /) -> Result[str, ValueRefused]:
        """Answers."""
        return Success("")


class NoResult:
    """Answers with the bare value."""

    async def apply(self, query: Ask, /) -> str:
        """Answers."""
        return ""


class NoApply:
    """Has another method."""

    async def handle(self, query: Ask, /) -> Result[str, ValueRefused]:
        """Answers."""
        return Success("")


Ask.handled_by(WrongAnswer)  # refused
Ask.handled_by(WrongError)  # refused
Ask.handled_by(WiderError)  # refused
Ask.handled_by(WrongMessage)  # refused
Ask.handled_by(NotAsync)  # refused
Ask.handled_by(NoResult)  # refused
Ask.handled_by(NoApply)  # refused


class WrongPrepared:
    """Prepares a number and applies money."""

    async def prepare(self, command: Do, /) -> Result[int, ValueRefused]:
        """Prepares."""
        return Success(1)

    async def apply(self, command: Do, prepared: Money, /) -> Result[int, ValueRefused]:
        """Answers."""
        return Success(1)


class WrongPreparingError:
    """Fails in its first step with an error the command does not have."""

    async def prepare(self, command: Do, /) -> Result[Money, IdentityRefused]:
        """Prepares."""
        raise NotImplementedError

    async def apply(self, command: Do, prepared: Money, /) -> Result[int, ValueRefused]:
        """Answers."""
        return Success(1)


class NotPrepared:
    """Has one step only."""

    async def apply(self, command: Do, /) -> Result[int, ValueRefused]:
        """Answers."""
        return Success(1)


class Prepared:
    """Has two steps."""

    async def prepare(self, command: Do, /) -> Result[Money, ValueRefused]:
        """Prepares."""
        return Money.parse("1", "EUR")

    async def apply(self, command: Do, prepared: Money, /) -> Result[int, ValueRefused]:
        """Answers."""
        return Success(1)


Do.prepared_by(WrongPrepared)  # refused
Do.prepared_by(WrongPreparingError)  # refused
Do.prepared_by(NotPrepared)  # refused
Do.handled_by(Prepared)  # refused


async def act(me: Actor) -> None:
    """Commands are executed and queries asked, and answers are what their class says."""
    await me.ask(Do())  # refused
    await me.execute(Ask())  # refused
    await me.execute(CreateApiToken(1))  # refused
    await me.ask(ListAccounts(limit="1"))  # refused
    answer: Result[int, ValueRefused] = await me.ask(Ask())  # refused
    print(answer)  # noqa: T201


class Port(Protocol):
    """A port."""

    def count(self) -> int:
        """Counts."""
        ...


class WrongAdapter:
    """Counts in words."""

    def count(self) -> str:
        """Counts."""
        return "one"


class Incomplete:
    """Does not count."""


def make_wrong() -> WrongAdapter:
    """A factory of what does not fit."""
    return WrongAdapter()


provide(Port).by(WrongAdapter)  # refused
provide(Port).by(Incomplete)  # refused
provide(Port).by(make_wrong)  # refused
provide(Port).by(WrongAdapter())  # refused
provide(Port).value(WrongAdapter())  # refused
provide(Port).value(Port)  # refused
provide(Clock).by(WrongAdapter)  # refused


class RightAdapter:
    """Counts, and can be closed, which the port knows nothing of."""

    def count(self) -> int:
        """Counts."""
        return 1

    async def aclose(self) -> None:
        """Closes."""


def close_at_once(port: Port) -> None:
    """Closes without being awaited."""


provide(Port).by(RightAdapter, closing=RightAdapter.aclose)  # refused
provide(Port).by(RightAdapter, ping=RightAdapter.aclose)  # refused
provide(Port).value(RightAdapter(), closing=RightAdapter.aclose)  # refused
provide(Port).value(RightAdapter(), ping=RightAdapter.aclose)  # refused
provide(Port).by(RightAdapter, closing=close_at_once)  # refused


@attrs.frozen
class Happened(DomainEvent):
    """An event."""


@attrs.frozen
class Other(DomainEvent):
    """Another event."""


async def hear_other(event: Other) -> None:
    """Hears another event."""


def hear_at_once(event: Happened) -> None:
    """Hears without being awaited."""


Happened.heard_by(hear_other)  # refused
Happened.heard_by(hear_at_once)  # refused
Happened.heard_by(hear_other, isolated=False, timeout=1)  # refused
