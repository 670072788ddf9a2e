from datetime import UTC, datetime, timedelta

import attrs


@attrs.define
class FixedClock:
    """A clock that stands still until it is told to move."""

    instant: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.instant

    def advance(self, by: timedelta) -> None:
        self.instant += by
