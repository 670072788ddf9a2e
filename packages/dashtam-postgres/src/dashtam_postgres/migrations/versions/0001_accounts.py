"""Accounts, balances, transactions, imported documents and API tokens, each row its owner's alone."""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
CREATE TABLE account (
    account_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    provider text NOT NULL,
    account_key bytea NOT NULL,
    provider_account_id text,
    name text NOT NULL,
    official_name text,
    mask text,
    account_type text NOT NULL,
    currency text NOT NULL,
    bank_id text,
    institution text,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT account_owner UNIQUE (account_id, user_id),
    CONSTRAINT account_known UNIQUE (user_id, provider, account_key)
);
CREATE TABLE balance (
    balance_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    as_of date NOT NULL,
    reported_at timestamptz,
    amount numeric NOT NULL,
    currency text NOT NULL,
    origin text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT balance_account FOREIGN KEY (account_id, user_id) REFERENCES account (account_id, user_id),
    CONSTRAINT balance_known
        UNIQUE NULLS NOT DISTINCT (account_id, kind, as_of, reported_at, amount, currency, origin)
);
CREATE TABLE transaction (
    transaction_id uuid PRIMARY KEY,
    account_id uuid NOT NULL,
    user_id uuid NOT NULL,
    status text NOT NULL,
    posted_date date NOT NULL,
    value_date date,
    transaction_date date,
    posted_at timestamptz,
    amount numeric NOT NULL,
    currency text NOT NULL,
    original_amount numeric,
    original_currency text,
    exchange_rate numeric,
    type text NOT NULL,
    description text,
    payee text,
    memo text,
    mcc text,
    check_number text,
    reference text,
    end_to_end_id text,
    provider_transaction_id text,
    document_id uuid,
    index integer NOT NULL,
    dedupe_key bytea NOT NULL,
    occurrence integer NOT NULL,
    CONSTRAINT transaction_account FOREIGN KEY (account_id, user_id) REFERENCES account (account_id, user_id),
    CONSTRAINT transaction_known UNIQUE (account_id, dedupe_key, occurrence)
);
CREATE INDEX transaction_by_person ON transaction (user_id, posted_date, transaction_id);
CREATE INDEX transaction_by_account ON transaction (account_id, posted_date, transaction_id);
CREATE TABLE import_document (
    document_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    filename text,
    format text NOT NULL,
    encoding text NOT NULL,
    parser text NOT NULL,
    imported_at timestamptz NOT NULL,
    accounts jsonb NOT NULL,
    warnings jsonb NOT NULL,
    CONSTRAINT import_document_known UNIQUE (user_id, sha256)
);
CREATE TABLE api_token (
    token_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    permissions text[] NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT api_token_hash UNIQUE (token_hash)
);
"""

# The subselect is worked out once for a statement instead of once for a row.
_SUBJECT = "(SELECT nullif(current_setting('app.subject', true), '')::uuid)"
_OWNED = ("account", "balance", "transaction", "import_document")


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table in (*_OWNED, "api_token"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    for table in _OWNED:
        op.execute(f"CREATE POLICY own ON {table} USING (user_id = {_SUBJECT}) WITH CHECK (user_id = {_SUBJECT})")
    # A token is looked up by its hash before anybody knows whose it is.
    op.execute("CREATE POLICY lookup ON api_token FOR SELECT USING (true)")
    op.execute(f"CREATE POLICY own ON api_token FOR INSERT WITH CHECK (user_id = {_SUBJECT})")
