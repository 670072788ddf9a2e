"""Amounts and currencies as banks really print them. What cannot be read is None."""

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import cached_property
from typing import Final

from dashtam_core.kernel import MAX_DIGITS, Currency

_MAX_TEXT: Final = 64
_THOUSAND: Final = 3
"""Digits between two marks."""
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
_PRINTED_AMOUNTS: Final = re.compile(
    r"<(?:[\w.-]{1,40}:)?(?:TRNAMT|BALAMT|TOTAL|UNITS|UNITPRICE|MKTVAL|AVAILCASH)\s*>([^<]{1,64})", re.IGNORECASE
)

_CODE: Final = re.compile(r"[A-Za-z]{3}")

NO_CURRENCY: Final = Currency("XXX")
"""ISO 4217's code for no currency: where a bank names none, none is guessed."""


def currency(text: str) -> Currency | None:
    """The currency that three letters name, in any case."""
    return Currency(text.upper()) if _CODE.fullmatch(text) else None


class Amounts:
    """Reads the amounts of one document, whose other amounts say what a lone comma or point means.

    OFX (section 3.2.9) has a comma or a point before the decimals and no marks between thousands. So a lone
    mark is the decimal mark, except where it could stand between thousands (`1.234`) and other amounts of the
    document prove that the decimal mark here is the other one.
    """

    def __init__(self, printed: Iterable[str] = ()) -> None:
        """`printed` are the document's amounts: gone through once, and only if one of them is in doubt."""
        self._printed = printed

    @classmethod
    def of_elements(cls, document: str) -> "Amounts":
        """With what stands in the elements of OFX that hold amounts."""
        return cls(found[1] for found in _PRINTED_AMOUNTS.finditer(document))

    @cached_property
    def _mark(self) -> str | None:
        """The decimal mark, if the document proves one and only one."""
        printed = (_AMOUNT.fullmatch(text.strip()) for text in self._printed)
        marks = _proven(found[4] for found in printed if found)
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


def _proven(amounts: Iterable[str]) -> set[str]:
    marks: set[str] = set()
    for digits in amounts:
        mark = _decimal_mark(digits)
        if mark and not _could_group(digits, mark):
            marks.add(mark)
        elif not mark and digits.count(".") != digits.count(","):
            marks.add("," if "." in digits else ".")
    return marks
