"""The days of QIF, and the order of day and month that a document proves: QIF itself fixes none."""

import re
from collections.abc import Collection, Sequence
from datetime import date
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from dashtam_core.accounts import ImportCode, ImportFailed
from dashtam_core.kernel import Result, Success
from dashtam_files._answers import Refusal, paced, refused
from dashtam_files._values import calendar_day
from dashtam_files.qif._records import Account

_DATE: Final = re.compile(
    r"(\d{4}|\d\d?)(?:\s*[-/.']\s*|\s+)(\d\d?|[A-Z]{3,9})(?:\s*[-/.',]\s*|\s+)(\d{4}|\d\d?)"
    r"(?:[T\s]\s*\d\d?:[\d:.\sAPM]*)?",
    re.ASCII | re.IGNORECASE,
)
_COMPACT: Final = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_DOTTED: Final = re.compile(r"\d\d?\s*\.", re.ASCII)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class DayOrder(StrEnum):
    DMY = "DMY"
    MDY = "MDY"
    YMD = "YMD"


_BOTH: Final = (DayOrder.DMY, DayOrder.MDY)


@lru_cache(maxsize=2048)
def day(text: str, order: DayOrder) -> date | None:
    """The day that `text` is in this order. Four digits first are a year, and a named month is one, in any."""
    found = _DATE.fullmatch(text) or _COMPACT.fullmatch(text)
    if found is None:
        return None
    first, second, third = found.groups()
    if (name := second[:3].lower()) in _MONTHS:
        order, second = DayOrder.DMY, str(_MONTHS.index(name) + 1)
    printed = dict(zip(DayOrder.YMD if len(first) > len("yy") else order, (first, second, third), strict=True))
    return calendar_day(printed["Y"], printed["M"], printed["D"])


def decided(accounts: Collection[Account]) -> Result[DayOrder, ImportFailed]:
    """The one order in which the days of all accounts make sense; READING_AMBIGUOUS if several do, or none.

    A number above 12 proves it. Where no day has one, points between the numbers mean day first, as wherever
    they are written; else the rows of every account must be in order of time under one reading only.
    """
    printed = [[each.fields.get("D", "") for each in paced(account.records)] for account in accounts]
    printed += [[account.fields.get("/", "")] for account in accounts]
    distinct = dict.fromkeys(text for texts in printed for text in paced(texts))
    texts = [text for text in paced(distinct) if any(day(text, order) for order in DayOrder)]
    fitting = _fitting(texts, *_BOTH) or _fitting(texts, DayOrder.YMD)
    if not fitting:
        unfit = [next(text for text in texts if not day(text, order)) for order in reversed(_BOTH)]
        return _ambiguous("the dates contradict each other", " and ".join(unfit))
    doubtful = [text for text in paced(texts) if day(text, fitting[0]) != day(text, fitting[-1])]
    if all(_DOTTED.match(text) for text in doubtful):
        return Success(fitting[0])
    in_order = [order for order in fitting if all(_in_order(texts, order) for texts in printed)]
    if len(in_order) == 1:
        return Success(in_order[0])
    readings = " or ".join(str(day(doubtful[0], order)) for order in fitting)
    return _ambiguous("the dates do not tell day from month", f"{doubtful[0]} is {readings}")


def _fitting(texts: Sequence[str], *orders: DayOrder) -> list[DayOrder]:
    return [order for order in orders if all(day(text, order) for text in paced(texts))]


def _in_order(texts: Sequence[str], order: DayOrder) -> bool:
    days = [found for text in paced(texts) if (found := day(text, order))]
    return all(a <= b for a, b in pairwise(days)) or all(a >= b for a, b in pairwise(days))


def _ambiguous(what: str, example: str) -> Refusal:
    how = 'import it with a profile that has format = "qif" and date_order = "DMY", "MDY" or "YMD"'
    return refused(ImportCode.READING_AMBIGUOUS, f"{what} ({' '.join(example.split())}): {how}")
