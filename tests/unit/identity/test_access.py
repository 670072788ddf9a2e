"""Access tokens: what we issue is read, and nothing else is."""

import hashlib
import hmac
import json
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.audit import CryptographyMissingError
from dashtam_core.identity import MasterKey
from dashtam_core.identity._access import ACCESS_SECONDS, AccessClaims, Ed25519AccessTokens
from dashtam_core.kernel import UserId

DERIVE = MasterKey(b"k" * 32).derive
TOKENS = Ed25519AccessTokens(DERIVE, "https://dashtam.example", "dashtam")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
LENGTH = 30 * 86_400
PERIOD = SECONDS // LENGTH
TURN = datetime.fromtimestamp((PERIOD + 1) * LENGTH, UTC)
USER, SESSION = UserId(UUID(int=7)), UUID("0b1c2d3e-4f50-4162-8374-95a6b7c8d9ea")
GOOD = TOKENS.issue(USER, SESSION, NOW)
ORDER = 2**252 + 27742317777372353535851937790883648493


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def plain(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def key_of(period: int, derive: Any = DERIVE) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derive(f"access-token/{period}"))


def compact(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


KEY = key_of(PERIOD)
HEAD, BODY, SIGNATURE = GOOD.split(".")
HEADER, CLAIMS = json.loads(plain(HEAD)), json.loads(plain(BODY))


def made(header: Any = HEADER, claims: Any = CLAIMS, key: Ed25519PrivateKey = KEY, last: str = "") -> str:
    """A token that is signed well, whatever it says; `last` replaces the last character of the payload."""
    head = b64(
        header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    )
    body = b64(compact(claims))
    said = f"{head}.{body[: len(body) - len(last)]}{last}"
    return f"{said}.{b64(key.sign(said.encode()))}"


def without(name: str, whole: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in whole.items() if key != name}


def beside(character: str) -> str:
    """The base64 character whose lowest bit is the other one."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return alphabet[alphabet.index(character) ^ 1]


def forged_algorithms() -> Iterator[tuple[str, str]]:
    for alg in ("none", "None", "NONE", "nOnE", "", None):
        head = b64(compact(HEADER | {"alg": alg}))
        yield f"alg {alg!r}, no signature", f"{head}.{BODY}."
        yield f"alg {alg!r}, our signature", f"{head}.{BODY}.{SIGNATURE}"
    public = KEY.public_key()
    raw = public.public_bytes_raw()
    secrets = {
        "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "raw": raw,
        "JWK": compact({"crv": "Ed25519", "kty": "OKP", "x": b64(raw)}),
        "hex": raw.hex().encode(),
    }
    for bits in (256, 384, 512):
        for form, secret in secrets.items():
            said = f"{b64(compact(HEADER | {'alg': f'HS{bits}'}))}.{BODY}"
            yield (
                f"HS{bits} with the key as {form}",
                f"{said}.{b64(hmac.digest(secret, said.encode(), f'sha{bits}'))}",
            )
    said = f"{HEAD}.{BODY}"
    yield "our header over an HMAC", f"{said}.{b64(hmac.digest(raw, said.encode(), 'sha512'))}"
    for other in ("RS256", "PS256", "ES256", "ES256K", "eddsa", "Ed25519", "EdDSA ", ["EdDSA"]):
        yield f"alg {other!r}", made(HEADER | {"alg": other})
    yield "no alg", made(without("alg", HEADER))


def forged_headers() -> Iterator[tuple[str, str]]:
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(other.public_key().public_bytes_raw())}
    previous, following = (TOKENS._key((PERIOD + each) * LENGTH).header for each in (-1, 1))
    kids = ("../../../dev/null", "' OR 1=1 --", "", None, 0, [HEADER["kid"]], "unknown", HEADER["kid"] + "\x00")
    for kid in kids:
        yield f"kid {kid!r}", made(HEADER | {"kid": kid})
    yield "no kid", made(without("kid", HEADER))
    yield "kid of the next period", made(plain(following))
    yield "kid and key of the next period", made(plain(following), key=key_of(PERIOD + 1))
    yield "kid of the period before", made(plain(previous))
    yield "kid and key of the period before", made(plain(previous), key=key_of(PERIOD - 1))
    yield "key of the period before", made(key=key_of(PERIOD - 1))
    older = plain(TOKENS._key((PERIOD - 2) * LENGTH).header)
    yield "key of the one before that", made(older, key=key_of(PERIOD - 2))
    extra: dict[str, Any] = {
        "jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5", "x5c": ["MIIB"], "x5t": "AA",
        "jwk": jwk, "crit": ["exp"], "b64": False, "zip": "DEF", "cty": "JWT", "nonce": "1", "enc": "A256GCM",
        "alg ": "none",
    }  # fmt: skip # a list of members
    for name, value in extra.items():
        yield f"header with {name}", made(HEADER | {name: value})
    yield "embedded key of their own", made(HEADER | {"jwk": jwk}, key=other)
    yield "our header, their key", made(key=other)
    for typ in ("JWT", "AT+JWT", "application/at+jwt", "", None):
        yield f"typ {typ!r}", made(HEADER | {"typ": typ})
    yield "no typ", made(without("typ", HEADER))
    text = plain(HEAD)
    raw = {
        "alg twice": text.replace(b'{"alg"', b'{"alg":"none","alg"'), "typ twice": text[:-1] + b',"typ":"at+jwt"}',
        "not JSON": b"EdDSA", "an array": b"[" + text + b"]", "a space": text.replace(b",", b", "), "empty": b"",
        "not UTF-8": b"\xff" + text, "a BOM": b"\xef\xbb\xbf" + text, "NUL": text + b"\x00",
        "escaped": text.replace(b"EdDSA", b"\\u0045dDSA"),
    }  # fmt: skip # a list of texts
    for name, header in raw.items():
        yield f"header: {name}", made(header)


def forged_claims() -> Iterator[tuple[str, str]]:
    huge, nan, infinity = 10**400, float("nan"), float("inf")
    wrong: dict[str, list[Any]] = {
        "iss": ["https://evil.example", "", None, ["https://dashtam.example"], "https://dashtam.example/"],
        "aud": ["other", "", None, ["dashtam"], ["other", "dashtam"], {"dashtam": 1}],
        "sub": ["ann", "", None, 7, [str(USER)], str(USER).replace("-", ""), f"{{{USER}}}", f"urn:uuid:{USER}"],
        "sid": ["", None, 7, [str(SESSION)], str(SESSION).upper(), f"{SESSION} ", "\u0660" * 32],
        "exp": [SECONDS, SECONDS + 601, str(SECONDS + 600), nan, infinity, huge, True, None, SECONDS + 600.0],
        "nbf": [SECONDS + 60, SECONDS - 1, str(SECONDS), None, False, -huge],
        "iat": [SECONDS + 60, SECONDS - 601, str(SECONDS), "\u0661", nan, infinity, huge, True, None, 0.5],
        "jti": [None, 7, ["x"], {}, True],
    }  # fmt: skip # a list of values
    for name, values in wrong.items():
        for value in values:
            yield f"{name} {str(value)[:40]!r} of {type(value).__name__}", made(claims=CLAIMS | {name: value})
        yield f"no {name}", made(claims=without(name, CLAIMS))
    for shift, name in ((6, "six seconds ahead"), (-600, "ten minutes old"), (-LENGTH, "a period old")):
        times = {each: CLAIMS[each] + shift for each in ("iat", "nbf", "exp")}
        yield f"all times {name}", made(claims=CLAIMS | times)
    yield "iat true throughout", made(claims=CLAIMS | {"iat": True, "nbf": True, "exp": 601})
    yield "iat 0.5 throughout", made(claims=CLAIMS | {each: CLAIMS[each] + 0.5 for each in ("iat", "nbf", "exp")})
    yield "one more claim", made(claims=CLAIMS | {"scope": "admin"})
    yield "claims in another order", made(claims=dict(reversed(CLAIMS.items())))
    text = plain(BODY)
    raw = {
        "sub twice": text[:-1] + f',"sub":"{UUID(int=1)}"}}'.encode(),
        "the right sub last": text.replace(b'"sub"', b'"sub":"x","sub"'),
        "exp twice": text[:-1] + b',"exp":99999999999}', "not JSON": b"claims", "an array": b"[" + text + b"]",
        "a string": b'"x"', "empty": b"", "null": b"null", "a space": text.replace(b",", b", "),
        "newline": text + b"\n", "NUL": text + b"\x00", "not UTF-8": text.replace(b"dashtam", b"dasht\xffm"),
        "UTF-16": text.decode().encode("utf-16"), "nested": b"[" * 1_300, "a comment": text + b"//",
        "1e400": text.replace(f'"iat":{SECONDS}'.encode(), b'"iat":1e400'),
        "leading zero": text.replace(b'"iat":', b'"iat":0'),
    }  # fmt: skip # a list of texts
    for name, claims in raw.items():
        yield f"claims: {name}", made(claims=claims)
    yield "longer than any of ours", made(claims=CLAIMS | {"jti": "x" * 2_000})


def forged_forms() -> Iterator[tuple[str, str]]:
    for name, part in (("header", HEAD), ("claims", BODY), ("signature", SIGNATURE)):
        yield f"{name} cut by one", GOOD.replace(part, part[:-1])
        yield f"{name} cut by four", GOOD.replace(part, part[:-4])
        yield f"{name} padded", GOOD.replace(part, part + "=" * (-len(part) % 4 or 4))
        yield f"no {name}", GOOD.replace(part, "")
    padded = next(claims for size in range(3) if len(compact(claims := CLAIMS | {"jti": "x" * size})) % 3)
    yield "last bits of the claims", made(claims=padded, last=beside(b64(compact(padded))[-1]))
    yield "last bits of the signature", GOOD[:-1] + beside(GOOD[-1])
    rest = plain(SIGNATURE)
    more = int.from_bytes(rest[32:], "little") + ORDER
    yield "S + L", f"{HEAD}.{BODY}.{b64(rest[:32] + more.to_bytes(32, 'little'))}"
    yield "signature of zeros", f"{HEAD}.{BODY}.{b64(bytes(64))}"
    yield "neutral element", f"{HEAD}.{BODY}.{b64(bytes([1]) + bytes(63))}"
    yield "halves swapped", f"{HEAD}.{BODY}.{b64(rest[32:] + rest[:32])}"
    yield "signature of another", f"{HEAD}.{BODY}.{made(claims=CLAIMS | {'jti': 'y'}).rpartition('.')[2]}"
    yield "signature over the claims alone", f"{HEAD}.{BODY}.{b64(KEY.sign(BODY.encode()))}"
    yield "hash signed", f"{HEAD}.{BODY}.{b64(KEY.sign(hashlib.sha512(f'{HEAD}.{BODY}'.encode()).digest()))}"
    changes = {
        "a dot after": "{}.", "a dot before": ".{}", "two tokens": "{0}.{0}", "JWE": "{}.AAAA.AAAA",
        "newline": "{}\n", "space": " {}", "tab": "{}\t", "NUL": "{}\x00", "scheme": "Bearer {}", "quotes": '"{}"',
        "surrogate": "{}\ud800", "wide digit": "{}\uff11", "comma": "{0},{0}",
    }  # fmt: skip # a list of forms
    for name, change in changes.items():
        yield f"form: {name}", change.format(GOOD)
    yield "wide digits for digits", GOOD.translate({ord("0") + each: 0xFF10 + each for each in range(10)})
    yield "JSON serialization", json.dumps({"protected": HEAD, "payload": BODY, "signature": SIGNATURE})
    for text in ("", ".", "..", "...", "a.b.c", HEAD, f"{HEAD}.{BODY}", f"{BODY}.{HEAD}.{SIGNATURE}"):
        yield f"only {text[:5]!r} and {text.count('.')} dots", text
    derive, names = MasterKey(b"o" * 32).derive, ("https://dashtam.example", "dashtam")
    yield "another deployment's", Ed25519AccessTokens(derive, *names).issue(USER, SESSION, NOW)
    yield "our header, another deployment's key", made(key=key_of(PERIOD, derive))
    yield "another service's", Ed25519AccessTokens(DERIVE, TOKENS.issuer, "reports").issue(USER, SESSION, NOW)
    yield "another issuer's", Ed25519AccessTokens(DERIVE, "https://x.example", "dashtam").issue(USER, SESSION, NOW)


def test_no_forgery_is_read() -> None:
    """Each of these differs from a good token in one way, and none is taken."""
    makers = (forged_algorithms, forged_headers, forged_claims, forged_forms)
    forgeries = [forgery for maker in makers for forgery in maker()]
    assert len({name for name, _ in forgeries}) == len(forgeries) >= 70
    assert len({token for _, token in forgeries} - {GOOD}) == len(forgeries)
    print(f"\n{len(forgeries)} forgeries")  # noqa: T201 - asked for with -s
    assert [name for name, token in forgeries if TOKENS.read(token, NOW) is not None] == []
    assert TOKENS.read(made(), NOW) == TOKENS.read(GOOD, NOW) == AccessClaims(USER, SESSION)


def test_no_character_may_change() -> None:
    """Wherever in the token it is."""
    changed = (GOOD[:at] + beside(each) + GOOD[at + 1 :] for at, each in enumerate(GOOD) if each != ".")
    assert [token for token in changed if TOKENS.read(token, NOW) is not None] == []


@given(
    st.text()
    | st.text("ABCabc019-_.=", max_size=400)
    | st.binary(max_size=200).map(lambda data: made(claims=data))
)
def test_no_text_raises(text: str) -> None:
    """Whatever comes in a request is answered."""
    assert TOKENS.read(text, NOW) is None
    assert TOKENS.read(f"{HEAD}.{text}", NOW) is None


def test_a_token_says_who_and_when() -> None:
    """In the claims of RFC 9068, for ten minutes, each with an id of its own."""
    assert {"alg": "EdDSA", "typ": "at+jwt", "kid": HEADER["kid"]} == HEADER
    assert {
        "iss": "https://dashtam.example", "aud": "dashtam", "sub": str(USER), "sid": str(SESSION),
        "jti": CLAIMS["jti"],
        "iat": SECONDS, "nbf": SECONDS, "exp": SECONDS + 600,
    } == CLAIMS  # fmt: skip # two rows
    assert ACCESS_SECONDS == 600
    assert TOKENS.issue(USER, SESSION, NOW) != GOOD


@pytest.mark.parametrize(("seconds", "read"), [(-5, True), (-5.1, False), (0, True), (599.9, True), (600, False)])
def test_a_token_is_good_for_its_time(seconds: float, read: bool) -> None:
    """No longer than ten minutes, and from five seconds before for a machine whose clock is behind."""
    assert (TOKENS.read(GOOD, NOW + timedelta(seconds=seconds)) is not None) is read


@pytest.mark.parametrize(("issued", "asked"), [(-300, 299), (-1, 0), (2, -2), (0, -5), (0, 0)])
def test_a_token_lasts_over_the_turn_of_keys(issued: int, asked: int) -> None:
    """Also where the machine that reads has not come to the new period yet."""
    token = TOKENS.issue(USER, SESSION, TURN + timedelta(seconds=issued))
    assert TOKENS.read(token, TURN + timedelta(seconds=asked)) == AccessClaims(USER, SESSION)


def test_a_key_dies_with_its_last_token() -> None:
    """It signs nothing after the turn, not even what it could have signed before."""
    old = plain(TOKENS._key(TURN.timestamp() - 1).header)
    after = {each: int(TURN.timestamp()) + shift for each, shift in (("iat", 1), ("nbf", 1), ("exp", 601))}
    assert TOKENS.read(made(old, CLAIMS | after, key_of(PERIOD)), TURN + timedelta(seconds=2)) is None


def test_keys_are_derived_once_and_when_they_are_needed() -> None:
    """One for each period; its id is the thumbprint of RFC 7638, as RFC 8037 computes it in appendix A.3."""
    asked = list[str]()

    def derive(purpose: str) -> bytes:
        asked.append(purpose)
        return plain("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")

    tokens = Ed25519AccessTokens(derive, "i", "a")
    assert asked == []
    token = tokens.issue(USER, SESSION, NOW)
    assert [tokens.read(token, NOW), tokens.read(token, NOW)] == [AccessClaims(USER, SESSION)] * 2
    assert asked == [f"access-token/{PERIOD}"]
    assert json.loads(plain(token.split(".")[0]))["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("library", ["jwt", "cryptography.hazmat.primitives.asymmetric.ed25519"])
def test_the_missing_library_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(CryptographyMissingError, match=r"pip install 'dashtam-core\[crypto\]'"):
        Ed25519AccessTokens(DERIVE, "i", "a").issue(USER, SESSION, NOW)
