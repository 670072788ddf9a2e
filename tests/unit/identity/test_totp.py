"""Codes of authenticator apps, each good once, and recovery codes."""

from base64 import b32decode
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from dashtam_core.identity._totp import (
    matching_step,
    new_recovery_codes,
    new_secret,
    normalized_code,
    provisioning_uri,
)

SECRET = b"12345678901234567890"
COLLISION = (910_737, "911617")


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"), (1_111_111_109, "07081804"), (1_111_111_111, "14050471"), (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"), (20_000_000_000, "65353130"),
    ],
)  # fmt: skip # the vectors of RFC 6238, appendix B
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    """Its vectors for SHA-1, of whose eight digits apps show the last six."""
    assert matching_step(SECRET, code[2:], at(seconds), None) == seconds // 30
    assert matching_step(SECRET, code, at(seconds), None) is None
    assert matching_step(SECRET[:-1], code[2:], at(seconds), None) is None


@pytest.mark.parametrize(("off", "found"), [(-31, None), (-30, 1), (0, 1), (29, 1), (59, 1), (60, None)])
def test_a_clock_may_be_one_step_off(off: int, found: int | None) -> None:
    """Before or after."""
    assert matching_step(SECRET, "287082", at(30 + off), None) == found


def test_no_code_is_good_twice() -> None:
    """Nor one that is older than the last."""
    assert [matching_step(SECRET, "287082", at(59), after) for after in (None, 0, 1, 2)] == [1, 1, None, None]


def test_two_steps_with_one_code_are_spent_together() -> None:
    """Where the next step happens to have the same code, the later one is answered."""
    first, code = COLLISION
    assert [matching_step(SECRET, code, at(30 * (first + late)), None) for late in (0, 1)] == [first + 1] * 2
    assert matching_step(SECRET, code, at(30 * first), first + 1) is None


@pytest.mark.parametrize(
    "code", ["", "28708", "2870820", "\uff12\uff18\uff17\uff10\uff18\uff12", "287o8x", "\ud800", "\u0662" * 6]
)
def test_what_is_no_code_matches_nothing(code: str) -> None:
    """And raises nothing."""
    assert matching_step(SECRET, code, at(59), None) is None


def test_a_code_may_be_written_in_groups() -> None:
    """As apps show it."""
    assert [matching_step(SECRET, code, at(59), None) for code in ("287 082", " 287-082 ")] == [1, 1]


def test_apps_can_read_the_uri() -> None:
    """It has the secret in base 32, and names nobody else whatever the names hold."""
    secret = new_secret()
    parts = urlsplit(provisioning_uri(secret, "ann+b&c@example.org", "Dash tam?"))
    query = parse_qs(parts.query, strict_parsing=True)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("otpauth", "totp", "")
    assert unquote(parts.path) == "/Dash tam?:ann+b&c@example.org"
    assert {**query, "secret": b32decode(query["secret"][0])} == {"secret": secret, "issuer": ["Dash tam?"]}
    assert "=" not in query["secret"][0]


def test_secrets_are_new_and_long() -> None:
    """160 bits, as RFC 4226 recommends."""
    assert len({new_secret() for _ in range(50)}) == 50
    assert len(new_secret()) == 20


def test_recovery_codes_are_read_as_people_write_them() -> None:
    """Ten of 140 bits; case, groups, and letters taken for digits do not count."""
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    many = "".join(code for _ in range(20) for code in new_recovery_codes())
    assert set(many) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ-")
    assert {tuple(map(len, code.split("-"))) for code in codes} == {(4,) * 7}
    assert normalized_code("oil0-abcd 1 2--z") == "0110ABCD12Z"
    assert {normalized_code(code.lower()) == code.replace("-", "") for code in codes} == {True}
