"""`/events`: what happens to the caller as it happens, as server-sent events (HTML standard, section 9.2)."""

import asyncio
from asyncio import QueueShutDown
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from dashtam_core import Actor
from dashtam_core.identity import FOLLOWING
from dashtam_core.kernel import DomainError, Subject
from dashtam_core.messaging import Category, Entry, Listener
from dashtam_fastapi._answers import ProblemRoute
from dashtam_fastapi._callers import Me
from dashtam_fastapi._parameters import Categories, LastEventId, NoQuery
from dashtam_fastapi._problems import HANDLED, PRIVATE, ProblemError, problem_response
from dashtam_fastapi._rates import RateCode

HEARTBEAT_SECONDS: Final = 15.0
# Of one person, in one process.
MOST_LISTENERS: Final = 20
# The position in a process to which nothing has happened: unknown later, so that who comes back fetches anew.
_START: Final = "start"
_BUSY: Final = f"{MOST_LISTENERS} programs of yours listen here: end one that is not needed, and try again"

events = APIRouter(tags=["events"], route_class=ProblemRoute)


class EventQuery(NoQuery):
    """What to be told of."""

    category: Categories = Field(default=",".join(Category), description="Of what, with commas")


@events.get(
    "/events",
    operation_id="listen",
    summary="Hear what happens as it happens",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def listen(me: Me, query: Annotated[EventQuery, Query()], last_event_id: LastEventId = None) -> Response:
    """Server-sent events, each named by its category and with one CloudEvents 1.0 object as its data.

    The event `reset` says that some were missed: fetch anew what you show. Every 15 seconds without an event comes
    an id alone. The stream ends when your token is good no more: come back with another and `Last-Event-ID`.
    """
    wanted = frozenset(map(Category, query.category.split(",")))
    for question in {FOLLOWING[each] for each in wanted}:
        await me.ask(question)
    await me.actor.dashtam.live.begin()
    return _Listening(me.actor, wanted, last_event_id or None)


class _Listening(StreamingResponse):
    """What one listener hears, sent by the task of the request; another notices when the client goes."""

    def __init__(self, actor: Actor, wanted: Collection[Category], after: str | None) -> None:
        super().__init__((), headers={**PRIVATE, "x-accel-buffering": "no"}, media_type="text/event-stream")
        self._me, self._live, self._wanted, self._after = actor.subject, actor.dashtam.live, wanted, after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._live.listeners_of(self._me.user_id) >= MOST_LISTENERS:
            busy = DomainError(RateCode.LISTENERS_TOO_MANY, _BUSY, retry_after=HEARTBEAT_SECONDS)
            await problem_response(ProblemError.of(busy))(scope, receive, send)
            return
        with self._live.listen(self._me.user_id, self._wanted, self._after) as listener:
            self.body_iterator = self._told(Request(scope), listener, self._beginning(listener))
            leaving = asyncio.create_task(_left(receive, listener))
            try:
                await self.stream_response(send)
            finally:
                leaving.cancel()

    async def _told(self, request: Request, listener: Listener, text: str) -> AsyncGenerator[str]:
        """Ends with the process, with the listener and with their access, which is looked at each time."""
        verify: Callable[[], Awaitable[Subject]] | None = getattr(request.state, "dashtam_verify", None)
        yield text
        with suppress(QueueShutDown, *HANDLED):
            while True:
                text = await self._next(listener)
                me = await verify() if verify else self._me
                if not all(me.may(FOLLOWING[each].permission) for each in self._wanted):
                    return
                yield text

    async def _next(self, listener: Listener) -> str:
        """All that waits; after a while of nothing, where whoever comes back may go on from."""
        entries = [await listener.next(HEARTBEAT_SECONDS)]
        while not listener.waiting.empty():
            entries.append(listener.waiting.get_nowait())
        return "".join(_event(each) for each in entries if each) or f"id: {self._live.position or _START}\n\n"

    def _beginning(self, listener: Listener) -> str:
        """Before who came back has heard what was missed, the place where they left is still theirs."""
        reset = "" if listener.complete else "event: reset\ndata: {}\n"
        place = "" if self._after and listener.complete else f"id: {self._live.position or _START}\n"
        return f"retry: 3000\n{place}{reset}\n"


async def _left(receive: Receive, listener: Listener) -> None:
    """Ends the listening of a client as it goes, so that its place is free."""
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.waiting.shutdown(immediate=True)


def _event(entry: Entry) -> str:
    return f"id: {entry.position}\nevent: {entry.event.category}\ndata: {entry.event.json}\n\n"
