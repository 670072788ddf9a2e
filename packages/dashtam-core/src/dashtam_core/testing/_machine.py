"""Any store beside the one in memory: the same random operations, and every answer compared.

What a store decides itself, such as when it recorded an entry, is not compared. A ledger kept by hand knows which
transactions and entries were committed, so that a mistake which both stores make is found as well.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import date
from functools import partial
from typing import Any, ClassVar, Final, cast
from uuid import UUID

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from dashtam_core import accounts as model
from dashtam_core import audit
from dashtam_core.kernel import Currency, DateRange, Subject, new_id
from dashtam_core.memory import open_memory_store
from dashtam_core.messaging import DeadLetter, Handover, KeptAnswer, KeyState, StoredEvent
from dashtam_core.store import Capability, Store, UnitOfWork
from dashtam_core.testing import strategies
from dashtam_core.testing._shared import MANY, BrokenError, fields_of, pages, place_of
from dashtam_core.testing._trail import FAR_AHEAD, PlainSealer, closed, leaves_of, root_of
from dashtam_core.testing.samples import ANN, BEN, NOON

type OpenStore = Callable[[], AbstractAsyncContextManager[Store]]
type _Row = tuple[model.AccountId, bytes, int]
type _Accounts = Sequence[model.Account]
type _Entries = Sequence[audit.AuditEntry]
type _Reported = Sequence[model.BalanceData | model.HoldingData]

_PEOPLE: Final = ANN, BEN
_EVENTS: Final = ("StatementImported", "UserErased")
_SUBSCRIBERS: Final = ("index", "mail")
_LATER: Final = {"at once": 0.0, "later": 3600.0, "never": None}
_WEEK: Final = DateRange(date(2026, 3, 1), date(2026, 3, 7))
_TOLD_BY_CLOCKS: Final = {"failed_at", "recorded_at"}

_people: Final = st.sampled_from(_PEOPLE)
_user_ids: Final = st.sampled_from([person.user_id for person in _PEOPLE])
_places: Final = st.integers(0, 11)
_limits: Final = st.integers(1, 5)
_days: Final = st.none() | st.dates(_WEEK.start, _WEEK.end)
_subscribers: Final = st.sampled_from(_SUBSCRIBERS)
_endings: Final = st.sampled_from(["delivered", "delivered", "delivered", "discarded", *_LATER])
_words: Final = st.sampled_from(["open", "close"])
_hashes: Final = st.sampled_from([b"0" * 32, b"1" * 32])
_accounts: Final = strategies.accounts(provider=_words, account_key=_hashes.map(lambda digest: digest[:16]))
_balances: Final = strategies.balance_data(
    kind=st.sampled_from([model.BalanceKind.LEDGER, model.BalanceKind.LIMIT]),
    amount=strategies.money(currency=Currency("EUR"), min_value=0, max_value=1),
    as_of=st.dates(_WEEK.start, date(2026, 3, 2)),
    reported_at=st.none() | st.integers(0, 2).map(lambda moment: NOON.replace(microsecond=moment)),
)
_holdings: Final = strategies.holding_data(
    security=st.sampled_from([model.SecurityData(name="a"), model.SecurityData()]),
    as_of=st.dates(_WEEK.start, date(2026, 3, 2)),
)
_STATES: Final[Sequence[Mapping[str, Any]]] = (
    {"missing_since": NOON, "removed_at": None},
    {"removed_at": NOON},
    {"superseded_by": model.TransactionId(UUID(int=0))},
    {"superseded_by": None, "removed_at": None, "waits_for": "1"},
    {"dedupe_key": bytes(16)},
)
_entries: Final = st.lists(
    strategies.audit_entries(
        user_id=_user_ids,
        attempt_id=st.sampled_from([audit.AttemptId(new_id()) for _ in range(4)]),
        action=_words | strategies.texts(),
    ),
    max_size=4,
)
_events: Final = st.lists(strategies.stored_events(), min_size=1, max_size=3)
_wanted_entries: Final = strategies.entry_filters(
    **dict.fromkeys(("resource_id", "since", "until"), st.none()),
    user_id=st.none() | _user_ids,
    action=st.none() | _words,
)


def store_machine(open_store: OpenStore) -> type[RuleBasedStateMachine]:
    """A state machine that finds where a store differs from the one in memory, and from what its port promises.

        TestMyStore = store_machine(open_my_store).TestCase

    `open_store` opens a store with nothing in it, each time. One that claims no ordered outbox delivers nothing.
    """

    class StoreMachine(_StoreMachine):
        openers = open_memory_store, open_store

    return StoreMachine


class _StoreMachine(RuleBasedStateMachine):
    openers: ClassVar[Sequence[OpenStore]]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened, self.entered = AsyncExitStack(), AsyncExitStack()
        self.stores: Sequence[Store] = ()
        self.units: Sequence[UnitOfWork] = ()
        """One of each store while they are open."""
        self.left: Sequence[UnitOfWork] = ()
        self.person: Subject = ANN
        """Who acts, or did last."""
        self.told = False
        self.sealers = PlainSealer(), PlainSealer()
        self.pool: Sequence[model.TransactionData] = ()
        self.accounts = [model.AccountId(new_id())]
        """Every account that ever was somebody's, after one that never was; and so on."""
        self.ids, self.hashes = [new_id()], [bytes(32)]
        self.rows: defaultdict[Subject, frozenset[_Row]] = defaultdict(frozenset)
        """The transactions that each person has."""
        self.before = frozenset[_Row]()
        self.met: dict[model.TransactionId, model.Transaction] = {}
        """Transactions that somebody had."""
        self.entries: list[audit.AuditEntry] = []
        """The entries that were committed."""
        self.handed: list[audit.AuditEntry] = []

    @initialize(
        pool=st.lists(strategies.transaction_data(window=_WEEK), min_size=1, max_size=4),
        some=st.lists(_accounts, max_size=2),
        said=_events,
    )
    def start(self, pool: Sequence[model.TransactionData], some: _Accounts, said: Sequence[StoredEvent]) -> None:
        self.pool = pool
        self.stores = [self.run(self.opened.enter_async_context(opened())) for opened in self.openers]
        self.both(lambda store: store.deliveries.register(dict.fromkeys(_SUBSCRIBERS, _EVENTS)))
        self.take_in(some, [0, 1, 1, 2], ())
        self.tell((), said, flush=False)

    def teardown(self) -> None:
        try:
            if sys.exception() is None and self.stores:
                self._look_at_everything()
        finally:
            for stack in (self.entered, self.opened):
                self.run(stack.__aexit__(BrokenError, BrokenError(), None))
            self.runner.close()

    def _look_at_everything(self) -> None:
        if self.units:
            self._leave(discard=True)
        for self.person in _PEOPLE:
            self.list_transactions(5, model.TransactionFilter(hidden=True), "", 0)
            for place in range(6):
                self.look(5, place)
        self.list_entries(audit.EntryFilter(), 5, 0)
        self.seal(MANY, sweep=True)
        self.both(_dead)
        for to in _SUBSCRIBERS:
            taken = partial(_delivered, to=to, ending="delivered", some=(), entries=())
            while self.both(taken):
                pass

    def run[T](self, awaited: Awaitable[T]) -> T:
        return self.runner.run(_wait(awaited))

    def both[T](self, ask: Callable[[Store], Awaitable[T]]) -> T:
        """What the stores answer, which is one and the same."""
        return _same([self.run(ask(store)) for store in self.stores])

    def work[T](self, job: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Does it in the units that are open, or in some for itself, which are committed."""
        if self.units:
            return _same([self.run(job(unit)) for unit in self.units])
        self._enter()
        answer = self.work(job)
        self._leave()
        return answer

    def refuse(self, job: Callable[[UnitOfWork], Awaitable[None]]) -> None:
        """Both stores raise, which ends their units as any exception does."""
        if not self.units:
            self._enter()
        for unit in self.units:
            with pytest.raises(Exception):  # noqa: B017, PT011 - each store has its own way to refuse
                self.run(job(unit))
        self._leave(BrokenError())

    def _enter(self, left: Sequence[UnitOfWork] = ()) -> None:
        self.units = left or [store.unit_of_work(self.person) for store in self.stores]
        for unit in self.units:
            self.run(self.entered.enter_async_context(unit))
        self.before, self.told = self.rows[self.person], False

    def _leave(self, error: Exception | None = None, *, discard: bool = False) -> None:
        for unit in self.units if discard else ():
            unit.discard()
        self.run(self.entered.__aexit__(None if error is None else type(error), error, None))
        if error is not None or discard:
            self.rows[self.person] = self.before
        else:
            self.entries += self.handed
        self.handed.clear()
        self.left, self.units = self.units, ()

    # -- units of work -------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.units)
    @rule(person=_people)
    def enter(self, person: Subject) -> None:
        self.person = person
        self._enter()

    @precondition(lambda self: self.left and not self.units)
    @rule()
    def enter_again(self) -> None:
        self._enter(self.left)

    # One rule for each ending, without arguments: of those Hypothesis is fondest.

    @precondition(lambda self: self.units)
    @rule()
    def commit(self) -> None:
        self._leave()

    @precondition(lambda self: self.units)
    @rule()
    def discard(self) -> None:
        self._leave(discard=True)

    @precondition(lambda self: self.units)
    @rule()
    def fail(self) -> None:
        self._leave(BrokenError())

    @rule(entries=_entries, said=_events, flush=st.booleans())
    def tell(self, entries: _Entries, said: Sequence[StoredEvent], *, flush: bool) -> None:
        events = [attrs.evolve(each, user_id=self.person.user_id) for each in said]

        async def job(unit: UnitOfWork) -> None:
            _hand_over(unit, entries)
            unit.outbox.add(events)
            if flush:
                await unit.flush()

        self.handed += entries
        self.work(job)
        self.told = True

    # -- what a person has ---------------------------------------------------------------------------------------

    @rule(
        some=st.lists(_accounts, max_size=2),
        picks=st.lists(_places, max_size=5),
        said=st.lists(_balances | _holdings, max_size=3),
    )
    def take_in(self, some: _Accounts, picks: Sequence[int], said: _Reported) -> None:
        """As an import does, the same accounts and rows again and again."""
        found = self.work(lambda unit: unit.accounts.add_accounts(some))
        assert [_known_by(each) for each in found] == [_known_by(each) for each in some]
        self.accounts += [each.account_id for each in found]
        rows, known = {each.account_id: self._rows(picks) for each in found}, self.rows[self.person]
        new = {id_: {(id_, row.dedupe_key, row.occurrence) for row in rows[id_]} - known for id_ in rows}
        document_id = model.DocumentId(_nth(self.ids, len(picks)))
        added = self.work(lambda unit: unit.transactions.add(document_id, rows))
        assert dict(added) == {id_: len(each) for id_, each in new.items()}, "just what is new is added"
        self.rows[self.person] = known.union(*new.values())

        async def job(unit: UnitOfWork) -> None:
            for id_ in rows:
                await _report(unit, id_, said)

        self.work(job)

    def _rows(self, picks: Sequence[int]) -> Sequence[model.KeyedTransaction]:
        return list(model.keyed([_nth(self.pool, pick) for pick in picks]))

    @rule(
        place=_places,
        pick=_places,
        state=st.sampled_from(_STATES),
        note=st.none() | strategies.annotations(splits=()),
    )
    def rework(self, place: int, pick: int, state: Mapping[str, Any], note: model.Annotation | None) -> None:
        """As corrections and people do; a row that is another's or gone is refused, and so is a key in use."""
        mine = self.work(lambda unit: unit.transactions.find(model.TransactionFilter(hidden=True)))
        self.met |= {each.transaction_id: each for each in mine}
        if not self.met:
            return
        row = _nth([*self.met.values()], place)
        new = attrs.evolve(row, **fields_of(_nth(self.pool, pick)), **state)
        others = self.rows[self.person] - {_key_of(row)}

        async def job(unit: UnitOfWork) -> None:
            if note is None:
                await unit.transactions.change([new])
            else:
                await unit.transactions.annotate(attrs.evolve(note, transaction_id=row.transaction_id))

        if row not in mine or (note is None and _key_of(new) in others):
            self.refuse(job)
            return
        self.work(job)
        self.rows[self.person] = others | {_key_of(row if note else new)}

    @rule(
        place=_places,
        days=strategies.date_ranges(min_value=_WEEK.start, max_value=_WEEK.end),
        picks=st.lists(_places, max_size=2),
    )
    def mark_missing(self, place: int, days: DateRange, picks: Sequence[int]) -> None:
        sent = {(row.dedupe_key, row.occurrence) for row in self._rows(picks)}
        of, at = _nth(self.accounts, place), NOON.replace(microsecond=place)
        self.work(lambda unit: unit.transactions.mark_missing(of, days, sent, at))

    @rule(place=_places, pick=_places, said=st.none() | _balances | _holdings)
    def trespass(self, place: int, pick: int, said: model.BalanceData | model.HoldingData | None) -> None:
        """Nothing hangs on an account of somebody else's, nor on one that is gone."""
        account_id = _nth(self.accounts, place)
        rows = {account_id: self._rows([pick])}

        async def job(unit: UnitOfWork) -> None:
            if said is None:
                await unit.transactions.add(None, rows)
            else:
                await _report(unit, account_id, [said])

        if self.work(lambda unit: unit.accounts.find_account(account_id)) is None:
            self.refuse(job)

    @rule(thing=strategies.import_documents(sha256=_hashes) | strategies.person_keys())
    def add(self, thing: model.ImportDocument | audit.PersonKey) -> None:
        match thing:
            case model.ImportDocument():
                self.work(lambda unit: unit.documents.add(thing, thing.sha256))
                known = self.work(lambda unit: unit.documents.find(thing.sha256))
                assert known is not None
                told = attrs.evolve(thing, document_id=known.document_id)
                self.work(lambda unit: unit.documents.change(told))
                self.ids.append(thing.document_id)
                self.hashes.append(thing.sha256)
            case audit.PersonKey():
                self.work(lambda unit: unit.person_keys.add(thing))
                self.ids.append(thing.key_id)

    @rule(command=_words, key=_words, kept=st.none() | strategies.kept_answers())
    def claim(self, command: str, key: str, kept: KeptAnswer | None) -> None:
        async def job(unit: UnitOfWork) -> KeptAnswer | KeyState:
            claimed = await unit.answers.claim(command, key)
            if kept is not None and claimed is KeyState.FREE:
                await unit.answers.keep(command, key, kept)
            return claimed

        self.work(job)

    @precondition(lambda self: any(self.rows.values()) and not (self.units and self.told))
    @rule()
    def erase(self) -> None:
        erased = self.work(lambda unit: unit.people.erase())
        assert erased["transactions"] == len(self.rows[self.person])
        self.rows[self.person] = frozenset()

    @rule(
        limit=_limits,
        wanted=st.builds(model.TransactionFilter, from_date=_days, to_date=_days, hidden=st.booleans()),
        by=st.sampled_from(["", "account_id", "transaction_ids", "keys", "document_id", "status", "waiting"]),
        place=_places,
    )
    def list_transactions(self, limit: int, wanted: model.TransactionFilter, by: str, place: int) -> None:
        known: dict[str, Any] = {
            "account_id": _nth(self.accounts, place),
            "transaction_ids": [*self.met][:place],
            "keys": {model.dedupe_key(_nth(self.pool, place))},
            "document_id": _nth(self.ids, place),
            "status": _nth([*model.TransactionStatus], place),
            "waiting": True,
        }
        wanted = attrs.evolve(wanted, **{by: known[by]} if by else {})

        async def job(unit: UnitOfWork) -> list[Any]:
            return await pages(partial(unit.transactions.find, wanted), limit)

        found = [_key_of(each) for each in self.work(job)]
        assert len(found) == len(set(found)), "a transaction is there once"
        kept = {row for row in self.rows[self.person] if wanted.account_id in {None, row[0]}}
        whole = attrs.evolve(wanted, account_id=None) == model.TransactionFilter(hidden=True)
        assert kept == {*found} if whole else kept >= {*found}, "and none is ever lost"

    @rule(limit=_limits, place=_places)
    def look(self, limit: int, place: int) -> None:
        """At the accounts, and for one thing of every other kind, which may be another's or gone."""
        account_id, sought, id_ = _nth(self.accounts, place), _nth(self.hashes, place), _nth(self.ids, place)

        async def job(unit: UnitOfWork) -> Sequence[Any]:
            return (
                await pages(unit.accounts.list_accounts, limit),
                await unit.accounts.find_account(account_id),
                await unit.accounts.list_balances(account_id, from_date=_WEEK.start, to_date=_WEEK.end),
                await unit.accounts.list_holdings(account_id),
                await unit.documents.get(model.DocumentId(id_)),
                await unit.documents.content(model.DocumentId(id_)),
                await unit.documents.find(sought),
                await unit.person_keys.current(),
                await unit.person_keys.find(id_),
            )

        keys = [_known_by(each.account) for each in self.work(job)[0]]
        assert len(keys) == len(set(keys)), "an account is there once"

    # -- the audit trail -----------------------------------------------------------------------------------------

    @rule(entries=_entries)
    def record(self, entries: _Entries) -> None:
        self.both(lambda store: store.audit.record(entries))
        self.entries += entries

    @rule(wanted=_wanted_entries, limit=_limits, cut=_places)
    def list_entries(self, wanted: audit.EntryFilter, limit: int, cut: int) -> None:
        found = self.both(lambda store: _listed(store, wanted, limit, cut))
        asked = [(name, getattr(wanted, name)) for name in ("user_id", "action", "phase")]
        kept = [each for each in self.entries if all(v in {None, getattr(each, name)} for name, v in asked)]
        assert {each.entry_id for each in found} == {each.entry_id for each in kept}, "they are there for ever"

    @rule(limit=_limits, sweep=st.booleans())
    def seal(self, limit: int, *, sweep: bool) -> None:
        if sweep:
            ended = {each.attempt_id for each in self.entries if each.phase.ends}
            closings = [closed(each) for each in self.entries if each.attempt_id not in ended]
            assert self.both(lambda store: store.audit.sweep(closed, before=FAR_AHEAD)) == len(closings)
            self.entries += closings
        known = zip(self.stores, self.sealers, strict=True)
        _, size, unsealed = _same([self.run(_sealed(store, sealer, limit)) for store, sealer in known])
        assert size + unsealed == len(self.entries), "each committed entry is sealed, or waits for it"

    # -- the way out of the outbox -------------------------------------------------------------------------------

    def delivers(self) -> bool:
        return not self.units and Capability.ORDERED_OUTBOX in self.stores[1].capabilities

    @precondition(delivers)
    @rule(wanted=st.dictionaries(_subscribers, st.sets(st.sampled_from(_EVENTS)).map(sorted), min_size=1))
    def register(self, wanted: Mapping[str, Sequence[str]]) -> None:
        self.both(lambda store: store.deliveries.register(wanted))
        self.both(lambda store: store.maintain())

    def waiting(self) -> bool:
        return self.delivers() and self.run(self.stores[0].deliveries.lag()).waiting > 0

    @precondition(waiting)
    @rule(to=_subscribers, ending=_endings, some=st.lists(_accounts, max_size=1), entries=_entries)
    def deliver(self, to: str, ending: str, some: _Accounts, entries: _Entries) -> None:
        told = self.both(lambda store: _delivered(store, to, ending, some, entries))
        self.entries += entries if told and ending == "delivered" else ()

    @precondition(delivers)
    @rule(place=st.none() | _places)
    def retry(self, place: int | None) -> None:
        letters, *_ = self.both(_dead)
        event_id = _nth(letters, place).event.event_id if letters and place is not None else None
        self.both(lambda store: store.deliveries.retry(event_id))
        self.both(_dead)


def _nth[T](some: Sequence[T], place: int) -> T:
    return some[place % len(some)]


async def _wait[T](awaited: Awaitable[T]) -> T:
    return await awaited


def _same[T](answers: Sequence[T]) -> T:
    expected, found = map(_plain, answers)
    assert found == expected, f"the store answers {found}, and the one in memory {expected}"
    return answers[0]


def _plain(answer: Any) -> Any:
    """An answer by its fields, for entities are equal by their ids; without what each store's clock says."""
    if isinstance(answer, list | tuple):
        return [_plain(each) for each in cast("Sequence[Any]", answer)]
    if not hasattr(answer, "__attrs_attrs__"):
        return answer
    return {name: _plain(each) for name, each in fields_of(answer).items() if name not in _TOLD_BY_CLOCKS}


def _known_by(account: model.Account) -> tuple[str, bytes]:
    return account.provider, account.account_key


def _key_of(row: model.Transaction) -> _Row:
    return row.account_id, row.dedupe_key, row.occurrence


async def _report(unit: UnitOfWork, of: model.AccountId, said: _Reported) -> None:
    balances = [each for each in said if isinstance(each, model.BalanceData)]
    holdings = [each for each in said if isinstance(each, model.HoldingData)]
    await unit.accounts.add_balances([model.Balance(account_id=of, **fields_of(each)) for each in balances])
    await unit.accounts.add_holdings([model.Holding(account_id=of, **fields_of(each)) for each in holdings])


def _hand_over(unit: UnitOfWork, entries: _Entries) -> None:
    for each in entries:
        unit.trail.add(each)


async def _listed(store: Store, wanted: audit.EntryFilter, limit: int, cut: int) -> list[audit.RecordedEntry]:
    """The entries that are wanted, by id: in pages as in one go, and as before and since one of them."""

    async def read(after: Any = None, limit: int = MANY, **more: Any) -> Sequence[audit.RecordedEntry]:
        return list(await store.audit.entries(attrs.evolve(wanted, **more), after=after, limit=limit))

    whole = await read()
    assert [*map(place_of, whole)] == sorted(set(map(place_of, whole)), reverse=True)
    assert whole == await pages(read, limit)
    if whole:
        at = whole[cut % len(whole)].recorded_at
        assert await read(since=at) == [each for each in whole if each.recorded_at >= at]
        assert await read(until=at) == [each for each in whole if each.recorded_at < at]
    return sorted(whole, key=lambda each: each.entry_id)


async def _sealed(store: Store, sealer: PlainSealer, limit: int) -> tuple[int | None, int, int]:
    """How many entries were sealed now, ever, and not yet; each leaf is its entry's, and none has changed."""
    count = await store.audit.seal(sealer, limit=limit)
    checkpoints = list(await store.audit.checkpoints())
    assert checkpoints[-1:] == list(await store.audit.checkpoints(last=True))
    size = checkpoints[-1][0] if checkpoints else 0
    leaves, hashes = await leaves_of(store, size), list(await store.audit.leaf_hashes(size))
    assert [(each.index, each.leaf_hash) for each in leaves] == list(enumerate(hashes))
    assert [each.entry and audit.leaf_hash(each.entry) for each in leaves] == hashes
    assert len({each.entry_id for each in leaves}) == size
    assert all(root_of(hashes[:grown]) == root for grown, root in sealer.given)
    return count, size, (await store.audit.lag()).unsealed


async def _delivered(
    store: Store, to: str, ending: str, some: _Accounts, entries: _Entries
) -> tuple[StoredEvent, int] | None:
    """Which event came, and at which attempt. It makes accounts and entries, unless the delivery fails."""
    while (await store.deliveries.lag()).held_back:  # noqa: ASYNC110 - by the server's own work: nobody tells its end
        await asyncio.sleep(0)
    handover: Handover | None = None
    ended = "delivered"
    try:
        async with store.deliveries.next_for(to) as handover:
            if handover is not None:
                await _act(cast("UnitOfWork", handover.unit), ending, some, entries)
    except (BrokenError, RuntimeError) as error:
        ended = "discarded" if isinstance(error, RuntimeError) else ending
    if handover is None:
        return None
    assert ended == ending, "a delivery is made, or it failed"
    if ending in _LATER:
        await store.deliveries.failed(handover, to, "broken", retry_in=_LATER[ending])
    return handover.event, handover.attempt


async def _act(unit: UnitOfWork, ending: str, some: _Accounts, entries: _Entries) -> None:
    await unit.accounts.add_accounts(some)
    _hand_over(unit, entries)
    if ending in _LATER:
        raise BrokenError
    if ending == "discarded":
        unit.discard()


async def _dead(store: Store) -> tuple[Sequence[DeadLetter], int, int, bool]:
    """Dead letters by event and subscriber, and the lag. The latest come first, and no more than are asked for."""
    whole = list(await store.deliveries.dead(limit=MANY))
    assert [each.failed_at for each in whole] == sorted((each.failed_at for each in whole), reverse=True)
    assert len(await store.deliveries.dead(limit=2)) == len(whole[:2])
    letters = sorted(whole, key=lambda each: (each.event.event_id, each.subscriber))
    lag = await store.deliveries.lag()
    return letters, lag.waiting, lag.dead, lag.oldest_seconds > 0
