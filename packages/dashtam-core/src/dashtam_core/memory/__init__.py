"""The in-memory adapters: the reference implementation of every port."""

from dashtam_core.memory._bus import MemoryEventBus
from dashtam_core.memory._clock import FixedClock
from dashtam_core.memory._identity import MemoryRateLimiter
from dashtam_core.memory._provider import MemoryProvider
from dashtam_core.memory._shared import (
    MemoryCache,
    MemoryEventStream,
    MemoryLocks,
    MemoryShared,
    open_memory_shared,
    open_memory_stream,
)
from dashtam_core.memory._store import MemoryStore, open_memory_store
from dashtam_core.memory._vault import MemoryVault

# fmt: off
__all__ = [
    "FixedClock", "MemoryCache", "MemoryEventBus", "MemoryEventStream", "MemoryLocks", "MemoryProvider",
    "MemoryRateLimiter", "MemoryShared", "MemoryStore", "MemoryVault", "open_memory_shared", "open_memory_store",
    "open_memory_stream",
]
# fmt: on
