"""What people decided about pairs of transactions, in memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from dashtam_core.accounts import TransactionFilter, TransactionId
from dashtam_core.portfolio import Match, MatchKind

if TYPE_CHECKING:
    from dashtam_core.memory._store import MemoryUnit


@attrs.frozen
class MemoryMatches:
    unit: "MemoryUnit"

    async def keep(self, match: Match, /) -> None:
        ids = {match.first, match.second}
        found = await self.unit.transactions.find(TransactionFilter(transaction_ids=ids, hidden=True))
        if len(found) != len(ids):
            raise LookupError("a match is of two transactions of the same person")
        await self.drop(match.kind, match.first, match.second)
        self.unit.put(self.unit.person.matches, (match.kind, match.first, match.second), match)

    async def drop(self, kind: MatchKind, first: TransactionId, second: TransactionId, /) -> bool:
        known = (kind, first, second) in self.unit.person.matches
        if known:
            self.unit.drop(self.unit.person.matches, (kind, first, second))
        return known

    async def find(self, kind: MatchKind, /) -> Sequence[Match]:
        return [match for key, match in sorted(self.unit.person.matches.items()) if key[0] is kind]
