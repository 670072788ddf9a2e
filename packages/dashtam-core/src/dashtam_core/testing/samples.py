"""People, rows, entries and events for the tests of an adapter or an application, and what a store has of them.

    from dashtam_core.testing.samples import ANN, account, add, have, row, texts_of

    (checking,) = await have(store, ANN, account("checking"))
    assert await add(store, ANN, checking, row("coffee", day=3), row("tea", day=4)) == 2
    assert await texts_of(store, ANN) == ["tea", "coffee"]

A test that goes through a whole `Dashtam` brings its data in with `LinesPlugin`, as a statement of `lines(...)`.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final, NewType, get_args, get_origin, get_type_hints

import attrs

from dashtam_core import accounts as model
from dashtam_core.audit import AttemptId, AuditEntry, EntryFilter, EntryId, Phase, RecordedEntry
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import Currency, Money, Subject, new_id
from dashtam_core.messaging import StoredEvent
from dashtam_core.store import Store, UnitOfWork
from dashtam_core.testing._lines import LinesPlugin, LinesReader, lines

# fmt: off
__all__ = [
    "AMOUNTS", "ANN", "BEN", "EUR", "NOON", "TEXTS", "LinesPlugin", "LinesReader", "account", "actions_of", "add",
    "annotate", "annotation", "balance", "change", "document", "entries_of", "entry", "eur", "event", "filler",
    "full", "full_account", "full_row", "have", "hear", "hear_all", "holding", "lines", "row", "rows_of", "tell",
    "texts_of",
]
# fmt: on

ANN: Final = ExternalSubject("ann")
"""A person."""
BEN: Final = ExternalSubject("ben")
"""Another person, who has nothing to do with Ann."""
EUR: Final = Currency("EUR")
NOON: Final = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
"""An instant with microseconds."""
TEXTS: Final = (
    "Caf\u00e9 \u6771\u4eac \U0001f3e6 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "e\u0301 is not \u00e9",
    "tab\tline\nreturn\rnext",
    "\\N \\. \\t \\\\",
    "'quoted' \"twice\", {in,braces}; -- $1 %s",
    "NULL",
    " spaces around ",
    "",
    "long " * 4_000,
)
"""Texts that a store has to keep character by character."""
AMOUNTS: Final = (
    "12.50",
    "-12.50",
    "0",
    "0.00",
    "0.000000000000000001",
    "-12345678901234567890.123456789012345678",
    "999999999999999999999999999999",
    "-999999999999999999999999999999.99999999",
    "9" * 38,
    "0." + "9" * 38,
)
"""Amounts that a store has to keep digit by digit."""


def eur(amount: str) -> Money:
    """So many euros."""
    return Money(Decimal(amount), EUR)


def full[T](kind: type[T], **said: Any) -> T:
    """A value of the model of which everything is known, each field in a way of its own; or as it is `said`."""
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name not in said}
    return kind(**said, **{name: _something(name, hints[name], place) for place, name in enumerate(hints, 1)})


def _something(name: str, hint: Any, place: int) -> Any:
    if get_origin(hint) is tuple:
        return (_something(name, get_args(hint)[0], place),)
    hint = next(iter(get_args(hint)), hint)
    known: dict[Any, Any] = {
        str: name,
        bool: True,
        int: place,
        bytes: bytes([place] * 16),
        Decimal: Decimal(f"-{place}.123456789012345678"),
        Money: eur(f"-{place}.000000000000000001"),
        Currency: EUR,
        date: date(9999, 12, place % 31 + 1),
        datetime: NOON.replace(day=place % 31 + 1),
    }
    if hint in known:
        return known[hint]
    if isinstance(hint, NewType):
        return new_id()
    return list(hint)[1] if issubclass(hint, Enum) else full(hint)


def account(key: str, **changes: Any) -> model.Account:
    """A checking account in euros, called `account {key}` and known by its key."""
    plain = model.Account(
        account_id=model.AccountId(new_id()),
        provider="file",
        account_key=key.encode().ljust(16, b"."),
        name=f"account {key}",
        account_type=model.AccountType.CHECKING,
        currency=EUR,
        created_at=NOON,
    )
    return attrs.evolve(plain, **changes)


def full_account() -> model.Account:
    """An account of which everything is known."""
    return full(model.Account, currency=Currency("x" * 64))


def row(
    text: str, day: int = 1, occurrence: int = 1, amount: str = "-4.50", **changes: Any
) -> model.KeyedTransaction:
    """A row of March 2026, known by its text; `changes` are fields of its `TransactionData`."""
    data = model.TransactionData(
        posted_date=date(2026, 3, day), amount=eur(amount), type=model.TransactionType.POS, description=text
    )
    key = text.encode()[:16].ljust(16, b".")
    return model.KeyedTransaction(model.TransactionId(new_id()), key, occurrence, 0, attrs.evolve(data, **changes))


def full_row() -> model.KeyedTransaction:
    """A row of 3 March that says all there is to say."""
    other = full(model.Counterparty, account=None)
    data = full(
        model.TransactionData,
        posted_date=date(2026, 3, 3),
        status=model.TransactionStatus.PENDING,
        counterparty=other,
        details=(full(model.TransactionPart, counterparty=other), model.TransactionPart()),
    )
    return attrs.evolve(row("full"), data=data)


def filler(count: int) -> list[model.KeyedTransaction]:
    """So many rows of 28 March, `filler 0` and on."""
    return [row(f"filler {number}", day=28) for number in range(count)]


def balance(
    of: model.Account, amount: str, day: int = 1, hour: int | None = None, **changes: Any
) -> model.Balance:
    """A ledger balance of a day in March 2026, with the hour it was reported at or none."""
    at = None if hour is None else NOON.replace(day=day, hour=hour)
    plain = model.Balance(
        account_id=of.account_id,
        kind=model.BalanceKind.LEDGER,
        as_of=date(2026, 3, day),
        amount=eur(amount),
        reported_at=at,
    )
    return attrs.evolve(plain, **changes)


def holding(of: model.Account, units: str, day: int = 1, **changes: Any) -> model.Holding:
    """What an account has of one security on a day in March 2026."""
    whole = full(model.Holding, account_id=of.account_id, units=Decimal(units), as_of=date(2026, 3, day))
    return attrs.evolve(whole, **changes)


def annotation(
    of: model.KeyedTransaction | model.Transaction, note: str = "mine", **said: Any
) -> model.Annotation:
    """What a person says of a row."""
    return model.Annotation(transaction_id=of.transaction_id, note=note, **said)


def document(digit: str = "1", **changes: Any) -> model.ImportDocument:
    """An imported file whose hash is this hexadecimal digit, 64 times."""
    plain = model.ImportDocument(
        document_id=model.DocumentId(new_id()),
        sha256=bytes.fromhex(digit * 64),
        filename="march.ofx",
        format="OFX 2.11",
        encoding="utf-8",
        parser="suite 1",
        imported_at=NOON,
    )
    return attrs.evolve(plain, **changes)


def entry(action: str = "open", phase: Phase = Phase.SUCCEEDED, **changes: Any) -> AuditEntry:
    """An audit entry of Ann's that stands alone, known by its action."""
    plain = AuditEntry(
        entry_id=EntryId(new_id()),
        attempt_id=AttemptId(new_id()),
        occurred_at=NOON,
        user_id=ANN.user_id,
        action=action,
        phase=phase,
        resource_type="account",
        channel="library",
    )
    return attrs.evolve(plain, **changes)


def event(text: str, of: Subject = ANN, name: str = "Noted") -> StoredEvent:
    """An event of a person, known by its text."""
    return StoredEvent(new_id(), of.user_id, name, f'{{"text":"{text}"}}')


async def within[T](store: Store, subject: Subject, ask: Callable[[UnitOfWork], Awaitable[T]]) -> T:
    """What is answered in a unit of its own."""
    async with store.unit_of_work(subject) as unit:
        return await ask(unit)


async def have(store: Store, subject: Subject, *accounts: model.Account) -> list[model.Account]:
    """Adds accounts in a unit of their own; answers with them as the store knows them."""
    return list(await within(store, subject, lambda unit: unit.accounts.add_accounts(accounts)))


async def add(store: Store, subject: Subject, to: model.Account, *rows: model.KeyedTransaction) -> int:
    """Adds rows in a unit of their own; answers how many were new."""
    added = await within(store, subject, lambda unit: unit.transactions.add(None, {to.account_id: rows}))
    return added[to.account_id]


async def change(store: Store, subject: Subject, *rows: model.Transaction) -> None:
    """Changes rows in a unit of their own."""
    await within(store, subject, lambda unit: unit.transactions.change(rows))


async def annotate(store: Store, subject: Subject, *said: model.Annotation) -> None:
    """Annotates rows in a unit of its own."""
    async with store.unit_of_work(subject) as unit:
        for each in said:
            await unit.transactions.annotate(each)


async def rows_of(store: Store, subject: Subject, **wanted: Any) -> list[model.Transaction]:
    """A person's transactions, the latest first; `wanted` are fields of `TransactionFilter`."""
    sought = model.TransactionFilter(**wanted)
    return list(await within(store, subject, lambda unit: unit.transactions.find(sought)))


async def texts_of(store: Store, subject: Subject, **wanted: Any) -> list[str | None]:
    """The descriptions of `rows_of`."""
    return [each.description for each in await rows_of(store, subject, **wanted)]


async def entries_of(store: Store, **wanted: Any) -> list[RecordedEntry]:
    """Audit entries by the store's clock, the first first; `wanted` are fields of `EntryFilter`."""
    found = await store.audit.entries(EntryFilter(**wanted), after=None, limit=5_000)
    return list(reversed(found))


async def actions_of(store: Store, **wanted: Any) -> list[str]:
    """The actions of `entries_of`."""
    return [each.action for each in await entries_of(store, **wanted)]


async def tell(store: Store, *events: StoredEvent) -> None:
    """Commits each event in a unit of its person's."""
    for each in events:
        async with store.unit_of_work(Subject(each.user_id, frozenset())) as unit:
            unit.outbox.add([each])


async def hear(store: Store, subscriber: str) -> StoredEvent | None:
    """Takes the next event due to a subscriber, if there is one."""
    async with store.deliveries.next_for(subscriber) as handover:
        return None if handover is None else handover.event


async def hear_all(store: Store, subscriber: str) -> list[StoredEvent]:
    """Takes everything that is due to a subscriber."""
    heard = list[StoredEvent]()
    while (one := await hear(store, subscriber)) is not None:
        heard.append(one)
    return heard
