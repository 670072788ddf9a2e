"""Messages, their routes, the pipeline they run through, and the events that come of them."""

from dashtam_core.messaging._events import DomainEvent, EventBus, Outgoing, Subscription
from dashtam_core.messaging._messages import Command, Handler, Message, PreparingHandler, Query, Route
from dashtam_core.messaging._pipeline import (
    Answer,
    Call,
    Next,
    Publish,
    RefusalCode,
    Refused,
    Stage,
    UnitOfWork,
    chain,
    prepare,
    transaction,
)

__all__ = [
    "Answer",
    "Call",
    "Command",
    "DomainEvent",
    "EventBus",
    "Handler",
    "Message",
    "Next",
    "Outgoing",
    "PreparingHandler",
    "Publish",
    "Query",
    "RefusalCode",
    "Refused",
    "Route",
    "Stage",
    "Subscription",
    "UnitOfWork",
    "chain",
    "prepare",
    "transaction",
]
