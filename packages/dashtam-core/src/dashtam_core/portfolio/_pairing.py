"""Which transactions may belong together: suggestions, worked out from the rows alone.

The closest are paired first, each row once. Where two are as close and no twins, nobody can say which it is, and
neither is suggested.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal
from itertools import combinations, groupby
from typing import Any, Final

import attrs

from dashtam_core.accounts import Account, AccountId, Transaction, TransactionId, TransactionStatus
from dashtam_core.portfolio._matches import Match, MatchState

TRANSFER_DAYS: Final = 4
"""Between two banks money takes a business day or two, and a weekend."""
DUPLICATE_DAYS: Final = 3
"""Two sources print the booking or the value day of one movement: a weekend apart at most."""
PENDING_DAYS: Final = 8
"""How long after its own day a pending row may be posted."""
RATE_TOLERANCE: Final = Decimal("0.01")
"""A printed rate is rounded, and is not quite the one at which the other bank converted."""

_ALIKE: Final = 16
"""Beyond this many rows of one amount within days, or accounts of one mask, nobody can say which is which."""
_COMPARED: Final = 400
"""Characters of a row's texts that are compared."""
_WORD: Final = re.compile(r"\w+")
_EXACT: Final = Context(prec=80)

type Pair = tuple[Transaction, Transaction]
type _Find = Callable[[Hashable, Any, Any], Sequence[Transaction]]


def transfers(
    rows: Iterable[Transaction], accounts: Mapping[AccountId, Account], decided: Sequence[Match] = ()
) -> list[Pair]:
    """Outgoing legs with the incoming ones that they may have become, in two accounts of one person.

    Amounts are equal, or one row's conversion explains the other's. Decisive is an own number in a row; then
    an exact amount goes before a rate, then come days, then words.
    """
    taken = {id_ for each in decided if each.state is MatchState.CONFIRMED for id_ in each.ids}
    free = [row for row in _posted(rows) if row.transaction_id not in taken]
    going, coming = ([row for row in free if (row.amount.amount < 0) is out] for out in (True, False))
    exact: dict[Pair, bool] = {}
    for explained, side in ((_explaining(coming), going), (_explaining(going), coming)):
        for row in side:
            for other, is_exact in explained(row):
                pair = (row, other) if side is going else (other, row)
                exact[pair] = exact.get(pair, False) or is_exact
    named = _naming(accounts.values())
    close: list[_Close] = []
    for (out, come), is_exact in exact.items():
        sides = [(named(out), come.account_id), (named(come), out.account_id)]
        apart = _at_bank(accounts[out.account_id]) != _at_bank(accounts[come.account_id])
        if apart and all(not accounts_ or other in accounts_ for accounts_, other in sides):
            by_number = any(other in accounts_ for accounts_, other in sides)
            close.append(_Close((by_number, is_exact, *_closeness(out, come)), out, come))
    return _one_to_one(close, decided)


def duplicates(
    rows: Iterable[Transaction], accounts: Mapping[AccountId, Account], decided: Sequence[Match] = ()
) -> list[Pair]:
    """Rows with another telling of each: first the one to keep.

    Two accounts may be one if they share their currency and their number, or the last four of it: kept is what the
    person annotated, or else what is in the account that was there first. Within an account, a pending row may be
    the posted one that came after it.
    """
    rows, of = list(rows), defaultdict[AccountId, list[Transaction]](list)
    posted = _posted(rows)
    for row in posted:
        of[row.account_id].append(row)
    find = _index(posted, lambda row: (row.account_id, row.amount), _day)
    found: list[Pair] = []
    for one, two in _tellings(accounts.values()):
        close = [
            _Close(_closeness(row, other), *_kept_first(row, other))
            for row in of[one]
            for other in find((two, row.amount), _day(row) - DUPLICATE_DAYS, _day(row) + DUPLICATE_DAYS)
        ]
        found += _one_to_one(close, decided)
    close = [
        _Close(_closeness(row, other), other, row)
        for row in rows
        if row.status is TransactionStatus.PENDING and not row.is_hidden
        for other in find((row.account_id, row.amount), _day(row), _day(row) + PENDING_DAYS)
    ]
    return found + _one_to_one(close, decided)


@attrs.frozen
class _Close:
    """Two that may belong together, and how close they are: the higher, the closer."""

    rank: tuple[float, ...]
    first: Transaction
    second: Transaction

    @property
    def ids(self) -> frozenset[TransactionId]:
        return frozenset((self.first.transaction_id, self.second.transaction_id))


def _one_to_one(close: Iterable[_Close], decided: Sequence[Match]) -> list[Pair]:
    known = {each.ids for each in decided}
    ranked = sorted((each for each in close if each.ids not in known), key=lambda each: each.rank, reverse=True)
    gone, pairs = set[TransactionId](), list[Pair]()
    for _, alike in groupby(ranked, key=lambda each: each.rank):
        some = [each for each in alike if not each.ids & gone]
        rivals = defaultdict[Transaction, list[Transaction]](list)
        for each in some:
            rivals[each.first].append(each.second)
            rivals[each.second].append(each.first)
        torn = {row.transaction_id for row, them in rivals.items() if len(set(map(_twin, them))) > 1}
        gone |= {id_ for each in some if each.ids & torn for id_ in each.ids}
        for each in some:
            if not each.ids & gone:
                gone |= each.ids
                pairs.append((each.first, each.second))
    return pairs


def _index(rows: Iterable[Transaction], key: Callable[[Transaction], Hashable], by: Callable[[Any], Any]) -> _Find:
    """Finds the rows under a key that lie between two values of `by`, if they are few."""
    groups = defaultdict[Hashable, list[Transaction]](list)
    for row in sorted(rows, key=by):
        groups[key(row)].append(row)

    def find(wanted: Hashable, least: Any, most: Any) -> Sequence[Transaction]:
        some = groups.get(wanted, [])
        start, end = bisect_left(some, least, key=by), bisect_right(some, most, key=by)
        return some[start:end] if end - start <= _ALIKE else []

    return find


def _explaining(rows: Sequence[Transaction]) -> Callable[[Transaction], Iterator[tuple[Transaction, bool]]]:
    """Finds which of these rows may be the other leg of one, and whether its amount is exact."""
    equal = _index(rows, lambda row: (row.amount.currency, _size(row)), _day)
    on_day = _index(rows, lambda row: (row.amount.currency, _day(row)), _size)
    currencies = sorted({row.amount.currency for row in rows}, key=str)[:_ALIKE]

    def explained(row: Transaction) -> Iterator[tuple[Transaction, bool]]:
        days = range(_day(row) - TRANSFER_DAYS, _day(row) + TRANSFER_DAYS + 1)
        for money in filter(None, (row.amount, row.original_amount)):
            for other in equal((money.currency, money.amount.copy_abs()), days[0], days[-1]):
                yield other, True
        rate = row.exchange_rate
        if rate is not None and rate.is_finite() and rate > 0:
            size = _EXACT.divide(_size(row), rate)
            least, most = (_EXACT.multiply(size, 1 + sign * RATE_TOLERANCE) for sign in (-1, 1))
            unit = row.original_amount.currency if row.original_amount else None
            for currency in (each for each in currencies if unit in {None, each} and each != row.amount.currency):
                for day in days:
                    yield from ((other, False) for other in on_day((currency, day), least, most))

    return explained


def _naming(accounts: Iterable[Account]) -> Callable[[Transaction], set[AccountId]]:
    """Finds which of the person's other accounts a row names by its number."""
    by_number = defaultdict[bytes | None, set[AccountId]](set)
    for account in accounts:
        by_number[account.number_hash].add(account.account_id)

    def named(row: Transaction) -> set[AccountId]:
        number = row.counterparty.number_hash if row.counterparty else None
        return set[AccountId]() if number is None else by_number.get(number, set()) - {row.account_id}

    return named


def _tellings(accounts: Iterable[Account]) -> list[tuple[AccountId, AccountId]]:
    """Accounts that may be one from two sources, in the order they were made."""
    groups = defaultdict[Hashable, list[AccountId]](list)
    for account in accounts:
        for sign in {account.number_hash, account.mask} - {None}:
            groups[account.currency, sign].append(account.account_id)
    few = [sorted(ids) for ids in groups.values() if len(ids) <= _ALIKE]
    return sorted({pair for ids in few for pair in combinations(ids, 2)})


def _at_bank(account: Account) -> Hashable:
    """What two entries have in common that are surely one account: banks share a number among several."""
    return account.number_hash or account.account_id, account.account_type, account.currency


def _posted(rows: Iterable[Transaction]) -> list[Transaction]:
    """The booked rows that count and move something, twins in their order."""
    counted = [row for row in rows if row.status is TransactionStatus.POSTED and not row.is_hidden]
    return sorted((row for row in counted if row.amount.amount), key=lambda row: row.occurrence)


def _kept_first(one: Transaction, two: Transaction) -> Pair:
    return (two, one) if two.annotation and not one.annotation else (one, two)


def _closeness(one: Transaction, other: Transaction) -> tuple[float, float]:
    """Days, then the share of words they have in common."""
    a, b = _words(one), _words(other)
    return -abs(_day(one) - _day(other)), len(a & b) / len(a | b) if a and b else 0.0


def _words(row: Transaction) -> set[str]:
    texts = (row.end_to_end_id, row.reference, row.description, row.payee, row.memo)
    return set(_WORD.findall(" ".join(filter(None, texts))[:_COMPARED].casefold()))


def _twin(row: Transaction) -> Hashable:
    """What twins have in common."""
    return row.account_id, row.posted_date, row.amount, row.description


def _day(row: Transaction) -> int:
    return row.posted_date.toordinal()


def _size(row: Transaction) -> Decimal:
    return row.amount.amount.copy_abs()
