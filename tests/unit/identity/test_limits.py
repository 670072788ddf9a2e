"""The limits on guessing: how many at once, after how long one more, and from where a try counts."""

import hmac
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from dashtam_core.identity import IdentityCode, Rate
from dashtam_core.identity._access import Ed25519AccessTokens
from dashtam_core.identity._claims import MAILS, PER_ACCOUNT, Claims, Guessing, network
from dashtam_core.kernel import Failure, Origin
from dashtam_core.memory import FixedClock, MemoryRateLimiter, MemoryStore

CLOCK = FixedClock(datetime(2026, 5, 1, tzinfo=UTC))


@pytest.fixture
def limiter() -> MemoryRateLimiter:
    return MemoryRateLimiter(CLOCK)


def guessing(limiter: MemoryRateLimiter, address: str | None) -> Guessing:
    """What counts tries from this address."""
    tokens = Ed25519AccessTokens(lambda _: bytes(32), issuer="x", audience="x")
    claims = Claims(MemoryStore().unit_of_work, b"key", tokens, CLOCK)
    return Guessing(limiter, claims, Origin(ip_address=address))


async def tried(
    limiter: MemoryRateLimiter, address: str | None, whom: str, what: str = "log-in", rate: Rate = PER_ACCOUNT
) -> float | None:
    """None for a try that is let in, or the seconds that it has to wait."""
    match await guessing(limiter, address).check(what, whom, at_account=rate):
        case Failure(refused):
            assert refused.code is IdentityCode.TOO_MANY_ATTEMPTS
            return refused.retry_after
        case _:
            return None


@pytest.mark.parametrize(
    ("burst", "seconds", "address", "whom"),
    [
        (60, 2, "192.0.2.1", "{}@example.org"),
        (10, 30, "192.0.2.1", "ann@example.org"),
        (50, 6, "192.0.2.{}", "ann@example.org"),
        (50, 6, None, "ann@example.org"),
        (240, 0.5, "2001:db8:0:{:x}::1", "{}@example.org"),
    ],
)
async def test_a_limit_is_as_documented(
    limiter: MemoryRateLimiter, burst: int, seconds: float, address: str | None, whom: str
) -> None:
    """So many at once, then one more each time that the documented seconds have passed, and no sooner."""

    async def once(number: int) -> float | None:
        return await tried(limiter, address and address.format(number), whom.format(number))

    assert [await once(number) for number in range(burst)] == [None] * burst
    told = max(1, seconds)
    assert await once(burst) == told
    CLOCK.advance(timedelta(seconds=seconds - 0.1))
    assert await once(burst + 1) == 1
    CLOCK.advance(timedelta(seconds=0.1))
    assert [await once(burst + 2), await once(burst + 3)] == [None, told]


async def test_mails_come_slowly(limiter: MemoryRateLimiter) -> None:
    """Five to one address, then one each ten minutes, from wherever they are asked for."""
    waits = [await tried(limiter, f"192.0.2.{number}", "ann@example.org", "mail", MAILS) for number in range(6)]
    assert waits == [None] * 5 + [600]


async def test_what_is_guessed_counts_apart(limiter: MemoryRateLimiter) -> None:
    """Guesses at one thing take no room from another, for the account or the address."""
    for what in ("log-in", "factor"):
        assert [await tried(limiter, "192.0.2.1", f"{n}@x.org", what) for n in range(60)] == [None] * 60
        assert await tried(limiter, "192.0.2.1", "ann@x.org", what) == 2


@pytest.mark.parametrize("spelled", ["ann@x.org", "ANN@X.ORG", "  ann@x.org\n", "\ud800"])
async def test_one_account_is_one_however_it_is_spelled(limiter: MemoryRateLimiter, spelled: str) -> None:
    """And what is kept of it tells nothing of it without the key."""
    for _ in range(10):
        assert await tried(limiter, "192.0.2.1", "ann@x.org" if "@" in spelled else spelled) is None
    assert await tried(limiter, "192.0.2.1", spelled) == 30
    assert not any("ann" in key for key in limiter.until)


def test_an_address_is_found_by_what_the_key_makes_of_it() -> None:
    """Without the key nobody tells whose it is."""
    claims = guessing(MemoryRateLimiter(CLOCK), None).claims
    keys = [claims.lookup_key("a@x.org"), claims.lookup_key("b@x.org")]
    keys += [attrs.evolve(claims, key=b"other").lookup_key("a@x.org")]
    assert {len(each) for each in keys} == {32}
    assert len({*keys, hmac.digest(b"", b"a@x.org", "sha256")}) == 4


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:1:ffff::1", "2001:db8:0:1::/64"),
        ("a socket", "a socket"),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_counts_as_its_network(address: str | None, counted: str) -> None:
    """One of IPv4, also where it is written as one of IPv6, of which 64 bits count; what is none, as it is."""
    assert network(address) == counted
