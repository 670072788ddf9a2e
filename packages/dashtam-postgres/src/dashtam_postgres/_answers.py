from typing import Final

import attrs

from dashtam_core.messaging import KEPT_FOR, KeptAnswer, KeyState
from dashtam_postgres._accounts import Unit

_FIND: Final = """
SELECT fingerprint, answer, created_at < now() - $4::interval AS expired FROM idempotency
WHERE user_id = $1 AND command = $2 AND key = $3
"""


@attrs.frozen
class PostgresAnswers:
    unit: Unit

    async def claim(self, command: str, key: str, /) -> KeptAnswer | KeyState:
        if not await self.unit.lock("key", self.unit.user_id, command, key):
            return KeyState.HELD
        found = await self.unit.raw.fetchrow(_FIND, self.unit.user_id, command, key, KEPT_FOR)
        if found is None:
            return KeyState.FREE
        if not found["expired"]:
            return KeptAnswer(found["fingerprint"], found["answer"])
        forget = "DELETE FROM idempotency WHERE user_id = $1 AND command = $2 AND key = $3"
        await self.unit.raw.execute(forget, self.unit.user_id, command, key)
        return KeyState.FREE

    async def keep(self, command: str, key: str, kept: KeptAnswer, /) -> None:
        await self.unit.raw.execute(
            "INSERT INTO idempotency (user_id, command, key, fingerprint, answer) VALUES ($1, $2, $3, $4, $5)",
            self.unit.user_id,
            command,
            key,
            kept.fingerprint,
            kept.answer,
        )
