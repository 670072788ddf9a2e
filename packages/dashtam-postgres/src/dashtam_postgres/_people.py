"""A person as a whole: the key that opens what the audit trail says of them, and their erasure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
import attrs

from dashtam_core.audit import PersonKey
from dashtam_core.identity import CredentialKind
from dashtam_postgres._accounts import Unit
from dashtam_postgres._identity import PostgresCredentials

_KINDS: Final = {
    "match": None,
    "annotation": None,
    "transaction": "transactions",
    "balance": "balances",
    "holding": None,
    "import_document": "documents",
    "account": "accounts",
    "credential": None,
    "address": None,
    "person": None,
    "idempotency": None,
    "person_key": None,
    "outbox": None,
}
"""What a person has, children first, and what it is called where it is counted."""
_UNTOLD: Final = {"data", "secret_hash", "wrapped"}
"""The columns that nobody is told, of credentials and keys: no other table has them."""


@attrs.frozen
class PostgresPersonKeys:
    unit: Unit

    async def current(self) -> PersonKey | None:
        return _key(await self.unit.raw.fetchrow("SELECT * FROM person_key WHERE user_id = $1", self.unit.user_id))

    async def add(self, key: PersonKey, /) -> PersonKey:
        await self.unit.raw.execute(
            "INSERT INTO person_key (key_id, user_id, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            key.key_id,
            self.unit.user_id,
            key.wrapped,
        )
        current = await self.current()
        assert current is not None, "whoever came first has committed, and a key is never replaced"
        return current

    async def find(self, key_id: UUID, /) -> PersonKey | None:
        query = "SELECT * FROM person_key WHERE user_id = $1 AND key_id = $2"
        return _key(await self.unit.raw.fetchrow(query, self.unit.user_id, key_id))


@attrs.frozen
class PostgresPeople:
    unit: Unit

    async def erase(self) -> Mapping[str, int]:
        erased = {"tokens": await PostgresCredentials(self.unit).drop([CredentialKind.API_TOKEN])}
        await self.unit.wait_for("ingestion", self.unit.user_id)  # an import under way would hang rows on it
        for table, kind in _KINDS.items():
            done = await self.unit.raw.execute(f'DELETE FROM "{table}" WHERE user_id = $1', self.unit.user_id)  # noqa: S608 - our own names
            if kind is not None:
                erased[kind] = int(done.removeprefix("DELETE "))
        return erased

    async def export(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        told: dict[str, Sequence[Mapping[str, Any]]] = {}
        for table in (*_KINDS, "audit_entry"):
            rows = await self.unit.raw.fetch(f'SELECT * FROM "{table}" WHERE user_id = $1', self.unit.user_id)  # noqa: S608 - our own names
            told[table] = [{name: said for name, said in row.items() if name not in _UNTOLD} for row in rows]
        return told


def _key(row: asyncpg.Record | None) -> PersonKey | None:
    return None if row is None else PersonKey(row["key_id"], row["wrapped"])
