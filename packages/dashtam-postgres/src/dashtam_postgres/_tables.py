"""The tables that are asked through SQLAlchemy Core. A test holds them to what the migrations make.

Every row carries its owner's `user_id`, and a child points at its parent by (id, user_id): row-level security does
not look at foreign keys, so this is what keeps a row from being hung on another person's account.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from dashtam_postgres._append import ENTRY, EVENT

REVISION: Final = "0004"
"""The migration this version of the package works with."""

metadata = MetaData()

_INSTANT = TIMESTAMP(timezone=True)

account = Table(
    "account",
    metadata,
    Column("account_id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("provider", Text, nullable=False),
    Column("account_key", LargeBinary, nullable=False),
    Column("provider_account_id", Text),
    Column("name", Text, nullable=False),
    Column("official_name", Text),
    Column("mask", Text),
    Column("account_type", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("bank_id", Text),
    Column("institution", Text),
    Column("status", Text, nullable=False),
    Column("created_at", _INSTANT, nullable=False),
    Column("number_hash", LargeBinary),
    UniqueConstraint("account_id", "user_id", name="account_owner"),
    UniqueConstraint("user_id", "provider", "account_key", name="account_known"),
)

balance = Table(
    "balance",
    metadata,
    Column("balance_id", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("reported_at", _INSTANT),
    Column("amount", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("recorded_at", _INSTANT, nullable=False, server_default=text("now()")),
    ForeignKeyConstraint(
        ["account_id", "user_id"], ["account.account_id", "account.user_id"], name="balance_account"
    ),
    UniqueConstraint(
        "account_id",
        "kind",
        "as_of",
        "reported_at",
        "amount",
        "currency",
        "origin",
        name="balance_known",
        postgresql_nulls_not_distinct=True,
    ),
)

transaction = Table(
    "transaction",
    metadata,
    Column("transaction_id", Uuid, primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),
    Column("posted_date", Date, nullable=False),
    Column("value_date", Date),
    Column("transaction_date", Date),
    Column("posted_at", _INSTANT),
    Column("amount", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("original_amount", Numeric),
    Column("original_currency", Text),
    Column("exchange_rate", Numeric),
    Column("type", Text, nullable=False),
    Column("description", Text),
    Column("payee", Text),
    Column("memo", Text),
    Column("mcc", Text),
    Column("check_number", Text),
    Column("reference", Text),
    Column("end_to_end_id", Text),
    Column("provider_transaction_id", Text),
    Column("document_id", Uuid),
    Column("index", Integer, nullable=False),
    Column("dedupe_key", LargeBinary, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("bank_transaction_code", Text),
    Column("running_balance", Numeric),
    Column("running_balance_currency", Text),
    Column("more", Text),
    Column("superseded_by", Uuid),
    Column("removed_at", _INSTANT),
    Column("waits_for", Text),
    Column("missing_since", _INSTANT),
    ForeignKeyConstraint(
        ["account_id", "user_id"], ["account.account_id", "account.user_id"], name="transaction_account"
    ),
    UniqueConstraint("account_id", "dedupe_key", "occurrence", name="transaction_known"),
    Index("transaction_by_person", "user_id", "posted_date", "transaction_id"),
    Index("transaction_by_account", "account_id", "posted_date", "transaction_id"),
    Index("transaction_waiting", "user_id", postgresql_where=text("status = 'PENDING' OR waits_for IS NOT NULL")),
)

holding = Table(
    "holding",
    metadata,
    Column("holding_id", BigInteger, Identity(always=True), primary_key=True),
    Column("account_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("security_key", LargeBinary, nullable=False),
    Column("holding", Text, nullable=False),
    ForeignKeyConstraint(
        ["account_id", "user_id"], ["account.account_id", "account.user_id"], name="holding_account"
    ),
    UniqueConstraint("account_id", "as_of", "security_key", name="holding_known"),
)

import_document = Table(
    "import_document",
    metadata,
    Column("document_id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("filename", Text),
    Column("format", Text, nullable=False),
    Column("encoding", Text, nullable=False),
    Column("parser", Text, nullable=False),
    Column("imported_at", _INSTANT, nullable=False),
    Column("accounts", JSONB, nullable=False),
    Column("warnings", JSONB, nullable=False),
    Column("content", LargeBinary),
    UniqueConstraint("user_id", "sha256", name="import_document_known"),
)


def _changeable(table: Table, *kept: str) -> str:
    """The columns of a table but for these, which stay what they were: whose a row is, and which."""
    return ", ".join(f'"{column.name}"' for column in table.columns if column.name not in kept)


TRANSACTION_CHANGES: Final = _changeable(transaction, "transaction_id", "account_id", "user_id")
_DOCUMENT_CHANGES: Final = _changeable(import_document, "document_id", "user_id", "sha256", "content")

GRANTS: Final = {
    "account": "SELECT, INSERT, DELETE",
    "balance": "SELECT, INSERT, DELETE",
    "transaction": f"SELECT, INSERT, UPDATE ({TRANSACTION_CHANGES}), DELETE",
    "import_document": f"SELECT, INSERT, UPDATE ({_DOCUMENT_CHANGES}), DELETE",
    "holding": "SELECT, INSERT, DELETE",
    "annotation": "SELECT, INSERT, UPDATE, DELETE",
    "match": "SELECT, INSERT, UPDATE, DELETE",
    "person": "SELECT, INSERT, UPDATE (email, role, status), DELETE",
    "address": "SELECT, INSERT, UPDATE (address_key), DELETE",
    "credential": "SELECT, INSERT, UPDATE (expires_at, used_at, data), DELETE",
    "rate_limit": "SELECT, INSERT, UPDATE (until)",
    "root_key": "SELECT, INSERT (key_id, wrapped), DELETE",
    "audit_entry": f"SELECT, INSERT ({ENTRY})",
    "outbox": f"SELECT, INSERT ({EVENT}), DELETE",
    "idempotency": "SELECT, INSERT (user_id, command, key, fingerprint, answer), DELETE",
    "person_key": "SELECT, INSERT (key_id, user_id, wrapped), DELETE",
    "alembic_version": "SELECT",
}
"""What the application role may do with each table, for its subject alone: as little as the product needs."""

WORKER_GRANTS: Final = {
    "audit_entry": f"SELECT, INSERT ({ENTRY})",
    "audit_leaf": "SELECT, INSERT",
    "audit_checkpoint": "SELECT, INSERT (tree_size, note, peaks, seen, system_identifier, complete)",
    "outbox": "SELECT, UPDATE (position), DELETE",  # it takes no value: this is to lock rows, as below
    "subscriber": "SELECT, INSERT, UPDATE",
    "inbox": "SELECT, INSERT, UPDATE",
    "idempotency": "SELECT, DELETE",
    "person": "SELECT (user_id, status, created_at), DELETE",
    "person_key": "SELECT (user_id), DELETE",
    "address": "SELECT (user_id), DELETE",
    "credential": "SELECT (credential_id, user_id, expires_at), UPDATE (expires_at), DELETE",
    "rate_limit": "SELECT, UPDATE (until), DELETE",
}
"""What the worker role may do with each table, with everybody's rows."""
