-- What comes from statements is kept whole, as JSON in `body`; columns beside it are what is sought by, taken out of
-- it by SQLite itself. Other columns are called as the fields they keep. Every row carries its owner's user_id, and a
-- child points at its parent by (id, user_id), so that no row can be hung on another person's account. Amounts are
-- text with every digit; instants are text in UTC that sorts.

PRAGMA application_id = 1148414068;
PRAGMA user_version = 1;

CREATE TABLE IF NOT EXISTS accounts (
    user_id TEXT NOT NULL, body TEXT NOT NULL,
    account_id TEXT AS (body ->> 'account_id') STORED UNIQUE, provider TEXT AS (body ->> 'provider') STORED,
    account_key TEXT AS (body ->> 'account_key') STORED,
    UNIQUE (account_id, user_id),
    UNIQUE (user_id, provider, account_key)
) STRICT;

CREATE TABLE IF NOT EXISTS documents (
    user_id TEXT NOT NULL, body TEXT NOT NULL, content BLOB,
    document_id TEXT AS (body ->> 'document_id') STORED UNIQUE, sha256 TEXT AS (body ->> 'sha256') STORED,
    UNIQUE (document_id, user_id),
    UNIQUE (user_id, sha256)
) STRICT;

-- A document comes after its rows, for it says how many were new: its key is looked at when the unit commits.
CREATE TABLE IF NOT EXISTS transactions (
    user_id TEXT NOT NULL, body TEXT NOT NULL, annotation TEXT,
    transaction_id TEXT AS (body ->> 'transaction_id') STORED UNIQUE,
    account_id TEXT AS (body ->> 'account_id') STORED NOT NULL,
    document_id TEXT AS (body ->> 'document_id') STORED,
    dedupe_key TEXT AS (body ->> 'dedupe_key') STORED, occurrence INTEGER AS (body ->> 'occurrence') STORED,
    posted_date TEXT AS (body ->> 'posted_date') STORED,
    status TEXT AS (coalesce(body ->> 'status', 'POSTED')) STORED,
    provider_transaction_id TEXT AS (body ->> 'provider_transaction_id') STORED,
    waits_for TEXT AS (body ->> 'waits_for') STORED,
    hidden INTEGER AS (coalesce(body ->> 'superseded_by', body ->> 'removed_at') IS NOT NULL) STORED,
    waiting INTEGER AS (waits_for IS NOT NULL OR (status = 'PENDING' AND NOT hidden)) STORED,
    UNIQUE (account_id, dedupe_key, occurrence),
    FOREIGN KEY (account_id, user_id) REFERENCES accounts (account_id, user_id),
    FOREIGN KEY (document_id, user_id) REFERENCES documents (document_id, user_id) DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE INDEX IF NOT EXISTS transactions_by_day ON transactions (user_id, posted_date, transaction_id);
CREATE INDEX IF NOT EXISTS transactions_of_account ON transactions (account_id, posted_date, transaction_id);
CREATE INDEX IF NOT EXISTS transactions_of_document ON transactions (document_id);
CREATE INDEX IF NOT EXISTS transactions_that_wait ON transactions (user_id) WHERE waiting;

-- A row as it is told, with what the person says of it.
CREATE VIEW IF NOT EXISTS told AS
SELECT user_id, transaction_id, account_id, document_id, dedupe_key, posted_date, status, provider_transaction_id,
    waiting, hidden, iif(annotation IS NULL, body, json_set(body, '$.annotation', json(annotation))) AS body
FROM transactions;

CREATE TABLE IF NOT EXISTS matches (
    user_id TEXT NOT NULL, body TEXT NOT NULL, kind TEXT AS (body ->> 'kind') STORED,
    first TEXT AS (body ->> 'first') STORED, second TEXT AS (body ->> 'second') STORED,
    UNIQUE (user_id, kind, first, second)
) STRICT;

CREATE TABLE IF NOT EXISTS balances (
    balance_id INTEGER PRIMARY KEY, user_id TEXT NOT NULL, body TEXT NOT NULL, amount TEXT NOT NULL,
    account_id TEXT AS (body ->> 'account_id') STORED NOT NULL, kind TEXT AS (body ->> 'kind') STORED,
    as_of TEXT AS (body ->> 'as_of') STORED, reported_at TEXT AS (body ->> 'reported_at') STORED,
    FOREIGN KEY (account_id, user_id) REFERENCES accounts (account_id, user_id)
) STRICT;
-- In an index NULL differs from NULL, and in a text 1 from 1.00; here both are the same.
CREATE UNIQUE INDEX IF NOT EXISTS balances_once ON balances (
    account_id, kind, as_of, coalesce(reported_at, ''), coalesce(body ->> 'origin', ''),
    substr(body ->> 'amount', instr(body ->> 'amount', ' ')),
    CASE WHEN instr(amount, '.') THEN rtrim(rtrim(amount, '0'), '.') ELSE amount END
);

-- Later days are newer; on one day a later instant is, and none is the earliest; then what was added last.
CREATE VIEW IF NOT EXISTS latest_balances AS
SELECT * FROM (SELECT *, row_number() OVER (
    PARTITION BY account_id, kind ORDER BY as_of DESC, reported_at DESC NULLS LAST, balance_id DESC
) AS age FROM balances) WHERE age = 1;

CREATE TABLE IF NOT EXISTS holdings (
    holding_id INTEGER PRIMARY KEY, user_id TEXT NOT NULL, body TEXT NOT NULL,
    account_id TEXT AS (body ->> 'account_id') STORED NOT NULL, as_of TEXT AS (body ->> 'as_of') STORED,
    security TEXT AS (body -> 'security') STORED,
    UNIQUE (account_id, security, as_of),
    FOREIGN KEY (account_id, user_id) REFERENCES accounts (account_id, user_id)
) STRICT;

CREATE VIEW IF NOT EXISTS latest_holdings AS
SELECT * FROM holdings h WHERE as_of = (SELECT max(as_of) FROM holdings WHERE account_id = h.account_id);

DROP TABLE IF EXISTS tokens;

CREATE TABLE IF NOT EXISTS person_keys (
    user_id TEXT PRIMARY KEY, body TEXT NOT NULL, key_id TEXT AS (body ->> 'key_id') STORED
) STRICT;

CREATE TABLE IF NOT EXISTS answers (
    user_id TEXT, command TEXT, key TEXT, body TEXT NOT NULL, kept_at TEXT NOT NULL,
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
-- An event is kept for every subscriber that wants it, and for nobody else.
CREATE VIEW IF NOT EXISTS outbox AS SELECT event_id, user_id, name, payload, told_at FROM deliveries;
CREATE TRIGGER IF NOT EXISTS tell INSTEAD OF INSERT ON outbox
BEGIN
    INSERT INTO deliveries (subscriber, event_id, user_id, name, payload, told_at, due_at, attempts, problem)
    SELECT subscriber, NEW.event_id, NEW.user_id, NEW.name, NEW.payload, NEW.told_at, NEW.told_at, 0, ''
    FROM subscriptions WHERE name = NEW.name;
END;
CREATE VIEW IF NOT EXISTS unwanted AS
SELECT position, subscriber FROM deliveries
WHERE (subscriber, name) NOT IN (SELECT subscriber, name FROM subscriptions);
CREATE VIEW IF NOT EXISTS lag AS
SELECT count(due_at) AS waiting, count(*) - count(due_at) AS dead,
    min(told_at) FILTER (WHERE due_at IS NOT NULL) AS oldest FROM deliveries;

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

CREATE VIEW IF NOT EXISTS unsealed AS
SELECT * FROM audit_entries WHERE position > (SELECT coalesce(max(position), 0) FROM audit_leaves);
CREATE VIEW IF NOT EXISTS strays AS
SELECT position FROM audit_entries WHERE entry_id NOT IN (SELECT entry_id FROM audit_leaves)
    AND position <= (SELECT coalesce(max(position), 0) FROM audit_leaves);
CREATE VIEW IF NOT EXISTS leaves AS
SELECT e.*, l.tree_index, l.leaf_hash, l.entry_id AS leaf_entry_id, l.recorded_at AS leaf_recorded_at
FROM audit_leaves l LEFT JOIN audit_entries e ON e.entry_id = l.entry_id;

CREATE TABLE IF NOT EXISTS audit_checkpoints (
    tree_size INTEGER PRIMARY KEY, note TEXT NOT NULL, peaks TEXT NOT NULL
) STRICT;

-- Which attempts have no outcome yet, so that nobody has to look through all there ever were.
CREATE TABLE IF NOT EXISTS open_attempts (attempt_id TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT;
CREATE VIEW IF NOT EXISTS unended AS SELECT e.* FROM open_attempts JOIN audit_entries e USING (position);
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
