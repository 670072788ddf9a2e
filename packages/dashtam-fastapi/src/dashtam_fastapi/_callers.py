"""Who a request acts for: a bearer token of ours (RFC 6750) unless the application brings its own way to tell."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, cast

import attrs
from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from dashtam_core import Actor, Dashtam, Failure, Result, Success
from dashtam_core.identity import Authenticate
from dashtam_core.kernel import ANONYMOUS, DomainError, Origin, Subject
from dashtam_core.messaging import Command, Query
from dashtam_fastapi._parameters import IdempotencyKey, idempotency_key, refuse_repeated
from dashtam_fastapi._problems import ProblemError

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
    """The dependency that takes API tokens from the `Authorization` header, and from nowhere else."""

    def __init__(self, dashtam: Finder) -> None:
        self.model = HTTPBearer(
            description="The access token of a session, or an API token as `dashtam token` makes it"
        )
        self.scheme_name = "bearer"
        self._dashtam = dashtam

    async def __call__(self, request: Request) -> Subject:
        anybody = self._dashtam(request).acting_as(ANONYMOUS, _origin(request))
        match await anybody.ask(Authenticate(_token(request.headers.getlist("authorization")))):
            case Success(subject):
                return subject
            case Failure(error):
                raise ProblemError.of(error, headers=_REFUSE)


@attrs.frozen
class Caller:
    """Who asks, as an endpoint sees it: a failure ends the request with its problem."""

    actor: Actor
    import_max_bytes: int

    async def ask[T, E: DomainError[Any]](self, query: Query[T, E]) -> T:
        result = await self.actor.ask(query)
        return _value(result)


@attrs.frozen
class Writer(Caller):
    """A caller who changes something: a request repeated with its key changes nothing more."""

    idempotency_key: str | None

    async def execute[T, E: DomainError[Any]](self, command: Command[T, E]) -> T:
        result = await self.actor.execute(command, idempotency_key=self.idempotency_key)
        return _value(result)


def acting(dashtam: Dashtam | Finder, *, subject: SubjectDependency | None = None) -> ActorDependency:
    """A dependency for endpoints of your own: Dashtam as who asks sees it, from where the request comes.

    `dashtam` is one that is open, or a function that finds it for a request. `subject` is the dependency that says
    who acts, such as one that returns `ExternalSubject(user.id)`; without it, whom an API token of this Dashtam
    belongs to.
    """
    find: Finder = dashtam if callable(dashtam) else lambda _: dashtam

    async def act(request: Request, who: Annotated[Subject, Depends(subject or Bearer(find))]) -> Actor:
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


def _token(headers: list[str]) -> str:
    """The token in the one header there should be. Other schemes than Bearer count as no credentials."""
    if not any(header.lower().startswith("bearer") for header in headers):
        raise ProblemError(401, "unauthenticated", _HOW, headers=_ASK)
    match = _CREDENTIALS.fullmatch(headers[0]) if len(headers) == 1 else None
    if match is None:
        raise ProblemError(401, "token_malformed", _MALFORMED, headers=_REFUSE)
    return match[1]
