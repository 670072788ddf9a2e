"""People who log in here with what proves who they are, limits on attempts, and the root key; API tokens go."""

from alembic import op

revision = "0004"
down_revision = "0003"

_TABLES = """
DROP TABLE api_token;
CREATE TABLE person (
    user_id uuid PRIMARY KEY,
    email text NOT NULL,
    role text NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE address (
    address_key bytea PRIMARY KEY,
    user_id uuid NOT NULL,
    CONSTRAINT address_owner UNIQUE (user_id)
);
CREATE TABLE credential (
    credential_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    secret_hash bytea,
    session_id uuid,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    used_at timestamptz,
    data text NOT NULL,
    CONSTRAINT credential_owner UNIQUE (credential_id, user_id),
    CONSTRAINT credential_secret UNIQUE (kind, secret_hash),
    CONSTRAINT credential_session FOREIGN KEY (session_id, user_id)
        REFERENCES credential (credential_id, user_id) ON DELETE CASCADE
);
CREATE INDEX credential_by_kind ON credential (user_id, kind, created_at, credential_id);
CREATE INDEX credential_of_session ON credential (session_id) WHERE session_id IS NOT NULL;
CREATE UNLOGGED TABLE rate_limit (
    key text PRIMARY KEY,
    until timestamptz NOT NULL
);
CREATE TABLE root_key (
    key_id text PRIMARY KEY,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

_SUBJECT = "(SELECT nullif(current_setting('app.subject', true), '')::uuid)"
_EVERYBODY = "(SELECT current_setting('app.everybody', true) = 'on')"


def upgrade() -> None:
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    # Row-level security binds the owner too, who therefore sees no rows, but what they take up.
    op.execute(
        "INSERT INTO root_key (key_id, wrapped) SELECT 'former', '' WHERE pg_relation_size('person_key') > 0"
    )
    for table in ("person", "address", "credential"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY own ON {table} USING (user_id = {_SUBJECT}) WITH CHECK (user_id = {_SUBJECT})")
    # Whose an address is, is asked before anybody is known; it is kept as a hash that takes our key to make.
    op.execute("CREATE POLICY lookup ON address FOR SELECT USING (true)")
    # For administrators, around single statements.
    op.execute(f"CREATE POLICY everybody ON person FOR SELECT USING ({_EVERYBODY})")
    op.execute(f"CREATE POLICY everybody ON credential USING ({_EVERYBODY}) WITH CHECK (false)")
