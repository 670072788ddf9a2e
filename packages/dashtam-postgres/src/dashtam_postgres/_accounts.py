"""Accounts with their balances and holdings, and the transactions of `_transactions`."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Any, Final, Protocol

import asyncpg
import attrs
from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dashtam_core import accounts as model
from dashtam_core.kernel import DateRange, Money, UserId
from dashtam_postgres import _transactions
from dashtam_postgres._tables import account as account_table
from dashtam_postgres._tables import balance as balance_table
from dashtam_postgres._tables import holding as holding_table
from dashtam_postgres._transactions import currency, storable

_CLEAR: Final = "DELETE FROM annotation WHERE user_id = $1 AND transaction_id = $2"
_ANNOTATE: Final = """
INSERT INTO annotation (user_id, transaction_id, annotation) VALUES ($1, $2, $3)
ON CONFLICT (user_id, transaction_id) DO UPDATE SET annotation = excluded.annotation
"""
_BATCH: Final = 1000
"""Rows in one statement: PostgreSQL takes 65,535 parameters at most."""


class Unit(Protocol):
    """What a repository needs of the unit of work it belongs to."""

    user_id: UserId
    acting: UserId
    """Whose account and credentials are at hand: for a while somebody else's than all the rest."""

    @property
    def connection(self) -> AsyncConnection: ...

    @property
    def raw(self) -> "asyncpg.Connection[Any]": ...

    async def lock(self, *names: object) -> bool: ...

    async def wait_for(self, *names: object) -> None: ...

    async def stand_alone(self) -> None: ...

    def setting(self, name: str, value: str, *, after: str = "") -> AbstractAsyncContextManager[None]: ...


@attrs.frozen
class PostgresAccounts:
    unit: Unit

    async def add_accounts(self, accounts: Sequence[model.Account], /) -> Sequence[model.Account]:
        if not accounts:
            return ()
        await self.unit.wait_for("ingestion", self.unit.user_id)
        # In one order everywhere, so that two imports never wait for each other.
        ordered = sorted(accounts, key=_known_by)
        for some in _batches([self._account_row(account) for account in ordered]):
            await self.unit.connection.execute(insert(account_table).on_conflict_do_nothing().values(some))
        keys = tuple_(account_table.c.provider, account_table.c.account_key)
        stored: dict[tuple[str, bytes], model.Account] = {}
        for part in _batches([_known_by(account) for account in ordered]):
            found = await self.unit.connection.execute(self._mine(select(account_table)).where(keys.in_(part)))
            stored |= {_known_by(account): account for account in map(_account, found)}
        return [stored[_known_by(account)] for account in accounts]

    async def add_balances(self, balances: Sequence[model.Balance], /) -> None:
        accounts = {balance.account_id for balance in balances}
        await _transactions.require_own(self.unit.raw, self.unit.user_id, accounts)
        rows = [self._balance_row(balance) for balance in sorted(balances, key=_balance_order)]
        for some in _batches(rows):
            await self.unit.connection.execute(insert(balance_table).on_conflict_do_nothing().values(some))

    async def list_accounts(self, *, after: model.AccountId | None, limit: int) -> Sequence[model.AccountOverview]:
        wanted = self._mine(select(account_table)).order_by(account_table.c.account_id).limit(limit)
        if after is not None:
            wanted = wanted.where(account_table.c.account_id > after)
        return await self._overviews(wanted)

    async def find_account(self, account_id: model.AccountId, /) -> model.AccountOverview | None:
        found = await self._overviews(
            self._mine(select(account_table)).where(account_table.c.account_id == account_id)
        )
        return found[0] if found else None

    async def add_holdings(self, holdings: Sequence[model.Holding], /) -> None:
        await _transactions.require_own(
            self.unit.raw, self.unit.user_id, {holding.account_id for holding in holdings}
        )
        rows = [self._holding_row(holding) for holding in sorted(holdings, key=_holding_order)]
        for some in _batches(rows):
            await self.unit.connection.execute(insert(holding_table).on_conflict_do_nothing().values(some))

    async def list_balances(
        self, account_id: model.AccountId, /, *, from_date: date, to_date: date
    ) -> Sequence[model.Balance]:
        c = balance_table.c
        mine = (c.user_id == self.unit.user_id) & (c.account_id == account_id)
        wanted = select(balance_table).where(mine, c.as_of.between(from_date, to_date))
        order = (c.as_of, c.kind, c.reported_at.asc().nulls_first(), c.balance_id)
        return [_balance(row) for row in await self.unit.connection.execute(wanted.order_by(*order))]

    async def list_holdings(self, account_id: model.AccountId, /) -> Sequence[model.Holding]:
        c = holding_table.c
        mine = (c.user_id == self.unit.user_id) & (c.account_id == account_id)
        latest = select(func.max(c.as_of)).where(mine).scalar_subquery()
        wanted = select(c.holding).where(mine, c.as_of == latest).order_by(c.holding_id)
        return [model.from_json(row, model.Holding) for row in await self.unit.connection.scalars(wanted)]

    async def _overviews(self, wanted: Select[Any]) -> list[model.AccountOverview]:
        accounts = [_account(row) for row in await self.unit.connection.execute(wanted)]
        balances = await self._latest_balances([account.account_id for account in accounts])
        return [
            model.AccountOverview(account, tuple(balances.get(account.account_id, ()))) for account in accounts
        ]

    async def _latest_balances(
        self, accounts: Sequence[model.AccountId]
    ) -> Mapping[model.AccountId, Sequence[model.Balance]]:
        """The newest balance of each kind: by day, then by instant where one is known, then by arrival."""
        c = balance_table.c
        latest = (
            select(balance_table)
            .ext(distinct_on(c.account_id, c.kind))
            .where(c.user_id == self.unit.user_id, c.account_id.in_(accounts))
            .order_by(c.account_id, c.kind, c.as_of.desc(), c.reported_at.desc().nulls_last(), c.balance_id.desc())
        )
        by_account: dict[model.AccountId, list[model.Balance]] = {}
        for row in await self.unit.connection.execute(latest):
            by_account.setdefault(model.AccountId(row.account_id), []).append(_balance(row))
        return by_account

    def _mine[S: Select[Any]](self, query: S) -> S:
        return query.where(account_table.c.user_id == self.unit.user_id)

    def _account_row(self, account: model.Account) -> dict[str, Any]:
        row = attrs.asdict(account, recurse=False)
        return {name: storable(value) if isinstance(value, str) else value for name, value in row.items()} | {
            "user_id": self.unit.user_id,
            "currency": account.currency.code,
            "account_type": account.account_type.value,
            "status": account.status.value,
        }

    def _balance_row(self, balance: model.Balance) -> dict[str, Any]:
        row = attrs.asdict(balance, recurse=False)
        return row | {
            "user_id": self.unit.user_id,
            "amount": balance.amount.amount,
            "currency": balance.amount.currency.code,
            "kind": balance.kind.value,
            "origin": balance.origin.value,
        }

    def _holding_row(self, holding: model.Holding) -> dict[str, Any]:
        return {
            "account_id": holding.account_id,
            "user_id": self.unit.user_id,
            "as_of": holding.as_of,
            "security_key": hashlib.sha256(model.to_json(holding.security).encode()).digest(),
            "holding": model.to_json(holding),
        }


@attrs.frozen
class PostgresTransactions:
    unit: Unit

    async def add(
        self,
        document_id: model.DocumentId | None,
        rows: Mapping[model.AccountId, Sequence[model.KeyedTransaction]],
        /,
    ) -> Mapping[model.AccountId, int]:
        return await _transactions.add(self.unit.raw, self.unit.user_id, document_id, rows)

    async def change(self, rows: Sequence[model.Transaction], /) -> None:
        await _transactions.change(self.unit.raw, self.unit.user_id, rows)

    async def find(
        self,
        wanted: model.TransactionFilter,
        /,
        *,
        after: tuple[date, model.TransactionId] | None = None,
        limit: int | None = None,
    ) -> Sequence[model.Transaction]:
        return await _transactions.page(self.unit.raw, self.unit.user_id, wanted, after, limit)

    async def mark_missing(
        self, account_id: model.AccountId, window: DateRange, sent: Collection[tuple[bytes, int]], at: datetime, /
    ) -> None:
        keys, occurrences = [key for key, _ in sent], [nth for _, nth in sent]
        days = (self.unit.user_id, account_id, window.start, window.end)
        await self.unit.raw.execute(_transactions.MARK_MISSING, *days, keys, occurrences, at)

    async def annotate(self, annotation: model.Annotation, /) -> None:
        id_, user_id = annotation.transaction_id, self.unit.user_id
        await _transactions.require_rows(self.unit.raw, user_id, [id_])
        if annotation == model.Annotation(transaction_id=id_):
            await self.unit.raw.execute(_CLEAR, user_id, id_)
        else:
            await self.unit.raw.execute(_ANNOTATE, user_id, id_, model.to_json(annotation))


def _batches[T](rows: Sequence[T]) -> list[Sequence[T]]:
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]


def _known_by(account: model.Account) -> tuple[str, bytes]:
    return account.provider, account.account_key


def _balance_order(balance: model.Balance) -> tuple[Any, ...]:
    """One order everywhere, as for accounts; equals stay as they came, so that the last of them is the latest."""
    return balance.account_id, balance.kind.value, balance.as_of


def _holding_order(holding: model.Holding) -> tuple[Any, ...]:
    return holding.account_id, holding.as_of


def _account(row: Row[Any]) -> model.Account:
    return model.Account(
        account_id=model.AccountId(row.account_id),
        provider=row.provider,
        account_key=row.account_key,
        provider_account_id=row.provider_account_id,
        name=row.name,
        official_name=row.official_name,
        mask=row.mask,
        account_type=model.AccountType(row.account_type),
        currency=currency(row.currency),
        bank_id=row.bank_id,
        institution=row.institution,
        status=model.AccountStatus(row.status),
        created_at=row.created_at,
        number_hash=row.number_hash,
    )


def _balance(row: Row[Any]) -> model.Balance:
    return model.Balance(
        account_id=model.AccountId(row.account_id),
        kind=model.BalanceKind(row.kind),
        as_of=row.as_of,
        reported_at=row.reported_at,
        amount=Money(row.amount, currency(row.currency)),
        origin=model.BalanceOrigin(row.origin),
    )
