"""Amounts, currencies, days and instants as banks really print them. What cannot be read is None."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Final

from dashtam_core.kernel import MAX_DIGITS, Currency, Money

type DayAndInstant = tuple[date | None, datetime | None]
"""The calendar day as printed, and the instant in UTC if both a time and a zone are printed."""

_MAX_TEXT: Final = 64
_THOUSAND: Final = 3  # digits between two marks
_PLAIN: Final = re.compile(r"[+-]?\d{1,30}(?:\.\d\d?)?", re.ASCII)
# Banks print the typographic minus and apostrophe too.
_MINUS: Final = "\N{MINUS SIGN}"
_GROUPING: Final = ".,' \N{RIGHT SINGLE QUOTATION MARK}"
_CURRENCY_SIGN: Final = r"(?:[A-Za-z]{0,3}[$£¥€₹]|[A-Z]{3})?+\s*+"
_AMOUNT: Final = re.compile(
    rf"(\()?\s*+([+{_MINUS}-]?)\s*+{_CURRENCY_SIGN}([+{_MINUS}-]?)\s*+"
    rf"((?:[0-9]|[.,](?=[0-9]))[0-9{_GROUPING}\s]*+){_CURRENCY_SIGN}([+{_MINUS}-]?)(\))?"
)
_GROUPED: Final = re.compile(rf"\d*+|\d{{1,3}}([{_GROUPING}])(?:\d{{2,3}}\1)*\d{{3}}", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z]{3}")

NO_CURRENCY: Final = Currency("XXX")
"""ISO 4217's code for no currency: where a bank names none, none is guessed."""

_YEARS: Final = range(1900, 2200)
_TURN: Final = 70
_DAY: Final = re.compile(r"(\d{4})([-/]?)(\d\d)\2(\d\d)", re.ASCII)
_TIME: Final = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,:](\d{1,6})\d*)?)?)?(?!\d)\s*", re.ASCII)
_ZONE: Final = re.compile(r"\[\s*([+-]?\d{1,2})(?:\.(\d{1,2}))?\s*(?::[^\]]*)?\]?|Z", re.ASCII)
_MAX_OFFSET: Final = timedelta(hours=14)
_MINUTES_PRINTED: Final = {"30", "45"}


def currency(text: str) -> Currency | None:
    """The currency that three letters name, in any case."""
    return Currency(text.upper()) if _CODE.fullmatch(text) else None


def money(amount: Decimal | None, unit: Currency) -> Money | None:
    return None if amount is None else Money(amount, unit)


class Amounts:
    """Reads the amounts of one document, whose other amounts say what a lone comma or point means.

    OFX (section 3.2.9) has a comma or a point before the decimals and no marks between thousands. So a lone
    mark is the decimal mark, except where it could stand between thousands (`1.234`) and other amounts of the
    document prove that the decimal mark here is the other one.
    """

    def __init__(self, printed: Iterable[str] = ()) -> None:
        """`printed` are the document's amounts: gone through once, and only if one of them is in doubt."""
        self._printed = printed

    @cached_property
    def _mark(self) -> str | None:
        """The decimal mark, if the document proves one and only one."""
        printed = (_AMOUNT.fullmatch(text.strip()) for text in self._printed)
        marks = {mark for found in printed if found and (mark := _proven(found[4]))}
        return marks.pop() if len(marks) == 1 else None

    def read(self, text: str) -> Decimal | None:
        """The amount with the digits as printed."""
        if _PLAIN.fullmatch(text):
            amount = Decimal(text)
            return amount or Decimal(text.lstrip("+-"))
        if len(text) > _MAX_TEXT or not (found := _AMOUNT.fullmatch(text)):
            return None
        opened, *signs, closed = found.group(1, 2, 3, 5, 6)
        if bool(opened) is not bool(closed) or sum(map(bool, [opened, *signs])) > 1:
            return None
        number = self._number(found[4].strip())
        return number.copy_negate() if number and not {opened, *signs}.isdisjoint({"(", "-", _MINUS}) else number

    def _number(self, digits: str) -> Decimal | None:
        mark = _decimal_mark(digits)
        if mark and _could_group(digits, mark) and self._mark not in {None, mark}:
            mark = None
        whole, _, fraction = digits.rpartition(mark) if mark else (digits, "", "")
        if not _GROUPED.fullmatch(re.sub(r"\s", " ", whole)) or not (fraction.isdigit() or not fraction):
            return None
        plain = re.sub(r"\D", "", whole)
        return Decimal(f"{plain}.{fraction}") if len(plain) + len(fraction) <= MAX_DIGITS else None


def _decimal_mark(digits: str) -> str | None:
    """The mark before the decimals: the last of two kinds, or one that stands alone."""
    last = max(digits.rfind(","), digits.rfind("."))
    if last < 0 or digits.count(digits[last]) > 1:
        return None
    return digits[last]


def _could_group(digits: str, mark: str) -> bool:
    """Whether the only mark could stand between thousands: `1.234`, but not `0.123`, `12.34` or `1234.567`."""
    whole, _, fraction = digits.partition(mark)
    return len(fraction) == _THOUSAND and whole.isdigit() and len(whole) <= _THOUSAND and whole != "0"


def _proven(digits: str) -> str | None:
    """The decimal mark that an amount proves: by its decimals, or by the other mark between its thousands."""
    if mark := _decimal_mark(digits):
        return None if _could_group(digits, mark) else mark
    if digits.count(".") == digits.count(","):
        return None
    return "," if "." in digits else "."


def calendar_day(year: str, month: str, day: str) -> date | None:
    """The day that these digits are; years of two digits are those from 1970 to 2069."""
    number = int(year)
    if len(year) <= len("yy"):
        number += 1900 if number >= _TURN else 2000
    try:
        return date(number, int(month), int(day)) if number in _YEARS else None
    except ValueError:
        return None


def iso_day(text: str | None) -> DayAndInstant:
    """The day and the instant of an ISODate or ISODateTime."""
    return _iso_day((text or "")[:_MAX_TEXT])


@lru_cache(maxsize=4096)
def _iso_day(text: str) -> DayAndInstant:
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        return None, None
    if day.year not in _YEARS or text[10:11].isdigit():
        return None, None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return day, None
    return day, instant.astimezone(UTC) if instant.tzinfo else None


def ofx_day(text: str) -> DayAndInstant:
    """The day and the instant of an OFX date (OFX 2.3, section 3.2.8).

    The standard takes GMT where no zone is printed; banks print their local day and mean it, so
    without a zone there is no instant, and no zone ever moves the day.
    """
    return short_ofx_day(text[:_MAX_TEXT])


@lru_cache(maxsize=4096)
def short_ofx_day(text: str) -> DayAndInstant:
    """The same of a text that is known to be short."""
    found = _DAY.match(text)
    day = calendar_day(found[1], found[3], found[4]) if found else None
    if not found or day is None:
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
