"""Every resource of the API as one router, for our application and for yours."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from fastapi import APIRouter, Depends

from dashtam_core import Dashtam
from dashtam_core.kernel import ANONYMOUS, Subject
from dashtam_core.settings import IMPORT_MAX_BYTES
from dashtam_fastapi._accounts import accounts
from dashtam_fastapi._callers import ActorDependency, Finder, SubjectDependency, acting, remember
from dashtam_fastapi._events import events
from dashtam_fastapi._exports import exports
from dashtam_fastapi._identity import administration, people, unproven
from dashtam_fastapi._imports import imports
from dashtam_fastapi._matches import duplicates, transfers
from dashtam_fastapi._problems import documented
from dashtam_fastapi._transactions import transactions

_RESOURCES: Final = {
    "imports": imports,
    "accounts": accounts,
    "transactions": transactions,
    "exports": exports,
    "transfers": transfers,
    "duplicates": duplicates,
    "events": events,
}

_log: Final = logging.getLogger(__name__)


def router(
    dashtam: Dashtam | Finder,
    *,
    subject: SubjectDependency | None = None,
    import_max_bytes: int = IMPORT_MAX_BYTES,
    rate_limit: int = 0,
) -> APIRouter:
    """The resources under `/v1`, those of plugins among them, to be included in a FastAPI application.

    `dashtam` is one that is open, or a function that finds it for a request: then it may be opened later, by the
    application's lifespan, and the resources of its plugins are left out. `subject` is the FastAPI dependency that
    says who acts, such as one that returns `ExternalSubject(user.id)`; without it that is whom a token of this
    Dashtam stands for, and there are resources to register, log in and look after one's account.
    `import_max_bytes` is how large an uploaded file may be. `rate_limit` is how many requests a minute each caller
    may make, 0 as many as your application lets through; whom `subject` refuses is not counted. Errors are problem
    details; an exception that nobody expected is left to your application.
    """
    own = () if subject else (people, administration)
    resources = [("", each) for each in (*_RESOURCES.values(), *own)]
    if not callable(dashtam):
        resources += _made_by(dashtam.plugins.routers)
    every = APIRouter()
    actor = acting(dashtam, subject=subject, rate_limit=rate_limit)
    every.include_router(_below_v1(resources, actor, import_max_bytes))
    if not subject:
        nobody = acting(dashtam, subject=_nobody, rate_limit=rate_limit)
        every.include_router(_below_v1([("", unproven)], nobody, import_max_bytes))
    return every


async def _nobody() -> Subject:
    return ANONYMOUS


def contributed(dashtam: Dashtam, import_max_bytes: int, rate_limit: int) -> APIRouter:
    """The resources that plugins bring, under `/v1`."""
    actor = acting(dashtam, rate_limit=rate_limit)
    return _below_v1(_made_by(dashtam.plugins.routers), actor, import_max_bytes)


def _below_v1(
    resources: Iterable[tuple[str, APIRouter]], actor: ActorDependency, import_max_bytes: int
) -> APIRouter:
    below = APIRouter(
        prefix="/v1",
        dependencies=[Depends(remember(actor, import_max_bytes))],
        responses=documented(401, 403, 422, 429, 500, 503),
    )
    for prefix, each in resources:
        below.include_router(each, prefix=prefix)
    return below


def _made_by(makers: Mapping[str, Callable[[], Any]]) -> Iterator[tuple[str, APIRouter]]:
    """The routers of plugins with their paths. One that cannot be had is named in the log, and left out."""
    for name, make in makers.items():
        if name in _RESOURCES:
            _log.error("the resource /v1/%s of a plugin is left out: Dashtam has one of this name", name)
            continue
        try:
            made: APIRouter = make()
            APIRouter().include_router(made, prefix=f"/{name}")
        except Exception:  # noqa: BLE001 - whatever a plugin does wrong is that plugin's problem
            _log.exception("the resource /v1/%s of a plugin cannot be made", name)
        else:
            yield f"/{name}", made
