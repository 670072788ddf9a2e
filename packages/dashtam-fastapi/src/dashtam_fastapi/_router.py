"""Every resource of the API as one router, for our application and for yours."""

from typing import Final

from fastapi import APIRouter, Depends

from dashtam_core.settings import IMPORT_MAX_BYTES
from dashtam_fastapi._accounts import accounts
from dashtam_fastapi._callers import ActorDependency, Bearer, remember
from dashtam_fastapi._imports import imports
from dashtam_fastapi._problems import documented
from dashtam_fastapi._transactions import transactions

_BEARER: Final = Bearer()


def router(actor: ActorDependency = _BEARER, *, import_max_bytes: int = IMPORT_MAX_BYTES) -> APIRouter:
    """The resources under `/v1`, to be included in a FastAPI application.

    `actor` is the dependency that says who acts. `Bearer(lambda request: dashtam)` takes the API tokens of your
    own Dashtam; one that returns `dashtam.acting_as(ExternalSubject(user.id))` takes your own users.
    `import_max_bytes` is how large an uploaded file may be. Errors are problem details; an exception that nobody
    expected is left to your application.
    """
    all_of_them = APIRouter(
        prefix="/v1",
        dependencies=[Depends(remember(actor, import_max_bytes))],
        responses=documented(401, 403, 422, 500, 503),
    )
    for resources in (imports, accounts, transactions):
        all_of_them.include_router(resources)
    return all_of_them
