import attrs

from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind


class PortfolioCode(ErrorCode):
    MATCH_NOT_FOUND = "match_not_found", ErrorKind.NOT_FOUND
    MATCH_IMPOSSIBLE = "match_impossible", ErrorKind.INVALID
    MATCH_DAYS_INVALID = "match_days_invalid", ErrorKind.INVALID
    LEG_TAKEN = "leg_taken", ErrorKind.CONFLICT


@attrs.frozen
class PortfolioRefused(DomainError[PortfolioCode]):
    """A question or a decision about several accounts that makes no sense as it is."""
