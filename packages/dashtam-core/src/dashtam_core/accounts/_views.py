"""How accounts, transactions and imports are shown as JSON: one shape for the HTTP API and the command line.

Amounts are texts in plain digits with their currency beside them, days and instants are ISO 8601, unknown is null.
"""

from typing import TypedDict

from dashtam_core.accounts._batch import ReadingWarning
from dashtam_core.accounts._entities import AccountImport, Balance, ImportDocument, Transaction
from dashtam_core.accounts._repositories import AccountOverview


class BalanceView(TypedDict):
    kind: str
    as_of: str
    amount: str
    currency: str


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


class TransactionView(TypedDict):
    transaction_id: str
    account_id: str
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
    import_id: str | None


class WarningView(TypedDict):
    rule: str
    where: str
    raw: str | None


class AccountImportView(TypedDict):
    account_id: str
    read: int
    added: int
    skipped: int


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


def balance_view(balance: Balance, /) -> BalanceView:
    return {
        "kind": balance.kind.value,
        "as_of": balance.as_of.isoformat(),
        "amount": balance.amount.text,
        "currency": balance.amount.currency.code,
    }


def transaction_view(row: Transaction, /) -> TransactionView:
    original = row.original_amount
    return {
        "transaction_id": str(row.transaction_id),
        "account_id": str(row.account_id),
        "status": row.status.value,
        "posted_date": row.posted_date.isoformat(),
        "value_date": None if row.value_date is None else row.value_date.isoformat(),
        "transaction_date": None if row.transaction_date is None else row.transaction_date.isoformat(),
        "posted_at": None if row.posted_at is None else row.posted_at.isoformat(),
        "amount": row.amount.text,
        "currency": row.amount.currency.code,
        "original_amount": None if original is None else original.text,
        "original_currency": None if original is None else original.currency.code,
        "exchange_rate": None if row.exchange_rate is None else format(row.exchange_rate, "f"),
        "type": row.type.value,
        "description": row.description,
        "payee": row.payee,
        "memo": row.memo,
        "mcc": row.mcc,
        "check_number": row.check_number,
        "reference": row.reference,
        "end_to_end_id": row.end_to_end_id,
        "provider_transaction_id": row.provider_transaction_id,
        "import_id": None if row.document_id is None else str(row.document_id),
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
        "skipped": account.read - account.added,
    }
