"""Accounts, balances and transactions: the model, statement ingestion, and the questions a person asks of it."""

from dashtam_core.accounts._batch import (
    AccountBatch,
    AccountData,
    BalanceData,
    ReadingWarning,
    SyncBatch,
    TransactionData,
)
from dashtam_core.accounts._dedupe import KEY_BYTES, KeyedTransaction, dedupe_key, keyed
from dashtam_core.accounts._entities import Account, AccountImport, Balance, ImportDocument, Transaction
from dashtam_core.accounts._errors import AccountsCode, AccountsRefused, ImportCode, ImportFailed
from dashtam_core.accounts._import import ROUTES as _IMPORT_ROUTES
from dashtam_core.accounts._import import GetImport, ImportReport, ImportStatement, StatementImported
from dashtam_core.accounts._ingestion import FILE_PROVIDER, Ingestion, PreparedAccount, Source
from dashtam_core.accounts._queries import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    GetAccount,
    ListAccounts,
    ListTransactions,
    Paging,
)
from dashtam_core.accounts._queries import ROUTES as _QUERY_ROUTES
from dashtam_core.accounts._readers import Statement, StatementReader, StatementReaders
from dashtam_core.accounts._repositories import AccountOverview, Accounts, Documents, TransactionFilter
from dashtam_core.accounts._types import (
    AccountId,
    AccountStatus,
    AccountType,
    BalanceKind,
    BalanceOrigin,
    BalanceType,
    DocumentId,
    TransactionId,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.accounts._views import (
    AccountImportView,
    AccountView,
    BalanceView,
    ImportView,
    TransactionView,
    WarningView,
    account_view,
    balance_view,
    import_view,
    transaction_view,
    warning_view,
)

ROUTES = (*_IMPORT_ROUTES, *_QUERY_ROUTES)

__all__ = [
    "DEFAULT_LIMIT",
    "FILE_PROVIDER",
    "KEY_BYTES",
    "MAX_LIMIT",
    "ROUTES",
    "Account",
    "AccountBatch",
    "AccountData",
    "AccountId",
    "AccountImport",
    "AccountImportView",
    "AccountOverview",
    "AccountStatus",
    "AccountType",
    "AccountView",
    "Accounts",
    "AccountsCode",
    "AccountsRefused",
    "Balance",
    "BalanceData",
    "BalanceKind",
    "BalanceOrigin",
    "BalanceType",
    "BalanceView",
    "DocumentId",
    "Documents",
    "GetAccount",
    "GetImport",
    "ImportCode",
    "ImportDocument",
    "ImportFailed",
    "ImportReport",
    "ImportStatement",
    "ImportView",
    "Ingestion",
    "KeyedTransaction",
    "ListAccounts",
    "ListTransactions",
    "Paging",
    "PreparedAccount",
    "ReadingWarning",
    "Source",
    "Statement",
    "StatementImported",
    "StatementReader",
    "StatementReaders",
    "SyncBatch",
    "Transaction",
    "TransactionData",
    "TransactionFilter",
    "TransactionId",
    "TransactionStatus",
    "TransactionType",
    "TransactionView",
    "WarningView",
    "account_view",
    "balance_view",
    "dedupe_key",
    "import_view",
    "keyed",
    "transaction_view",
    "warning_view",
]
