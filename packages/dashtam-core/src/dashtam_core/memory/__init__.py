"""The in-memory adapters: the reference implementation of every port."""

from dashtam_core.memory._bus import MemoryEventBus
from dashtam_core.memory._clock import FixedClock
from dashtam_core.memory._store import MemoryStore, open_memory_store

__all__ = ["FixedClock", "MemoryEventBus", "MemoryStore", "open_memory_store"]
