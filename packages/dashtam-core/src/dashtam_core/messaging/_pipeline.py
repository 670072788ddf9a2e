"""How a message runs: a list of stages shaped alike, each gets the call and what comes after it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import attrs

from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, Failure, Result, Subject
from dashtam_core.messaging._events import EventBus, Outgoing
from dashtam_core.messaging._messages import Message, Route


class RefusalCode(ErrorCode):
    """Why the pipeline turned a message away before its handler saw it."""

    UNAUTHENTICATED = "unauthenticated", ErrorKind.UNAUTHENTICATED
    PERMISSION_DENIED = "permission_denied", ErrorKind.FORBIDDEN


@attrs.frozen
class Refused(DomainError[RefusalCode]):
    """Any message may be answered with this, whatever errors of its own it has."""


class UnitOfWork(Protocol):
    """One transaction over one subject's data: begun by entering, committed by leaving.

    Made without touching the store, so that preparing holds no connection. An exception inside rolls back.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def discard(self) -> None:
        """Make the end of the block roll back instead of commit."""
        ...


@attrs.define
class Call:
    """One message on its way through the stages."""

    message: Message[Any, Any]
    route: Route
    subject: Subject
    handler: Any
    unit: UnitOfWork
    outgoing: Outgoing
    prepared: Any = None


type Answer = Result[Any, Any]
type Next = Callable[[Call], Awaitable[Answer]]


class Stage(Protocol):
    """A step every message passes: goes on by calling `proceed`, or answers itself."""

    async def __call__(self, call: Call, proceed: Next, /) -> Answer: ...


def chain(stages: Sequence[Stage], /) -> Next:
    """The stages in order, and the handler's `apply` at their end."""
    run: Next = apply
    for stage in reversed(stages):
        run = partial(_step, stage, run)
    return run


def _step(stage: Stage, proceed: Next, call: Call) -> Awaitable[Answer]:
    return stage(call, proceed)


async def apply(call: Call) -> Answer:
    """The end of every chain: the handler itself."""
    prepared = (call.prepared,) if call.route.prepares else ()
    answer: Answer = await call.handler.apply(call.message, *prepared)
    return answer


async def prepare(call: Call, proceed: Next, /) -> Answer:
    """The handler's first step, while no transaction is open."""
    if call.route.prepares:
        prepared: Answer = await call.handler.prepare(call.message)
        if isinstance(prepared, Failure):
            return prepared
        call.prepared = prepared.unwrap()
    return await proceed(call)


async def transaction(call: Call, proceed: Next, /) -> Answer:
    """All effects commit together, or none: a failure or an exception rolls back."""
    async with call.unit as unit:
        answer = await proceed(call)
        if isinstance(answer, Failure):
            unit.discard()
    return answer


@attrs.frozen
class Publish:
    """Tells what happened, once it is committed."""

    bus: EventBus

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        answer = await proceed(call)
        if not isinstance(answer, Failure):
            for event in call.outgoing.events:
                await self.bus.publish(event)
        return answer
