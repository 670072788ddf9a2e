"""How accounts, transactions and imports are shown as JSON: one shape for the HTTP API and the command line.

Amounts are texts in plain digits with their currency beside them, days and instants are ISO 8601, unknown is null.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import TypedDict

from dashtam_core.accounts._batch import (
    BalanceData,
    Counterparty,
    HoldingData,
    InvestmentDetail,
    ReadingWarning,
    SecurityData,
    TransactionData,
    TransactionPart,
)
from dashtam_core.accounts._entities import (
    AccountImport,
    Annotation,
    Balance,
    ImportDocument,
    Transaction,
)
from dashtam_core.accounts._repositories import AccountOverview
from dashtam_core.accounts._types import BalanceOrigin
from dashtam_core.kernel import Money


class MoneyView(TypedDict):
    amount: str
    currency: str


class BalanceView(TypedDict):
    kind: str
    as_of: str
    amount: str
    currency: str
    reported_at: str | None
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


class SplitView(TypedDict):
    amount: str
    currency: str
    category: str | None
    note: str | None


class AnnotationView(TypedDict):
    category: str | None
    payee: str | None
    note: str | None
    tags: list[str]
    splits: list[SplitView]


class AccountView(TypedDict):
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


class TransactionView(RowView):
    transaction_id: str
    account_id: str
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


def account_view(overview: AccountOverview, /) -> AccountView:
    account = overview.account
    return {
        "account_id": str(account.account_id),
        "name": account.name,
        "official_name": account.official_name,
        "mask": account.mask,
        "account_type": account.account_type.value,
        "balance_type": account.balance_type.value,
        "currency": account.currency.code,
        "institution": account.institution,
        "bank_id": account.bank_id,
        "status": account.status.value,
        "balances": [balance_view(balance) for balance in overview.balances],
    }


def balance_view(balance: BalanceData, /) -> BalanceView:
    origin = balance.origin if isinstance(balance, Balance) else BalanceOrigin.REPORTED
    return {
        "kind": balance.kind.value,
        "as_of": balance.as_of.isoformat(),
        "amount": balance.amount.text,
        "currency": balance.amount.currency.code,
        "reported_at": _day(balance.reported_at),
        "origin": origin.value,
    }


def holding_view(holding: HoldingData, /) -> HoldingView:
    return {
        "security": _security_view(holding.security),
        "as_of": holding.as_of.isoformat(),
        "units": format(holding.units, "f"),
        "unit_price": money_view(holding.unit_price),
        "price_as_of": _day(holding.price_as_of),
        "market_value": money_view(holding.market_value),
        "cost_basis": money_view(holding.cost_basis),
    }


def row_view(row: TransactionData, /) -> RowView:
    """What a provider said of a transaction, stored or not."""
    original = row.original_amount
    return {
        "status": row.status.value,
        "posted_date": row.posted_date.isoformat(),
        "value_date": _day(row.value_date),
        "transaction_date": _day(row.transaction_date),
        "posted_at": _day(row.posted_at),
        "amount": row.amount.text,
        "currency": row.amount.currency.code,
        "original_amount": None if original is None else original.text,
        "original_currency": None if original is None else original.currency.code,
        "exchange_rate": _digits(row.exchange_rate),
        "type": row.type.value,
        "description": row.description,
        "payee": row.payee,
        "memo": row.memo,
        "mcc": row.mcc,
        "check_number": row.check_number,
        "reference": row.reference,
        "end_to_end_id": row.end_to_end_id,
        "provider_transaction_id": row.provider_transaction_id,
        "mandate_id": row.mandate_id,
        "bank_transaction_code": row.bank_transaction_code,
        "category": row.category,
        "counterparty": _counterparty_view(row.counterparty),
        "running_balance": money_view(row.running_balance),
        "reversal": row.reversal,
        "details": [_part_view(part) for part in row.details],
        "investment": _investment_view(row.investment),
    }


def transaction_view(row: Transaction, /) -> TransactionView:
    return {
        "transaction_id": str(row.transaction_id),
        "account_id": str(row.account_id),
        **row_view(row),
        "import_id": None if row.document_id is None else str(row.document_id),
        "missing_since": _day(row.missing_since),
        "removed_at": _day(row.removed_at),
        "superseded_by": None if row.superseded_by is None else str(row.superseded_by),
        "annotation": None if row.annotation is None else annotation_view(row.annotation),
    }


def annotation_view(said: Annotation, /) -> AnnotationView:
    return {
        "category": said.category,
        "payee": said.payee,
        "note": said.note,
        "tags": list(said.tags),
        "splits": [
            {
                "amount": each.amount.text,
                "currency": each.amount.currency.code,
                "category": each.category,
                "note": each.note,
            }
            for each in said.splits
        ],
    }


def import_view(document: ImportDocument, /) -> ImportView:
    return {
        "import_id": str(document.document_id),
        "filename": document.filename,
        "format": document.format,
        "encoding": document.encoding,
        "parser": document.parser,
        "sha256": document.sha256.hex(),
        "imported_at": document.imported_at.isoformat(),
        "added": document.added,
        "skipped": document.skipped,
        "accounts": [_account_import_view(account) for account in document.accounts],
        "warnings": [warning_view(warning) for warning in document.warnings],
    }


def warning_view(warning: ReadingWarning, /) -> WarningView:
    return {"rule": warning.rule, "where": warning.where, "raw": warning.raw}


def _account_import_view(account: AccountImport) -> AccountImportView:
    return {
        "account_id": str(account.account_id),
        "read": account.read,
        "added": account.added,
        "changed": account.changed,
        "removed": account.removed,
        "skipped": account.skipped,
        "arithmetic": account.arithmetic.value,
        "difference": money_view(account.difference),
    }


def _security_view(security: SecurityData) -> SecurityView:
    return {
        "name": security.name,
        "type": security.type.value,
        "currency": None if security.currency is None else security.currency.code,
        "ids": [{"scheme": each.scheme.value, "value": each.value} for each in security.ids],
    }


def _counterparty_view(other: Counterparty | None) -> CounterpartyView | None:
    return None if other is None else {"name": other.name, "mask": other.mask, "bic": other.bic}


def _part_view(part: TransactionPart) -> PartView:
    return {
        "amount": money_view(part.amount),
        "description": part.description,
        "category": part.category,
        "counterparty": _counterparty_view(part.counterparty),
        "reference": part.reference,
        "end_to_end_id": part.end_to_end_id,
        "mandate_id": part.mandate_id,
    }


def _investment_view(detail: InvestmentDetail | None) -> InvestmentView | None:
    if detail is None:
        return None
    return {
        "action": detail.action.value,
        "security": None if detail.security is None else _security_view(detail.security),
        "units": _digits(detail.units),
        "unit_price": money_view(detail.unit_price),
        "commission": money_view(detail.commission),
        "fees": money_view(detail.fees),
        "taxes": money_view(detail.taxes),
        "settle_date": _day(detail.settle_date),
    }


def money_view(money: Money | None) -> MoneyView | None:
    """An amount with its currency beside it."""
    return None if money is None else {"amount": money.text, "currency": money.currency.code}


def _digits(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")


def _day(day: date | datetime | None) -> str | None:
    return None if day is None else day.isoformat()
