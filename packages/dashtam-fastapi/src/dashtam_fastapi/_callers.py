"""Who a request acts for: a bearer token of ours (RFC 6750) unless the application brings its own way to tell."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Final, cast

import attrs
from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from dashtam_core import Actor, Dashtam, Failure, Result, Success
from dashtam_core.identity import Authenticate
from dashtam_core.kernel import ANONYMOUS, DomainError, Origin, Subject
from dashtam_core.messaging import Command, Query, Rendering
from dashtam_fastapi._parameters import IdempotencyKey, idempotency_key, refuse_repeated
from dashtam_fastapi._problems import ProblemError
from dashtam_fastapi._rates import RateLimit

type SubjectDependency = Callable[..., Subject | Awaitable[Subject]]
"""A FastAPI dependency that tells who acts, or ends the request. It may take whatever a dependency may."""

type ActorDependency = Callable[..., Awaitable[Actor]]

type Finder = Callable[[Request], Dashtam]
"""Which Dashtam a request is for."""

_CREDENTIALS: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.ASCII | re.IGNORECASE)
_ASK: Final = {"www-authenticate": "Bearer"}
_REFUSE: Final = {"www-authenticate": 'Bearer error="invalid_token"'}
_HOW: Final = "send an API token in the header Authorization: Bearer …"
_MAX_TOLD: Final = 512
_MALFORMED: Final = "the Authorization header is not the word Bearer, a space and one token: copy the token again"


def app_dashtam(request: Request) -> Dashtam:
    """The Dashtam of an application made by `create_app`."""
    return cast("Dashtam", request.app.state.dashtam)


class Bearer(SecurityBase):
    """The dependency that takes tokens from the `Authorization` header alone, and counts before it asks."""

    def __init__(self, dashtam: Finder, limit: RateLimit) -> None:
        self.model = HTTPBearer(
            description="The access token of a session, or an API token as `dashtam token` makes it"
        )
        self.scheme_name = "bearer"
        self._dashtam = dashtam
        self._limit = limit

    async def __call__(self, request: Request) -> Subject:
        given, dashtam = request.headers.getlist("authorization"), self._dashtam(request)
        match = _CREDENTIALS.fullmatch(given[0]) if len(given) == 1 else None
        token = match[1] if match else ""
        await self._limit.count(request, dashtam, self._limit.holder(dashtam, token))
        if not token:
            raise _no_token(given)
        anybody = dashtam.acting_as(ANONYMOUS, _origin(request))
        request.state.dashtam_verify = partial(self._verified, anybody, token)  # for answers that take long
        return await self._verified(anybody, token)

    async def _verified(self, anybody: Actor, token: str) -> Subject:
        match await anybody.ask(Authenticate(token)):
            case Success(subject):
                self._limit.learn(token, subject.user_id)
                return subject
            case Failure(error):
                self._limit.learn(token, None)
                raise ProblemError.of(error, headers=_REFUSE)


@attrs.frozen
class Caller:
    """Who asks, as an endpoint sees it: a failure ends the request with its problem."""

    actor: Actor
    import_max_bytes: int

    async def ask[T, E: DomainError[Any]](self, query: Query[T, E]) -> T:
        result = await self.actor.ask(query)
        return _value(result)

    async def render[T, E: DomainError[Any]](self, query: Query[T, E], rendering: Rendering) -> bytes:
        result = await self.actor.render(query, rendering)
        return _value(result)


@attrs.frozen
class Writer(Caller):
    """A caller who changes something: a request repeated with its key changes nothing more."""

    idempotency_key: str | None

    async def execute[T, E: DomainError[Any]](self, command: Command[T, E]) -> T:
        result = await self.actor.execute(command, idempotency_key=self.idempotency_key)
        return _value(result)


def acting(
    dashtam: Dashtam | Finder, *, subject: SubjectDependency | None = None, rate_limit: int = 0
) -> ActorDependency:
    """A dependency for endpoints of your own: Dashtam as who asks sees it, from where the request comes.

    `dashtam` is one that is open, or a function that finds it for a request. `subject` is the dependency that says
    who acts, such as one that returns `ExternalSubject(user.id)`; without it, whom an API token of this Dashtam
    belongs to. `rate_limit` is how many requests a minute each caller may make; 0: as many as they like.
    """
    find: Finder = dashtam if callable(dashtam) else lambda _: dashtam
    limit = RateLimit(rate_limit)

    async def act(request: Request, who: Annotated[Subject, Depends(subject or Bearer(find, limit))]) -> Actor:
        if subject:
            await limit.count(request, find(request), None if who == ANONYMOUS else who.user_id)
        return find(request).acting_as(who, _origin(request))

    return act


def remember(actor: ActorDependency, import_max_bytes: int) -> Callable[..., Awaitable[None]]:
    """The dependency of the whole router: says who calls before anything else of the request is looked at."""

    async def remembered(request: Request, who: Annotated[Actor, Depends(actor)]) -> None:
        request.state.dashtam_caller = Caller(who, import_max_bytes)
        refuse_repeated(request)

    return remembered


async def _remembered(request: Request) -> Caller:
    return cast("Caller", request.state.dashtam_caller)


Me = Annotated[Caller, Depends(_remembered)]
"""What an endpoint that reads asks for, to act as its caller."""


async def _writing(request: Request, key: IdempotencyKey = None) -> Writer:
    me = await _remembered(request)
    return Writer(me.actor, me.import_max_bytes, idempotency_key(request, key))


MeWriting = Annotated[Writer, Depends(_writing)]
"""What an endpoint that changes something asks for: it takes the header Idempotency-Key, and says so."""


async def _writing_unkept(request: Request) -> Writer:
    me = await _remembered(request)
    return Writer(me.actor, me.import_max_bytes, None)


MeWritingUnkept = Annotated[Writer, Depends(_writing_unkept)]
"""What one asks for whose answer may hold a secret, and is not kept for a retry."""


def _origin(request: Request) -> Origin:
    """Where a request comes from: the peer of its connection, whoever a header says it is forwarded for."""
    ip_address = request.client.host if request.client else None
    user_agent = request.headers.get("user-agent", "")
    return Origin("http", ip_address, _told(user_agent), _told(getattr(request.state, "request_id", "")))


def _told(text: object) -> str | None:
    """What somebody says of themselves, as far as it can be printed, and not at any length."""
    return "".join(filter(str.isprintable, str(text)))[:_MAX_TOLD] or None


def _value[T, E: DomainError[Any]](result: Result[T, E]) -> T:
    match result:
        case Success(value):
            return value
        case Failure(error):
            raise ProblemError.of(error)


def _no_token(headers: list[str]) -> ProblemError:
    """The problem of a request without one token. Other schemes than Bearer count as no credentials."""
    if any(header.lower().startswith("bearer") for header in headers):
        return ProblemError(401, "token_malformed", _MALFORMED, headers=_REFUSE)
    return ProblemError(401, "unauthenticated", _HOW, headers=_ASK)
