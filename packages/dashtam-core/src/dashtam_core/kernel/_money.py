"""Exact amounts: `Decimal` with a currency, never a float, never silently rounded."""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from typing import Final

import attrs
from returns.result import Success

from dashtam_core.kernel._currency import Currency
from dashtam_core.kernel._errors import KernelCode, ValueRefused
from dashtam_core.kernel._result import Result, and_then, refused

MAX_DIGITS: Final = 38
"""Most digits an amount may have: more than any currency or token uses."""

# The default context rounds to 28 digits without a word; this one raises instead.
_EXACT: Final = Context(prec=MAX_DIGITS * 2, traps=[Inexact, InvalidOperation])
_ROUNDING: Final = Context(prec=MAX_DIGITS * 2, rounding=ROUND_HALF_EVEN)
_PLAIN: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")


class CurrencyMismatchError(ValueError):
    """Two amounts in different currencies were added, subtracted or compared: a bug in the caller."""


def amount_text(amount: Decimal, /, *, places: int = 0) -> str:
    """`amount` in plain digits, all that it has and at least `places` after the decimal mark."""
    if -_exponent(amount) < places:
        amount = amount.quantize(Decimal(1).scaleb(-places), context=_EXACT)
    return format(amount or amount.copy_abs(), "f")


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), "an amount is finite"
    return exponent


def _fits(amount: Decimal) -> bool:
    if not amount.is_finite():
        return False
    if len(text := str(amount)) < MAX_DIGITS and "E" not in text:
        return True  # what nearly every amount is; the exact count costs twice as much
    digits, exponent = len(amount.as_tuple().digits), _exponent(amount)
    return max(digits, digits + exponent, -exponent) <= MAX_DIGITS


@attrs.frozen(order=False, slots=True)
class Money:
    """An amount of one currency. Negative is money leaving the account, zero and either sign are allowed."""

    amount: Decimal
    currency: Currency

    def __attrs_post_init__(self) -> None:
        if type(self.amount) is not Decimal:
            raise TypeError(f"an amount is a Decimal, not a {type(self.amount).__name__}")
        if not _fits(self.amount):
            raise ValueError(f"an amount is finite and has at most {MAX_DIGITS} digits")

    @classmethod
    def parse(cls, amount: str, currency: str, /) -> "Result[Money, ValueRefused]":
        """Money from plain digits with a point, such as `-12.50`, and a currency code."""
        number = _decimal(amount)
        if number is None:
            return refused(
                KernelCode.MONEY_INVALID,
                f"{amount[:64]!r} is not an amount: write plain digits with a point, such as -12.50",
            )
        return and_then(Currency.parse(currency), lambda unit: Success(cls(number, unit)))

    def __add__(self, other: "Money") -> "Money":
        return Money(_EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(_EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> "Money":
        return Money(self.amount.copy_negate() if self.amount else self.amount, self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def rounded(self) -> "Money":
        """The same amount at its currency's exponent, half to even; units outside ISO 4217 stay exact."""
        places = self.currency.exponent
        if places is None or -_exponent(self.amount) <= places:
            return self
        return Money(self.amount.quantize(Decimal(1).scaleb(-places), context=_ROUNDING), self.currency)

    @property
    def text(self) -> str:
        """The amount in plain digits, padded to its currency's exponent, never rounded."""
        return amount_text(self.amount, places=self.currency.exponent or 0)

    def __str__(self) -> str:
        return f"{self.text} {self.currency}"

    def _same(self, other: "Money") -> Decimal:
        if self.currency != other.currency:
            raise CurrencyMismatchError(f"{self.currency} and {other.currency} cannot be combined")
        return other.amount


def _decimal(text: str) -> Decimal | None:
    plain = text.strip()
    if len(plain) > MAX_DIGITS * 2 or not _PLAIN.fullmatch(plain):
        return None
    number = Decimal(plain)
    return number if _fits(number) else None
