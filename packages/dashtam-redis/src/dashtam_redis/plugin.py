"""What this package adds to Dashtam: the schemes `redis:`, `rediss:`, `valkey:` and `valkeys:` of both URLs."""

from collections.abc import Mapping
from typing import Final

from dashtam_core.plugins import SharedOpener, StreamOpener, hookimpl
from dashtam_core.settings import Settings
from dashtam_core.store import OpenShared, OpenStream

_SCHEMES: Final = ("redis", "rediss", "valkey", "valkeys")


@hookimpl
def dashtam_caches() -> Mapping[str, SharedOpener]:
    return dict.fromkeys(_SCHEMES, _open_shared)


@hookimpl
def dashtam_streams() -> Mapping[str, StreamOpener]:
    return dict.fromkeys(_SCHEMES, _open_stream)


def _open_shared(settings: Settings) -> OpenShared:
    from dashtam_redis._shared import open_shared

    assert settings.cache_url is not None, "the scheme was taken from it"
    return open_shared(settings.cache_url)


def _open_stream(settings: Settings) -> OpenStream:
    from dashtam_redis._stream import open_stream

    assert settings.bus_url is not None, "the scheme was taken from it"
    return open_stream(settings.bus_url)
