"""What this package adds to Dashtam: the scheme `sqlite:`."""

from collections.abc import Mapping

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.plugins import StoreOpener, hookimpl
from dashtam_core.settings import Settings
from dashtam_core.store import OpenStore
from dashtam_sqlite._store import open_store

_PREFIX = "sqlite:///"


@hookimpl
def dashtam_stores() -> Mapping[str, StoreOpener]:
    return {"sqlite": _open}


def _open(settings: Settings) -> OpenStore:
    """The file that the URL names, as it stands there: after three slashes relative, after four absolute."""
    url = settings.store_url or ""
    path = url[len(_PREFIX) :]
    if not url.lower().startswith(_PREFIX) or not path or path == ":memory:" or "?" in path:
        raise UnavailableError(
            UnavailableCode.STORE_NOT_CONFIGURED,
            f"DASHTAM_STORE_URL names no SQLite file: write {_PREFIX}finance.db for one in the working directory, "
            f"{_PREFIX}/var/lib/finance.db for any other, and nothing after it; memory: keeps nothing",
        )
    return open_store(path)
