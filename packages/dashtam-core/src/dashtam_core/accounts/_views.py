"""How accounts, transactions and imports are shown as JSON: one shape for the HTTP API and the command line.

A view has the fields that its type names, each from the field of that name unless `_view` is given another.
Amounts are texts in plain digits with their currency beside them, days and instants are ISO 8601, unknown is null.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final, TypedDict
from uuid import UUID

from dashtam_core.accounts._batch import (
    BalanceData,
    Counterparty,
    HoldingData,
    InvestmentDetail,
    ReadingWarning,
    SecurityData,
    SecurityId,
    TransactionData,
    TransactionPart,
)
from dashtam_core.accounts._entities import AccountImport, Annotation, Balance, ImportDocument, Split, Transaction
from dashtam_core.accounts._repositories import AccountOverview
from dashtam_core.accounts._types import BalanceOrigin
from dashtam_core.kernel import Currency, Money


class MoneyView(TypedDict):
    amount: str
    currency: str


class _BalanceView(TypedDict):
    kind: str
    as_of: str
    amount: str
    currency: str
    reported_at: str | None


class BalanceView(_BalanceView):
    origin: str


class SecurityIdView(TypedDict):
    scheme: str
    value: str


class SecurityView(TypedDict):
    name: str | None
    type: str
    currency: str | None
    ids: list[SecurityIdView]


class HoldingView(TypedDict):
    security: SecurityView
    as_of: str
    units: str
    unit_price: MoneyView | None
    price_as_of: str | None
    market_value: MoneyView | None
    cost_basis: MoneyView | None


class CounterpartyView(TypedDict):
    name: str | None
    mask: str | None
    bic: str | None


class PartView(TypedDict):
    amount: MoneyView | None
    description: str | None
    category: str | None
    counterparty: CounterpartyView | None
    reference: str | None
    end_to_end_id: str | None
    mandate_id: str | None


class InvestmentView(TypedDict):
    action: str
    security: SecurityView | None
    units: str | None
    unit_price: MoneyView | None
    commission: MoneyView | None
    fees: MoneyView | None
    taxes: MoneyView | None
    settle_date: str | None


class SplitView(MoneyView):
    category: str | None
    note: str | None


class AnnotationView(TypedDict):
    category: str | None
    payee: str | None
    note: str | None
    tags: list[str]
    splits: list[SplitView]


class _AccountView(TypedDict):
    account_id: str
    name: str
    official_name: str | None
    mask: str | None
    account_type: str
    balance_type: str
    currency: str
    institution: str | None
    bank_id: str | None
    status: str


class AccountView(_AccountView):
    balances: list[BalanceView]


class RowView(TypedDict):
    """What a provider said of a transaction."""

    status: str
    posted_date: str
    value_date: str | None
    transaction_date: str | None
    posted_at: str | None
    amount: str
    currency: str
    original_amount: str | None
    original_currency: str | None
    exchange_rate: str | None
    type: str
    description: str | None
    payee: str | None
    memo: str | None
    mcc: str | None
    check_number: str | None
    reference: str | None
    end_to_end_id: str | None
    provider_transaction_id: str | None
    mandate_id: str | None
    bank_transaction_code: str | None
    category: str | None
    counterparty: CounterpartyView | None
    running_balance: MoneyView | None
    reversal: bool
    details: list[PartView]
    investment: InvestmentView | None


class _IdsView(TypedDict):
    transaction_id: str
    account_id: str


class TransactionView(_IdsView, RowView):
    import_id: str | None
    missing_since: str | None
    removed_at: str | None
    superseded_by: str | None
    annotation: AnnotationView | None


class WarningView(TypedDict):
    rule: str
    where: str
    raw: str | None


class AccountImportView(TypedDict):
    account_id: str
    read: int
    added: int
    changed: int
    removed: int
    skipped: int
    arithmetic: str
    difference: MoneyView | None


class ImportView(TypedDict):
    import_id: str
    filename: str | None
    format: str
    encoding: str
    parser: str
    sha256: str
    imported_at: str
    added: int
    skipped: int
    accounts: list[AccountImportView]
    warnings: list[WarningView]


def _view[V](kind: type[V], **paths: str) -> Callable[[Any], V]:
    """What shows a value as such a view; `paths` are where in the value the fields are that go by another name."""
    names = tuple(kind.__annotations__)
    fields = attrgetter(*(paths.get(name, name) for name in names))

    def shown(value: object) -> Any:
        said: Iterable[tuple[str, object]] = zip(names, fields(value), strict=False)  # as many, for sure
        return {name: it if it is None or type(it) is str else _SHOWS[type(it)](it) for name, it in said}

    return shown


def _list(some: Iterable[object]) -> list[Any]:
    return [_SHOWS[type(each)](each) for each in some]


class _Shows(dict[type, Callable[[Any], Any]]):
    """What shows a value, by its type or the nearest one above it."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        self[kind] = shows = next(self[each] for each in kind.__mro__ if each in self)
        return shows


# An amount with its currency beside it. An original amount is one field in the model and None in most rows:
# `_paired` parts those that are there.
_PAIR: Final = {"amount": "amount.text", "currency": "amount.currency.code"}
_ROW: Final = {**_PAIR, "original_currency": "original_amount"}

_account: Final = _view(_AccountView)
_balance: Final = _view(_BalanceView, **_PAIR)
_money: Final = _view(MoneyView, amount="text", currency="currency.code")
_row: Final = _view(RowView, **_ROW)
_transaction: Final = _view(TransactionView, **_ROW, import_id="document_id")

annotation_view: Final[Callable[[Annotation], AnnotationView]] = _view(AnnotationView)
holding_view: Final[Callable[[HoldingData], HoldingView]] = _view(HoldingView)
import_view: Final[Callable[[ImportDocument], ImportView]] = _view(ImportView, import_id="document_id")
warning_view: Final[Callable[[ReadingWarning], WarningView]] = _view(WarningView)

_SHOWS: Final = _Shows(
    {
        object: lambda it: it,
        bytes: bytes.hex,
        date: date.isoformat,
        datetime: datetime.isoformat,
        Decimal: lambda number: format(number, "f"),
        StrEnum: str,
        tuple: _list,
        UUID: str,
        AccountImport: _view(AccountImportView),
        Annotation: annotation_view,
        Counterparty: _view(CounterpartyView),
        Currency: attrgetter("code"),
        InvestmentDetail: _view(InvestmentView),
        Money: _money,
        ReadingWarning: warning_view,
        SecurityData: _view(SecurityView),
        SecurityId: _view(SecurityIdView),
        Split: _view(SplitView, **_PAIR),
        TransactionPart: _view(PartView),
    }
)


def account_view(overview: AccountOverview, /) -> AccountView:
    return {**_account(overview.account), "balances": [balance_view(each) for each in overview.balances]}


def balance_view(balance: BalanceData, /) -> BalanceView:
    origin = balance.origin if isinstance(balance, Balance) else BalanceOrigin.REPORTED
    return {**_balance(balance), "origin": origin.value}


def money_view(money: Money | None) -> MoneyView | None:
    """An amount with its currency beside it."""
    return None if money is None else _money(money)


def row_view(row: TransactionData, /) -> RowView:
    """What a provider said of a transaction, stored or not."""
    return _paired(_row(row), row)


def transaction_view(row: Transaction, /) -> TransactionView:
    return _paired(_transaction(row), row)


def _paired[V: RowView](view: V, row: TransactionData) -> V:
    """With the original amount as a text, and its currency beside it."""
    if (original := row.original_amount) is not None:
        view["original_amount"], view["original_currency"] = original.text, original.currency.code
    return view
