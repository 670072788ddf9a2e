"""The acceptance test of a statement: opening balance plus booked rows is the closing balance."""

from collections.abc import Sequence
from decimal import Context
from functools import reduce
from typing import Final

from dashtam_core.accounts._batch import AccountBatch, BalanceData
from dashtam_core.accounts._types import Arithmetic, BalanceKind, TransactionStatus
from dashtam_core.kernel import Money

EXACT: Final = Context(prec=200)
"""For sums of amounts, each of which may have more digits than the default context keeps."""

type Sum = tuple[Arithmetic, Money | None]


def arithmetic(batches: Sequence[AccountBatch], /) -> Sum:
    """Whether these statements of one account add up, each by itself; and what is missing where they do not."""
    try:
        sums = [_of_one(each) for each in batches]
        off = [difference for _, difference in sums if difference is not None]
        if off:
            return Arithmetic.MISMATCH, sum(off[1:], off[0])
    except ValueError:  # a sum of more digits than money has
        return Arithmetic.UNKNOWN, None
    known = bool(sums) and all(verdict is Arithmetic.RECONCILED for verdict, _ in sums)
    return (Arithmetic.RECONCILED if known else Arithmetic.UNKNOWN), None


def _of_one(batch: AccountBatch) -> Sum:
    opening, closing = _only(batch, BalanceKind.OPENING_BOOKED), _only(batch, BalanceKind.CLOSING_BOOKED)
    if opening is None or closing is None or opening.amount.currency != closing.amount.currency:
        return Arithmetic.UNKNOWN, None
    unit = opening.amount.currency
    booked = [row.amount for row in batch.transactions if row.status is TransactionStatus.POSTED]
    if any(amount.currency != unit for amount in booked):
        return Arithmetic.UNKNOWN, None
    total = reduce(EXACT.add, (amount.amount for amount in booked), opening.amount.amount)
    difference = EXACT.subtract(closing.amount.amount, total)
    return (Arithmetic.MISMATCH, Money(difference, unit)) if difference else (Arithmetic.RECONCILED, None)


def _only(batch: AccountBatch, kind: BalanceKind) -> BalanceData | None:
    """The balance of this kind, unless the statement gives several."""
    found = [each for each in batch.balances if each.kind is kind]
    return found[0] if len(found) == 1 else None
