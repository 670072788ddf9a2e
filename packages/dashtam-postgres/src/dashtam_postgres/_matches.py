"""What a person decided about pairs of transactions."""

from collections.abc import Sequence
from typing import Final

import attrs

from dashtam_core.accounts import TransactionId
from dashtam_core.portfolio import Match, MatchKind, MatchState
from dashtam_postgres._accounts import Unit
from dashtam_postgres._transactions import require_rows

_KEEP: Final = """
INSERT INTO match (user_id, kind, first_id, second_id, state, decided_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (user_id, kind, first_id, second_id)
DO UPDATE SET state = excluded.state, decided_at = excluded.decided_at
"""
_DROP: Final = "DELETE FROM match WHERE user_id = $1 AND kind = $2 AND first_id = $3 AND second_id = $4"
_FIND: Final = "SELECT * FROM match WHERE user_id = $1 AND kind = $2 ORDER BY first_id, second_id"


@attrs.frozen
class PostgresMatches:
    unit: Unit

    async def keep(self, match: Match, /) -> None:
        await require_rows(self.unit.raw, self.unit.user_id, [match.first, match.second])
        said = (match.kind.value, match.first, match.second, match.state.value, match.decided_at)
        await self.unit.raw.execute(_KEEP, self.unit.user_id, *said)

    async def drop(self, kind: MatchKind, first: TransactionId, second: TransactionId, /) -> bool:
        done = await self.unit.raw.execute(_DROP, self.unit.user_id, kind.value, first, second)
        return done == "DELETE 1"

    async def find(self, kind: MatchKind, /) -> Sequence[Match]:
        found = await self.unit.raw.fetch(_FIND, self.unit.user_id, kind.value)
        return [
            Match(
                kind=kind,
                first=row["first_id"],
                second=row["second_id"],
                state=MatchState(row["state"]),
                decided_at=row["decided_at"],
            )
            for row in found
        ]
