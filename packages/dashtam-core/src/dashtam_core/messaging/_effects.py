"""What a handler says beside its answer: the events that come of it, and what the audit trail should know."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs

from dashtam_core.messaging._events import DomainEvent

type Effect = Callable[[], Awaitable[object]]
"""A write through the handler's own repositories, which then work in whichever transaction commits."""


@attrs.define
class Outgoing:
    """The events of one message: kept with its change in one transaction, and told once that is committed."""

    events: list[DomainEvent] = attrs.field(factory=list[DomainEvent])
    surviving: list[DomainEvent] = attrs.field(factory=list[DomainEvent])
    effects: list[Effect] = attrs.field(factory=list[Effect])
    settled: Sequence[DomainEvent] = ()
    """What goes with the transaction at hand, to be told once that is committed."""

    def emit(self, event: DomainEvent, /) -> None:
        """Tell of this if the message succeeds."""
        self.events.append(event)

    def even_if_failed(self, event: DomainEvent | None = None, /, *, effect: Effect | None = None) -> None:
        """Tell of this, and do that, also if the message fails: it then commits together with the failure.

        `effect` is an async function without arguments that writes through the handler's repositories: a counter
        of failed attempts, a family of tokens revoked. It runs once, after the handler.
        """
        if event is not None:
            self.surviving.append(event)
        if effect is not None:
            self.effects.append(effect)


@attrs.define
class Notes:
    """What a handler adds to the audit entry of its outcome.

    `context` is kept in the clear and for ever: counts, codes, digests. `personal` is kept under the person's key
    and unreadable once they are erased. Both take what JSON knows but fractions; an amount is a string.
    """

    resource_id: str | None = None
    context: dict[str, Any] = attrs.field(factory=dict[str, Any])
    personal: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def about(self, resource_id: object, /, **context: Any) -> None:
        """Names the thing that was made or changed, and facts about it in the clear."""
        self.resource_id = str(resource_id)
        self.context |= context

    def privately(self, **personal: Any) -> None:
        """Adds what only the person's key opens."""
        self.personal |= personal

    def clear(self) -> None:
        """Takes everything back."""
        self.resource_id = None
        self.context.clear()
        self.personal.clear()
