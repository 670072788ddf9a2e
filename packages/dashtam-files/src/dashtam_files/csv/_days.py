"""Days as banks print them: numbers in one of three orders, month names of many languages, times and zones."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Final

from dashtam_files.csv._vocabulary import months

ORDERS: Final = ("YMD", "DMY", "MDY")
_MAX_TEXT: Final = 64
_YEARS: Final = range(1900, 2200)
_CENTURY: Final = 70
"""Years of two digits from here on are of the century before."""

_WEEKDAY: Final = r"(?:[^\W\d_]{2,10}[.,]{1,2}\s*)?"
_TIME: Final = (
    r"(?:[\s,T]\s*(\d{1,2})[:.](\d\d)(?:[:.](\d\d)(?:[.,]\d{1,9})?)?\s*([AaPp]\.?[Mm]\.?)?"
    r"\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?|\s+as of\s.{1,20})?"
)
_NUMBERS: Final = re.compile(rf"(\d{{1,4}})(\s?[./-]\s?)(\d{{1,2}})\2(\d{{1,4}})\.?{_TIME}", re.ASCII)
_SOLID: Final = re.compile(r"(\d{8})()", re.ASCII)
_NAMED: Final = re.compile(
    rf"{_WEEKDAY}(\d{{1,4}})[\s.,/-]{{0,2}}([^\W\d_]{{3,10}})[\s.,/-]{{0,2}}(\d{{2,4}}){_TIME}"
)
_NAME_FIRST: Final = re.compile(
    rf"{_WEEKDAY}([^\W\d_]{{3,10}})[\s.-]{{1,2}}(\d{{1,2}}),?[\s-]\s?(\d{{2,4}}){_TIME}"
)


def day_and_instant(text: str, order: str) -> tuple[date | None, datetime | None]:
    """The calendar day as printed, and the instant in UTC where a time and its zone are printed.

    `order` is YMD, DMY or MDY; a month's name and a year of four digits in front need none.
    """
    return _read(text[:_MAX_TEXT], order) if len(text) <= _MAX_TEXT else (None, None)


def fitting_orders(text: str) -> frozenset[str]:
    """The orders by which the text is a day; those that differ from how anyone writes are left out."""
    return _fitting(text) if len(text) <= _MAX_TEXT else frozenset()


@lru_cache(maxsize=8192)
def _fitting(text: str) -> frozenset[str]:
    fits = frozenset(order for order in ORDERS if _read(text, order)[0])
    found = _NUMBERS.fullmatch(text) or _NAMED.fullmatch(text)
    if not found or len(found[1]) > 2:  # noqa: PLR2004 - a year in front has more digits than a day
        return fits
    # A point between numbers is written day first wherever points are written; a short year in front hardly ever.
    usual = fits - {"YMD"} - ({"MDY"} if "." in found[2] else frozenset[str]())
    return usual or fits


@lru_cache(maxsize=8192)
def _read(text: str, order: str) -> tuple[date | None, datetime | None]:
    for pattern, parts in ((_NUMBERS, _by_order), (_SOLID, _solid), (_NAMED, _named), (_NAME_FIRST, _name_first)):
        if (found := pattern.fullmatch(text)) and (numbers := parts(found, order)):
            day = _day(*numbers)
            return day, _instant(day, found) if day and pattern is not _SOLID else None
    return None, None


def _by_order(found: re.Match[str], order: str) -> tuple[str, str, str] | None:
    parts = dict(zip(order, found.group(1, 3, 4), strict=True))
    return (parts["Y"], parts["M"], parts["D"])


def _solid(found: re.Match[str], order: str) -> tuple[str, str, str] | None:
    digits = found[1]
    cut = {"YMD": (0, 4, 6), "DMY": (4, 2, 0), "MDY": (4, 0, 2)}[order]
    return (digits[cut[0] : cut[0] + 4], digits[cut[1] : cut[1] + 2], digits[cut[2] : cut[2] + 2])


def _named(found: re.Match[str], order: str) -> tuple[str, str, str] | None:
    month = _month(found[2])
    first, last = found.group(1, 3)
    year_first = len(first) > 2 or order == "YMD"  # noqa: PLR2004 - longer than a day
    return (first, month, last) if month and year_first else (last, month, first) if month else None


def _name_first(found: re.Match[str], _order: str) -> tuple[str, str, str] | None:
    month = _month(found[1])
    return (found[3], month, found[2]) if month else None


@cache
def _month(name: str) -> str | None:
    lower = name.casefold()
    return months().get(lower[:4]) or months().get(lower[:3])


def _day(year: str, month: str, day: str) -> date | None:
    if len(year) not in {2, 4} or len(day) > 2 or len(month) > 2:  # noqa: PLR2004 - digits of a year and a day
        return None
    number = int(year)
    if len(year) == 2:  # noqa: PLR2004 - without its century
        number += 1900 if number >= _CENTURY else 2000
    if number not in _YEARS:
        return None
    try:
        return date(number, int(month), int(day))
    except ValueError:
        return None


def _instant(day: date, found: re.Match[str]) -> datetime | None:
    hour, minute, second, half, zone = found.groups()[-5:]
    if not hour or not zone:
        return None
    hours = int(hour) % 12 + (12 if half[0] in "Pp" else 0) if half else int(hour)
    try:
        local = datetime(day.year, day.month, day.day, hours, int(minute), int(second or 0), tzinfo=UTC)
        return local - _offset(zone)
    except (ValueError, OverflowError):
        return None


def _offset(zone: str) -> timedelta:
    if zone[0] not in "+-":
        return timedelta()
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return offset if zone[0] == "+" else -offset
