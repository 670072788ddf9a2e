"""The public names of every package: a name that comes or goes is a decision, and is written down here."""

import importlib
import inspect
from types import ModuleType

import pytest

PUBLIC: dict[str, str] = {
    "dashtam_core": (
        "Actor AssemblyError Dashtam Failure PluginError Result Settings Success UnavailableError hookimpl provide"
    ),
    "dashtam_core.kernel": (
        "ANONYMOUS ISO_4217 MAX_DIGITS PUBLIC Clock Currency CurrencyMismatchError Cursors DateRange "
        "DomainError ErrorCode ErrorKind Failure KernelCode Money Origin Page Permission Result Subject "
        "Success SystemClock UnavailableCode UnavailableError UserId ValueRefused amount_text and_then "
        "map_failure map_success new_id new_ids"
    ),
    "dashtam_core.messaging": (
        "EVENTS_MANAGE KEPT_FOR KEPT_SECONDS ROUTES STREAM Answer Answers BusClosedError Cache Call Category "
        "Command DeadLetter Deliveries Delivery DomainEvent DurableSubscription Effect Entry EventBus "
        "EventStream ForgetSubscriber Handler Handover KeptAnswer KeyState Lease ListDeadLetters Listener Live "
        "Locks LogContext Message Next Notes Outbox OutboxLag Outgoing PreparedAnswer PreparingHandler Publish "
        "Query QueryCache RefusalCode Refused Relay Rendering RetryDeadLetters Route Stage StoredEvent "
        "Subscription UnitOfWork WireEvent chain dump_json earlier_answer emit error_code idempotent load_json "
        "prepare register_json settle transaction wire_type"
    ),
    "dashtam_core.audit": (
        "AUDIT_READ RETIRE_ACTION ROUTES Attempt AttemptId AuditCode AuditEntry AuditLog AuditRecorder "
        "AuditRefused AuditTrail AuditedUnit Checkpoint CryptographyMissingError Ed25519Signer EntryFilter "
        "EntryId ExportAuditLog Frontier GroupCommit InclusionProof Json KeyVault Leaf ListAuditEntries "
        "LogState Outcome PersonKey PersonKeys PersonalVault Phase ProveAuditEntry ReadableEntry "
        "RecordedEntry Replay Seal SealAuditLog SealedBatch Sealer Sealing SealingLag SignedCheckpoint Signer "
        "Verified Verifier VerifierKey VerifyAuditLog canonical consistency_proof inclusion_proof leaf_hash "
        "log_records open_checkpoint verify_consistency verify_export verify_inclusion write_export"
    ),
    "dashtam_core.identity": (
        "ACCOUNTS_READ ACCOUNTS_WRITE EVENTS FOLLOWING KEYS_ROTATE OPERATOR OWNER PROFILE_READ PROFILE_WRITE "
        "ROUTES SESSIONS_WRITE TOKENS_WRITE USERS_ERASE USERS_MANAGE Allowance ApiTokenView Argon2Hasher "
        "Authenticate Authorize ChangeEmail ChangePassword ChangeUser Claims ConfirmFactor CreateApiToken "
        "CreateUser Credential CredentialId CredentialKind Credentials DeactivateUser Ed25519AccessTokens "
        "EmailAddress EmailChanged EndSessions EnrollFactor EraseUser ExportUser ExternalSubject FactorChanged "
        "FactorSecret FactorView FollowAccounts FollowSecurity GetMyUser IdentityCode IdentityRefused Keyring "
        "ListApiTokens ListFactors ListSessions ListUsers LogIn Mail Mailer Mailing MasterKey NewApiToken "
        "PasswordChanged PasswordHasher People PeopleUnit Rate RateLimiter RefreshSession RefreshTokenReplayed "
        "RegisterUser RemoveFactor RequestPasswordReset ResetPassword RetireKeys RevokeApiToken RevokeTokens "
        "Role RootKeys RotateKey SessionTokens SessionView SmtpMailer Unproven User UserErased UserRegistered "
        "UserStatus UserStatusChanged Users Verdict VerifyEmail bindings forgetting network open_root"
    ),
    "dashtam_core.accounts": (
        "DEFAULT_LIMIT EVENTS FILE_PROVIDER KEY_BYTES MAX_LIMIT MORE ROUTES Account AccountBatch AccountData "
        "AccountId AccountImport AccountImportView AccountOverview AccountStatus AccountType AccountView "
        "Accounts AccountsCode AccountsRefused AnnotateTransaction Annotation AnnotationView Arithmetic Balance "
        "BalanceData BalanceKind BalanceOrigin BalanceType BalanceView BalancesChanged ClearAnnotation "
        "Counterparty DocumentId Documents Export ExportTransactions ExportedAccount GetAccount GetImport "
        "GetTransaction Holding HoldingData HoldingView ImportCode ImportDocument ImportFailed ImportReport "
        "ImportStatement ImportView Ingestion InvestmentAction InvestmentDetail KeyedTransaction ListAccounts "
        "ListBalances ListHoldings ListTransactions Paging PreparedAccount ProfiledReader ReadDocument Reading "
        "ReadingStoppedError ReadingWarning SecurityData SecurityId SecurityScheme SecurityType Source Split "
        "Statement StatementImported StatementReader StatementReaders StatementWriter StatementWriters Stored "
        "SyncBatch Transaction TransactionData TransactionFilter TransactionId TransactionPart "
        "TransactionStatus TransactionType TransactionView Transactions WarningView account_view "
        "annotation_view arithmetic balance_view checkpoint dedupe_key from_json from_more holding_view "
        "import_view keyed money_view more_of row_view to_json transaction_view usable_id warning_view"
    ),
    "dashtam_core.connections": (
        "EVENTS ROUTES AccountsSynced Provider ProviderCode ProviderFailed Providers SyncAccounts SyncReport "
        "SyncRequest"
    ),
    "dashtam_core.portfolio": (
        "ROUTES DecideMatch ForgetDecision ListMatches Match MatchKind MatchState MatchView MatchedPair Matches "
        "PortfolioCode PortfolioRefused duplicates match_view transfers"
    ),
    "dashtam_core.plugins": (
        "CommandAdder PluginError PluginReport Plugins RouterMaker SharedOpener StoreOpener StreamOpener hookimpl"
    ),
    "dashtam_core.app": "DRAIN_SECONDS Actor Dashtam",
    "dashtam_core.cli": "durable load_settings main stop",
    "dashtam_core.container": "AssemblyError Binding Container Port provide",
    "dashtam_core.settings": "IMPORT_MAX_BYTES MEMORY PREFIX Settings default_data_dir",
    "dashtam_core.store": (
        "REPOSITORIES Capability IdentityStore IdentityUnit OpenShared OpenStore OpenStream Shared Store "
        "UnitOfWork identity_store"
    ),
    "dashtam_embedded": "EmbeddedServerError PostgresServer ValkeyServer postgres valkey",
    "dashtam_fastapi": (
        "Caller Me MeWriting ProblemError ProblemRoute ServiceSettings Writer acting create_app "
        "problem_response router serve until_signalled"
    ),
    "dashtam_files": (
        "BankCsvReader BeancountWriter CamtReader CsvProfile CsvReader CsvWriter Mt940Reader OfxReader OfxWriter "
        "Proposal QifReader propose"
    ),
    "dashtam_files.writers": "BeancountWriter CsvWriter OfxWriter",
    "dashtam_postgres": "DEFAULT_SCHEMA PostgresStore PostgresUnit Retired open_store retire upgrade",
    "dashtam_redis": "RedisEventStream RedisShared open_shared open_stream",
    "dashtam_core.logs": ("Format bound configure merge_bound redact remember"),
    "dashtam_core.memory": (
        "FixedClock MemoryCache MemoryEventBus MemoryEventStream MemoryLocks MemoryProvider MemoryRateLimiter "
        "MemoryShared MemoryStore MemoryVault open_memory_shared open_memory_store open_memory_stream"
    ),
    "dashtam_core.testing": (
        "CacheConformance ClockConformance Conformance Counts EventBusConformance EventStreamConformance "
        "KeyringConformance LocksConformance PersonalVaultConformance ProviderConformance RateLimiterConformance "
        "SignerConformance StatementReaderConformance StoreConformance needs store_machine"
    ),
    "dashtam_core.testing.samples": (
        "AMOUNTS ANN BEN EUR NOON TEXTS LinesPlugin LinesReader account actions_of add annotate annotation "
        "balance change document entries_of entry eur event filler full full_account full_row have hear hear_all "
        "holding lines row rows_of tell texts_of"
    ),
}

# Codes, statuses, views and ports whose name and members say it all.
SAYS_IT_ALL = {
    *("KernelCode", "UnavailableCode", "IdentityCode", "AccountsCode"),
    *("AccountStatus", "BalanceType", "TransactionStatus"),
    *("AccountImportView", "AccountView", "AnnotationView", "BalanceView", "HoldingView", "ImportView"),
    *("TransactionView", "WarningView", "PortfolioCode"),
    *("account_view", "annotation_view", "balance_view", "holding_view", "import_view"),
    *("transaction_view", "warning_view"),
    *("Accounts", "Documents", "Keyring"),
    "AuditCode",
    *("FactorView", "NewApiToken", "UserStatus", "Verdict"),
}


@pytest.fixture(params=PUBLIC, ids=str)
def room(request: pytest.FixtureRequest) -> ModuleType:
    name: str = request.param
    return importlib.import_module(name)


def names(room: ModuleType) -> list[str]:
    found: list[str] = room.__all__
    return found


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


def test_public_names_are_sorted_once(room: ModuleType) -> None:
    """Names are in order, and none is there twice."""
    assert names(room) == sorted(set(names(room)), key=_as_ruff_sorts)


def test_public_names_exist(room: ModuleType) -> None:
    """What is promised can be imported."""
    assert [name for name in names(room) if not hasattr(room, name)] == []


def test_public_names_are_the_expected_ones(room: ModuleType) -> None:
    """Nothing becomes public, or stops being it, by accident."""
    assert names(room) == PUBLIC[room.__name__].split()


def test_public_names_are_documented(room: ModuleType) -> None:
    """Classes and functions say what they do, unless their name does."""
    silent = [
        name
        for name in names(room)
        if inspect.isclass(thing := getattr(room, name)) or inspect.isfunction(thing)
        if thing.__module__.startswith("dashtam_") and not vars(thing).get("__doc__", thing.__doc__)
    ]
    assert set(silent) <= SAYS_IT_ALL


@pytest.mark.parametrize("name", [name for name in PUBLIC if hasattr(importlib.import_module(name), "__path__")])
def test_no_other_name_looks_public(name: str) -> None:
    """Whatever of ours a package imports for others is on its list, or begins with an underscore."""
    room = importlib.import_module(name)
    defined = [
        name
        for name, thing in vars(room).items()
        if not name.startswith("_") and getattr(thing, "__module__", "").startswith("dashtam_")
    ]
    assert set(defined) <= set(names(room))


def test_exceptions_to_the_rule_are_real() -> None:
    """The list of names that need no words holds only public names that have none."""
    rooms = [importlib.import_module(name) for name in PUBLIC]
    silent = {name for room in rooms for name in names(room) if not vars_doc(getattr(room, name))}
    assert silent >= SAYS_IT_ALL


def vars_doc(thing: object) -> str | None:
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):
        return None
    doc: str | None = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
    return doc
