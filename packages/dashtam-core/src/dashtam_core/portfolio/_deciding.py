"""What the person decides about two transactions."""

from collections.abc import Sequence
from typing import ClassVar, Final

import attrs

from dashtam_core.accounts import Accounts, Transaction, TransactionFilter, TransactionId, Transactions
from dashtam_core.identity import ACCOUNTS_WRITE
from dashtam_core.kernel import Clock, Failure, Permission, Result, Success
from dashtam_core.messaging import Command, Notes
from dashtam_core.portfolio._errors import PortfolioCode, PortfolioRefused
from dashtam_core.portfolio._matches import Match, Matches, MatchKind, MatchState

_DECIDED: Final = (MatchState.CONFIRMED, MatchState.REJECTED)
_NOT_YOURS: Final = PortfolioRefused(
    PortfolioCode.MATCH_NOT_FOUND, "you have no two transactions with these ids: list your transactions for theirs"
)
_UNDECIDED: Final = PortfolioRefused(
    PortfolioCode.MATCH_NOT_FOUND, "nothing is decided about these two in this order: list what is"
)


@attrs.frozen(kw_only=True)
class _OfTwo:
    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "match"
    resource_field: ClassVar[str] = "first"
    kind: MatchKind
    first: TransactionId
    second: TransactionId


@attrs.frozen(kw_only=True)
class DecideMatch(_OfTwo, Command[Match, PortfolioRefused]):
    """Say whether two of your transactions belong together, in place of what you said before in either order.

    They need not be suggested. The first of a transfer is the outgoing leg; the second of a confirmed duplicate is
    hidden for as long as that holds.
    """

    state: MatchState = attrs.field(validator=attrs.validators.in_(_DECIDED))


@attrs.frozen(kw_only=True)
class ForgetDecision(_OfTwo, Command[None, PortfolioRefused]):
    """Take a decision back: a hidden duplicate is shown again, and the two may be suggested again."""


@attrs.frozen
class _Deciding:
    accounts: Accounts
    transactions: Transactions
    matches: Matches
    notes: Notes

    async def rows(self, *ids: TransactionId) -> dict[TransactionId, Transaction]:
        found = await self.transactions.find(TransactionFilter(transaction_ids=ids, hidden=True))
        return {row.transaction_id: row for row in found}

    async def held(self, *ids: TransactionId) -> int:
        """How many of these rows there are; until this unit ends, nobody else changes or decides about them."""
        rows = await self.rows(*ids)
        for account_id in sorted({row.account_id for row in rows.values()}):
            overview = await self.accounts.find_account(account_id)
            assert overview is not None, "a row belongs to an account"
            await self.accounts.add_accounts([overview.account])
        return len(rows)

    async def undo(self, match: Match) -> None:
        await self.matches.drop(match.kind, match.first, match.second)
        if match.kind is MatchKind.DUPLICATE and match.state is MatchState.CONFIRMED:
            row = (await self.rows(match.second))[match.second]
            if row.superseded_by == match.first:
                await self.transactions.change([attrs.evolve(row, superseded_by=None)])

    def note(self, match: Match, **said: str) -> None:
        self.notes.about(match.first, kind=match.kind.value, second=str(match.second), **said)


@attrs.frozen
class DecideMatchHandler(_Deciding):
    clock: Clock

    async def apply(self, command: DecideMatch, /) -> Result[Match, PortfolioRefused]:
        match = Match(command.kind, command.first, command.second, command.state, self.clock.now())
        if await self.held(match.first, match.second) != len(match.ids):
            return Failure(_NOT_YOURS)
        decided = await self.matches.find(match.kind)
        for each in decided:
            if each.ids == match.ids:
                await self.undo(each)
        rows = await self.rows(*match.ids)
        problem = _why_not(match, rows[match.first], rows[match.second]) or _taken(match, decided)
        if problem is not None:
            return Failure(problem)
        if match.kind is MatchKind.DUPLICATE and match.state is MatchState.CONFIRMED:
            await self.transactions.change([attrs.evolve(rows[match.second], superseded_by=match.first)])
        await self.matches.keep(match)
        self.note(match, state=match.state.value)
        return Success(match)


@attrs.frozen
class ForgetDecisionHandler(_Deciding):
    async def apply(self, command: ForgetDecision, /) -> Result[None, PortfolioRefused]:
        await self.held(command.first, command.second)
        for match in await self.matches.find(command.kind):
            if (match.first, match.second) == (command.first, command.second):
                await self.undo(match)
                self.note(match)
                return Success(None)
        return Failure(_UNDECIDED)


def _why_not(match: Match, first: Transaction, second: Transaction) -> PortfolioRefused | None:
    """What keeps the person from confirming it; to reject it, two transactions are enough."""
    transfer = match.kind is MatchKind.TRANSFER
    why: str | None = None
    if first == second:
        why = "a transaction belongs to itself: name two"
    elif match.state is MatchState.REJECTED:
        pass
    elif first.is_hidden or second.is_hidden:
        why = "one of them counts no more: decide about the one that stands for it"
    elif transfer and first.account_id == second.account_id:
        why = "both are in one account: a transfer goes from one to another"
    elif transfer and not first.amount.amount < 0 < second.amount.amount:
        why = "the first is what left one account, the second what came to another: name them in that order"
    elif not transfer and first.amount.currency != second.amount.currency:
        why = "they are in two currencies, so they are no duplicates: name two others"
    return None if why is None else PortfolioRefused(PortfolioCode.MATCH_IMPOSSIBLE, why)


def _taken(match: Match, decided: Sequence[Match]) -> PortfolioRefused | None:
    """Whether a leg is in another confirmed transfer."""
    confirmed = [each for each in decided if each.state is MatchState.CONFIRMED and each.ids != match.ids]
    taken = {id_ for each in confirmed for id_ in each.ids & match.ids}
    if not taken or match.kind is MatchKind.DUPLICATE or match.state is MatchState.REJECTED:
        return None
    why = f"{min(taken)} is in another confirmed transfer: forget that one first"
    return PortfolioRefused(PortfolioCode.LEG_TAKEN, why)


ROUTES: Final = (DecideMatch.handled_by(DecideMatchHandler), ForgetDecision.handled_by(ForgetDecisionHandler))
