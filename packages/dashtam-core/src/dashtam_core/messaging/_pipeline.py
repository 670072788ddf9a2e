"""How a message runs: a list of stages shaped alike, each gets the call and what comes after it."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import attrs

from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, Failure, Origin, Result, Subject
from dashtam_core.logs import bound
from dashtam_core.messaging._effects import Notes, Outgoing
from dashtam_core.messaging._events import DomainEvent, EventBus
from dashtam_core.messaging._messages import Command, Message, Route

if TYPE_CHECKING:
    from uuid import UUID

    from dashtam_core.messaging._caching import Rendering
    from dashtam_core.messaging._idempotency import Answers
    from dashtam_core.messaging._outbox import Outbox

_log: Final = logging.getLogger(__name__)


class RefusalCode(ErrorCode):
    """Why the pipeline turned a message away before its handler saw it."""

    UNAUTHENTICATED = "unauthenticated", ErrorKind.UNAUTHENTICATED
    PERMISSION_DENIED = "permission_denied", ErrorKind.FORBIDDEN
    IDEMPOTENCY_KEY_INVALID = "idempotency_key_invalid", ErrorKind.INVALID
    IDEMPOTENCY_KEY_NOT_TAKEN = "idempotency_key_not_taken", ErrorKind.INVALID
    IDEMPOTENCY_KEY_IN_USE = "idempotency_key_in_use", ErrorKind.CONFLICT
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", ErrorKind.INVALID


@attrs.frozen
class Refused(DomainError[RefusalCode]):
    """Any message may be answered with this, whatever errors of its own it has."""


class UnitOfWork(Protocol):
    """One transaction over one subject's data: begun by entering, committed by leaving.

    Made without touching the store, so that preparing holds no connection. An exception inside rolls back. Once
    left it may be entered again, which begins another transaction for the same repositories.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    def discard(self) -> None:
        """Make the end of the block roll back instead of commit."""
        ...

    async def flush(self) -> None:
        """Write what was handed over for the end of the transaction. Leaving does it too, if nobody did before."""
        ...

    @property
    def outbox(self) -> "Outbox": ...

    @property
    def answers(self) -> "Answers": ...


@attrs.define
class Call:
    """One message on its way through the stages."""

    message: Message[Any, Any]
    route: Route
    subject: Subject
    handler: Any
    unit: UnitOfWork
    outgoing: Outgoing
    notes: Notes
    origin: Origin
    call_id: "UUID"
    """Names this attempt in the log and in the audit trail."""
    idempotency_key: str | None = None
    render: "Rendering | None" = None
    """The form that the answer is wanted in; None: as it is."""
    fingerprint: bytes | None = None
    started: float = attrs.field(factory=time.perf_counter)
    seal: Callable[[bytes], bytes] | None = None
    """Encrypts what is personal about the call for the audit trail, once the person's key has been found."""
    prepared: Any = None
    replayed: bool = False
    committing: bool = False
    """From here on an error does not say whether the change, or the failure, was committed."""
    committed: bool = False


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


@attrs.frozen
class LogContext:
    """Names the message in everything that is logged while it runs, and tells how it went.

    A command leaves one line, a query one for who debugs; either is a warning if it took `slow_seconds` or more.
    """

    slow_seconds: float

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        outcome = "raised"
        request = {"request_id": call.origin.request_id} if call.origin.request_id else {}
        with bound(action=call.message.action, call_id=call.call_id, subject=call.subject.user_id, **request):
            try:
                answer = await proceed(call)
                outcome = _outcome(call, answer)
            finally:
                self._tell(call, outcome, time.perf_counter() - call.started)
        return answer

    def _tell(self, call: Call, outcome: str, seconds: float) -> None:
        level = logging.INFO if call.message.audited else logging.DEBUG
        slow = seconds >= self.slow_seconds
        level = logging.WARNING if slow else level
        if _log.isEnabledFor(level):
            extra = {"outcome": outcome, "milliseconds": round(seconds * 1000, 1)}
            kind = "command" if isinstance(call.message, Command) else "query"
            _log.log(level, f"slow {kind}" if slow else kind, extra=extra)


def _outcome(call: Call, answer: Answer) -> str:
    if isinstance(answer, Failure):
        return str(error_code(answer.failure()))
    return "replayed" if call.replayed else "succeeded"


def error_code(error: object, /) -> str:
    """The code of an error value or exception, or else the name of its class."""
    return str(getattr(error, "code", None) or type(error).__name__)


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
        else:
            await unit.flush()
            call.committing = True
    call.committed = call.committing
    return answer


@attrs.frozen
class Publish:
    """Tells what is committed, also what survived a failure or an exception: the bus, and durable subscribers."""

    bus: EventBus
    wake: Callable[[], Awaitable[None]]

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        try:
            return await proceed(call)
        finally:
            if call.committed and call.outgoing.settled:
                await self._tell(call.outgoing.settled)

    async def _tell(self, events: Sequence[DomainEvent]) -> None:
        await self.wake()
        for event in events:
            await self.bus.publish(event)
