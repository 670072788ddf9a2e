"""The transaction that everything of a person runs in, and its repositories: each sees that person's rows only."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from sqlite3 import Row
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import attrs

from dashtam_core import accounts as model
from dashtam_core.accounts import AccountId, DocumentId, from_json, to_json
from dashtam_core.audit import AuditEntry, PersonKey
from dashtam_core.kernel import DateRange, Subject
from dashtam_core.messaging import KeptAnswer, KeyState, StoredEvent
from dashtam_core.portfolio import Match, MatchKind
from dashtam_sqlite._database import Database

# How long the answer to an idempotency key is kept.
KEPT_FOR: Final = timedelta(hours=24)
# Children first; those that are counted when they are erased, and those that are not.
_COUNTED: Final = ("transactions", "balances", "documents", "accounts")
_UNCOUNTED: Final = ("answers", "person_keys", "deliveries", "matches", "holdings")
type _Place = tuple[date, model.TransactionId]
_AMONG: Final = "IN (SELECT value FROM json_each(?))"


class SqliteUnit:
    """One transaction of one person. Begins when entered, ends when left, and may be entered again then."""

    def __init__(self, database: Database, subject: Subject) -> None:
        self.user_id = subject.user_id
        self.discarded = False
        self.trail, self.outbox = Trail(), Outbox()
        self.accounts, self.transactions = SqliteAccounts(self), SqliteTransactions(self)
        self.documents, self.matches = SqliteDocuments(self), SqliteMatches(self)
        self.answers = SqliteAnswers(self)
        self.people, self.person_keys = SqlitePeople(self), SqlitePersonKeys(self)
        self._database, self._entered = database, False

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
            self.trail.clear()
            self.outbox.clear()
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
        assert all(each.user_id == self.user_id for each in self.outbox), "an event is told of one's own change"
        await self.sql.insert("outbox", [attrs.asdict(event) | {"told_at": now} for event in self.outbox])
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

    async def _find(self, table: str, wanted: Mapping[str, object], last: str = "") -> Sequence[Row]:
        mine = {"user_id = ?": self._unit.user_id, **wanted}
        return await self._unit.sql.find(f"SELECT * FROM {table}", mine, last)  # noqa: S608 - our own names

    async def _all[T](
        self, kind: type[T], table: str, wanted: Mapping[str, object], last: str = ""
    ) -> Sequence[T]:
        return [from_json(row["body"], kind) for row in await self._find(table, wanted, last)]

    async def _add(self, table: str, values: Sequence[object], **more: object) -> int:
        """How many were new: what is known is left as it is."""
        rows = [{"user_id": self._unit.user_id, "body": to_json(each)} | more for each in values]
        return await self._unit.sql.insert(table, rows, known="ON CONFLICT DO NOTHING")

    async def _one[T](self, kind: type[T], table: str, wanted: Mapping[str, object]) -> T | None:
        return next(iter(await self._all(kind, table, wanted)), None)


class SqliteAccounts(_Repository):
    async def add_accounts(self, accounts: Sequence[model.Account], /) -> Sequence[model.Account]:
        await self._add("accounts", accounts)
        keys = [{"provider = ?": each.provider, "account_key = ?": each.account_key.hex()} for each in accounts]
        return [each for key in keys for each in await self._all(model.Account, "accounts", key)]

    async def add_balances(self, balances: Sequence[model.Balance], /) -> None:
        for each in balances:
            await self._add("balances", [each], amount=each.amount.amount)

    async def add_holdings(self, holdings: Sequence[model.Holding], /) -> None:
        await self._add("holdings", holdings)

    async def list_accounts(self, *, after: AccountId | None, limit: int) -> Sequence[model.AccountOverview]:
        return await self._overviews({"account_id > ?": after}, f"ORDER BY account_id LIMIT {limit:d}")

    async def find_account(self, account_id: AccountId, /) -> model.AccountOverview | None:
        return next(iter(await self._overviews({"account_id = ?": account_id})), None)

    async def list_balances(
        self, account_id: AccountId, /, *, from_date: date, to_date: date
    ) -> Sequence[model.Balance]:
        days = {"account_id = ?": account_id, "as_of >= ?": from_date, "as_of <= ?": to_date}
        return await self._all(model.Balance, "balances", days, "ORDER BY as_of, kind, reported_at, balance_id")

    async def list_holdings(self, account_id: AccountId, /) -> Sequence[model.Holding]:
        wanted = {"account_id = ?": account_id}
        return await self._all(model.Holding, "latest_holdings", wanted, "ORDER BY holding_id")

    async def _overviews(self, wanted: Mapping[str, object], last: str = "") -> Sequence[model.AccountOverview]:
        accounts = await self._all(model.Account, "accounts", wanted, last)
        balances = [
            await self._all(model.Balance, "latest_balances", {"account_id = ?": each.account_id}, "ORDER BY kind")
            for each in accounts
        ]
        return [model.AccountOverview(*each) for each in zip(accounts, map(tuple, balances), strict=True)]


class SqliteTransactions(_Repository):
    async def add(
        self, document: DocumentId | None, rows: Mapping[AccountId, Sequence[model.KeyedTransaction]], /
    ) -> Mapping[AccountId, int]:
        told = {id_: [_transaction(id_, document, row) for row in some] for id_, some in rows.items()}
        return {id_: await self._add("transactions", some) for id_, some in told.items()}

    async def change(self, rows: Sequence[model.Transaction], /) -> None:
        for row in rows:
            await self._set(row.transaction_id, "body", attrs.evolve(row, annotation=None))

    async def find(
        self, wanted: model.TransactionFilter, /, *, after: _Place | None = None, limit: int | None = None
    ) -> Sequence[model.Transaction]:
        conditions = {
            **{f"{name} = ?": getattr(wanted, name) for name in ("account_id", "status", "document_id")},
            "posted_date >= ?": wanted.from_date,
            "posted_date <= ?": wanted.to_date,
            f"transaction_id {_AMONG}": _texts(wanted.transaction_ids),
            f"dedupe_key {_AMONG}": _texts(wanted.keys),
            f"provider_transaction_id {_AMONG}": _texts(wanted.provider_ids),
            "waiting AND ?": wanted.waiting or None,
            "NOT hidden AND ?": not wanted.hidden or None,
            "(posted_date, transaction_id) < (?, ?)": after,
        }
        order = f"ORDER BY posted_date DESC, transaction_id DESC LIMIT {-1 if limit is None else limit:d}"
        return await self._all(model.Transaction, "told", conditions, order)

    async def mark_missing(
        self, account_id: AccountId, window: DateRange, sent: Collection[tuple[bytes, int]], at: datetime, /
    ) -> None:
        days = model.TransactionFilter(account_id=account_id, from_date=window.start, to_date=window.end)
        for row in await self.find(attrs.evolve(days, status=model.TransactionStatus.POSTED)):
            since = None if (row.dedupe_key, row.occurrence) in sent else row.missing_since or at
            if since != row.missing_since:
                await self.change([attrs.evolve(row, missing_since=since)])

    async def annotate(self, annotation: model.Annotation, /) -> None:
        nothing = annotation == model.Annotation(transaction_id=annotation.transaction_id)
        await self._set(annotation.transaction_id, "annotation", None if nothing else annotation)

    async def _set(self, id_: model.TransactionId, column: str, value: object) -> None:
        statement = f"UPDATE transactions SET {column} = ? WHERE user_id = ? AND transaction_id = ?"  # noqa: S608 - our own names
        text = None if value is None else to_json(value)
        if not await self._unit.sql.run(statement, text, self._unit.user_id, id_):
            raise LookupError("a row that is changed is one of the same person, added before")


class SqliteMatches(_Repository):
    async def keep(self, match: Match, /) -> None:
        if len(await self._find("transactions", {f"transaction_id {_AMONG}": _texts(match.ids)})) < len(match.ids):
            raise LookupError("a decision is about two rows of the same person")
        await self.drop(match.kind, match.first, match.second)
        await self._add("matches", [match])

    async def drop(self, kind: MatchKind, first: model.TransactionId, second: model.TransactionId, /) -> bool:
        forget = "DELETE FROM matches WHERE (user_id, kind, first, second) = (?, ?, ?, ?)"
        return await self._unit.sql.run(forget, self._unit.user_id, kind, first, second) > 0

    async def find(self, kind: MatchKind, /) -> Sequence[Match]:
        return await self._all(Match, "matches", {"kind = ?": kind}, "ORDER BY first, second")


class SqliteDocuments(_Repository):
    async def add(self, document: model.ImportDocument, content: bytes | None = None, /) -> bool:
        return await self._add("documents", [document], content=content) == 1

    async def change(self, document: model.ImportDocument, /) -> None:
        statement = "UPDATE documents SET body = ? WHERE user_id = ? AND document_id = ?"
        await self._unit.sql.run(statement, to_json(document), self._unit.user_id, document.document_id)

    async def content(self, document_id: DocumentId, /) -> bytes | None:
        rows = await self._find("documents", {"document_id = ?": document_id})
        return rows[0]["content"] if rows else None

    async def find(self, sha256: bytes, /) -> model.ImportDocument | None:
        return await self._one(model.ImportDocument, "documents", {"sha256 = ?": sha256.hex()})

    async def get(self, document_id: DocumentId, /) -> model.ImportDocument | None:
        return await self._one(model.ImportDocument, "documents", {"document_id = ?": document_id})


class SqlitePersonKeys(_Repository):
    async def current(self) -> PersonKey | None:
        return await self._one(PersonKey, "person_keys", {})

    async def add(self, key: PersonKey, /) -> PersonKey:
        await self._add("person_keys", [key])
        return await self.current() or key

    async def find(self, key_id: UUID, /) -> PersonKey | None:
        return await self._one(PersonKey, "person_keys", {"key_id = ?": key_id})


# Units run one after another, so that a key is never held by another: it is answered or free.
class SqliteAnswers(_Repository):
    async def claim(self, command: str, key: str, /) -> KeptAnswer | KeyState:
        wanted = {"command = ?": command, "key = ?": key, "kept_at > ?": datetime.now(UTC) - KEPT_FOR}
        return await self._one(KeptAnswer, "answers", wanted) or KeyState.FREE

    async def keep(self, command: str, key: str, kept: KeptAnswer, /) -> None:
        forget = "DELETE FROM answers WHERE user_id = ? AND command = ? AND key = ?"  # its day is over
        await self._unit.sql.run(forget, self._unit.user_id, command, key)
        await self._add("answers", [kept], command=command, key=key, kept_at=datetime.now(UTC))


class SqlitePeople(_Repository):
    async def erase(self) -> Mapping[str, int]:
        forget, user_id = "DELETE FROM {} WHERE user_id = ?", self._unit.user_id
        erased = {
            table: await self._unit.sql.run(forget.format(table), user_id) for table in (*_UNCOUNTED, *_COUNTED)
        }
        return {kind: erased[kind] for kind in _COUNTED} | {"tokens": 0}

    async def export(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        told = {*_COUNTED, *_UNCOUNTED, "audit_entries"} - {"person_keys"}
        return {table: [*map(dict, await self._find(table, {}))] for table in sorted(told)}


def _transaction(of: AccountId, document: DocumentId | None, row: model.KeyedTransaction) -> model.Transaction:
    key = attrs.asdict(row, recurse=False)
    said = attrs.asdict(key.pop("data"), recurse=False)
    return model.Transaction(**said, **key, account_id=of, document_id=document)


def _texts(some: Iterable[object] | None) -> list[str] | None:
    return None if some is None else [each.hex() if isinstance(each, bytes) else str(each) for each in some]
