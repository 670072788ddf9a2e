"""Hypothesis strategies: all that the model has, nothing that it does not allow, quickly and simply."""

import asyncio
import importlib
import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, get_args, get_type_hints

import attrs
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis.strategies import SearchStrategy

from dashtam_core.accounts import (
    AccountBatch,
    AccountData,
    AccountImport,
    AccountType,
    Balance,
    ImportDocument,
    KeyedTransaction,
    Statement,
    SyncBatch,
    Transaction,
    TransactionData,
    TransactionFilter,
    TransactionStatus,
    TransactionType,
    dedupe_key,
)
from dashtam_core.accounts._ingestion import FILES, Ingestion
from dashtam_core.audit import AuditEntry, EntryFilter, RecordedEntry, canonical
from dashtam_core.identity import ExternalSubject, MasterKey
from dashtam_core.kernel import ISO_4217, Currency, DateRange, DomainError, Money, Subject, SystemClock
from dashtam_core.memory import MemoryStore
from dashtam_core.messaging import DomainEvent, Outgoing, StoredEvent
from dashtam_core.messaging._codec import dump, load
from dashtam_core.messaging._messages import Message
from dashtam_core.testing import strategies

SHRUNK = settings(max_examples=2_000, phases=[Phase.generate, Phase.shrink])
"""To find the simplest takes these; explaining what else it might be would take a hundred times as long."""
ANN = ExternalSubject("ann")
EUR = Currency("EUR")
MARCH = DateRange(date(2026, 3, 1), date(2026, 3, 31))
KEYS = MasterKey(bytes(32))

NOT_OF_THE_MODEL = {
    "kernel": "Cursors Page",
    "accounts": (
        "Export ExportedAccount ImportReport Ingestion Paging PreparedAccount Reading Source StatementReaders "
        "StatementWriters Stored"
    ),
    "identity": (
        "Allowance ApiTokenView Argon2Hasher Authorize Claims Ed25519AccessTokens ExternalSubject FactorSecret "
        "FactorView Mail Mailing MasterKey NewApiToken SessionTokens SessionView SmtpMailer Verdict"
    ),
    "audit": (
        "Attempt AuditRecorder Checkpoint Ed25519Signer InclusionProof Leaf LogState Outcome ReadableEntry Replay "
        "SealedBatch Sealing SealingLag Verified VerifierKey"
    ),
    "messaging": (
        "Call DurableSubscription Entry Handover Lease Listener LogContext Notes OutboxLag Outgoing "
        "PreparedAnswer Publish Rendering Route Subscription WireEvent"
    ),
}
"""What works with the model, or is worked out from it, or stands for a whole that has a strategy."""


def made_by(strategy: Callable[..., SearchStrategy[Any]]) -> Any:
    """The class that a strategy says it makes."""
    return strategy.args[0] if isinstance(strategy, partial) else get_args(get_type_hints(strategy)["return"])[0]


def is_strategy(name: str, each: Any) -> bool:
    """Whether this is public, and of the module itself."""
    own = isinstance(each, partial) or (inspect.isfunction(each) and each.__module__ == strategies.__name__)
    return own and not name.startswith("_")


STRATEGIES = {made_by(each): each for name, each in vars(strategies).items() if is_strategy(name, each)}


@pytest.mark.parametrize("room", NOT_OF_THE_MODEL)
def test_there_is_a_strategy_for_everything_in_the_model(room: str) -> None:
    """A new public entity or value has a strategy, or is said not to be of the model."""
    module = importlib.import_module(f"dashtam_core.{room}")
    public = {name: getattr(module, name) for name in module.__all__}
    model = {
        name
        for name, each in public.items()
        if inspect.isclass(each) and attrs.has(each) and not issubclass(each, (Message, DomainEvent, DomainError))
    }
    assert model - {each.__name__ for each in STRATEGIES} == set(NOT_OF_THE_MODEL[room].split())


@pytest.mark.parametrize("kind", STRATEGIES, ids=lambda kind: kind.__name__)
def test_a_strategy_makes_what_it_says(kind: type) -> None:
    """Everything is an instance of its class, of which the simplest one is found in no time."""
    simplest = find(STRATEGIES[kind](), lambda _: True, settings=SHRUNK)
    assert isinstance(simplest, kind)


@pytest.mark.parametrize("kind", [each for each in STRATEGIES if attrs.has(each)], ids=lambda kind: kind.__name__)
def test_the_simplest_has_nothing_that_is_optional(kind: type) -> None:
    """A failure shrinks to what is needed: what may be unknown is, and what may be empty is."""
    simplest = find(STRATEGIES[kind](), lambda _: True, settings=SHRUNK)
    optional = {name for name, hint in get_type_hints(kind).items() if type(None) in get_args(hint)}
    assert {name: getattr(simplest, name) for name in optional} == dict.fromkeys(optional)
    assert [
        each for each in attrs.asdict(simplest, recurse=False).values() if isinstance(each, tuple) and each
    ] == []


def test_a_keyword_takes_a_value_or_a_strategy() -> None:
    """Any field may be given, and one that is not there is refused with those that are."""
    fixed = find(
        strategies.accounts(name="mine", currency=EUR, account_type=AccountType.LOAN),
        lambda _: True,
        settings=SHRUNK,
    )
    assert (fixed.name, fixed.currency, fixed.account_type) == ("mine", EUR, AccountType.LOAN)
    drawn = find(strategies.transaction_data(memo=strategies.texts()), lambda _: True, settings=SHRUNK)
    assert drawn.memo
    with pytest.raises(TypeError, match="Account has no field nmae: it has account_id, "):
        strategies.accounts(nmae="mine")


# -- what is nasty is there --------------------------------------------------------------------------------------


def has_twins(batch: AccountBatch) -> bool:
    return max(Counter(batch.transactions).values(), default=0) > 1


def has_several_statements(batch: SyncBatch) -> bool:
    return len({id(each.account) for each in batch.accounts}) < len(batch.accounts)


NASTY: Mapping[str, tuple[SearchStrategy[Any], Callable[[Any], object]]] = {
    "twins": (strategies.account_batches(), has_twins),
    "several statements of one account": (strategies.sync_batches(), has_several_statements),
    "a statement with nothing in it": (strategies.account_batches(), lambda batch: not batch.transactions),
    "a window that is not claimed": (
        strategies.account_batches(),
        lambda batch: batch.transactions and not batch.covered_window,
    ),
    "zero": (strategies.money(), lambda money: not money.amount),
    "38 digits": (strategies.money(), lambda money: len(money.amount.as_tuple().digits) == 38),
    "38 places": (strategies.money(), lambda money: money.amount.as_tuple().exponent == -38),
    "an unknown unit": (strategies.currencies(), lambda unit: unit.exponent is None),
    "emoji": (strategies.texts(), lambda text: any(each > "\uffff" for each in text)),
    "pending": (strategies.transaction_data(), lambda row: row.status is TransactionStatus.PENDING),
    "void": (strategies.transaction_data(), lambda row: row.status is TransactionStatus.VOID),
    "a filler for an id": (strategies.transaction_data(), lambda row: row.provider_transaction_id == "NONREF"),
    "converted": (strategies.transaction_data(), lambda row: row.exchange_rate is not None),
    "a later twin": (strategies.keyed_transactions(), lambda row: row.occurrence > 1),
    "no permission": (strategies.subjects(), lambda subject: not subject.permissions),
    "a nested context": (
        strategies.audit_entries(),
        lambda entry: any(isinstance(each, dict) for each in entry.context.values()),
    ),
    "a later day than the window": (
        strategies.balance_data(),
        lambda said: said.reported_at and said.reported_at.date() > said.as_of,
    ),
}


@pytest.mark.parametrize("nasty", NASTY)
def test_what_is_nasty_is_made(nasty: str) -> None:
    """Each of these is found within a few hundred examples."""
    strategy, is_nasty = NASTY[nasty]
    find(
        strategy, lambda made: bool(is_nasty(made)), settings=settings(max_examples=2_000, phases=[Phase.generate])
    )


def test_twins_shrink_to_two_plain_rows() -> None:
    """A failure for the sake of twins is told with two rows and nothing else."""
    account = AccountData(provider_account_id="0", account_type=AccountType.CHECKING, currency=EUR)
    plain = TransactionData(
        posted_date=date(2000, 1, 1), amount=Money(Decimal(0), EUR), type=TransactionType.CREDIT
    )
    batch = find(strategies.account_batches(account=account, max_rows=2), has_twins, settings=SHRUNK)
    assert batch == AccountBatch(account=account, transactions=(plain, plain))


# -- and nothing that the model does not allow -------------------------------------------------------------------


@given(strategies.account_batches(max_rows=8))
def test_batches_keep_to_the_conventions(batch: AccountBatch) -> None:
    """Rows and balances are in their account's currency, windows cover their rows, unknown is never empty."""
    amounts = [row.amount for row in batch.transactions] + [said.amount for said in batch.balances]
    assert {amount.currency for amount in amounts} <= {batch.account.currency}
    for row in batch.transactions:
        assert batch.covered_window is None or row.posted_date in batch.covered_window
        assert "" not in attrs.asdict(row, recurse=False).values()
        assert row.posted_at is None or row.posted_at.tzinfo is UTC


@given(strategies.transaction_data())
def test_a_converted_amount_went_the_same_way(row: TransactionData) -> None:
    """What was paid and what it became have one sign, and there is no rate without either."""
    original = row.original_amount
    assert original is not None or row.exchange_rate is None
    assert original is None or original.amount * row.amount.amount >= 0


@given(strategies.transaction_data(window=MARCH, currency=EUR, status=TransactionStatus.PENDING))
def test_rows_are_of_the_window_currency_and_status_asked_for(row: TransactionData) -> None:
    """What is asked for is kept to, and the rest is as free as ever."""
    assert row.posted_date in MARCH
    assert (row.amount.currency, row.status) == (EUR, TransactionStatus.PENDING)


@given(strategies.money(currency=EUR, min_value=-1, max_value=Decimal("0.5")))
def test_bounded_money_has_the_digits_of_its_currency(money: Money) -> None:
    """Between bounds amounts are as a statement prints them."""
    assert -1 <= money.amount <= Decimal("0.5")
    assert money.amount.as_tuple().exponent == -2


@given(strategies.currencies(iso=True), strategies.currencies(iso=False))
def test_units_are_of_iso_4217_or_not(known: Currency, other: Currency) -> None:
    """Either kind can be had by itself."""
    assert known.code in ISO_4217
    assert other.code.upper() not in ISO_4217


@given(strategies.texts())
def test_text_leaves_out_what_no_store_must_carry(text: str) -> None:
    """No half of a surrogate pair, no U+0000, and never too long."""
    assert "\0" not in text
    assert 1 <= len(text.encode().decode()) <= 40


@given(strategies.import_documents())
def test_instants_leave_out_what_is_infinity_elsewhere(document: ImportDocument) -> None:
    """Instants are aware, and not the first or the last that there is."""
    assert datetime.min.replace(tzinfo=UTC) < document.imported_at < datetime.max.replace(tzinfo=UTC)


@given(strategies.keyed_transactions(), strategies.transactions())
def test_rows_have_the_key_they_are_known_by(row: KeyedTransaction, stored: Transaction) -> None:
    """A key is worked out from the row, as ingestion does."""
    assert row.dedupe_key == dedupe_key(row.data)
    assert stored.dedupe_key == dedupe_key(stored)


@given(strategies.account_imports(), strategies.import_documents())
def test_documents_never_add_more_than_they_read(one: AccountImport, document: ImportDocument) -> None:
    """Counts can be true."""
    assert 0 <= one.added <= one.read
    assert document.skipped >= 0


# -- stores and codec take it ------------------------------------------------------------------------------------


@given(strategies.statements())
@settings(max_examples=25)
def test_ingestion_takes_every_statement(statement: Statement) -> None:
    """Every row that was read is kept afterwards, and taking it in again adds none."""

    async def take_in() -> None:
        store = MemoryStore()
        for again in range(2):
            async with store.unit_of_work(ANN) as unit:
                ingestion = Ingestion(unit.accounts, unit.transactions, KEYS, SystemClock(), ANN, Outgoing())
                report = (await ingestion.store(ingestion.prepare(statement.batch, FILES))).accounts
                found = await unit.transactions.find(TransactionFilter(hidden=True))
            read = sum(len(each.transactions) for each in statement.batch.accounts)
            assert sum(each.read for each in report) == read
            assert len(found) >= read
            assert sum(each.added for each in report) <= (0 if again else read)

    asyncio.run(take_in())


@given(strategies.recorded_entries())
def test_entries_have_a_canonical_form(entry: RecordedEntry) -> None:
    """Whatever is in a context can be hashed."""
    assert canonical(entry)


CODED = (Balance, ImportDocument, StoredEvent, SyncBatch, Transaction, DateRange, AccountData, Subject)


@pytest.mark.parametrize("kind", CODED, ids=lambda kind: kind.__name__)
def test_what_is_kept_as_json_comes_back(kind: type) -> None:
    """Values go through the codec and are the same afterwards, to the last digit."""

    @given(STRATEGIES[kind]())
    def there_and_back(value: Any) -> None:
        again = load(dump(value), kind)
        assert attrs.asdict(again) == attrs.asdict(value)

    there_and_back()


@given(strategies.stored_events(), strategies.audit_entries(), strategies.entry_filters())
@settings(max_examples=25)
def test_the_trail_and_the_outbox_take_every_entry_and_event(
    event: StoredEvent, entry: AuditEntry, wanted: EntryFilter
) -> None:
    """What was told is found, and a filter never finds what does not meet it."""

    async def tell() -> None:
        store = MemoryStore()
        await store.deliveries.register({"mail": [event.name]})
        async with store.unit_of_work(Subject(event.user_id, frozenset())) as unit:
            unit.outbox.add([event])
            unit.trail.add(entry)
        async with store.deliveries.next_for("mail") as handover:
            assert handover is not None
            assert handover.event == event
        (found,) = await store.audit.entries(EntryFilter(), after=None, limit=2)
        assert {name: getattr(found, name) for name in attrs.fields_dict(AuditEntry)} == attrs.asdict(entry)
        assert len(await store.audit.entries(wanted, after=None, limit=2)) <= 1

    asyncio.run(tell())
