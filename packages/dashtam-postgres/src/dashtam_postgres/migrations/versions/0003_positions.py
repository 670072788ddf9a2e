"""What rows say of each other, holdings, a person's annotations and matches, and the bytes of documents."""

from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = """
ALTER TABLE account ADD number_hash bytea;
ALTER TABLE import_document ADD content bytea;
ALTER TABLE transaction
    ADD bank_transaction_code text,
    ADD running_balance numeric,
    ADD running_balance_currency text,
    ADD more text,
    ADD superseded_by uuid,
    ADD removed_at timestamptz,
    ADD waits_for text,
    ADD missing_since timestamptz;
CREATE INDEX transaction_waiting ON transaction (user_id) WHERE status = 'PENDING' OR waits_for IS NOT NULL;
CREATE TABLE holding (
    holding_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id uuid NOT NULL,
    user_id uuid NOT NULL,
    as_of date NOT NULL,
    security_key bytea NOT NULL,
    holding text NOT NULL,
    CONSTRAINT holding_account FOREIGN KEY (account_id, user_id) REFERENCES account (account_id, user_id),
    CONSTRAINT holding_known UNIQUE (account_id, as_of, security_key)
);
CREATE TABLE annotation (
    user_id uuid NOT NULL,
    transaction_id uuid NOT NULL,
    annotation text NOT NULL,
    PRIMARY KEY (user_id, transaction_id)
);
CREATE TABLE match (
    user_id uuid NOT NULL,
    kind text NOT NULL,
    first_id uuid NOT NULL,
    second_id uuid NOT NULL,
    state text NOT NULL,
    decided_at timestamptz,
    PRIMARY KEY (user_id, kind, first_id, second_id)
);
"""

_SUBJECT = "(SELECT nullif(current_setting('app.subject', true), '')::uuid)"


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for table in ("holding", "annotation", "match"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own ON {table} USING (user_id = {_SUBJECT}) WITH CHECK (user_id = {_SUBJECT})")
