"""The audit trail on a real PostgreSQL: its months, its roles, sealing across limits and clusters, sweeping."""

import asyncio
import random
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import count

import asyncpg
import pytest

import dashtam_embedded
import dashtam_postgres
from conftest import APP_ROLE, Database
from dashtam_core.audit import AuditEntry, EntryFilter, Phase, RecordedEntry
from dashtam_core.kernel import UnavailableCode, UnavailableError, new_id
from dashtam_core.store import Store
from dashtam_core.testing._shared import PATIENCE
from dashtam_core.testing._trail import PlainSealer, leaves_of, root_of
from dashtam_core.testing.samples import ANN, BEN, actions_of, entries_of, entry, event, hear, tell
from dashtam_embedded._binaries import postgres_bin
from dashtam_postgres import PostgresStore
from integration.postgres.acting import APP, OWNER, WORKER, acting, as_login, tampering

PARTITION = f"audit_entry_{datetime.now(UTC):%Y_%m}"
INSERT = (
    "INSERT INTO audit_entry (entry_id, attempt_id, occurred_at, user_id, action, phase, resource_type, channel"
)
VALUES = f"gen_random_uuid(), gen_random_uuid(), now(), '{ANN.user_id}', 'open', 'attempted', 'account', 'library'"


async def seal_all(store: Store, limit: int = 100) -> int:
    total = 0
    while sealed := await store.audit.seal(PlainSealer(), limit=limit):
        total += sealed
    return total


async def check_tree(store: Store) -> None:
    """Each entry has one leaf, without gaps, under the checkpoint that was made last."""
    entries = await entries_of(store)
    leaves = await leaves_of(store, len(entries) + 1)
    assert [leaf.index for leaf in leaves] == [*range(len(entries))]
    assert {(leaf.entry_id, leaf.recorded_at) for leaf in leaves} == {
        (each.entry_id, each.recorded_at) for each in entries
    }
    ((size, _),) = await store.audit.checkpoints(last=True)
    assert size == len(entries)
    assert (await store.audit.lag()).unsealed == 0


# -- what nobody can change --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [OWNER, APP, WORKER])
@pytest.mark.parametrize("table", ["audit_entry", PARTITION, "audit_leaf", "audit_checkpoint"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
@pytest.mark.parametrize("rows", ["", " WHERE false"])
async def test_the_trail_cannot_be_changed(
    database: Database, role: str, table: str, change: str, rows: str
) -> None:
    """Changing and deleting raise for everybody, the owner too, even where no row is met."""
    column = {"audit_leaf": "leaf_hash", "audit_checkpoint": "note"}.get(table, "action")
    await refused(database, role, change.format(table, column, column) + rows)


@pytest.mark.parametrize("role", [OWNER, APP, WORKER])
@pytest.mark.parametrize("table", ["audit_entry", PARTITION, "audit_leaf", "audit_checkpoint"])
async def test_the_trail_cannot_be_emptied(database: Database, role: str, table: str) -> None:
    """TRUNCATE is refused for the whole and for a single month."""
    await refused(database, role, f"TRUNCATE {table}")


async def refused(database: Database, role: str, statement: str) -> None:
    async with acting(database, role) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only" if role == OWNER else "denied"):
            await connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "SET LOCAL session_replication_role = replica; DELETE FROM audit_entry",
        "MERGE INTO audit_entry USING (VALUES (1)) v ON true WHEN MATCHED THEN DELETE",
        "INSERT INTO audit_leaf SELECT 0, now(), gen_random_uuid(), '' "  # noqa: ISC004 - one statement
        "ON CONFLICT (tree_index) DO UPDATE SET leaf_hash = 'x'",
    ],
)
async def test_there_is_no_way_around_the_triggers(database: Database, statement: str) -> None:
    """They fire for the owner whatever the session is set to, and for statements that add or change."""
    async with acting(database, OWNER) as owner:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await owner.execute(statement)


@pytest.mark.parametrize("role", [APP, WORKER])
@pytest.mark.parametrize("forged", ["recorded_at) SELECT {}, '2020-01-01'", "xid) SELECT {}, '1'"])
async def test_when_and_where_it_was_recorded_cannot_be_forged(database: Database, role: str, forged: str) -> None:
    """Time and transaction are the store's to say: whoever names them is refused."""
    async with acting(database, role) as connection:
        await connection.execute(f"{INSERT}, context) SELECT {VALUES}, '{{}}'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"{INSERT}, context, " + forged.format(f"{VALUES}, '{{}}'"))


EVENT = "INSERT INTO outbox (event_id, user_id, name, payload{}) SELECT gen_random_uuid(), '{}', 'Noted', ''{}"


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (APP, "INSERT INTO audit_leaf VALUES (0, now(), gen_random_uuid(), 'hash')"),
        (APP, "INSERT INTO audit_checkpoint (tree_size) VALUES (1)"),
        (APP, "SELECT FROM audit_checkpoint"),
        (APP, "SELECT FROM inbox"),
        (APP, f"SELECT FROM {PARTITION}"),
        (APP, f"INSERT INTO {PARTITION} (entry_id) VALUES (gen_random_uuid())"),
        (APP, "SELECT audit_partitions()"),
        (APP, "UPDATE outbox SET name = 'x'"),
        (APP, EVENT.format(", xid", ANN.user_id, ", '1'")),
        (APP, EVENT.format(", created_at", ANN.user_id, ", now()")),
        (APP, EVENT.format("", BEN.user_id, "")),
        (WORKER, EVENT.format("", ANN.user_id, "")),
        (WORKER, "UPDATE outbox SET name = 'x'"),
        (WORKER, "SELECT FROM account"),
        (WORKER, "SELECT wrapped FROM person_key"),
        (WORKER, "SELECT audit_guard('audit_entry')"),
    ],
)
async def test_no_role_may_do_more_than_it_needs(database: Database, role: str, statement: str) -> None:
    """The application writes its subject's events and no leaves; the worker seals and delivers, and no more."""
    async with acting(database, role, ANN) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_the_trail_shows_each_their_own(store: PostgresStore, database: Database) -> None:
    """Row-level security alone shows a person their entries, events, answers and keys, and nobody else's."""
    await store.audit.record([entry("hers"), entry("his", user_id=BEN.user_id)])
    async with acting(database, APP, ANN) as connection:
        assert [row["action"] for row in await connection.fetch("SELECT action FROM audit_entry")] == ["hers"]
    assert await actions_of(store) == ["hers", "his"]


# -- room for what comes -----------------------------------------------------------------------------------------


async def partitions(database: Database) -> list[str]:
    """The months there is room for; each one guarded as the whole is."""
    async with acting(database, OWNER) as owner:
        rows = await owner.fetch(
            "SELECT c.oid::regclass::text AS name, c.relforcerowsecurity AND c.relrowsecurity AS secured, ("
            # before, by statement, and for update, delete and truncate
            "  SELECT tgenabled = 'A' AND tgtype & 2 > 0 AND tgtype & 1 = 0 AND tgtype & 56 = 56"
            "  FROM pg_trigger WHERE tgrelid = c.oid) AS guarded FROM pg_inherits "
            "JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'audit_entry'::regclass ORDER BY 1"
        )
    assert all(row["secured"] and row["guarded"] for row in rows)
    return [row["name"] for row in rows]


async def drop(database: Database, *tables: str) -> None:
    async with acting(database, OWNER) as owner:
        await owner.execute(f"DROP TABLE {', '.join(tables)}")


def months(ahead: int) -> list[str]:
    first = datetime.now(UTC).year * 12 + datetime.now(UTC).month - 1
    return [f"audit_entry_{month // 12}_{month % 12 + 1:02}" for month in range(first, first + ahead + 1)]


async def test_room_is_made_a_year_ahead(store: PostgresStore, database: Database) -> None:
    """Maintenance makes the months that are missing, each with its own guards, while others write."""
    assert await partitions(database) == months(12)
    await drop(database, months(12)[5], months(12)[12])
    async with store.unit_of_work(ANN) as unit:
        unit.trail.add(entry())
        await unit.flush()
        await asyncio.wait_for(asyncio.gather(store.maintain(), store.maintain()), PATIENCE)
        assert await partitions(database) == months(12)


async def test_opening_makes_room_in_time(database: Database) -> None:
    """A store that has not been maintained for most of a year makes room before it serves."""
    await drop(database, *months(12)[2:])
    async with dashtam_postgres.open_store(database.app_url):
        assert await partitions(database) == months(12)


async def test_without_room_nothing_is_committed(store: PostgresStore, database: Database) -> None:
    """Where an entry cannot be kept the attempt fails, and so does the change it belongs to."""
    await drop(database, PARTITION)
    with pytest.raises(asyncpg.CheckViolationError):
        await store.audit.record([entry()])

    async def change() -> None:
        async with store.unit_of_work(ANN) as unit:
            await unit.answers.claim("command", "key")
            unit.trail.add(entry())
            await unit.raw.execute("INSERT INTO person_key VALUES ($1, $2, 'key')", new_id(), ANN.user_id)

    with pytest.raises(asyncpg.CheckViolationError):
        await change()
    async with store.unit_of_work(ANN) as unit:
        assert await unit.person_keys.current() is None


# -- sealing -----------------------------------------------------------------------------------------------------


async def test_sealing_beside_writers_that_hold_transactions_open(
    store: PostgresStore, database: Database
) -> None:
    """Twelve writers that keep transactions open at random, with savepoints, and two processes that seal."""
    turns, done = count(), asyncio.Event()
    chance = random.Random(7)

    async def write() -> None:
        while next(turns) < 240:
            async with store.unit_of_work(ANN) as unit:
                unit.trail.add(entry())
                await unit.flush()
                for _ in range(chance.randrange(30)):
                    await asyncio.sleep(0)
                await unit.raw.execute("SAVEPOINT within")
                unit.trail.add(entry())
                await unit.flush()
                await unit.raw.execute("RELEASE within")
                if chance.random() < 0.2:
                    unit.discard()

    async def seal(by: PostgresStore) -> None:
        while not done.is_set():
            await by.audit.seal(PlainSealer(), limit=chance.choice([1, 3, 50]))

    async def write_all() -> None:
        await asyncio.gather(*[write() for _ in range(12)])
        done.set()

    async with dashtam_postgres.open_store(database.app_url, pool_size=2) as other:
        await asyncio.wait_for(asyncio.gather(write_all(), seal(store), seal(other)), 60)
    await seal_all(store)
    await check_tree(store)


async def test_an_open_transaction_holds_back_nothing_but_its_own(store: PostgresStore) -> None:
    """What was committed meanwhile is sealed at once, and the late entry when it comes, whatever its number."""
    async with store.unit_of_work(ANN) as unit:
        unit.trail.add(entry("late"))
        await unit.flush()
        for number in range(3):
            await store.audit.record([entry(str(number))])
            assert await seal_all(store, limit=1) == 1
        assert (await store.audit.lag()).unsealed == 0
    lag = await store.audit.lag()
    assert (lag.unsealed, lag.oldest_seconds > 0) == (1, True)
    assert await seal_all(store) == 1
    await check_tree(store)


async def test_two_transactions_that_overlap_the_limit_are_both_sealed(store: PostgresStore) -> None:
    """A batch may end inside a transaction, with another one still open below it."""
    async with store.unit_of_work(ANN) as low:
        low.trail.add(entry("low"))
        await low.flush()
        async with store.unit_of_work(ANN) as high:
            for number in range(5):
                high.trail.add(entry(str(number)))
        assert await store.audit.seal(PlainSealer(), limit=3) == 3
    assert await store.audit.seal(PlainSealer(), limit=2) == 2
    assert await store.audit.seal(PlainSealer(), limit=2) == 1
    await check_tree(store)


async def test_an_id_that_is_there_twice_does_not_stop_sealing(store: PostgresStore) -> None:
    """Nothing keeps the application's role from repeating an id: each of the entries is sealed."""
    one = entry("one")
    for _ in range(2):
        await store.audit.record([one])
        assert await seal_all(store) == 1
    await check_tree(store)


async def test_a_dump_from_a_cluster_with_higher_numbers_is_sealed(
    store: PostgresStore, database: Database
) -> None:
    """After a restore all entries are sealed, the new ones too; then the old numbers are passed over."""
    await store.audit.record([entry("before")])
    await seal_all(store)
    far = "(pg_current_xact_id()::text::bigint + {})::text::xid8"
    brought = [
        f"{INSERT}, context, xid) SELECT {VALUES}, '{{}}', {far.format(n)}" for n in (4_000_000, 9, 4_000_001)
    ]
    await tampering(database, "UPDATE audit_checkpoint SET system_identifier = 1", *brought)
    for number in range(3):
        assert await store.audit.seal(PlainSealer(), limit=1) == 1
        await store.audit.record([entry(f"after {number}")])
    assert await seal_all(store, limit=2) == 3
    await check_tree(store)
    async with acting(database, WORKER) as worker:
        checkpoint = await worker.fetchrow(
            "SELECT complete, seen FROM audit_checkpoint ORDER BY tree_size DESC LIMIT 1"
        )
    assert checkpoint is not None
    assert checkpoint["complete"]
    assert checkpoint["seen"][1] < 1_000_000
    for _ in range(30):  # the number 9 above comes round
        await store.audit.record([entry()])
        assert await seal_all(store) == 1
    await check_tree(store)


async def test_a_checkpoint_grows_from_the_last(store: PostgresStore) -> None:
    """The tree that is kept is the one its leaves make, batch after batch."""
    sealer = PlainSealer()
    for size in range(1, 8):
        await store.audit.record([entry()] * size)
        await store.audit.seal(sealer, limit=100)
    hashes = await store.audit.leaf_hashes(28)
    assert [size for size, _ in sealer.given] == [0, 1, 3, 6, 10, 15, 21]
    assert [root for _, root in sealer.given] == [root_of(hashes[:size]) for size, _ in sealer.given]


async def test_a_dump_is_restored_into_a_new_cluster(store: PostgresStore, database: Database) -> None:
    """With pg_dump and pg_restore: what was not sealed is, what was stays, and what waited to be delivered is."""
    await store.deliveries.register({"mail": ["Noted"]})
    waiting = event("waiting")
    await tell(store, waiting)
    await store.audit.record([entry("sealed")])
    await seal_all(store)
    await store.audit.record([entry("not sealed")])
    async with dashtam_embedded.postgres() as elsewhere:
        admin = await asyncpg.connect(elsewhere.admin_url)
        await admin.execute(
            f"CREATE ROLE {APP_ROLE} LOGIN PASSWORD 'app'; CREATE ROLE {APP_ROLE}_worker; "
            f"GRANT {APP_ROLE}_worker TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE"
        )
        await admin.close()
        await asyncio.to_thread(copy_database, database.admin_url, elsewhere.admin_url)
        async with dashtam_postgres.open_store(as_login(elsewhere.admin_url, APP_ROLE, "app")) as restored:
            assert await seal_all(restored) == 1
            await restored.audit.record([entry("new")])
            assert await seal_all(restored) == 1
            await check_tree(restored)
            after = event("after")
            await tell(restored, after)
            assert {await hear(restored, "mail"), await hear(restored, "mail")} == {waiting, after}


def copy_database(from_url: str, to_url: str) -> None:
    programs = str(postgres_bin())
    dump = [f"{programs}/pg_dump", "--format=custom", from_url]
    restore = [f"{programs}/pg_restore", "--exit-on-error", "--dbname", to_url]
    dumped = subprocess.run(dump, check=True, capture_output=True)
    subprocess.run(restore, input=dumped.stdout, check=True, capture_output=True)


# -- sweeping ----------------------------------------------------------------------------------------------------


def lost(attempt: RecordedEntry) -> AuditEntry:
    return entry(attempt.action, Phase.INDETERMINATE, attempt_id=attempt.attempt_id)


async def attempted(database: Database, action: str, ago: str) -> None:
    """An attempt from long ago, as only the owner can make it up; older months have a partition for it."""
    async with acting(database, OWNER) as owner:
        await owner.execute(
            "CREATE TABLE IF NOT EXISTS past PARTITION OF audit_entry "
            f"FOR VALUES FROM (MINVALUE) TO ('{datetime.now(UTC):%Y-%m-01}')"
        )
        values = VALUES.replace("'open'", f"'{action}'")
        await owner.execute(f"{INSERT}, context, recorded_at) SELECT {values}, '{{}}', now() - interval '{ago}'")


async def test_a_sweep_looks_at_what_is_new(store: PostgresStore, database: Database) -> None:
    """The first one looks back over five weeks, the next ones of this process from where the last one came to."""
    now = datetime.now(UTC) + timedelta(minutes=1)
    await attempted(database, "ancient", "36 days")
    await attempted(database, "old", "34 days")
    assert await store.audit.sweep(lost, before=now) == 1
    await attempted(database, "passed", "2 hours")
    await attempted(database, "new", "1 minute")
    assert await store.audit.sweep(lost, before=now) == 1
    assert await actions_of(store, phase=Phase.INDETERMINATE) == ["old", "new"]
    async with dashtam_postgres.open_store(database.app_url) as other:
        assert await other.audit.sweep(lost, before=now) == 1
        assert await other.audit.sweep(lost, before=now) == 0


async def test_two_sweeps_at_once_close_each_attempt_once(store: PostgresStore, database: Database) -> None:
    """More attempts than a batch holds, and two processes that sweep."""
    await store.audit.record([entry(str(n), Phase.ATTEMPTED) for n in range(1_050)])
    now = datetime.now(UTC) + timedelta(minutes=1)
    async with dashtam_postgres.open_store(database.app_url) as other:
        swept = await asyncio.gather(*[each.audit.sweep(lost, before=now) for each in (store, other)])
        swept += [await store.audit.sweep(lost, before=now)]
    assert sum(swept) == 1_050
    assert len(await store.audit.entries(EntryFilter(phase=Phase.INDETERMINATE), after=None, limit=2_000)) == 1_050


# -- who does the background work ---------------------------------------------------------------------------------


async def test_sealing_can_be_left_to_a_login_of_its_own(database: Database) -> None:
    """Without the worker's grant a store serves and records, and says who should seal; the other login seals."""
    await dashtam_postgres.upgrade(database.admin_url, app_role="apart", app_password="apart")
    owner = await asyncpg.connect(database.admin_url)
    try:
        await owner.execute(
            "REVOKE apart_worker FROM apart; CREATE ROLE sealer LOGIN PASSWORD 'sealer' IN ROLE apart; "
            "GRANT apart_worker TO sealer WITH INHERIT FALSE, SET TRUE"
        )
        await dashtam_postgres.upgrade(database.admin_url, app_role="apart")  # does not grant it again
        await drop(database, months(12)[2])
        async with dashtam_postgres.open_store(as_login(database.admin_url, "apart", "apart")) as serving:
            await serving.audit.record([entry()])
            assert await actions_of(serving, user_id=ANN.user_id) == ["open"]
            with pytest.raises(UnavailableError, match="WITH INHERIT FALSE") as refused:
                await seal_all(serving)
            assert refused.value.code is UnavailableCode.STORE_NOT_CONFIGURED
        async with dashtam_postgres.open_store(as_login(database.admin_url, "sealer", "sealer")) as sealing:
            assert await seal_all(sealing) == 1
            assert await partitions(database) == months(12)
    finally:
        await owner.execute("DROP OWNED BY apart, apart_worker, sealer; DROP ROLE apart, apart_worker, sealer")
        await owner.close()


async def test_the_application_has_the_workers_rights_only_as_the_worker(database: Database) -> None:
    """The grant is there to be entered, never inherited."""
    async with acting(database, APP) as connection:
        assert await connection.fetchval(f"SELECT pg_has_role('{APP_ROLE}_worker', 'SET')")
        assert not await connection.fetchval(f"SELECT pg_has_role('{APP_ROLE}_worker', 'USAGE')")
