"""Taking old months out of the audit trail, as an owner without superuser's rights."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import typer
from typer.testing import CliRunner

import dashtam_postgres
from conftest import Database
from dashtam_core.audit import (
    RETIRE_ACTION,
    Ed25519Signer,
    Phase,
    Sealing,
    Verifier,
    VerifierKey,
    inclusion_proof,
    log_records,
    open_checkpoint,
    verify_inclusion,
)
from dashtam_core.kernel import SystemClock, UnavailableError
from dashtam_core.testing._trail import PlainSealer, leaves_of
from dashtam_core.testing.samples import entries_of, entry
from dashtam_postgres import PostgresStore, Retired, retire
from dashtam_postgres._cli import add_db
from integration.postgres.acting import as_login

SIGNER = Ed25519Signer.from_seed("example.com/audit", b"s" * 32)
INSERT = """
INSERT INTO dashtam.audit_entry
    (entry_id, attempt_id, occurred_at, user_id, action, phase, resource_type, channel, context, recorded_at)
SELECT gen_random_uuid(), gen_random_uuid(), now(), gen_random_uuid(), 'open', 'denied', 'account', 'library',
    '{}', $1::timestamptz + n * interval '1 second' FROM generate_series(1, $2) AS n
"""


@pytest.fixture
async def kept(empty_database: Database) -> AsyncGenerator[Database]:
    """A database whose owner may make roles and is no superuser, as managed servers have it."""
    admin = await asyncpg.connect(empty_database.admin_url)
    name = empty_database.admin_url.rsplit("/", 1)[1]
    await admin.execute(f"CREATE ROLE keeper LOGIN CREATEROLE PASSWORD 'k'; ALTER DATABASE {name} OWNER TO keeper")
    owner = as_login(empty_database.admin_url, "keeper", "k")
    try:
        await dashtam_postgres.upgrade(owner, app_role="kept", app_password="a")
        yield Database(owner, as_login(empty_database.admin_url, "kept", "a"))
    finally:
        await admin.execute(
            f"ALTER DATABASE {name} OWNER TO dashtam; DROP OWNED BY kept, kept_worker, keeper CASCADE"
        )
        await admin.execute("DROP ROLE kept, kept_worker, keeper")
        await admin.close()


@pytest.fixture
async def store(kept: Database) -> AsyncGenerator[PostgresStore]:
    async with dashtam_postgres.open_store(kept.app_url) as opened:
        yield opened


@pytest.fixture
async def owner(kept: Database) -> AsyncGenerator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(kept.admin_url)
    yield connection
    await connection.close()


async def record_in(owner: "asyncpg.Connection[Any]", month: datetime, entries: int) -> None:
    """Entries of a month long past, in a partition made as the store makes them."""
    table, following = f"dashtam.audit_entry_{month:%Y_%m}", month.replace(month=month.month + 1)
    await owner.execute(f"CREATE TABLE {table} (LIKE dashtam.audit_entry INCLUDING DEFAULTS)")
    await owner.execute(f"SELECT dashtam.audit_guard('{table}')")
    await owner.execute(
        f"ALTER TABLE dashtam.audit_entry ATTACH PARTITION {table} FOR VALUES FROM ('{month}') TO ('{following}')"
    )
    await owner.execute(INSERT, month, entries)


async def verified(store: PostgresStore) -> tuple[int, int]:
    """How many entries verify, and how many are gone as the log says, with everything under signed checkpoints."""
    await Sealing(store.audit, lambda: SIGNER, SystemClock()).seal()
    ((size, _),) = await store.audit.checkpoints(last=True)
    verifier = Verifier(VerifierKey.of(SIGNER))
    async for record in log_records(store.audit.leaves(size=size), await store.audit.checkpoints()):
        verifier.read(record)
    found = verifier.finish().unwrap()
    return found.entries, found.retired


async def test_what_is_left_proves_what_is_gone(
    store: PostgresStore, kept: Database, owner: "asyncpg.Connection[Any]"
) -> None:
    """Month after month is taken out: the log verifies, and an entry that is gone still has its proof."""
    await record_in(owner, datetime(2024, 3, 1, tzinfo=UTC), 3)
    await record_in(owner, datetime(2024, 4, 1, tzinfo=UTC), 2)
    await store.audit.record([entry()])
    assert await verified(store) == (6, 0)
    assert await retire(kept.admin_url, date(2024, 3, 31)) == Retired(0, ())
    assert await retire(kept.admin_url, date(2024, 4, 15)) == Retired(3, ("audit_entry_2024_03",))
    assert await verified(store) == (5, 3)
    assert await retire(kept.admin_url, date(2024, 5, 1)) == Retired(2, ("audit_entry_2024_04",))
    assert await verified(store) == (5, 5)
    assert await retire(kept.admin_url, date(2024, 5, 1)) == Retired(0, ())
    ((size, note),) = await store.audit.checkpoints(last=True)
    root = open_checkpoint(note, VerifierKey.of(SIGNER)).unwrap().root
    hashes = await store.audit.leaf_hashes(size)
    gone = next(leaf for leaf in await leaves_of(store, size) if leaf.entry is None)
    assert verify_inclusion(gone.leaf_hash, gone.index, size, inclusion_proof(hashes, gone.index), root)


async def test_the_trail_tells_what_was_taken_out(
    store: PostgresStore, kept: Database, owner: "asyncpg.Connection[Any]"
) -> None:
    """An attempt and its success, with how many and from before when; the owner can still read the entries."""
    await record_in(owner, datetime(2024, 3, 1, tzinfo=UTC), 3)
    await store.audit.seal(PlainSealer(), limit=9)
    await retire(kept.admin_url, date(2024, 4, 15))
    attempt, outcome = await entries_of(store, action=RETIRE_ACTION)
    assert (attempt.phase, outcome.phase) == (Phase.ATTEMPTED, Phase.SUCCEEDED)
    assert attempt.attempt_id == outcome.attempt_id
    assert (outcome.resource_type, outcome.channel, outcome.user_id.int) == ("audit_trail", "cli", 0)
    assert outcome.context["entries"] == 3
    assert outcome.context["before"] == "2024-04-01T00:00:00+00:00"
    assert await owner.fetchval("SELECT count(*) FROM dashtam.audit_entry_2024_03") == 3
    async with store.work() as unit:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await unit.raw.execute("SELECT FROM audit_entry_2024_03")
        unit.discard()


async def test_what_is_not_sealed_stays(
    store: PostgresStore, kept: Database, owner: "asyncpg.Connection[Any]"
) -> None:
    """One entry without a leaf keeps all months in the trail."""
    await record_in(owner, datetime(2024, 3, 1, tzinfo=UTC), 3)
    await store.audit.seal(PlainSealer(), limit=2)
    with pytest.raises(UnavailableError, match="1 of the entries are not sealed"):
        await retire(kept.admin_url, date(2024, 4, 1))
    assert len(await entries_of(store)) == 3


async def test_this_month_and_later_ones_stay(store: PostgresStore, kept: Database) -> None:
    """However late a day is named, what is being written is not taken out."""
    await store.audit.record([entry()])
    await store.audit.seal(PlainSealer(), limit=9)
    assert await retire(kept.admin_url, date(2999, 1, 1)) == Retired(0, ())
    assert len(await entries_of(store)) == 1


async def test_two_who_retire_at_once_do_it_once(
    store: PostgresStore, kept: Database, owner: "asyncpg.Connection[Any]"
) -> None:
    """The second finds nothing left to do."""
    await record_in(owner, datetime(2024, 3, 1, tzinfo=UTC), 3)
    await verified(store)
    both = await asyncio.gather(*[retire(kept.admin_url, date(2024, 4, 1)) for _ in range(2)])
    assert sorted(each.entries for each in both) == [0, 3]
    assert await verified(store) == (2, 3)


async def test_the_command_says_what_to_do_with_what_it_took_out(
    store: PostgresStore,
    kept: Database,
    owner: "asyncpg.Connection[Any]",
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """`dashtam db retire` names the tables, says when there is nothing to do, and refuses what is no month."""
    app = typer.Typer()
    add_db(app)
    monkeypatch.chdir(tmp_path)

    def run(before: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["db", "retire", "--before", before])
        return done.exit_code, done.output

    assert (await asyncio.to_thread(run, "2024-04"))[0] == 3
    monkeypatch.setenv("DASHTAM_STORE_ADMIN_URL", kept.admin_url)
    await record_in(owner, datetime(2024, 3, 1, tzinfo=UTC), 3)
    code, said = await asyncio.to_thread(run, "2024-04")
    assert (code, "not sealed" in said) == (3, True)
    await store.audit.seal(PlainSealer(), limit=9)
    code, said = await asyncio.to_thread(run, "2024-04")
    assert code == 0
    assert "3 entries" in said
    assert "audit_entry_2024_03" in said
    assert "pg_dump" in said
    assert "nothing to do" in (await asyncio.to_thread(run, "2024-04"))[1]
    assert (await asyncio.to_thread(run, "April"))[0] == 2
