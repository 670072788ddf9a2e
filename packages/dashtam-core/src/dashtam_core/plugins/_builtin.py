"""The plugin that is always there: the store in memory comes through the same door as every other."""

from collections.abc import Mapping

from dashtam_core.memory import open_memory_store
from dashtam_core.plugins._hooks import StoreOpener, hookimpl


@hookimpl
def dashtam_stores() -> Mapping[str, StoreOpener]:
    return {"memory": open_memory_store}
