"""The audit trail that nobody can change, the outbox, answers to repeated requests, and each person's key."""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES = """
CREATE TABLE audit_entry (
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    occurred_at timestamptz NOT NULL,
    entry_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    user_id uuid NOT NULL,
    action text NOT NULL,
    phase text NOT NULL,
    code text,
    resource_type text NOT NULL,
    resource_id text,
    channel text NOT NULL,
    request_id text,
    context jsonb NOT NULL,
    personal bytea,
    PRIMARY KEY (recorded_at, entry_id)
) PARTITION BY RANGE (recorded_at);
CREATE INDEX audit_entry_by_transaction ON audit_entry (xid);
CREATE INDEX audit_entry_by_person ON audit_entry (user_id, recorded_at, entry_id);
CREATE TABLE audit_leaf (
    tree_index bigint PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    entry_id uuid NOT NULL,
    leaf_hash bytea NOT NULL,
    CONSTRAINT audit_leaf_entry UNIQUE (entry_id, recorded_at)
);
CREATE TABLE audit_checkpoint (
    tree_size bigint PRIMARY KEY,
    note text NOT NULL,
    peaks bytea NOT NULL,
    signed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen pg_snapshot NOT NULL,
    system_identifier bigint NOT NULL,
    complete boolean NOT NULL
);
CREATE TABLE outbox (
    event_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    name text NOT NULL,
    payload text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    position bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX outbox_in_order ON outbox (xid, position);
CREATE TABLE subscriber (
    name text PRIMARY KEY,
    events text[] NOT NULL
);
CREATE TABLE inbox (
    event_id uuid NOT NULL REFERENCES outbox ON DELETE CASCADE,
    subscriber text NOT NULL,
    done boolean NOT NULL,
    attempts integer NOT NULL,
    retry_at timestamptz,
    problem text,
    failed_at timestamptz,
    PRIMARY KEY (event_id, subscriber)
);
CREATE INDEX inbox_retries ON inbox (subscriber, retry_at) WHERE NOT done;
CREATE TABLE idempotency (
    user_id uuid NOT NULL,
    command text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    answer text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, command, key)
);
CREATE TABLE person_key (
    key_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT person_key_owner UNIQUE (user_id)
);
"""

_REFUSE = """
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: no % of %', lower(tg_op), tg_table_name
        USING ERRCODE = '42501';
END $$
"""
# By statement, so that changing no row at all is refused as well; statement triggers are not inherited.
_GUARD = """
CREATE FUNCTION audit_guard(guarded regclass) RETURNS void LANGUAGE plpgsql
SET search_path = {schema}, pg_temp AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s '
        'FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()', guarded
    );
    EXECUTE format(
        'ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only, ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
        guarded
    );
END $$
"""
# Attached instead of created in place: that would wait for every writer, and let none begin until it was done.
_PARTITIONS = """
CREATE FUNCTION audit_partitions() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = {schema}, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    month date;
    name text;
BEGIN
    FOR month IN SELECT generate_series(date_trunc('month', now()), now() + interval '12 months', '1 month') LOOP
        name := to_char(month, '"audit_entry_"YYYY_MM');
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        LOCK TABLE audit_entry IN SHARE UPDATE EXCLUSIVE MODE;
        CONTINUE WHEN to_regclass(name) IS NOT NULL;
        EXECUTE format('CREATE TABLE %I (LIKE audit_entry INCLUDING DEFAULTS)', name);
        PERFORM audit_guard(name::regclass);
        EXECUTE format(
            'ALTER TABLE audit_entry ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            name, month::timestamptz, (month + interval '1 month')::timestamptz
        );
    END LOOP;
END $$
"""

_SUBJECT = "(SELECT nullif(current_setting('app.subject', true), '')::uuid)"
_TRAIL = ("audit_entry", "audit_leaf", "audit_checkpoint")


def upgrade() -> None:
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar()
    for statement in (
        *_TABLES.split(";\n"),
        _REFUSE,
        *(each.format(schema=schema) for each in (_GUARD, _PARTITIONS)),
    ):
        if statement.strip():
            op.execute(statement)
    op.execute("REVOKE ALL ON FUNCTION audit_partitions, audit_guard, audit_refuse FROM PUBLIC")
    for table in _TRAIL:
        op.execute(f"SELECT audit_guard('{table}')")
        # The owner retires old entries; what it does with its power otherwise, the checkpoints show.
        op.execute(f"CREATE POLICY owner ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)")
    for table in ("outbox", "subscriber", "inbox", "idempotency", "person_key"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
    for table in ("outbox", "idempotency", "person_key"):
        op.execute(f"CREATE POLICY own ON {table} USING (user_id = {_SUBJECT}) WITH CHECK (user_id = {_SUBJECT})")
    op.execute(f"CREATE POLICY own ON audit_entry FOR SELECT USING (user_id = {_SUBJECT})")
    # Attempts of many people are committed by one statement.
    op.execute("CREATE POLICY append ON audit_entry FOR INSERT WITH CHECK (true)")
    op.execute(f"CREATE POLICY erase ON api_token FOR DELETE USING (user_id = {_SUBJECT})")
