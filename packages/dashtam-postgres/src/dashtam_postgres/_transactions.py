"""Transactions in bulk and in pages: the paths where asyncpg is used directly."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import asyncpg
from sqlalchemy.dialects import postgresql

from dashtam_core import accounts as model
from dashtam_core.kernel import Currency, Money, UserId
from dashtam_postgres._tables import TRANSACTION_CHANGES, transaction

COPY_FROM: Final = 500
"""From this many rows on, COPY into a temporary table costs less than arrays in one statement."""

_TURN: Final = 256
"""Rows made without a break."""

type _Connection = asyncpg.Connection[Any]
type _Row = tuple[Any, ...]

_COLUMNS: Final = tuple(column.name for column in transaction.columns)
_NAMES: Final = ", ".join(f'"{name}"' for name in _COLUMNS)

# Without the ORDER BY two overlapping imports take the same keys in different order, and deadlock every time.
_MERGE: Final = f"""
WITH added AS (
    INSERT INTO transaction ({_NAMES})
    SELECT {_NAMES} FROM {{source}} ORDER BY account_id, dedupe_key, occurrence
    ON CONFLICT (account_id, dedupe_key, occurrence) DO NOTHING
    RETURNING account_id
)
SELECT account_id, count(*) FROM added GROUP BY account_id
"""  # noqa: S608 - made of our own column names
_FROM_COPY: Final = _MERGE.format(source="incoming")
# Row-level security refuses COPY into a table it guards: rows come in beside it.
_INCOMING: Final = "CREATE TEMPORARY TABLE incoming (LIKE transaction) ON COMMIT DROP"


_OWN: Final = "SELECT count(*) FROM account WHERE user_id = $1 AND account_id = ANY ($2::uuid[])"
_OWN_ROWS: Final = "SELECT count(*) FROM transaction WHERE user_id = $1 AND transaction_id = ANY ($2::uuid[])"
_MERGE_ORDER: Final = attrgetter("dedupe_key", "occurrence")
_ANY_KNOWN: Final = "SELECT EXISTS (SELECT FROM transaction WHERE account_id = ANY ($1::uuid[]))"
# NOT EXISTS, and not a join: each key is looked up in the index, and known rows never cross the wire.
_UNKNOWN: Final = """
SELECT place FROM unnest($1::uuid[], $2::bytea[], $3::integer[])
    WITH ORDINALITY AS incoming (account_id, dedupe_key, occurrence, place)
WHERE NOT EXISTS (
    SELECT FROM transaction AS known WHERE known.account_id = incoming.account_id
    AND known.dedupe_key = incoming.dedupe_key AND known.occurrence = incoming.occurrence
)
ORDER BY place
"""
_WAITING: Final = (
    "(waits_for IS NOT NULL OR (status = 'PENDING' AND superseded_by IS NULL AND removed_at IS NULL))"
)
_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's own constructor
_TYPES: Final = [column.type.compile(dialect=_DIALECT) for column in transaction.columns]
_ARRAYS: Final = ", ".join(f"${number}::{type_}[]" for number, type_ in enumerate(_TYPES, 1))
_FROM_ARRAYS: Final = _MERGE.format(source=f"unnest({_ARRAYS}) AS incoming ({_NAMES})")
_SET: Final = ", ".join(f"{name} = incoming.{name}" for name in TRANSACTION_CHANGES.split(", "))
_CHANGE: Final = f"""
UPDATE transaction AS stored SET {_SET}
FROM unnest({_ARRAYS}) AS incoming ({_NAMES})
WHERE stored.transaction_id = incoming.transaction_id AND stored.account_id = incoming.account_id
AND stored.user_id = ${len(_COLUMNS) + 1}
"""  # noqa: S608 - made of our own column names
MARK_MISSING: Final = """
WITH sent AS MATERIALIZED (
    SELECT * FROM unnest($5::bytea[], $6::integer[]) AS sent (dedupe_key, occurrence)
), seen AS (
    SELECT transaction_id, missing_since, sent.dedupe_key IS NOT NULL AS is_sent
    FROM transaction LEFT JOIN sent USING (dedupe_key, occurrence)
    WHERE user_id = $1 AND account_id = $2 AND posted_date BETWEEN $3 AND $4
    AND status = 'POSTED' AND superseded_by IS NULL AND removed_at IS NULL
)
UPDATE transaction SET missing_since = CASE WHEN is_sent THEN NULL ELSE $7::timestamptz END
FROM seen WHERE transaction.transaction_id = seen.transaction_id AND is_sent = (seen.missing_since IS NOT NULL)
"""


async def add(
    connection: _Connection,
    user_id: UserId,
    document_id: model.DocumentId | None,
    rows: Mapping[model.AccountId, Sequence[model.KeyedTransaction]],
) -> Mapping[model.AccountId, int]:
    """Adds the rows that are new, and says how many those were for each account."""
    new = [(account_id, row) for account_id in sorted(rows) for row in sorted(rows[account_id], key=_MERGE_ORDER)]
    await require_own(connection, user_id, {account_id for account_id, _ in new})
    if len(new) >= COPY_FROM and await connection.fetchval(_ANY_KNOWN, list(rows)):
        new = await _unknown(connection, new)
    if not new:
        return dict.fromkeys(rows, 0)
    records = ((*_record(user_id, document_id, account_id, row, row.data), None) for account_id, row in new)
    added = await (_copy if len(new) >= COPY_FROM else _insert)(connection, records)
    return dict.fromkeys(rows, 0) | {model.AccountId(account_id): count for account_id, count in added}


async def require_own(connection: _Connection, user_id: UserId, accounts: Collection[model.AccountId]) -> None:
    """Refuses what is for another's account: ON CONFLICT passes over a known row before it asks whose it is."""
    if accounts and await connection.fetchval(_OWN, user_id, list(accounts)) != len(accounts):
        raise LookupError("a row or balance belongs to an account of the same person, added before")


async def require_rows(connection: _Connection, user_id: UserId, ids: Sequence[model.TransactionId]) -> None:
    """Refuses what is said of another's transaction."""
    if await connection.fetchval(_OWN_ROWS, user_id, ids) != len(set(ids)):
        raise LookupError("what is said of a transaction is said of one of the same person, added before")


async def _unknown(
    connection: _Connection, rows: Sequence[tuple[model.AccountId, model.KeyedTransaction]]
) -> list[tuple[model.AccountId, model.KeyedTransaction]]:
    """The rows whose key is not there yet: most statements repeat what an earlier one brought.

    This only saves work. What is new is settled by the unique key when the rows are merged.
    """
    accounts = [account_id for account_id, _ in rows]
    keys, occurrences = [row.dedupe_key for _, row in rows], [row.occurrence for _, row in rows]
    return [rows[place - 1] for (place,) in await connection.fetch(_UNKNOWN, accounts, keys, occurrences)]


async def _copy(connection: _Connection, records: Iterable[_Row]) -> list[asyncpg.Record]:
    await connection.execute(_INCOMING)
    await connection.copy_records_to_table(
        "incoming", schema_name="pg_temp", records=_in_turns(records), columns=_COLUMNS
    )
    added = await connection.fetch(_FROM_COPY)
    await connection.execute("DROP TABLE incoming")
    return added


async def _in_turns(records: Iterable[_Row]) -> AsyncIterator[_Row]:
    """The records, made a few at a time: between them whoever else waits for the event loop has a turn."""
    for number, record in enumerate(records):
        yield record
        if number % _TURN == 0:
            await asyncio.sleep(0)


async def _insert(connection: _Connection, records: Iterable[_Row]) -> list[asyncpg.Record]:
    return await connection.fetch(_FROM_ARRAYS, *zip(*records, strict=True))


async def change(connection: _Connection, user_id: UserId, rows: Sequence[model.Transaction]) -> None:
    """Replaces rows by their id."""
    if not rows:
        return
    records = [(*_record(user_id, row.document_id, row.account_id, row, row), row.missing_since) for row in rows]
    done = await connection.execute(_CHANGE, *zip(*records, strict=True), user_id)
    if done != f"UPDATE {len(rows)}":
        raise LookupError("a row that is changed is one of the same person, added before")


async def page(
    connection: _Connection,
    user_id: UserId,
    wanted: model.TransactionFilter,
    after: tuple[date, model.TransactionId] | None,
    limit: int | None,
) -> list[model.Transaction]:
    """Transactions, the latest first, beginning beyond `after`."""
    query, values = page_query(user_id, wanted, after, limit)
    return [_transaction(record) for record in await connection.fetch(query, *values)]


def page_query(
    user_id: UserId,
    wanted: model.TransactionFilter,
    after: tuple[date, model.TransactionId] | None,
    limit: int | None,
) -> tuple[str, list[Any]]:
    """The statement of a page, and its values. A row-value comparison lets the index go straight to the place."""
    conditions, values = where(
        {
            "user_id = {}": (user_id,),
            "account_id = {}": (wanted.account_id,),
            "posted_date >= {}": (wanted.from_date,),
            "posted_date <= {}": (wanted.to_date,),
            "status = {}": (wanted.status,),
            "transaction_id = ANY ({}::uuid[])": (_listed(wanted.transaction_ids),),
            "dedupe_key = ANY ({}::bytea[])": (_listed(wanted.keys),),
            "provider_transaction_id = ANY ({}::text[])": (_listed(wanted.provider_ids),),
            "document_id = {}": (wanted.document_id,),
            "(posted_date, transaction_id) < ({}, {})": after or (None,),
        }
    )
    conditions += f" AND {_WAITING}" if wanted.waiting else ""
    conditions += "" if wanted.hidden else " AND superseded_by IS NULL AND removed_at IS NULL"
    query = (
        f"SELECT {_NAMES}, annotation FROM transaction LEFT JOIN annotation USING (user_id, transaction_id) "  # noqa: S608 - values are parameters
        f"WHERE {conditions} ORDER BY posted_date DESC, transaction_id DESC LIMIT ${len(values) + 1}"
    )
    return query, [*values, limit]


def _listed[T](some: Collection[T] | None) -> list[T] | None:
    return None if some is None else list(some)


def where(asked: Mapping[str, tuple[Any, ...]]) -> tuple[str, list[Any]]:
    """The conditions whose first value is not None, and the values of their parameters."""
    conditions: list[str] = []
    values: list[Any] = []
    for condition, given in asked.items():
        if given[0] is not None:
            conditions.append(condition.format(*[f"${len(values) + nth}" for nth in range(1, len(given) + 1)]))
            values.extend(given)
    return " AND ".join(conditions) or "true", values


def _record(
    user_id: UserId,
    document_id: model.DocumentId | None,
    account_id: model.AccountId,
    row: model.KeyedTransaction | model.Transaction,
    data: model.TransactionData,
) -> _Row:
    """The row in the order of the columns, but for the last."""
    original, running = data.original_amount, data.running_balance
    return (
        row.transaction_id,
        account_id,
        user_id,
        data.status.value,
        data.posted_date,
        data.value_date,
        data.transaction_date,
        data.posted_at,
        data.amount.amount,
        data.amount.currency.code,
        None if original is None else original.amount,
        None if original is None else original.currency.code,
        data.exchange_rate,
        data.type.value,
        storable(data.description),
        storable(data.payee),
        storable(data.memo),
        storable(data.mcc),
        storable(data.check_number),
        storable(data.reference),
        storable(data.end_to_end_id),
        storable(data.provider_transaction_id),
        document_id,
        row.index,
        row.dedupe_key,
        row.occurrence,
        storable(data.bank_transaction_code),
        None if running is None else running.amount,
        None if running is None else running.currency.code,
        model.more_of(data),
        row.superseded_by,
        row.removed_at,
        storable(row.waits_for),
    )


def storable(text: str | None) -> str | None:
    """What PostgreSQL can keep: it has no NUL character, and UTF-8 no lone surrogates."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _transaction(record: asyncpg.Record) -> model.Transaction:
    original, running, said = record["original_amount"], record["running_balance"], record["annotation"]
    return model.Transaction(
        transaction_id=record["transaction_id"],
        account_id=record["account_id"],
        status=model.TransactionStatus(record["status"]),
        posted_date=record["posted_date"],
        value_date=record["value_date"],
        transaction_date=record["transaction_date"],
        posted_at=record["posted_at"],
        amount=Money(record["amount"], currency(record["currency"])),
        original_amount=None if original is None else Money(original, currency(record["original_currency"])),
        exchange_rate=record["exchange_rate"],
        type=model.TransactionType(record["type"]),
        description=record["description"],
        payee=record["payee"],
        memo=record["memo"],
        mcc=record["mcc"],
        check_number=record["check_number"],
        reference=record["reference"],
        end_to_end_id=record["end_to_end_id"],
        provider_transaction_id=record["provider_transaction_id"],
        document_id=record["document_id"],
        index=record["index"],
        dedupe_key=record["dedupe_key"],
        occurrence=record["occurrence"],
        bank_transaction_code=record["bank_transaction_code"],
        running_balance=None if running is None else Money(running, currency(record["running_balance_currency"])),
        superseded_by=record["superseded_by"],
        removed_at=record["removed_at"],
        waits_for=record["waits_for"],
        missing_since=record["missing_since"],
        annotation=None if said is None else model.from_json(said, model.Annotation),
        **model.from_more(record["more"]),
    )


@lru_cache(maxsize=1024)
def currency(code: str) -> Currency:
    """The currency of a stored code."""
    return Currency(code)
