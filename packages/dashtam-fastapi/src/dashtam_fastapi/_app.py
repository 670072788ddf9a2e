"""The service: one FastAPI application."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from dashtam_core import Dashtam, Failure, Result, Settings, UnavailableError
from dashtam_core.kernel import ValueRefused
from dashtam_fastapi._callers import app_dashtam
from dashtam_fastapi._docs import add_docs
from dashtam_fastapi._envelope import Envelope
from dashtam_fastapi._health import health
from dashtam_fastapi._problems import HANDLED, handle
from dashtam_fastapi._router import contributed, router
from dashtam_fastapi._settings import ServiceSettings


def create_app(settings: ServiceSettings | None = None, *, dashtam: Dashtam | None = None) -> FastAPI:
    """The REST service as an ASGI application.

    `dashtam` stays yours to close; without it, the application opens one while it runs, as the environment says.

    Raises:
        UnavailableError: a setting is wrong; its message names the variable.
    """
    chosen = settings or _read(ServiceSettings.read())
    app = FastAPI(
        title="Dashtam",
        version=version("dashtam-fastapi"),
        summary="Accounts and transactions from the statement files that banks export",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_opening if dashtam is None else None,
    )
    app.state.dashtam = dashtam
    app.state.limits = limits = chosen.model_dump(include={"import_max_bytes", "rate_limit"})
    app.add_middleware(Envelope)
    if proxies := [each.strip() for each in chosen.trusted_proxies.split(",") if each.strip()]:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)
    for error in HANDLED:
        app.add_exception_handler(error, handle)
    app.include_router(router(dashtam or app_dashtam, **limits))
    app.include_router(health)
    add_docs(app)
    return app


@asynccontextmanager
async def _opening(app: FastAPI) -> AsyncGenerator[None]:
    """Opens Dashtam while the application runs; only then it is known what its plugins bring."""
    own = list(app.router.routes)
    async with _open() as app.state.dashtam:
        app.include_router(contributed(app.state.dashtam, **app.state.limits))
        app.openapi_schema = None
        yield
    app.router.routes[:] = own


def _open() -> AbstractAsyncContextManager[Dashtam]:
    return Dashtam.open(settings=_read(Settings.load()))


def _read[T](settings: Result[T, ValueRefused]) -> T:
    if isinstance(settings, Failure):
        refused = settings.failure()
        raise UnavailableError(refused.code, refused.message)
    return settings.unwrap()
