-- Columns are called as the fields they keep. Every row carries its owner's user_id, and a child points at its parent
-- by (id, user_id), so that no row can be hung on another person's account. Amounts are text with every digit;
-- instants are text in UTC, of one length, so that they sort.

PRAGMA application_id = 1148414068;
PRAGMA user_version = 1;

CREATE TABLE IF NOT EXISTS accounts (
    account_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, provider TEXT NOT NULL, account_key BLOB NOT NULL,
    provider_account_id TEXT, name TEXT NOT NULL, official_name TEXT, mask TEXT, account_type TEXT NOT NULL,
    currency TEXT NOT NULL, bank_id TEXT, institution TEXT, status TEXT NOT NULL, created_at TEXT NOT NULL,
    UNIQUE (account_id, user_id),
    UNIQUE (user_id, provider, account_key)
) STRICT;

CREATE TABLE IF NOT EXISTS documents (
    document_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, sha256 BLOB NOT NULL, filename TEXT, format TEXT NOT NULL,
    encoding TEXT NOT NULL, parser TEXT NOT NULL, imported_at TEXT NOT NULL, accounts TEXT NOT NULL,
    warnings TEXT NOT NULL,
    UNIQUE (document_id, user_id),
    UNIQUE (user_id, sha256)
) STRICT;

-- A document comes after its rows, for it says how many were new: its key is looked at when the unit commits.
CREATE TABLE IF NOT EXISTS transactions (
    transaction_id TEXT PRIMARY KEY, account_id TEXT NOT NULL, user_id TEXT NOT NULL, document_id TEXT,
    "index" INTEGER NOT NULL, dedupe_key BLOB NOT NULL, occurrence INTEGER NOT NULL, posted_date TEXT NOT NULL,
    amount TEXT NOT NULL, currency TEXT NOT NULL, type TEXT NOT NULL, status TEXT NOT NULL, description TEXT,
    payee TEXT, memo TEXT, provider_transaction_id TEXT, value_date TEXT, transaction_date TEXT, posted_at TEXT,
    original_amount TEXT, original_currency TEXT, exchange_rate TEXT, mcc TEXT, check_number TEXT, reference TEXT,
    end_to_end_id TEXT,
    UNIQUE (account_id, dedupe_key, occurrence),
    FOREIGN KEY (account_id, user_id) REFERENCES accounts (account_id, user_id),
    FOREIGN KEY (document_id, user_id) REFERENCES documents (document_id, user_id) DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE INDEX IF NOT EXISTS transactions_by_day ON transactions (user_id, posted_date, transaction_id);
CREATE INDEX IF NOT EXISTS transactions_of_account ON transactions (account_id, posted_date, transaction_id);
CREATE INDEX IF NOT EXISTS transactions_of_document ON transactions (document_id);

CREATE TABLE IF NOT EXISTS balances (
    balance_id INTEGER PRIMARY KEY, account_id TEXT NOT NULL, user_id TEXT NOT NULL, kind TEXT NOT NULL,
    as_of TEXT NOT NULL, reported_at TEXT, amount TEXT NOT NULL, currency TEXT NOT NULL, origin TEXT NOT NULL,
    FOREIGN KEY (account_id, user_id) REFERENCES accounts (account_id, user_id)
) STRICT;
-- In an index NULL differs from NULL, and in a text 1 from 1.00; here both are the same.
CREATE UNIQUE INDEX IF NOT EXISTS balances_once ON balances (
    account_id, kind, as_of, coalesce(reported_at, ''), currency, origin,
    CASE WHEN instr(amount, '.') THEN rtrim(rtrim(amount, '0'), '.') ELSE amount END
);

CREATE TABLE IF NOT EXISTS tokens (
    token_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, name TEXT NOT NULL, token_hash BLOB NOT NULL UNIQUE,
    permissions TEXT NOT NULL, created_at TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS person_keys (
    user_id TEXT PRIMARY KEY, key_id TEXT NOT NULL, wrapped BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS answers (
    user_id TEXT, command TEXT, key TEXT, fingerprint BLOB NOT NULL, answer TEXT NOT NULL, kept_at TEXT NOT NULL,
    PRIMARY KEY (user_id, command, key)
) STRICT;

-- Which events a subscriber wants, and a row for each that it is still to be told of. There is one writer at a time,
-- so that the order of rows is the order of commits. What is due at no time was given up.
CREATE TABLE IF NOT EXISTS subscriptions (subscriber TEXT, name TEXT, PRIMARY KEY (subscriber, name)) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
    position INTEGER PRIMARY KEY, subscriber TEXT NOT NULL, event_id TEXT NOT NULL, user_id TEXT NOT NULL,
    name TEXT NOT NULL, payload TEXT NOT NULL, told_at TEXT NOT NULL, due_at TEXT, attempts INTEGER NOT NULL,
    problem TEXT NOT NULL, failed_at TEXT,
    UNIQUE (event_id, subscriber)
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_in_order ON deliveries (subscriber, position);

CREATE TABLE IF NOT EXISTS audit_entries (
    position INTEGER PRIMARY KEY, entry_id TEXT NOT NULL UNIQUE, attempt_id TEXT NOT NULL, occurred_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL, user_id TEXT NOT NULL, action TEXT NOT NULL, phase TEXT NOT NULL, code TEXT,
    resource_type TEXT NOT NULL, resource_id TEXT, channel TEXT NOT NULL, request_id TEXT, context TEXT NOT NULL,
    personal BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS audit_entries_by_time ON audit_entries (recorded_at, entry_id);

CREATE TABLE IF NOT EXISTS audit_leaves (
    tree_index INTEGER PRIMARY KEY, position INTEGER NOT NULL UNIQUE, entry_id TEXT NOT NULL UNIQUE,
    recorded_at TEXT NOT NULL, leaf_hash BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS audit_checkpoints (
    tree_size INTEGER PRIMARY KEY, note TEXT NOT NULL, peaks TEXT NOT NULL
) STRICT;

-- Which attempts have no outcome yet, so that nobody has to look through all there ever were.
CREATE TABLE IF NOT EXISTS open_attempts (attempt_id TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS attempted AFTER INSERT ON audit_entries WHEN NEW.phase = 'attempted'
BEGIN INSERT OR IGNORE INTO open_attempts VALUES (NEW.attempt_id, NEW.position); END;
CREATE TRIGGER IF NOT EXISTS ended AFTER INSERT ON audit_entries WHEN NEW.phase <> 'attempted'
BEGIN DELETE FROM open_attempts WHERE attempt_id = NEW.attempt_id; END;

-- The trail is only added to. INSERT OR REPLACE deletes without asking a trigger that guards against it, so that it
-- is refused before it begins.
CREATE TRIGGER IF NOT EXISTS audit_entries_update BEFORE UPDATE ON audit_entries
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_entries_delete BEFORE DELETE ON audit_entries
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_entries_replace BEFORE INSERT ON audit_entries
WHEN EXISTS (SELECT 1 FROM audit_entries WHERE position = NEW.position OR entry_id = NEW.entry_id)
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_leaves_update BEFORE UPDATE ON audit_leaves
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_leaves_delete BEFORE DELETE ON audit_leaves
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_leaves_replace BEFORE INSERT ON audit_leaves
WHEN EXISTS (
    SELECT 1 FROM audit_leaves
    WHERE tree_index = NEW.tree_index OR position = NEW.position OR entry_id = NEW.entry_id
)
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_checkpoints_update BEFORE UPDATE ON audit_checkpoints
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_checkpoints_delete BEFORE DELETE ON audit_checkpoints
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
CREATE TRIGGER IF NOT EXISTS audit_checkpoints_replace BEFORE INSERT ON audit_checkpoints
WHEN EXISTS (SELECT 1 FROM audit_checkpoints WHERE tree_size = NEW.tree_size)
BEGIN SELECT raise(ABORT, 'the audit trail is only added to'); END;
