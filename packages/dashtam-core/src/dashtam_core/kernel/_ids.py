"""Identifiers: UUID version 7 (RFC 9562), which sort by the time they were made."""

import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def new_id() -> UUID:
    """A new UUIDv7, greater than every one this process made before.

    Milliseconds and a 12-bit fraction of one (RFC 9562, section 6.2, method 3), then 62 random bits.
    """
    global _last  # noqa: PLW0603 - the one piece of state that keeps ids ascending
    now = time.time_ns()
    tick = (now // 1_000_000 << 12) | (now % 1_000_000 << 12) // 1_000_000
    with _lock:
        _last = tick = max(tick, _last + 1)
    random = int.from_bytes(os.urandom(8)) >> 2
    return UUID(int=(tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random)
