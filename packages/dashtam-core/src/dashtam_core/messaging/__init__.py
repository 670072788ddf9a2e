"""Messages, their routes, the pipeline they run through, and the events that come of them."""

from dashtam_core.messaging._caching import KEPT_SECONDS, Cache, QueryCache, Rendering
from dashtam_core.messaging._codec import dump as dump_json
from dashtam_core.messaging._codec import load as load_json
from dashtam_core.messaging._codec import register_json
from dashtam_core.messaging._dead_letters import (
    EVENTS_MANAGE,
    ROUTES,
    ForgetSubscriber,
    ListDeadLetters,
    RetryDeadLetters,
)
from dashtam_core.messaging._effects import Effect, Notes, Outgoing
from dashtam_core.messaging._events import (
    BusClosedError,
    Category,
    Delivery,
    DomainEvent,
    DurableSubscription,
    EventBus,
    Subscription,
)
from dashtam_core.messaging._idempotency import KEPT_FOR, Answers, KeptAnswer, KeyState, earlier_answer, idempotent
from dashtam_core.messaging._live import Listener, Live
from dashtam_core.messaging._locks import Lease, Locks
from dashtam_core.messaging._messages import (
    Command,
    Handler,
    Message,
    PreparedAnswer,
    PreparingHandler,
    Query,
    Route,
)
from dashtam_core.messaging._outbox import (
    DeadLetter,
    Deliveries,
    Handover,
    Outbox,
    OutboxLag,
    StoredEvent,
    emit,
    settle,
)
from dashtam_core.messaging._pipeline import (
    Answer,
    Call,
    LogContext,
    Next,
    Publish,
    RefusalCode,
    Refused,
    Stage,
    UnitOfWork,
    chain,
    error_code,
    prepare,
    transaction,
)
from dashtam_core.messaging._relay import STREAM, Relay
from dashtam_core.messaging._stream import Entry, EventStream, WireEvent, wire_type

# fmt: off
__all__ = [
    "EVENTS_MANAGE", "KEPT_FOR", "KEPT_SECONDS", "ROUTES", "STREAM", "Answer", "Answers", "BusClosedError",
    "Cache", "Call", "Category", "Command", "DeadLetter", "Deliveries", "Delivery", "DomainEvent",
    "DurableSubscription", "Effect", "Entry", "EventBus", "EventStream", "ForgetSubscriber", "Handler", "Handover",
    "KeptAnswer", "KeyState", "Lease", "ListDeadLetters", "Listener", "Live", "Locks", "LogContext", "Message",
    "Next", "Notes", "Outbox", "OutboxLag", "Outgoing", "PreparedAnswer", "PreparingHandler", "Publish", "Query",
    "QueryCache", "RefusalCode", "Refused", "Relay", "Rendering", "RetryDeadLetters", "Route", "Stage",
    "StoredEvent", "Subscription", "UnitOfWork", "WireEvent", "chain", "dump_json", "earlier_answer", "emit",
    "error_code", "idempotent", "load_json", "prepare", "register_json", "settle", "transaction", "wire_type",
]
# fmt: on
