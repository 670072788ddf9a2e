"""What cells say of how they are meant: the order of a date, the decimal mark, and whether balances add up."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Context, Decimal
from functools import cache
from typing import Final

import attrs

from dashtam_core.kernel import ISO_4217, Currency
from dashtam_files._amounts import Amounts
from dashtam_files.csv._days import ORDERS, day_and_instant, fitting_orders

_SIDE: Final = re.compile(r"(.{1,60}\d)\s{0,3}(CR?|DR?|H|S)\.?")
_LEFT: Final = {"D", "DR", "S"}
_DIGITS: Final = re.compile(r"\d[\d.,]{0,40}")
_THOUSAND: Final = 3
_MIN_SORTED: Final = 3
_CODE: Final = re.compile(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])")
_SIGNS: Final = {"€": "EUR", "£": "GBP", "R$": "BRL", "₹": "INR", "zł": "PLN", "Kč": "CZK", "₽": "RUB", "₺": "TRY"}
_MAX_SCANNED: Final = 1_000
EXACT: Final = Context(prec=200)
"""Sums of printed amounts in it are never rounded."""
WORDS: Final = {"DMY": "day first", "MDY": "month first", "YMD": "year first"}


@attrs.frozen
class Found[T]:
    """What fits, the likeliest first, and why. More than one: the content does not decide."""

    fits: Sequence[T]
    why: str


def amount(text: str, mark: str | None) -> Decimal | None:
    """The number printed, with `mark` before its decimals. A trailing D, DR or S makes it negative."""
    if side := _SIDE.fullmatch(text):
        number = _amounts(mark).read(side[1])
        return number.copy_negate() if number and side[2] in _LEFT else number
    return _amounts(mark).read(text)


@cache
def _amounts(mark: str | None) -> Amounts:
    return Amounts([f"1{mark}5"] if mark else ())


def decimal_mark(cells: Iterable[str]) -> Found[str | None]:
    """The decimal mark that the numbers prove."""
    proven, grouped, bare = set[str](), "", False
    for cell in cells:
        if digits := _DIGITS.search(cell):
            mark, certain = _mark(digits[0].rstrip(".,"))
            proven |= {mark} if mark and certain else set()
            grouped = grouped or ("" if not mark or certain else digits[0])
            bare = bare or not mark
    if len(proven) == 1:
        return Found([*proven], f"{_name(next(iter(proven)))} stands before the decimals")
    if proven or not grouped:
        return Found([None], "each number shows its decimal mark" if proven else "no number has decimals")
    first = "." if "." in grouped else ","
    other = "," if first == "." else "."
    if bare:
        return Found([other], f"other numbers are whole, so {grouped} has thousands")
    return Found([other, first], f"{grouped} can have thousands or decimals")


def _mark(digits: str) -> tuple[str | None, bool]:
    """The decimal mark that a number shows, and whether it can be nothing else."""
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        return None, True
    mark, other = digits[last], "." if digits[last] == "," else ","
    if digits.count(mark) > 1:
        return other, True
    whole = digits[:last]
    could_group = (
        len(digits) - last - 1 == _THOUSAND and whole.isdigit() and len(whole) <= _THOUSAND and whole != "0"
    )
    return mark, not could_group


def _name(mark: str) -> str:
    return "a comma" if mark == "," else "a point"


def date_order(columns: Sequence[Sequence[str]], *, english: bool) -> Found[str]:
    """The order in which dates are written: what is no day otherwise, what is in no order, what language it is."""
    fits, why = set(ORDERS), "every day names its month or its year first"
    for cell in (cell for cells in columns for cell in cells if cell):
        narrower = fits & fitting_orders(cell)
        if narrower and narrower != fits:
            fits, why = narrower, f"{_shown(cell)} can only be {_in_words(narrower)}"
    read = {order: _days(columns, order) for order in ORDERS if order in fits}
    distinct = [order for at, order in enumerate(read) if read[order] not in list(read.values())[:at]]
    if len(distinct) == 1:
        return Found(distinct, why)
    if len(ordered := [order for order in distinct if any(is_sorted(days) for days in read[order])]) == 1:
        return Found(ordered, f"the days are in order only if read {WORDS[ordered[0]]}")
    if not english and "DMY" in distinct:
        return Found(["DMY"], "only English puts the month first, and the header is in another language")
    sample = next((cell for cells in columns for cell in cells if len(fitting_orders(cell)) > 1), "a day")
    return Found(distinct, f"{_shown(sample)} can be {_in_words(distinct)}")


def _in_words(orders: Iterable[str]) -> str:
    return " or ".join(WORDS[each] for each in sorted(orders))


def _shown(cell: str) -> str:
    return " ".join(cell.split())


def _days(columns: Sequence[Sequence[str]], order: str) -> list[list[date]]:
    return [[day for cell in cells if (day := day_and_instant(cell, order)[0])] for cells in columns]


def is_sorted(days: Sequence[date]) -> bool:
    """Whether at least three different days stand in order, either way."""
    if len(set(days)) < _MIN_SORTED:
        return False
    ascending = sorted(days)
    return ascending in (list(days), list(reversed(days)))


@attrs.frozen
class Chain:
    """How often a printed balance is the one before it and the amounts since. `newest_first`: from below."""

    agreeing: int
    links: int
    newest_first: bool

    @property
    def may_prove(self) -> bool:
        """Whether it is worth looking at more rows."""
        return self.links < 2 or self.agreeing * 2 >= self.links  # noqa: PLR2004 - one link says little

    @property
    def proves(self) -> bool:
        """Whether so many agree that no other reading can be meant."""
        return self.links > 1 and self.agreeing * 10 >= self.links * 9


type Step = tuple[date, Decimal, Decimal | None]


def chain(steps: Sequence[Step]) -> Chain:
    """The running balances against the amounts, of rows with their day, amount and balance in the file's order."""
    down = Chain(*_links(steps), newest_first=False)
    up = Chain(*_links(list(reversed(steps))), newest_first=True)
    days = [day for day, _, _ in steps]
    falling, rising = days == sorted(days, reverse=True), days == sorted(days)
    if falling is rising:
        return up if up.agreeing > down.agreeing else down
    return up if falling else down


def _links(steps: Sequence[Step]) -> tuple[int, int]:
    agreeing = links = 0
    last: Decimal | None = None
    moved = Decimal()
    for _, change, balance in steps:
        moved = EXACT.add(moved, change)
        if balance is not None:
            if last is not None:
                links += 1
                agreeing += EXACT.add(last, moved) == balance
            last, moved = balance, Decimal()
    return agreeing, links


def named_currency(texts: Iterable[str]) -> Currency | None:
    """The one currency that these texts name by its code or its sign; None if there is none or more than one."""
    found = set[str]()
    for text in (each[:_MAX_SCANNED] for each in texts):
        found |= {code for code in _CODE.findall(text) if code in ISO_4217}
        found |= {code for sign, code in _SIGNS.items() if sign in text}
    return Currency(found.pop()) if len(found) == 1 else None
