"""The days and instants of OFX as banks really print them (OFX 2.3, section 3.2.8). Unreadable is None."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

_DAY: Final = re.compile(r"(\d{4})([-/]?)(\d\d)\2(\d\d)", re.ASCII)
_TIME: Final = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,:](\d{1,6})\d*)?)?)?(?!\d)\s*", re.ASCII)
_ZONE: Final = re.compile(r"\[\s*([+-]?\d{1,2})(?:\.(\d{1,2}))?\s*(?::[^\]]*)?\]?|Z", re.ASCII)
_MAX_OFFSET: Final = timedelta(hours=14)
_YEARS: Final = range(1900, 2200)
_MAX_TEXT: Final = 64
_MINUTES_PRINTED: Final = {"30", "45"}


def day_and_instant(text: str) -> tuple[date | None, datetime | None]:
    """The calendar day as printed, and the instant in UTC if both a time and a zone are printed.

    OFX (section 3.2.8) takes GMT where no zone is printed; banks print their local day and mean it, so
    without a zone there is no instant, and no zone ever moves the day.
    """
    return parsed(text[:_MAX_TEXT])


@lru_cache(maxsize=4096)
def parsed(text: str) -> tuple[date | None, datetime | None]:
    """The same of a text that is known to be short."""
    found = _DAY.match(text)
    if not found or int(found[1]) not in _YEARS:
        return None, None
    try:
        day = date(int(found[1]), int(found[3]), int(found[4]))
    except ValueError:
        return None, None
    rest = text[found.end() :].lstrip("T ")
    time = _TIME.match(rest)
    if rest[:1].isdigit() and not time:
        return None, None
    return day, _instant(day, time, rest[time.end() :]) if time else None


def _instant(day: date, time: re.Match[str], zone_text: str) -> datetime | None:
    zone = _ZONE.fullmatch(zone_text)
    if not zone:
        return None
    offset = _offset(zone)
    hour, minute, second = (int(part or 0) for part in time.group(1, 2, 3))
    micro = int((time[4] or "").ljust(6, "0"))
    try:
        local = datetime(day.year, day.month, day.day, hour, minute, second, micro, UTC)
    except ValueError:
        return None
    return local - offset if abs(offset) <= _MAX_OFFSET else None


def _offset(zone: re.Match[str]) -> timedelta:
    """Hours with a decimal fraction (`+5.5`); some banks print minutes (`-3.30`), which no fraction looks like."""
    hours, fraction = zone[1] or "0", zone[2] or "0"
    minutes = int(fraction) if fraction in _MINUTES_PRINTED else Decimal(f"0.{fraction}") * 60
    size = timedelta(hours=abs(int(hours)), minutes=int(minutes))
    return -size if hours.startswith("-") else size
