"""What one person's accounts are together: transfers between them, and movements that are told twice."""

from dashtam_core.portfolio._deciding import ROUTES as _DECIDING_ROUTES
from dashtam_core.portfolio._deciding import DecideMatch, ForgetDecision
from dashtam_core.portfolio._errors import PortfolioCode, PortfolioRefused
from dashtam_core.portfolio._listing import ROUTES as _LISTING_ROUTES
from dashtam_core.portfolio._listing import ListMatches, MatchView, match_view
from dashtam_core.portfolio._matches import Match, MatchedPair, Matches, MatchKind, MatchState
from dashtam_core.portfolio._pairing import duplicates, transfers

ROUTES = (*_LISTING_ROUTES, *_DECIDING_ROUTES)

# fmt: off
__all__ = [
    "ROUTES", "DecideMatch", "ForgetDecision", "ListMatches", "Match", "MatchKind", "MatchState", "MatchView",
    "MatchedPair", "Matches", "PortfolioCode", "PortfolioRefused", "duplicates", "match_view", "transfers",
]
# fmt: on
