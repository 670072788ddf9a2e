"""People who log in here: their accounts and credentials, by asyncpg alone, and the store's root key."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import attrs

from dashtam_core.identity import Credential, CredentialId, CredentialKind, EmailAddress, Role, User, UserStatus
from dashtam_core.kernel import ANONYMOUS, UserId
from dashtam_postgres._accounts import Unit

if TYPE_CHECKING:
    from dashtam_postgres._store import PostgresStore

CLEAR_PEOPLE: Final = """
WITH gone AS (
    DELETE FROM person WHERE status = 'UNVERIFIED' AND created_at < now() - interval '1 day' RETURNING user_id
), keys AS (DELETE FROM person_key WHERE user_id IN (SELECT user_id FROM gone)
), addresses AS (DELETE FROM address WHERE user_id IN (SELECT user_id FROM gone))
DELETE FROM credential WHERE user_id IN (SELECT user_id FROM gone)
"""
# What somebody is changing is left for the next time: nobody waits for this, and this for nobody.
CLEAR_CREDENTIALS: Final = """
DELETE FROM credential WHERE credential_id IN (
    SELECT credential_id FROM credential WHERE expires_at < now() - interval '1 day' FOR UPDATE SKIP LOCKED
)
"""

_ADD_USER: Final = "INSERT INTO person (user_id, email, role, status, created_at) VALUES ($1, $2, $3, $4, $5)"
_CHANGE_USER: Final = "UPDATE person SET email = $2, role = $3, status = $4 WHERE user_id = $1"
_PAGE: Final = "SELECT * FROM person WHERE user_id > $1 ORDER BY user_id LIMIT $2"
_LOOK_UP: Final = "SELECT user_id FROM address WHERE address_key = $1"
_CLAIM_ADDRESS: Final = """
INSERT INTO address (address_key, user_id) VALUES ($1, $2)
ON CONFLICT (user_id) DO UPDATE SET address_key = excluded.address_key
"""
_ADD: Final = """
INSERT INTO credential
    (credential_id, user_id, kind, secret_hash, session_id, created_at, expires_at, used_at, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_GET: Final = "SELECT * FROM credential WHERE credential_id = $1 AND user_id = $2"
_FIND: Final = "SELECT * FROM credential WHERE kind = $1 AND secret_hash = $2 AND user_id = $3"
_LIST: Final = "SELECT * FROM credential WHERE user_id = $1 AND kind = $2 ORDER BY created_at, credential_id"
_CLAIM: Final = """
UPDATE credential SET used_at = $4, data = coalesce($5, data)
WHERE kind = $1 AND secret_hash = $2 AND user_id = $3
AND used_at IS NULL AND (expires_at IS NULL OR $4 < expires_at) RETURNING *
"""
_CHANGE: Final = """
UPDATE credential SET data = $3, used_at = $4, expires_at = $5 WHERE credential_id = $1 AND user_id = $2
"""
# What belongs to a session goes with it by its foreign key.
_DROP: Final = """
WITH gone AS (DELETE FROM credential WHERE kind = ANY($1::text[]) {} RETURNING credential_id, session_id)
SELECT count(*) FROM gone WHERE session_id IS NULL OR session_id NOT IN (SELECT credential_id FROM gone)
"""
_DROP_EVERYBODYS: Final = _DROP.format("")
_DROP_MINE: Final = _DROP.format("AND user_id = $2")
_DROP_THESE: Final = _DROP.format("AND user_id = $2 AND credential_id = ANY($3::uuid[])")


@attrs.frozen
class PostgresUsers:
    unit: Unit

    async def find(self, *, alone: bool = False) -> User | None:
        if alone:
            await self.unit.stand_alone()
        row = await self.unit.raw.fetchrow("SELECT * FROM person WHERE user_id = $1", self.unit.acting)
        return row and _user(row)

    async def add(self, user: User, /) -> None:
        await self.unit.raw.execute(_ADD_USER, user.user_id, *_said(user), user.created_at)

    async def change(self, user: User, /) -> None:
        if await self.unit.raw.execute(_CHANGE_USER, user.user_id, *_said(user)) != "UPDATE 1":
            raise LookupError("an account that is changed is the acting person's")

    async def look_up(self, address_key: bytes, /) -> UserId | None:
        found: UserId | None = await self.unit.raw.fetchval(_LOOK_UP, address_key)
        return found

    async def claim(self, address_key: bytes, /) -> bool:
        await self.unit.wait_for("address", address_key.hex())
        if await self.look_up(address_key) not in {None, self.unit.acting}:
            return False
        await self.unit.raw.execute(_CLAIM_ADDRESS, address_key, self.unit.acting)
        return True

    async def page(self, *, after: UserId | None, limit: int) -> Sequence[User]:
        async with self.unit.setting("app.everybody", "on"):
            return [_user(row) for row in await self.unit.raw.fetch(_PAGE, after or ANONYMOUS.user_id, limit)]

    @asynccontextmanager
    async def acting_for(self, user_id: UserId, /) -> AsyncGenerator[None]:
        before = self.unit.acting
        try:
            async with self.unit.setting("app.subject", str(user_id), after=str(before)):
                self.unit.acting = user_id
                yield
        finally:
            self.unit.acting = before


@attrs.frozen
class PostgresCredentials:
    unit: Unit

    async def add(self, credential: Credential, /) -> None:
        await self.unit.raw.execute(_ADD, *attrs.astuple(credential, recurse=False))

    async def get(self, credential_id: CredentialId, /) -> Credential | None:
        return await self._one(_GET, credential_id, self.unit.acting)

    async def find(self, kind: CredentialKind, secret_hash: bytes, /) -> Credential | None:
        return await self._one(_FIND, kind, secret_hash, self.unit.acting)

    async def claim(
        self, kind: CredentialKind, secret_hash: bytes, at: datetime, data: str | None = None, /
    ) -> Credential | None:
        await self.unit.stand_alone()
        return await self._one(_CLAIM, kind, secret_hash, self.unit.acting, at, data)

    async def change(self, credential: Credential, /) -> None:
        await self.unit.stand_alone()
        said = credential.data, credential.used_at, credential.expires_at
        await self.unit.raw.execute(_CHANGE, credential.credential_id, self.unit.acting, *said)

    async def list(self, kind: CredentialKind, /) -> Sequence[Credential]:
        return [_credential(row) for row in await self.unit.raw.fetch(_LIST, self.unit.acting, kind)]

    async def drop(self, kinds: Collection[CredentialKind], ids: Collection[CredentialId] | None = None, /) -> int:
        await self.unit.stand_alone()
        mine = [*kinds], self.unit.acting
        if ids is None:
            return int(await self.unit.raw.fetchval(_DROP_MINE, *mine))
        return int(await self.unit.raw.fetchval(_DROP_THESE, *mine, [*ids]))

    async def drop_everybodys(self, kinds: Collection[CredentialKind], /) -> int:
        # Whoever is logging in or refreshing ends first, so that nothing is made behind its back.
        await self.unit.raw.execute("LOCK TABLE credential IN SHARE ROW EXCLUSIVE MODE")
        async with self.unit.setting("app.everybody", "on"):
            return int(await self.unit.raw.fetchval(_DROP_EVERYBODYS, [*kinds]))

    async def _one(self, query: str, *values: object) -> Credential | None:
        row = await self.unit.raw.fetchrow(query, *values)
        return row and _credential(row)


@attrs.frozen
class PostgresRootKeys:
    """In transactions of their own."""

    store: "PostgresStore"

    async def wrappings(self) -> Mapping[str, bytes]:
        async with self.store.unit_of_work(ANONYMOUS) as unit:
            return {row["key_id"]: row["wrapped"] for row in await unit.raw.fetch("SELECT * FROM root_key")}

    async def add(self, key_id: str, wrapped: bytes, /, *, beside: Collection[str]) -> bool:
        async with self.store.unit_of_work(ANONYMOUS) as unit:
            await unit.wait_for("root_key")
            kept = {row["key_id"] for row in await unit.raw.fetch("SELECT key_id FROM root_key")}
            fits = kept == set(beside) and key_id not in kept
            if fits:
                await unit.raw.execute("INSERT INTO root_key (key_id, wrapped) VALUES ($1, $2)", key_id, wrapped)
            return fits

    async def drop(self, key_id: str, /) -> None:
        async with self.store.unit_of_work(ANONYMOUS) as unit:
            await unit.wait_for("root_key")
            others = "EXISTS (SELECT FROM root_key AS other WHERE other.key_id <> $1)"
            await unit.raw.execute(f"DELETE FROM root_key WHERE key_id = $1 AND {others}", key_id)  # noqa: S608 - our own text


def _said(user: User) -> tuple[str, Role, UserStatus]:
    return user.email.text, user.role, user.status


def _user(row: asyncpg.Record) -> User:
    email, role, status = EmailAddress(row["email"]), Role(row["role"]), UserStatus(row["status"])
    return User(UserId(row["user_id"]), email, role, status, row["created_at"])


def _credential(row: asyncpg.Record) -> Credential:
    columns: dict[str, Any] = {**row, "kind": CredentialKind(row["kind"])}
    return Credential(**columns)
