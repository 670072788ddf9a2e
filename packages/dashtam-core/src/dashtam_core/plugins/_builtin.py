"""The plugin that is always there: the store in memory comes through the same door as every other."""

from collections.abc import Mapping
from typing import Final

from dashtam_core.memory import open_memory_shared, open_memory_store, open_memory_stream
from dashtam_core.plugins._hooks import SharedOpener, StoreOpener, StreamOpener, hookimpl

COMMANDS: Final = (
    *("read", "import", "accounts", "transactions", "holdings", "transfers", "duplicates", "annotate", "export"),
    *("token", "audit", "events", "plugins", "users", "keys"),
)
"""The commands that Dashtam's own command line has: no plugin takes their place."""


@hookimpl
def dashtam_stores() -> Mapping[str, StoreOpener]:
    return {"memory": open_memory_store}


@hookimpl
def dashtam_caches() -> Mapping[str, SharedOpener]:
    return {"memory": open_memory_shared}


@hookimpl
def dashtam_streams() -> Mapping[str, StreamOpener]:
    return {"memory": open_memory_stream}
