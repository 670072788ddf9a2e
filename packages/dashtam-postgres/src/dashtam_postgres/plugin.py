"""What this package adds to Dashtam: the scheme `postgresql:` and the command `dashtam db`."""

from collections.abc import Mapping

from dashtam_core.plugins import CommandAdder, StoreOpener, hookimpl
from dashtam_core.settings import Settings
from dashtam_core.store import OpenStore


@hookimpl
def dashtam_stores() -> Mapping[str, StoreOpener]:
    return {"postgresql": _open, "postgres": _open}


@hookimpl
def dashtam_commands() -> Mapping[str, CommandAdder]:
    return {"db": _add_db}


def _open(settings: Settings) -> OpenStore:
    from dashtam_postgres._store import open_store

    assert settings.store_url is not None, "the scheme was taken from it"
    return open_store(settings.store_url)


def _add_db(app: object) -> None:
    from dashtam_postgres._cli import add_db

    add_db(app)
