"""What rows that are not simply new mean for those that are there: corrections, removals, and pending ones posted.

A row that takes another's place takes its `transaction_id` too, so that whatever refers to it stays. The earlier
telling is kept beside it, hidden, under the key it came with: so it is known when it comes again.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from difflib import SequenceMatcher
from itertools import groupby, product
from operator import attrgetter
from typing import Any, Final

import attrs

from dashtam_core.accounts._batch import TransactionData
from dashtam_core.accounts._dedupe import KeyedTransaction, usable_id
from dashtam_core.accounts._entities import Transaction
from dashtam_core.accounts._types import DocumentId, TransactionId, TransactionStatus
from dashtam_core.kernel import new_id

PENDING_DAYS: Final = 8
"""How long after its own day a pending row may be posted. Older than that it is given up: VOID."""
_COMPARED: Final = 200
"""Characters of two texts that are compared."""
_ALIKE: Final = 64
"""Beyond this many rows of one amount nobody can say which became which."""
_SAID: Final = tuple(field.name for field in attrs.fields(TransactionData))

type Key = tuple[bytes, int]
type Row = KeyedTransaction | Transaction
type _Closeness = tuple[bool, float, int]


def key_of(row: Row, /) -> Key:
    """What a row is known by within its account."""
    return row.dedupe_key, row.occurrence


def grouped[K, V](values: Iterable[V], key: Callable[[V], K], /) -> dict[K, list[V]]:
    """The values under what `key` makes of each."""
    groups: dict[K, list[V]] = {}
    for each in values:
        groups.setdefault(key(each), []).append(each)
    return groups


@attrs.frozen(kw_only=True)
class Found:
    """What the store has that the rows of a batch may touch."""

    known: Mapping[Key, Transaction]
    """Under the keys of the rows."""
    waiting: Sequence[Transaction]
    """Pending, or waiting for the row they replace."""
    named: Sequence[Transaction] = ()
    """Under the ids that the rows replace, or that the provider removes."""
    posted: Sequence[Transaction] = ()
    """Posted about when the pending rows are; given for files only, which come in any order."""
    read_before: Sequence[Transaction] | None = None
    """What an earlier reading of this very document brought."""


@attrs.define(kw_only=True)
class Settlement:
    """Decides what becomes of the rows of one account. `settle` fills what follows `found`."""

    rows: Sequence[KeyedTransaction]
    document_id: DocumentId | None
    at: datetime
    found: Found
    removed: Collection[str] = ()
    stable_ids: bool = False
    added: list[KeyedTransaction] = attrs.field(factory=list[KeyedTransaction], init=False)
    changed: dict[TransactionId, Transaction] = attrs.field(factory=dict[TransactionId, Transaction], init=False)
    new: int = attrs.field(default=0, init=False)
    """Rows that nobody knew."""
    renewed: int = attrs.field(default=0, init=False)
    """Rows that said something new of one that is there."""
    taken_back: int = attrs.field(default=0, init=False)
    """Rows that count no more."""

    def settle(self) -> None:
        left = [row for row in self.rows if not self._is_known(row)]
        for step in (self._correct, self._reread, self._post, self._recognize_late):
            left = step(left)
        self.added += left
        self.new += len(left)
        for row in self.found.named:
            if self._now(row).provider_transaction_id in self.removed:
                self._take_back(row)
        self._give_up()

    def _is_known(self, row: KeyedTransaction) -> bool:
        stored = self.found.known.get(key_of(row))
        if stored is None:
            return False
        settled = stored.status is not TransactionStatus.POSTED and row.data.status is TransactionStatus.POSTED
        exact = (self.stable_ids or self.found.read_before is not None) and stored.superseded_by is None
        if settled or (exact and (said_of(stored) != said_of(row.data) or stored.removed_at is not None)):
            self._renew(stored, row)
        return True

    def _correct(self, rows: Sequence[KeyedTransaction]) -> list[KeyedTransaction]:
        """Follows what rows say of each other, in whichever order they came."""
        waiting = {row.waits_for: row for row in self.found.waiting if row.waits_for is not None}
        replaced = self._replaced(rows)
        behind = {row.transaction_id for row in replaced.values()}
        left = {row.transaction_id: row for row in rows}
        for row in rows:
            later = waiting.pop(row.data.provider_transaction_id or "", None)
            if row.transaction_id in behind and later is None:
                continue
            told = [row]
            while (before := replaced.get(told[-1].data.replaces)) is not None and before not in told:
                told.append(before)
            told = [each for each in told if each.transaction_id in left]
            if told and (later is not None or row.data.replaces is not None):
                self._tell(told, later)
                for each in told:
                    del left[each.transaction_id]
        return list(left.values())

    def _replaced(self, rows: Sequence[KeyedTransaction]) -> dict[str | None, KeyedTransaction]:
        """The rows that others of this batch replace, by their ids; where two have one, nobody can say which."""
        others = (row for row in rows if row.data.replaces != row.data.provider_transaction_id)
        named = grouped(others, lambda row: row.data.provider_transaction_id)
        asked = {row.data.replaces for row in rows if row.data.replaces is not None}
        return {id_: named[id_][0] for id_ in asked if len(named.get(id_, ())) == 1 and not self._named(id_)}

    def _tell(self, told: Sequence[KeyedTransaction], later: Transaction | None) -> None:
        """Settles tellings of one row, the last first; `later` is one that came before all of them."""
        row, replaces = told[0], told[-1].data.replaces
        targets = self._named(replaces)
        target = targets[0] if len(targets) == 1 and targets[0] != later else None
        here = any(each.data.provider_transaction_id == replaces for each in self.rows)
        waits_for = None if targets or here else replaces
        void = (row.data if later is None else later).status is TransactionStatus.VOID
        if later is not None:
            self._change(later, waits_for=waits_for)
            if target is not None and not void:
                self._change(target, superseded_by=later.transaction_id)
        elif target is None:
            self.added.append(attrs.evolve(row, waits_for=waits_for, removed_at=self.at if void else None))
            self.new += not void
        elif not void:
            self._take_place(target, row)
        if target is not None and void:
            self._take_back(target)
        by = next((each.transaction_id for each in (later, target) if each is not None), row.transaction_id)
        hidden = told if later is not None or (target is not None and void) else told[1:]
        state: dict[str, Any] = {"removed_at": self.at} if void else {"superseded_by": by}
        self.added += [attrs.evolve(each, **state) for each in hidden]

    def _named(self, id_: str | None) -> list[Transaction]:
        """What counts under this id now."""
        now = [self._now(row) for row in self.found.named]
        return [row for row in now if row.provider_transaction_id == id_ and not row.is_hidden]

    def _now(self, row: Transaction) -> Transaction:
        return self.changed.get(row.transaction_id, row)

    def _reread(self, rows: Sequence[KeyedTransaction]) -> list[KeyedTransaction]:
        """Gives rows that were read otherwise before the place they had; what is no row any more is taken back."""
        if self.found.read_before is None:
            return list(rows)
        keys = {key_of(row) for row in self.rows}
        before = [row for row in self.found.read_before if key_of(row) not in keys]
        left = list(rows)
        for alike in (_money_and_place, _money, attrgetter("index")):
            left = self._renew_alike(before, left, alike)
        for old in before:
            self._take_back(old)
        return left

    def _renew_alike(
        self, before: list[Transaction], rows: Sequence[KeyedTransaction], alike: Callable[[Row], Any]
    ) -> list[KeyedTransaction]:
        """Pairs old and new by what `alike` makes of them; those paired leave `before`, the rest is returned."""
        old = grouped(before, alike)
        left: list[KeyedTransaction] = []
        for row in rows:
            if some := old.get(alike(row)):
                self._renew(some.pop(0), row)
            else:
                left.append(row)
        before[:] = [row for some in old.values() for row in some]
        return left

    def _post(self, rows: Sequence[KeyedTransaction]) -> list[KeyedTransaction]:
        """Gives posted rows the place of the pending ones they were."""
        pending = [row for row in self.found.waiting if self._is_pending(row)]
        posted = [row for row in rows if row.data.status is TransactionStatus.POSTED]
        taken = {row.transaction_id: before for before, row in pairs(pending, posted)}
        for row in posted:
            if row.transaction_id in taken:
                self._take_place(taken[row.transaction_id], row)
        return [row for row in rows if row.transaction_id not in taken]

    def _recognize_late(self, rows: Sequence[KeyedTransaction]) -> list[KeyedTransaction]:
        """Finds pending rows whose posted ones came before them."""
        pending = [row for row in rows if row.data.status is TransactionStatus.PENDING]
        late = {row.transaction_id: after for row, after in pairs(pending, self.found.posted)}
        for row in pending:
            if row.transaction_id in late:
                self.added.append(attrs.evolve(row, superseded_by=late[row.transaction_id].transaction_id))
        return [row for row in rows if row.transaction_id not in late]

    def _give_up(self) -> None:
        posted = [row.data.posted_date for row in self.rows if row.data.status is TransactionStatus.POSTED]
        sent = {key_of(row) for row in self.rows}
        for row in self.found.waiting:
            late = bool(posted) and max(posted) - row.posted_date > timedelta(days=PENDING_DAYS)
            if late and self._is_pending(row) and key_of(row) not in sent:
                self._change(row, status=TransactionStatus.VOID)
                self.taken_back += 1

    def _is_pending(self, row: Transaction) -> bool:
        now = self._now(row)
        return now.status is TransactionStatus.PENDING and not now.is_hidden

    def _take_place(self, before: Transaction, row: KeyedTransaction) -> None:
        """The row becomes the transaction; what it was is kept, hidden, under its own key."""
        before = self._now(before)
        id_, said = TransactionId(new_id()), TransactionData(**said_of(before))
        earlier = KeyedTransaction(id_, *key_of(before), before.index, said, superseded_by=before.transaction_id)
        self._renew(before, row)
        self.added.append(earlier)

    def _renew(self, stored: Transaction, row: KeyedTransaction) -> None:
        self._change(
            stored,
            **said_of(row.data),
            document_id=self.document_id,
            index=row.index,
            dedupe_key=row.dedupe_key,
            occurrence=row.occurrence,
            superseded_by=None,
            removed_at=None,
            missing_since=None,
        )
        self.renewed += 1

    def _take_back(self, row: Transaction) -> None:
        if not self._now(row).is_hidden:
            self._change(row, removed_at=self.at)
            self.taken_back += 1

    def _change(self, row: Transaction, **to: Any) -> None:
        self.changed[row.transaction_id] = attrs.evolve(self._now(row), **to)


def said_of(row: TransactionData, /) -> dict[str, Any]:
    """What a provider said of a row, by field."""
    return {name: getattr(row, name) for name in _SAID}


def pairs[A: Row, B: Row](pending: Sequence[A], posted: Sequence[B], /) -> Iterator[tuple[A, B]]:
    """Each pending row with the posted one that it became.

    They have one id, or one amount and currency, and the posted one is at most `PENDING_DAYS` later. Where several
    fit, the closest in text is it, then the closest in days; where two are as close and differ, neither is.
    """
    close = sorted(_possible(pending, posted), key=lambda each: each[0], reverse=True)
    free = {id(row) for _, *both in close for row in both}
    for _, alike in groupby(close, key=lambda each: each[0]):
        together = [(before, after) for _, before, after in alike]
        rivals: dict[int, list[tuple[A, B]]] = {}
        for both in together:
            for row in both:
                rivals.setdefault(id(row), []).append(both)
        for before, after in together:
            if {id(before), id(after)} <= free:
                beside = [*rivals[id(before)], *rivals[id(after)]]
                beside = [each for each in beside if {id(row) for row in each} <= free]
                free -= {id(before), id(after)}
                if all(_are_twins(one, before) and _are_twins(other, after) for one, other in beside):
                    yield before, after
                else:
                    free -= {id(row) for both in beside for row in both}


def _possible[A: Row, B: Row](pending: Iterable[A], posted: Iterable[B]) -> Iterator[tuple[_Closeness, A, B]]:
    groups: dict[Any, tuple[list[A], list[B]]] = {}
    for before in pending:
        for sign in _signs(_data(before)):
            groups.setdefault(sign, ([], []))[0].append(before)
    for after in posted:
        for sign in _signs(_data(after)):
            if sign in groups:
                groups[sign][1].append(after)
    for few, others in groups.values():
        if max(len(few), len(others)) <= _ALIKE:
            for before, after in product(few, others):
                days = (_data(after).posted_date - _data(before).posted_date).days
                if 0 <= days <= PENDING_DAYS:
                    yield _closeness(_data(before), _data(after), days), before, after


def _closeness(one: TransactionData, other: TransactionData, days: int) -> _Closeness:
    id_ = usable_id(one.provider_transaction_id)
    same_id = id_ is not None and id_ == usable_id(other.provider_transaction_id)
    a, b = ((each.description or "")[:_COMPARED].casefold() for each in (one, other))
    return same_id, SequenceMatcher(a=a, b=b, autojunk=False).ratio(), -days


def _signs(row: TransactionData) -> Iterator[Any]:
    """What a pending row and the posted one have in common: the amount, or the id with another amount."""
    yield row.amount
    if (id_ := usable_id(row.provider_transaction_id)) is not None:
        yield row.amount.currency, id_


def _are_twins(one: Row, other: Row) -> bool:
    return one.dedupe_key == other.dedupe_key


def _data(row: Row) -> TransactionData:
    return row.data if isinstance(row, KeyedTransaction) else row


def _money_and_place(row: Row) -> Any:
    return _money(row), row.index


def _money(row: Row) -> Any:
    return _data(row).posted_date, _data(row).amount


def about(rows: Iterable[KeyedTransaction], /) -> tuple[date, date] | None:
    """The days on which what these pending rows became may have been posted, and others that became it as well."""
    days = [row.data.posted_date for row in rows if row.data.status is TransactionStatus.PENDING]
    if not days:
        return None
    wait = timedelta(days=PENDING_DAYS)
    return max(min(days), date.min + wait) - wait, min(max(days), date.max - wait) + wait
