"""What an operator does about events that could not be delivered."""

from collections.abc import Sequence
from typing import ClassVar, Final
from uuid import UUID

import attrs

from dashtam_core.kernel import Permission, Result, Success
from dashtam_core.messaging._effects import Notes
from dashtam_core.messaging._messages import Command, PreparedAnswer, Query
from dashtam_core.messaging._outbox import DeadLetter, Deliveries
from dashtam_core.messaging._pipeline import Refused

EVENTS_MANAGE: Final = Permission("events:manage")


@attrs.frozen
class ListDeadLetters(Query[Sequence[DeadLetter], Refused]):
    """Deliveries that were given up, the latest first."""

    permission: ClassVar[Permission] = EVENTS_MANAGE
    resource_type: ClassVar[str] = "event"
    limit: int = 100


@attrs.frozen
class RetryDeadLetters(Command[int, Refused]):
    """Deliver the dead letters of one event again, or all of them; answers how many there were."""

    permission: ClassVar[Permission] = EVENTS_MANAGE
    resource_type: ClassVar[str] = "event"
    resource_field: ClassVar[str] = "event_id"
    event_id: UUID | None = None


@attrs.frozen
class ForgetSubscriber(Command[None, Refused]):
    """Keep nothing any more for a durable subscriber that is gone: what waits for it alone is dropped."""

    permission: ClassVar[Permission] = EVENTS_MANAGE
    resource_type: ClassVar[str] = "subscriber"
    resource_field: ClassVar[str] = "name"
    name: str


@attrs.frozen
class ListDeadLettersHandler(PreparedAnswer[ListDeadLetters, Sequence[DeadLetter], Refused]):
    deliveries: Deliveries

    async def prepare(self, query: ListDeadLetters, /) -> Result[Sequence[DeadLetter], Refused]:
        return Success(await self.deliveries.dead(limit=query.limit))


@attrs.frozen
class RetryDeadLettersHandler(PreparedAnswer[RetryDeadLetters, int, Refused]):
    deliveries: Deliveries
    notes: Notes

    async def prepare(self, command: RetryDeadLetters, /) -> Result[int, Refused]:
        retried = await self.deliveries.retry(command.event_id)
        await self.deliveries.announce()
        self.notes.context["count"] = retried
        return Success(retried)


@attrs.frozen
class ForgetSubscriberHandler(PreparedAnswer[ForgetSubscriber, None, Refused]):
    deliveries: Deliveries

    async def prepare(self, command: ForgetSubscriber, /) -> Result[None, Refused]:
        await self.deliveries.register({command.name: ()})
        return Success(None)


ROUTES: Final = (
    ListDeadLetters.prepared_by(ListDeadLettersHandler),
    RetryDeadLetters.prepared_by(RetryDeadLettersHandler),
    ForgetSubscriber.prepared_by(ForgetSubscriberHandler),
)
