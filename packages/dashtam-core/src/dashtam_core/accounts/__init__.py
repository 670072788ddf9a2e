"""Accounts, balances and transactions: the model, statement ingestion, and the questions a person asks of it."""

from dashtam_core.accounts import _annotations, _export, _import, _queries
from dashtam_core.accounts._annotations import AnnotateTransaction, ClearAnnotation, GetTransaction
from dashtam_core.accounts._arithmetic import arithmetic
from dashtam_core.accounts._batch import (
    AccountBatch,
    AccountData,
    BalanceData,
    Counterparty,
    HoldingData,
    InvestmentDetail,
    ReadingWarning,
    SecurityData,
    SecurityId,
    SyncBatch,
    TransactionData,
    TransactionPart,
)
from dashtam_core.accounts._dedupe import KEY_BYTES, KeyedTransaction, dedupe_key, keyed, usable_id
from dashtam_core.accounts._entities import (
    Account,
    AccountImport,
    Annotation,
    Balance,
    Holding,
    ImportDocument,
    Split,
    Transaction,
)
from dashtam_core.accounts._errors import AccountsCode, AccountsRefused, ImportCode, ImportFailed
from dashtam_core.accounts._export import (
    Export,
    ExportedAccount,
    ExportTransactions,
    StatementWriter,
    StatementWriters,
)
from dashtam_core.accounts._import import GetImport, ImportReport, ImportStatement, ReadDocument, StatementImported
from dashtam_core.accounts._ingestion import (
    FILE_PROVIDER,
    BalancesChanged,
    Ingestion,
    PreparedAccount,
    Source,
    Stored,
)
from dashtam_core.accounts._more import MORE, from_json, from_more, more_of, to_json
from dashtam_core.accounts._queries import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    GetAccount,
    ListAccounts,
    ListBalances,
    ListHoldings,
    ListTransactions,
    Paging,
)
from dashtam_core.accounts._readers import ProfiledReader, Statement, StatementReader, StatementReaders
from dashtam_core.accounts._reading import Reading, ReadingStoppedError, checkpoint
from dashtam_core.accounts._repositories import (
    AccountOverview,
    Accounts,
    Documents,
    TransactionFilter,
    Transactions,
)
from dashtam_core.accounts._types import (
    AccountId,
    AccountStatus,
    AccountType,
    Arithmetic,
    BalanceKind,
    BalanceOrigin,
    BalanceType,
    DocumentId,
    InvestmentAction,
    SecurityScheme,
    SecurityType,
    TransactionId,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.accounts._views import (
    AccountImportView,
    AccountView,
    AnnotationView,
    BalanceView,
    HoldingView,
    ImportView,
    TransactionView,
    WarningView,
    account_view,
    annotation_view,
    balance_view,
    holding_view,
    import_view,
    money_view,
    row_view,
    transaction_view,
    warning_view,
)

EVENTS = (StatementImported, BalancesChanged)
ROUTES = (*_import.ROUTES, *_export.ROUTES, *_queries.ROUTES, *_annotations.ROUTES)

# fmt: off
__all__ = [
    "DEFAULT_LIMIT", "EVENTS", "FILE_PROVIDER", "KEY_BYTES", "MAX_LIMIT", "MORE", "ROUTES", "Account",
    "AccountBatch", "AccountData", "AccountId", "AccountImport", "AccountImportView", "AccountOverview",
    "AccountStatus", "AccountType", "AccountView", "Accounts", "AccountsCode", "AccountsRefused",
    "AnnotateTransaction", "Annotation", "AnnotationView", "Arithmetic", "Balance", "BalanceData", "BalanceKind",
    "BalanceOrigin", "BalanceType", "BalanceView", "BalancesChanged", "ClearAnnotation", "Counterparty",
    "DocumentId", "Documents", "Export", "ExportTransactions", "ExportedAccount", "GetAccount", "GetImport",
    "GetTransaction", "Holding", "HoldingData", "HoldingView", "ImportCode", "ImportDocument", "ImportFailed",
    "ImportReport", "ImportStatement", "ImportView", "Ingestion", "InvestmentAction", "InvestmentDetail",
    "KeyedTransaction", "ListAccounts", "ListBalances", "ListHoldings", "ListTransactions", "Paging",
    "PreparedAccount", "ProfiledReader", "ReadDocument", "Reading", "ReadingStoppedError", "ReadingWarning",
    "SecurityData", "SecurityId", "SecurityScheme", "SecurityType", "Source", "Split", "Statement",
    "StatementImported", "StatementReader", "StatementReaders", "StatementWriter", "StatementWriters", "Stored",
    "SyncBatch", "Transaction", "TransactionData", "TransactionFilter", "TransactionId", "TransactionPart",
    "TransactionStatus", "TransactionType", "TransactionView", "Transactions", "WarningView", "account_view",
    "annotation_view", "arithmetic", "balance_view", "checkpoint", "dedupe_key", "from_json", "from_more",
    "holding_view", "import_view", "keyed", "money_view", "more_of", "row_view", "to_json", "transaction_view",
    "usable_id", "warning_view",
]
# fmt: on
