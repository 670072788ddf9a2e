"""Two transactions that belong together: what a person decided about them, and the port that keeps it."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import attrs

from dashtam_core.accounts import Transaction, TransactionId


class MatchKind(StrEnum):
    """Why two transactions belong together."""

    TRANSFER = "transfer"
    """The money that left one account of a person came in on another."""
    DUPLICATE = "duplicate"
    """One movement is told twice."""


class MatchState(StrEnum):
    """What the person says of it. Only what they decided is kept; a suggestion is worked out anew."""

    SUGGESTED = "suggested"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


@attrs.frozen
class Match:
    """Two transactions that belong together, or may.

    Of a transfer, `first` is the outgoing leg and `second` the incoming one. Of a duplicate, `first` is the one
    that is kept, and `second` the other telling of it.
    """

    kind: MatchKind
    first: TransactionId
    second: TransactionId
    state: MatchState
    decided_at: datetime | None = None
    """None while it is only suggested."""

    @property
    def ids(self) -> frozenset[TransactionId]:
        """Both, in no order."""
        return frozenset((self.first, self.second))


@attrs.frozen
class MatchedPair:
    """A match with its transactions."""

    match: Match
    first: Transaction
    second: Transaction


class Matches(Protocol):
    """What a person decided about pairs. Belongs to one unit of work and sees one person's data only."""

    async def keep(self, match: Match, /) -> None:
        """Keeps the decision in place of an earlier one about the same two in this order.

        `LookupError` if one of the transactions is not the person's.
        """
        ...

    async def drop(self, kind: MatchKind, first: TransactionId, second: TransactionId, /) -> bool:
        """Forgets a decision; False if there was none."""
        ...

    async def find(self, kind: MatchKind, /) -> Sequence[Match]:
        """Every decision of this kind, by (first, second)."""
        ...
