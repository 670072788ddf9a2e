"""ISODate and ISODateTime as banks print them. Unreadable is None."""

from datetime import UTC, date, datetime
from functools import lru_cache


def day_and_instant(text: str | None) -> tuple[date | None, datetime | None]:
    """The calendar day as printed, and the instant in UTC if both a time and a zone are printed."""
    return _day_and_instant((text or "")[:64])


@lru_cache(maxsize=4096)
def _day_and_instant(text: str) -> tuple[date | None, datetime | None]:
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return None, None
    if day.year not in range(1900, 2200) or text[10:11].isdigit():
        return None, None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return day, None
    return day, instant.astimezone(UTC) if instant.tzinfo else None
