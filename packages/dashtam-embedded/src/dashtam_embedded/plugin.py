"""What this package adds to Dashtam: the scheme `embedded:`, a PostgreSQL of one's own in the data folder."""

import hashlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.logs import remember
from dashtam_core.plugins import StoreOpener, hookimpl
from dashtam_core.settings import Settings
from dashtam_core.store import Store

_ROLE: Final = "dashtam_app"


@hookimpl
def dashtam_stores() -> Mapping[str, StoreOpener]:
    return {"embedded": _open}


@asynccontextmanager
async def _open(settings: Settings) -> AsyncGenerator[Store]:
    """Starts the server, or joins the one that runs, and brings its tables up to date."""
    try:
        import dashtam_postgres
    except ModuleNotFoundError as error:
        raise UnavailableError(
            UnavailableCode.STORE_NOT_CONFIGURED,
            "an embedded store speaks PostgreSQL through another package: pip install dashtam-postgres",
        ) from error
    from dashtam_embedded import EmbeddedServerError, postgres

    try:
        async with postgres(settings.data_dir / "postgres") as server:
            owner = urlsplit(server.admin_url)
            password = _password(owner.password or "")
            for secret in (owner.password or "", password):
                remember(secret)
            await dashtam_postgres.upgrade(server.admin_url, app_role=_ROLE, app_password=password)
            url = owner._replace(netloc=f"{_ROLE}:{password}@{owner.hostname}:{owner.port}").geturl()
            async with dashtam_postgres.open_store(url) as store:
                yield store
    except EmbeddedServerError as error:
        raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, str(error)) from error


def _password(owners: str) -> str:
    """The application role's password: follows from the owner's, so that there is one secret to keep."""
    return hmac.digest(owners.encode(), _ROLE.encode(), hashlib.sha256).hex()
