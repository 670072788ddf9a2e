"""Hypothesis strategies for every value and entity of the model: for tests of code that works with them.

    from dashtam_core.testing import strategies

    @given(strategies.account_batches(account=MINE, max_rows=20))
    def test_what_it_does_with_rows_of_mine(batch): ...

They keep to the conventions of the model, and make what is nasty within them: twins, several statements of one
account, amounts of zero and of 38 digits, units outside ISO 4217, ids that a bank uses again, days and instants
from year 1 to 9999. Unknown is None, never empty. Ids are new, and later ones are greater.

What no store must carry as it is they leave out: halves of surrogate pairs and U+0000 in texts, and the very first
and last instants, which stand for infinity in PostgreSQL.

A keyword is the name of a field, and what it takes is a value for all or a strategy to draw it from.
"""

import types
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from typing import Any, Final, NewType, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from dashtam_core import accounts as model
from dashtam_core import audit, identity, kernel, messaging

type Given[T] = T | SearchStrategy[T] | None
"""A value for all, a strategy to draw it from, or None: whatever there is."""

_DIGITS: Final = "0123456789"
_ODD_AMOUNTS: Final = ("0", "0.00", "-0", "9" * 38, f"-0.{'9' * 38}", "1E+37")
_MAX_INTEGER: Final = 2**53 - 1


# -- what has fields and no more ---------------------------------------------------------------------------------


def _made[T](kind: type[T], /, **fields: Any) -> SearchStrategy[T]:
    """Each field as it was asked for, or as its name has it, or its type."""
    hints: dict[str, Any] = _hints(kind)  # type: ignore[arg-type] # a class is as hashable as anything
    if unknown := fields.keys() - hints:
        raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}: it has {', '.join(hints)}")
    return st.builds(kind, **{name: _of(fields.get(name), _plain(name, hint)) for name, hint in hints.items()})


subjects = partial(_made, kernel.Subject)
origins = partial(_made, kernel.Origin)
reading_warnings = partial(_made, model.ReadingWarning)
account_data = partial(_made, model.AccountData)
security_ids = partial(_made, model.SecurityId)
security_data = partial(_made, model.SecurityData)
holding_data = partial(_made, model.HoldingData)
investment_details = partial(_made, model.InvestmentDetail)
counterparties = partial(_made, model.Counterparty)
transaction_parts = partial(_made, model.TransactionPart)
accounts = partial(_made, model.Account)
holdings = partial(_made, model.Holding)
splits = partial(_made, model.Split)
annotations = partial(_made, model.Annotation)
transaction_filters = partial(_made, model.TransactionFilter)
import_documents = partial(_made, model.ImportDocument)
users = partial(_made, identity.User)
credentials = partial(_made, identity.Credential)
rates = partial(_made, identity.Rate)
person_keys = partial(_made, audit.PersonKey)
audit_entries = partial(_made, audit.AuditEntry)
recorded_entries = partial(_made, audit.RecordedEntry)
entry_filters = partial(_made, audit.EntryFilter)
dead_letters = partial(_made, messaging.DeadLetter)
kept_answers = partial(_made, messaging.KeptAnswer)


# -- the kernel --------------------------------------------------------------------------------------------------


def texts(*, min_size: int = 1, max_size: int = 40) -> SearchStrategy[str]:
    """Text that every store gives back character by character."""
    kept = st.characters(codec="utf-8", exclude_characters="\0")
    return st.text(kept, min_size=min_size, max_size=max_size)


def currencies(*, iso: bool | None = None) -> SearchStrategy[kernel.Currency]:
    """Units of account; `iso` says whether of ISO 4217 only, or of others only."""
    known = st.sampled_from(["EUR", *sorted(kernel.ISO_4217)])
    visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
    others = visible.filter(lambda code: code.upper() not in kernel.ISO_4217)
    return {None: known | others, True: known, False: others}[iso].map(kernel.Currency)


@st.composite
def money(
    draw: DrawFn,
    *,
    currency: Given[kernel.Currency] = None,
    min_value: Decimal | int | None = None,
    max_value: Decimal | int | None = None,
) -> kernel.Money:
    """Amounts as statements print them, below a thousand million; without bounds also zeros and 38 digits."""
    unit = draw(_of(currency, currencies()))
    least = -(10**9) if min_value is None else min_value
    most = max(10**9, least) if max_value is None else max_value
    amounts = st.decimals(least, most, places=8 if unit.exponent is None else unit.exponent)
    if min_value is max_value is None:
        amounts |= st.sampled_from(_ODD_AMOUNTS).map(Decimal)
    return kernel.Money(draw(amounts), unit)


@st.composite
def date_ranges(draw: DrawFn, *, min_value: date = date.min, max_value: date = date.max) -> kernel.DateRange:
    """Ranges of one day and more, within bounds."""
    start = draw(st.dates(min_value, max_value))
    return kernel.DateRange(start, draw(st.dates(start, max_value)))


def email_addresses() -> SearchStrategy[identity.EmailAddress]:
    """Addresses as people have them."""
    return st.emails().map(identity.EmailAddress)


# -- what providers deliver --------------------------------------------------------------------------------------


def transaction_data(
    *, currency: Given[kernel.Currency] = None, window: kernel.DateRange | None = None, **fields: Any
) -> SearchStrategy[model.TransactionData]:
    """Rows as providers report them: what was paid in `currency`, posted on a day of the window."""
    fields = {
        "amount": money(currency=currency),
        "posted_date": st.dates() if window is None else st.dates(window.start, window.end),
        "status": st.sampled_from([model.TransactionStatus.POSTED, *model.TransactionStatus]),
    } | fields
    rows = _made(model.TransactionData, **fields)
    return rows if {"original_amount", "exchange_rate"} & fields.keys() else rows.map(_converted)


def _paid[T](kind: type[T], /, *, currency: Given[kernel.Currency] = None, **fields: Any) -> SearchStrategy[T]:
    """What has an amount, in `currency`."""
    return _made(kind, **{"amount": money(currency=currency)} | fields)


balance_data = partial(_paid, model.BalanceData)
balances = partial(_paid, model.Balance)


@st.composite
def account_batches(
    draw: DrawFn,
    *,
    account: Given[model.AccountData] = None,
    window: kernel.DateRange | None = None,
    max_rows: int = 6,
) -> model.AccountBatch:
    """One account with rows in its currency, twins among them, and the span they cover where that is claimed."""
    data = draw(_of(account, account_data()))
    rows = st.lists(transaction_data(currency=data.currency, window=window), max_size=max_rows // 2)
    taken = draw(rows.flatmap(lambda different: _some_of(different, max_rows)))
    days = [row.posted_date for row in taken]
    claims = [window, kernel.DateRange(min(days), max(days))] if days else [window]
    return model.AccountBatch(
        account=data,
        transactions=tuple(taken),
        balances=tuple(draw(st.lists(balance_data(currency=data.currency), max_size=2))),
        holdings=tuple(draw(st.lists(holding_data(), max_size=1))),
        covered_window=draw(st.sampled_from(claims)),
    )


def sync_batches(
    *, currency: Given[kernel.Currency] = None, max_rows: int = 6, **fields: Any
) -> SearchStrategy[model.SyncBatch]:
    """What one reading brings: up to two accounts, and of each up to three statements in any order."""
    several = st.lists(account_data(currency=currency), max_size=2).flatmap(lambda few: _some_of(few, 3))
    told = several.flatmap(
        lambda all_: st.tuples(*[account_batches(account=one, max_rows=max_rows) for one in all_])
    )
    return _made(model.SyncBatch, **{"accounts": told} | fields)


def statements(**fields: Any) -> SearchStrategy[model.Statement]:
    """Statement files, read. There is nothing more to read of a file."""
    whole = sync_batches(next_cursor=st.none(), more=False)
    return _made(model.Statement, **{"batch": whole} | fields)


# -- what a store keeps ------------------------------------------------------------------------------------------


@st.composite
def account_overviews(draw: DrawFn, *, account: Given[model.Account] = None) -> model.AccountOverview:
    """Accounts with up to three balances, each of another kind."""
    of = draw(_of(account, accounts()))
    kinds = draw(st.sets(st.sampled_from(model.BalanceKind), max_size=3))
    said = [draw(balances(account_id=of.account_id, kind=kind, currency=of.currency)) for kind in sorted(kinds)]
    return model.AccountOverview(of, tuple(said))


def keyed_transactions(
    *, data: Given[model.TransactionData] = None, **fields: Any
) -> SearchStrategy[model.KeyedTransaction]:
    """Rows under the key they are known by, each the first with it or a later twin."""
    return _of(data, transaction_data()).flatmap(
        lambda row: _made(model.KeyedTransaction, **{"data": row, "dedupe_key": model.dedupe_key(row)} | fields)
    )


def transactions(*, data: Given[model.TransactionData] = None, **fields: Any) -> SearchStrategy[model.Transaction]:
    """Rows as a store gives them back, under the key they are known by."""
    return _of(data, transaction_data()).flatmap(
        lambda row: _made(
            model.Transaction,
            **{name: st.just(getattr(row, name)) for name in _hints(model.TransactionData)}
            | {"dedupe_key": model.dedupe_key(row)}
            | fields,
        )
    )


def account_imports(**fields: Any) -> SearchStrategy[model.AccountImport]:
    """What documents brought for an account: never more new and changed rows than they have."""
    made = _made(model.AccountImport, **fields)
    if fields.keys() & {"added", "changed"}:
        return made
    return made.map(lambda each: attrs.evolve(each, read=each.read + each.added + each.changed))


# -- what a store tells ------------------------------------------------------------------------------------------


def stored_events(
    *, user_id: Given[kernel.UserId] = None, event: SearchStrategy[messaging.DomainEvent] | None = None
) -> SearchStrategy[messaging.StoredEvent]:
    """Events as they are kept: those of the core, or yours."""
    return _of(user_id, _typed(kernel.UserId)).flatmap(
        lambda of: st.builds(messaging.StoredEvent.of, event or _events(of), st.just(of))
    )


# -- how they are made -------------------------------------------------------------------------------------------


def _of[T](given: Given[T], otherwise: SearchStrategy[T]) -> SearchStrategy[T]:
    if isinstance(given, SearchStrategy):
        return cast("SearchStrategy[T]", given)
    return otherwise if given is None else st.just(given)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in attrs.fields(kind)}


def _plain(name: str, hint: Any) -> SearchStrategy[Any]:
    if get_origin(hint) in {Union, types.UnionType}:
        (known,) = [each for each in get_args(hint) if each is not types.NoneType]
        return st.none() | _plain(name, known)
    return _NAMED[name] if name in _NAMED else _typed(hint)


@cache
def _typed(hint: Any) -> SearchStrategy[Any]:
    if hint in _TYPED:
        return _TYPED[hint]
    if isinstance(hint, NewType):
        return _typed(hint.__supertype__)
    if get_origin(hint) in {tuple, Collection}:
        return st.lists(_typed(get_args(hint)[0]), max_size=3).map(tuple)
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    return _made(hint)


def _some_of[T](few: Sequence[T], most: int) -> SearchStrategy[list[T]]:
    """Some of these in any order, and some of them again."""
    return st.lists(st.sampled_from(few), max_size=most) if few else st.just(list[T]())


def _converted(row: model.TransactionData) -> model.TransactionData:
    """An original amount went the same way as what became of it, and a rate is one of conversion."""
    original = row.original_amount
    if original is None:
        return attrs.evolve(row, exchange_rate=None)
    against = (original.amount < 0) is not (row.amount.amount < 0)
    return attrs.evolve(row, original_amount=-original) if against else row


def _events(of: kernel.UserId) -> SearchStrategy[messaging.DomainEvent]:
    return _made(identity.UserErased, user_id=of) | _made(model.StatementImported, user_id=of)


def _json() -> SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers(-_MAX_INTEGER, _MAX_INTEGER) | texts(min_size=0)
    return st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | _object(inner), max_leaves=4)


def _object(inner: SearchStrategy[Any]) -> SearchStrategy[dict[str, Any]]:
    return st.dictionaries(texts(min_size=0), inner, max_size=3)


_TYPED: Final[dict[Any, SearchStrategy[Any]]] = {
    str: texts(),
    bool: st.booleans(),
    int: st.integers(0, 9),
    bytes: st.binary(max_size=40),
    Decimal: st.decimals(-(10**9), 10**9, places=6),
    date: st.dates(),
    datetime: st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds are naive
    UUID: st.builds(kernel.new_id),
    frozenset[kernel.Permission]: st.frozensets(st.sampled_from(sorted(identity.OWNER | identity.OPERATOR))),
    identity.EmailAddress: email_addresses(),
    kernel.Currency: currencies(),
    kernel.Money: money(),
    model.TransactionPart: st.deferred(lambda: _made(model.TransactionPart, counterparty=st.none())),
    model.AccountImport: st.deferred(account_imports),
    messaging.StoredEvent: st.deferred(stored_events),
}
_NAMED: Final[dict[str, SearchStrategy[Any]]] = {
    "account_key": st.binary(min_size=model.KEY_BYTES, max_size=model.KEY_BYTES),
    "attempts": st.integers(1, 8),
    "burst": st.integers(1, 9),
    "channel": st.sampled_from(["library", "cli", "http"]),
    "check_number": st.text(_DIGITS, min_size=1, max_size=12),
    "context": _object(_json()),
    "dedupe_key": st.binary(min_size=model.KEY_BYTES, max_size=model.KEY_BYTES),
    "encoding": st.sampled_from(["utf-8", "windows-1252"]),
    "exchange_rate": st.decimals("0.000001", 1_000_000, places=6),
    "fingerprint": st.binary(min_size=32, max_size=32),
    "format": st.sampled_from(["OFX 1.02", "OFX 2.11"]),
    "ip_address": st.ip_addresses().map(str),
    "mask": texts(max_size=4),
    "mcc": st.text(_DIGITS, min_size=4, max_size=4),
    "number": st.text(_DIGITS, min_size=1, max_size=34),
    "number_hash": st.binary(min_size=model.KEY_BYTES, max_size=model.KEY_BYTES),
    "occurrence": st.integers(1, 3),
    "provider": st.just(model.FILE_PROVIDER) | texts(),
    "provider_transaction_id": st.sampled_from(["NONREF", "0000", "1", "1 "]) | texts(),
    "seconds": st.floats(0.001, 3600.0),
    "secret_hash": st.binary(min_size=32, max_size=32),
    "sha256": st.binary(min_size=32, max_size=32),
    "stray": st.just(value=False),
}
