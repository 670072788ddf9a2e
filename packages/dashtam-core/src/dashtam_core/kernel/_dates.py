from datetime import date, timedelta

import attrs
from returns.result import Success

from dashtam_core.kernel._errors import KernelCode, ValueRefused
from dashtam_core.kernel._result import Result, refused


@attrs.frozen(slots=True)
class DateRange:
    """Calendar days from `start` to `end`, both included, as a bank prints them: no time, no zone."""

    start: date
    end: date

    def __attrs_post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a range ends on or after its start, not {self.start} to {self.end}")

    @classmethod
    def parse(cls, start: str, end: str, /) -> "Result[DateRange, ValueRefused]":
        """The range between two ISO 8601 days such as `2026-01-31`."""
        try:
            return Success(cls(date.fromisoformat(start), date.fromisoformat(end)))
        except ValueError:
            return refused(
                KernelCode.DATE_RANGE_INVALID,
                f"{start[:32]!r} to {end[:32]!r} is no range of days: write each as 2026-01-31, the earlier first",
            )

    @property
    def days(self) -> int:
        """How many days it covers, at least one."""
        return (self.end - self.start).days + 1

    def __contains__(self, day: date) -> bool:
        return self.start <= day <= self.end

    def union(self, other: "DateRange") -> "DateRange | None":
        """One range that covers just the days of both, or None where a day between them is in neither."""
        if max(self.start, other.start) - min(self.end, other.end) > timedelta(days=1):
            return None
        return DateRange(min(self.start, other.start), max(self.end, other.end))
