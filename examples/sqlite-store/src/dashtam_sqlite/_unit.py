"""The transaction that everything of a person runs in, and its repositories: each sees that person's rows only."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from sqlite3 import Row
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import attrs

from dashtam_core import accounts as model
from dashtam_core.accounts import AccountId, DocumentId
from dashtam_core.audit import AuditEntry, PersonKey
from dashtam_core.identity import ApiToken
from dashtam_core.kernel import Subject
from dashtam_core.messaging import KeptAnswer, KeyState, StoredEvent
from dashtam_sqlite._database import Database
from dashtam_sqlite._values import money, read

KEPT_FOR: Final = timedelta(hours=24)
"""How long the answer to an idempotency key is kept."""
_COUNTED: Final = ("transactions", "balances", "documents", "accounts", "tokens")
"""The tables of what is counted when it is erased, children first."""
_UNCOUNTED: Final = ("answers", "person_keys", "deliveries")
# Later days are newer; on one day a later instant is, and none is the earliest; then what was added last.
_LATEST: Final = """
SELECT * FROM (SELECT *, row_number() OVER (
    PARTITION BY account_id, kind ORDER BY as_of DESC, reported_at DESC NULLS LAST, balance_id DESC
) AS age FROM balances WHERE user_id = ? AND account_id IN (SELECT value FROM json_each(?)))
WHERE age = 1 ORDER BY kind
"""
# An event is kept for every subscriber that wants it, and for nobody else.
_TELL: Final = """
INSERT INTO deliveries (subscriber, event_id, user_id, name, payload, told_at, due_at, attempts, problem)
SELECT subscriber, ?1, ?2, ?3, ?4, ?5, ?5, 0, '' FROM subscriptions WHERE name = ?3
"""


class SqliteUnit:
    """One transaction of one person. Begins when entered, ends when left, and may be entered again then."""

    def __init__(self, database: Database, subject: Subject) -> None:
        self.user_id = subject.user_id
        self.discarded = False
        self.trail, self.outbox = Trail(), Outbox()
        self.accounts, self.documents = SqliteAccounts(self), SqliteDocuments(self)
        self.tokens, self.answers = SqliteTokens(self), SqliteAnswers(self)
        self.people, self.person_keys = SqlitePeople(self), SqlitePersonKeys(self)
        self._database = database
        self._entered = False

    async def __aenter__(self) -> Self:
        await self._database.begin()
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        whole = False
        try:
            if error is None and not self.discarded:
                await self.flush()
                whole = True
        finally:
            self._entered = self.discarded = False
            self._forget()
            await self._database.end(keep=whole)

    @property
    def sql(self) -> Database:
        assert self._entered, "a repository is used inside its unit of work, never while preparing"
        return self._database

    def discard(self) -> None:
        self.discarded = True

    async def flush(self) -> None:
        now = datetime.now(UTC)
        entries = [attrs.asdict(entry, recurse=False) | {"recorded_at": now} for entry in self.trail]
        await self.sql.insert("audit_entries", entries)
        for event in self.outbox:
            assert event.user_id == self.user_id, "an event is told of one's own change"
            await self.sql.run(_TELL, *attrs.astuple(event), now)
        self._forget()

    def _forget(self) -> None:
        self.trail.clear()
        self.outbox.clear()


class Trail(list[AuditEntry]):
    def add(self, entry: AuditEntry, /) -> None:
        self.append(entry)


class Outbox(list[StoredEvent]):
    def add(self, events: Sequence[StoredEvent], /) -> None:
        self.extend(events)


@attrs.frozen
class _Repository:
    _unit: SqliteUnit

    @property
    def _sql(self) -> Database:
        return self._unit.sql

    @property
    def _mine(self) -> dict[str, Any]:
        return {"user_id": self._unit.user_id}

    async def _find(self, table: str, wanted: Mapping[str, object], last: str = "") -> Sequence[Row]:
        return await self._sql.find(f"SELECT * FROM {table}", {"user_id = ?": self._unit.user_id, **wanted}, last)  # noqa: S608 - our own names

    async def _one[T: attrs.AttrsInstance](
        self, kind: type[T], table: str, wanted: Mapping[str, object]
    ) -> T | None:
        return next((read(row, kind) for row in await self._find(table, wanted)), None)


class SqliteAccounts(_Repository):
    async def add_accounts(self, accounts: Sequence[model.Account], /) -> Sequence[model.Account]:
        rows = [attrs.asdict(each, recurse=False) | self._mine for each in accounts]
        await self._sql.insert("accounts", rows, known="ON CONFLICT (user_id, provider, account_key) DO NOTHING")
        keys = [{"provider = ?": each.provider, "account_key = ?": each.account_key} for each in accounts]
        return [read(row, model.Account) for key in keys for row in await self._find("accounts", key)]

    async def add_transactions(
        self, document: DocumentId | None, rows: Mapping[AccountId, Sequence[model.KeyedTransaction]], /
    ) -> Mapping[AccountId, int]:
        added: dict[AccountId, int] = {}
        known = "ON CONFLICT (account_id, dedupe_key, occurrence) DO NOTHING"
        for account_id, some in rows.items():
            whose = self._mine | {"account_id": account_id, "document_id": document}
            values = [whose | _columns(row) for row in some]
            added[account_id] = await self._sql.insert("transactions", values, known=known)
        return added

    async def add_balances(self, balances: Sequence[model.Balance], /) -> None:
        rows = [attrs.asdict(each, recurse=False) | _amount(each) | self._mine for each in balances]
        await self._sql.insert("balances", rows, known="ON CONFLICT DO NOTHING")

    async def list_accounts(self, *, after: AccountId | None, limit: int) -> Sequence[model.AccountOverview]:
        return await self._overviews({"account_id > ?": after}, limit)

    async def find_account(self, account_id: AccountId, /) -> model.AccountOverview | None:
        return next(iter(await self._overviews({"account_id = ?": account_id}, 1)), None)

    async def list_transactions(
        self, wanted: model.TransactionFilter, /, *, after: tuple[date, model.TransactionId] | None, limit: int
    ) -> Sequence[model.Transaction]:
        conditions = {
            "account_id = ?": wanted.account_id,
            "posted_date >= ?": wanted.from_date,
            "posted_date <= ?": wanted.to_date,
            "(posted_date, transaction_id) < (?, ?)": after,
        }
        order = f"ORDER BY posted_date DESC, transaction_id DESC LIMIT {limit:d}"
        return [_transaction(row) for row in await self._find("transactions", conditions, order)]

    async def _overviews(self, wanted: Mapping[str, object], limit: int) -> Sequence[model.AccountOverview]:
        rows = await self._find("accounts", wanted, f"ORDER BY account_id LIMIT {limit:d}")
        balances: dict[UUID, list[model.Balance]] = {UUID(row["account_id"]): [] for row in rows}
        for row in await self._sql.fetch(_LATEST, self._unit.user_id, [str(each) for each in balances]):
            balance = read(row, model.Balance, amount=money(row))
            balances[balance.account_id].append(balance)
        accounts = [read(row, model.Account) for row in rows]
        return [model.AccountOverview(each, tuple(balances[each.account_id])) for each in accounts]


class SqliteDocuments(_Repository):
    async def add(self, document: model.ImportDocument, /) -> bool:
        row = attrs.asdict(document, recurse=False) | self._mine
        row["accounts"] = [(str(each.account_id), each.read, each.added) for each in document.accounts]
        row["warnings"] = [attrs.astuple(each) for each in document.warnings]
        return await self._sql.insert("documents", [row], known="ON CONFLICT (user_id, sha256) DO NOTHING") == 1

    async def find(self, sha256: bytes, /) -> model.ImportDocument | None:
        return _document(await self._find("documents", {"sha256 = ?": sha256}))

    async def get(self, document_id: DocumentId, /) -> model.ImportDocument | None:
        return _document(await self._find("documents", {"document_id = ?": document_id}))


class SqliteTokens(_Repository):
    async def add(self, token: ApiToken, /) -> None:
        assert token.user_id == self._unit.user_id, "a token is its maker's"
        await self._sql.insert("tokens", [attrs.asdict(token) | {"permissions": sorted(token.permissions)}])

    async def find(self, token_hash: bytes, /) -> ApiToken | None:
        for row in await self._sql.fetch("SELECT * FROM tokens WHERE token_hash = ?", token_hash):
            return read(row, ApiToken, permissions=frozenset(json.loads(row["permissions"])))
        return None


class SqlitePersonKeys(_Repository):
    async def current(self) -> PersonKey | None:
        return await self._one(PersonKey, "person_keys", {})

    async def add(self, key: PersonKey, /) -> PersonKey:
        row = attrs.asdict(key) | self._mine
        await self._sql.insert("person_keys", [row], known="ON CONFLICT (user_id) DO NOTHING")
        return await self.current() or key

    async def find(self, key_id: UUID, /) -> PersonKey | None:
        return await self._one(PersonKey, "person_keys", {"key_id = ?": key_id})


class SqliteAnswers(_Repository):
    """Units run one after another, so that a key is never held by another: it is answered or free."""

    async def claim(self, command: str, key: str, /) -> KeptAnswer | KeyState:
        wanted = {"command = ?": command, "key = ?": key, "kept_at > ?": datetime.now(UTC) - KEPT_FOR}
        return await self._one(KeptAnswer, "answers", wanted) or KeyState.FREE

    async def keep(self, command: str, key: str, kept: KeptAnswer, /) -> None:
        whose = self._mine | {"command": command, "key": key}
        forget = "DELETE FROM answers WHERE user_id = ? AND command = ? AND key = ?"  # its day is over
        await self._sql.run(forget, *whose.values())
        await self._sql.insert("answers", [whose | attrs.asdict(kept) | {"kept_at": datetime.now(UTC)}])


class SqlitePeople(_Repository):
    async def erase(self) -> Mapping[str, int]:
        forget, user_id = "DELETE FROM {} WHERE user_id = ?", self._unit.user_id
        erased = {table: await self._sql.run(forget.format(table), user_id) for table in (*_COUNTED, *_UNCOUNTED)}
        return {kind: erased[kind] for kind in _COUNTED}


def _amount(said: model.BalanceData | model.TransactionData) -> dict[str, Any]:
    return {"amount": said.amount.amount, "currency": said.amount.currency}


def _columns(row: model.KeyedTransaction) -> dict[str, Any]:
    said, original = attrs.asdict(row.data, recurse=False), row.data.original_amount
    key = {name: getattr(row, name) for name in ("transaction_id", "index", "dedupe_key", "occurrence")}
    before = {"original_amount": original and original.amount, "original_currency": original and original.currency}
    return said | key | before | _amount(row.data)


def _transaction(row: Row) -> model.Transaction:
    return read(row, model.Transaction, amount=money(row), original_amount=money(row, "original_"))


def _document(rows: Sequence[Row]) -> model.ImportDocument | None:
    for row in rows:
        counts, warnings = json.loads(row["accounts"]), json.loads(row["warnings"])
        accounts = tuple(model.AccountImport(AccountId(UUID(id_)), *each) for id_, *each in counts)
        said = tuple(model.ReadingWarning(*each) for each in warnings)
        return read(row, model.ImportDocument, accounts=accounts, warnings=said)
    return None
