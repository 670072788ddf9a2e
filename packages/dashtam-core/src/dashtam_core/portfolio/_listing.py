"""What is suggested to the person, and what they decided."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import ClassVar, Final, TypedDict

import attrs

from dashtam_core import accounts as model
from dashtam_core.identity import ACCOUNTS_READ
from dashtam_core.kernel import DateRange, Failure, Permission, Result, Success
from dashtam_core.messaging import Query
from dashtam_core.portfolio._errors import PortfolioCode, PortfolioRefused
from dashtam_core.portfolio._matches import Match, MatchedPair, Matches, MatchKind, MatchState
from dashtam_core.portfolio._pairing import PENDING_DAYS, duplicates, transfers

_DAYS: Final = 90
_MAX_DAYS: Final = 366
_MAX_ROWS: Final = 50_000


class MatchView(TypedDict):
    """A pair as it is shown, over HTTP and on the command line alike."""

    kind: str
    state: str
    decided_at: str | None
    first: model.TransactionView
    second: model.TransactionView


def match_view(pair: MatchedPair, /) -> MatchView:
    """The JSON of a pair."""
    match = pair.match
    return {
        "kind": match.kind.value,
        "state": match.state.value,
        "decided_at": None if match.decided_at is None else match.decided_at.isoformat(),
        "first": model.transaction_view(pair.first),
        "second": model.transaction_view(pair.second),
    }


@attrs.frozen(kw_only=True)
class ListMatches(Query[Sequence[MatchedPair], PortfolioRefused]):
    """Pairs of transactions, one of them at least in these days, the latest first.

    Without days, the 90 up to the newest transaction; at most 366. Only posted transactions are suggested, but for
    a pending one as the duplicate of what it became, and no pair again that was decided on.
    """

    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "match"
    cached: ClassVar[bool] = True
    kind: MatchKind
    state: MatchState = MatchState.SUGGESTED
    from_date: date | None = None
    to_date: date | None = None


@attrs.frozen
class ListMatchesHandler:
    accounts: model.Accounts
    transactions: model.Transactions
    matches: Matches

    async def apply(self, query: ListMatches, /) -> Result[Sequence[MatchedPair], PortfolioRefused]:
        days = await self._days(query)
        if isinstance(days, Failure):
            return days
        decided = await self.matches.find(query.kind)
        find = self._suggested if query.state is MatchState.SUGGESTED else self._decided
        found = await find(query, days.unwrap(), decided)
        if isinstance(found, Failure):
            return found
        inside = [each for each in found.unwrap() if any(day in days.unwrap() for day in _days_of(each))]
        return Success(sorted(inside, key=lambda each: (max(_days_of(each)), each.match.first), reverse=True))

    async def _days(self, query: ListMatches) -> Result[DateRange, PortfolioRefused]:
        first, last = query.from_date, query.to_date
        if last is None:
            newest = await self.transactions.find(model.TransactionFilter(), limit=1)
            last = max((row.posted_date for row in newest), default=first or date.min)
            last = max(last, first or last)
        first = first or _moved(last, 1 - _DAYS)
        if last < first or (last - first).days >= _MAX_DAYS:
            return _refused(f"{first} to {last} is not 1 to {_MAX_DAYS} days: give both, the earlier first")
        return Success(DateRange(first, last))

    async def _decided(
        self, query: ListMatches, _: DateRange, decided: Sequence[Match]
    ) -> Result[list[MatchedPair], PortfolioRefused]:
        wanted = [each for each in decided if each.state is query.state]
        ids = {id_ for each in wanted for id_ in each.ids}
        found = await self.transactions.find(model.TransactionFilter(transaction_ids=ids, hidden=True))
        rows = {row.transaction_id: row for row in found}
        return Success([MatchedPair(each, rows[each.first], rows[each.second]) for each in wanted])

    async def _suggested(
        self, query: ListMatches, days: DateRange, decided: Sequence[Match]
    ) -> Result[list[MatchedPair], PortfolioRefused]:
        """Looks a little beyond the days: what lies across their ends would be paired with something else."""
        first, last = _moved(days.start, -PENDING_DAYS), _moved(days.end, PENDING_DAYS)
        rows = await self.transactions.find(
            model.TransactionFilter(from_date=first, to_date=last), limit=_MAX_ROWS + 1
        )
        if len(rows) > _MAX_ROWS:
            return _refused(f"there are more than {_MAX_ROWS:,} transactions in {days.days} days: give fewer days")
        kind, state = query.kind, MatchState.SUGGESTED
        suggest = transfers if kind is MatchKind.TRANSFER else duplicates
        pairs = await asyncio.to_thread(suggest, rows, await self._every_account(), decided)
        found = [MatchedPair(Match(kind, a.transaction_id, b.transaction_id, state), a, b) for a, b in pairs]
        return Success(found)

    async def _every_account(self) -> dict[model.AccountId, model.Account]:
        known: dict[model.AccountId, model.Account] = {}
        while page := await self.accounts.list_accounts(after=max(known, default=None), limit=model.MAX_LIMIT):
            known |= {each.account.account_id: each.account for each in page}
        return known


def _days_of(pair: MatchedPair) -> tuple[date, date]:
    return pair.first.posted_date, pair.second.posted_date


def _moved(day: date, days: int) -> date:
    """So many days later or earlier, within the calendar."""
    return date.fromordinal(min(max(day.toordinal() + days, date.min.toordinal()), date.max.toordinal()))


def _refused(message: str) -> Failure[PortfolioRefused]:
    return Failure(PortfolioRefused(PortfolioCode.MATCH_DAYS_INVALID, message))


ROUTES: Final = (ListMatches.handled_by(ListMatchesHandler),)
