"""A person as a whole: the key that opens what the audit trail says of them, and their erasure."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

import asyncpg
import attrs

from dashtam_core.audit import PersonKey
from dashtam_postgres._accounts import Unit

_KINDS: Final = {
    "match": None,
    "annotation": None,
    "transaction": "transactions",
    "balance": "balances",
    "holding": None,
    "import_document": "documents",
    "account": "accounts",
    "api_token": "tokens",
    "idempotency": None,
    "person_key": None,
    "outbox": None,
}
"""What a person has, children first, and what it is called where it is counted."""


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
        erased: dict[str, int] = {}
        await self.unit.wait_for("ingestion", self.unit.user_id)  # an import under way would hang rows on it
        for table, kind in _KINDS.items():
            done = await self.unit.raw.execute(f'DELETE FROM "{table}" WHERE user_id = $1', self.unit.user_id)  # noqa: S608 - our own names
            if kind is not None:
                erased[kind] = int(done.removeprefix("DELETE "))
        return erased


def _key(row: asyncpg.Record | None) -> PersonKey | None:
    return None if row is None else PersonKey(row["key_id"], row["wrapped"])
