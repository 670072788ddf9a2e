from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is. A port, so that a test or a simulation can say."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)
