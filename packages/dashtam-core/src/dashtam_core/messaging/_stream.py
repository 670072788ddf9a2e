"""Events on their way to all processes of a deployment, in the form that others read too: CloudEvents 1.0."""

import json
from collections.abc import Sequence
from typing import Any, Final, Protocol
from uuid import UUID

import attrs

from dashtam_core.kernel import UserId
from dashtam_core.messaging._events import Category, DomainEvent
from dashtam_core.messaging._outbox import StoredEvent

SOURCE: Final = "dashtam"


@attrs.frozen
class WireEvent:
    """An event as it crosses processes: one JSON object, and what is needed to send it on."""

    event_id: UUID
    user_id: UserId
    name: str
    category: Category | None
    json: str = attrs.field(repr=False)

    @classmethod
    def of(cls, stored: StoredEvent, kind: type[DomainEvent], /) -> "WireEvent":
        """By CloudEvents 1.0, without `private` fields, of the person its `user_id` names, or else who did it."""
        data: dict[str, Any] = json.loads(stored.payload)
        user_id = UserId(UUID(data.get("user_id", str(stored.user_id))))
        shown = {name: value for name, value in data.items() if name not in {"event_id", *kind.private}}
        envelope = {
            "specversion": "1.0",
            "id": str(stored.event_id),
            "source": SOURCE,
            "type": wire_type(kind),
            "subject": str(user_id),
            "time": stored.made_at.isoformat(timespec="milliseconds"),
            "datacontenttype": "application/json",
            "data": shown,
        } | ({"category": kind.category.value} if kind.category else {})
        text = json.dumps(envelope, separators=(",", ":"))
        return cls(stored.event_id, user_id, stored.name, kind.category, text)

    @classmethod
    def read(cls, text: str, /) -> "WireEvent":
        """What `of` wrote.

        Raises:
            ValueError: it is nothing of the kind.
        """
        try:
            found: dict[str, Any] = json.loads(text)
            said: Any = found.get("category")
            category = Category(said) if said in Category else None  # a later version may know others
            _, name, _ = found["type"].split(".")
            plain = json.dumps(found, separators=(",", ":"))  # one line, whoever wrote it
            return cls(UUID(found["id"]), UserId(UUID(found["subject"])), name, category, plain)
        except (AttributeError, KeyError, RecursionError, TypeError) as error:
            raise ValueError("not an event as Dashtam writes it") from error


@attrs.frozen
class Entry:
    """An event at its place in the stream. Positions are text, and tell the order only to the stream itself."""

    position: str
    event: WireEvent


class EventStream(Protocol):
    """Events in one order for every process, each kept until enough others have come after it.

    What must not be lost is in the outbox until each durable subscriber has it: a stream may lose what it holds.
    Every method raises `UnavailableError` where it does not answer.
    """

    async def append(self, event: WireEvent, /) -> None:
        """Add an event at the end.

        A group none of whose members has come for long holds nobody up, and loses what is pushed out.

        Raises:
            UnavailableError: also, as `bus_full`, if it would push out what a group has yet to do.
        """
        ...

    async def take(self, group: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        """The next entries for a group, each for one of its members: this one, until it says `done`.

        A new group begins with the first that is kept. What a member took and fell silent about comes first. Waits
        so many seconds for the first, and answers none then.
        """
        ...

    async def done(self, group: str, positions: Sequence[str], /) -> None:
        """These need not be given to the group again. What it does not know, or has done, is passed over."""
        ...

    async def after(self, position: str, /, *, limit: int, seconds: float) -> Sequence[Entry]:
        """The entries that come after a position, whoever took them; "", or one not kept, is before the first.

        Waits so many seconds for the first, and answers none then.
        """
        ...

    async def latest(self, limit: int, /) -> Sequence[Entry]:
        """The last entries, in their order."""
        ...


def wire_type(kind: type[DomainEvent]) -> str:
    """The CloudEvents type: what reads one reads all with the same name and version."""
    return f"{SOURCE}.{kind.__name__}.v{kind.version}"
