"""No secret reaches a line, wherever it was planted; what stands beside it does."""

import base64
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import quote

import attrs
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from dashtam_core import logs
from unit.logs.recording import FORMATS, lines, recorded

log = logging.getLogger("some.module")

MASTER = "master key: 'with' \"quotes\" & ümlauts\\"
URL_PASSWORD = "p@ss w/rd+\\url"
KNOWN = (MASTER, quote(URL_PASSWORD, safe=""))


@attrs.frozen
class Login:
    user: str
    password: str = attrs.field(repr=False)
    one_time_code: str = ""


class Pair(NamedTuple):
    user: str
    password: str


@dataclass
class Row:
    api_key: str
    digest: bytes


class Model(BaseModel):
    user: str
    word: SecretStr


def text(s: str) -> None:
    log.info(f"neighbour password={s} neighbour")  # noqa: G004 - as careless as can be


def refuse(*, password: str) -> None:
    raise LookupError(f"neighbour refuses {len(password)} characters")


def gone(s: str) -> None:
    error = ValueError(f"https://me:{s}@bank.example/ is gone")
    error.add_note(f"neighbour\nclient-secret: {s}")
    raise error


def chained(s: str) -> None:
    try:
        try:
            gone(s)
        except ValueError as error:
            raise RuntimeError(f"token={s}") from error
    except RuntimeError:
        log.exception("neighbour")


def grouped(s: str) -> None:
    log.error(
        "neighbour", exc_info=ExceptionGroup("all", [KeyError(f"secret='{s}'"), OSError(f"auth: Basic {s}")])
    )


def with_locals(s: str) -> None:
    kept = s
    try:
        refuse(password=kept)
    except LookupError:
        log.exception("neighbour")
        structlog.get_logger().exception("neighbour")


def warned(s: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"neighbour access_token={s} is deprecated", stacklevel=1)


def native(s: str) -> None:
    structlog.get_logger("native").info("neighbour", refresh_token=s, inner={"pin": s})
    structlog.get_logger("native").info("neighbour %s", {"passphrase": s})
    structlog.get_logger("native").bind(authorization=s).warning("neighbour", exc_info=ValueError(f"pwd={s}"))


def third_party(s: str) -> None:
    other = logging.getLogger("httpx")
    other.info('neighbour HTTP Request: GET https://x.example/?api_key=%s&limit=5 "HTTP/1.1 200 OK"', s)
    other.debug("neighbour headers=[(b'authorization', b'Bearer %s'), ('cookie', 'a=%s; b=%s')]", s, s, s)


def bound(s: str) -> None:
    with logs.bound(api_token=s, note=f"secret={s}"):
        log.info("neighbour")


def jwt(s: str) -> str:
    return ".".join(base64.urlsafe_b64encode(each.encode()).decode().rstrip("=") for each in ('{"alg":"x"}', s, s))


PLANTS: dict[str, Callable[[str], object]] = {
    "text": text,
    "text with spaces": lambda s: log.info("neighbour secret: '%s and more'", s),
    "json in text": lambda s: log.info("neighbour %s", json.dumps({"a": 1, "password": f'{s}"{s}', "b": 2})),
    "json in json": lambda s: log.info("neighbour %s", json.dumps(json.dumps({"token": f"a {s}"}))),
    "header line": lambda s: log.info("neighbour\nCookie: session=%s; theme=%s\nAuthorization: Basic %s", s, s, s),
    "argument": lambda s: log.info("neighbour token=%s", s),
    "named argument": lambda s: log.info("neighbour %(password)s", {"password": s}),
    "argument mapping": lambda s: log.info("neighbour %s", {"deep": [{"passwd": s}]}),
    "argument bytes": lambda s: log.info("neighbour %s %s", s.encode(), [bytearray(s.encode())]),
    "extra": lambda s: log.info(
        "neighbour", extra={"password": s, "PASSPHRASE": s, "db-password": s, "db_pass": s, "pin": 0}
    ),
    "extra names": lambda s: log.info(
        "neighbour",
        extra={
            "accessToken": s,
            "X-Api-Key": s,
            "masterKey": s,
            "newPassword2": s,
            "password_hash": s,
            "userPin": s,
        },
    ),
    "extra list": lambda s: log.info("neighbour", extra={"tokens": [s], "credentials": {"user": s}}),
    "nested": lambda s: log.info("neighbour", extra={"a": {"b": [{"client_secret": s}, ({"dsn": s},)]}}),
    "headers": lambda s: log.info(
        "neighbour", extra={"headers": {"Set-Cookie": s, "authorization": f"Bearer {s}", b"cookie": s}}
    ),
    "raw headers": lambda s: log.info("neighbour", extra={"raw": [("x-auth-token", s), (b"cookie", s.encode())]}),
    "bytes": lambda s: log.info("neighbour", extra={"body": s.encode(), "view": memoryview(s.encode())}),
    "repr": lambda s: log.info("neighbour", extra={"login": Login("me", s, s), "row": Row(s, s.encode())}),
    "repr in text": lambda s: log.info("neighbour %s %r", Login("me", s, s), SimpleNamespace(session_key=s)),
    "named tuple": lambda s: log.info("neighbour %r", Pair("me", s), extra={"pair": Pair("me", s)}),
    "pydantic": lambda s: log.info("neighbour", extra={"model": Model(user="me", word=SecretStr(s))}),
    "exception chain": chained,
    "exception group": grouped,
    "exception field": lambda s: log.info("neighbour", extra={"why": ValueError(f"jwt={s}", s.encode())}),
    "local variables": with_locals,
    "message object": lambda s: log.info({"neighbour": 1, "otp": s}),
    "url": lambda s: log.info("neighbour postgresql://me:%s@db/x and redis://:a@%s@h", s, s),
    "query string": lambda s: log.info("neighbour /callback?page=2&access_token=%s&limit=5", s),
    "bearer": lambda s: log.info("neighbour Bearer %s", s),
    "basic": lambda s: log.info("neighbour Basic %s", base64.b64encode(f"me:{s}".encode()).decode()),
    "jwt": lambda s: log.info("neighbour %s", jwt(s), extra={jwt(s): 1}),
    "warning": warned,
    "structlog": native,
    "third party": third_party,
    "bound": bound,
    "long": lambda s: log.info("neighbour %s", "x " * 40_000, extra={"long": f"token={s} " * 20_000}),
}


def every_form(s: str) -> Iterator[str]:
    yield from (s, quote(s), quote(s, safe=""), repr(s)[1:-1], json.dumps(s)[1:-1])
    yield base64.b64encode(f"me:{s}".encode()).decode()
    yield jwt(s).split(".")[1]


def everything(form: logs.Format, raw: str) -> str:
    """The output as it is and, where it is JSON, decoded."""
    return raw + "".join(str(json.loads(line)) for line in raw.splitlines() if form == "json")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("place", PLANTS)
def test_a_planted_secret_is_never_written(place: str, form: logs.Format) -> None:
    """Searched as it is, escaped and encoded, in the raw output and the decoded: 0 hits, and the line is there."""
    secret = f"hunter{list(PLANTS).index(place)}-Zq7"
    with recorded(form) as stream:
        PLANTS[place](secret)
    found = everything(form, stream.getvalue())
    assert [each for each in every_form(secret) if each in found] == []
    assert "neighbour" in found
    assert "hunter" not in found.lower()


KNOWN_PLACES: dict[str, Callable[[str], object]] = {
    "prose": lambda s: log.info("neighbour it is %s as you know", s),
    "escaped": lambda s: log.info("neighbour %s %r", quote(s, safe=""), {"x": s}),
    "json": lambda s: log.info("neighbour %s", json.dumps([s])),
    "field": lambda s: log.info("neighbour", extra={"x": s, "list": [s], "object": SimpleNamespace(x=s)}),
    "key": lambda s: log.info("neighbour", extra={"fields": {s: 1}, s: 2}),
    "exception": lambda s: log.error("neighbour", exc_info=ValueError(s)),
    "logger": lambda s: logging.getLogger(s).info("neighbour"),
    "cut": lambda s: log.info("neighbour %s%s%s%s%s", "y" * 2033, s, "z" * 60_000, s, "y" * 2038),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("place", KNOWN_PLACES)
@pytest.mark.parametrize("secret", [MASTER, URL_PASSWORD])
def test_a_known_secret_is_never_written(place: str, secret: str, form: logs.Format) -> None:
    """What `configure` or `remember` was told is kept out of everything, however it is written."""
    with recorded(form, secrets=KNOWN) as stream:
        KNOWN_PLACES[place](secret)
    found = everything(form, stream.getvalue())
    assert [each for each in every_form(secret) if each in found] == []
    assert "neighbour" in found
    assert secret[:9] not in found
    assert secret[-9:] not in found


def test_a_short_secret_is_not_looked_for() -> None:
    """A value of under eight characters may be any word, so it is left to the other rules."""
    with recorded(secrets=["rent"]) as stream:
        logs.remember("")
        logs.remember("seven77")
        log.info("the rent is seven77")
    assert lines(stream)[0]["event"] == "the rent is seven77"


def test_a_secret_within_another_hides_neither() -> None:
    """The longer one is looked for first, so that nothing of it is left over."""
    with recorded(secrets=["hunter2-Zq7", "hunter2-Zq7-and-more"]) as stream:
        log.info("it is hunter2-Zq7-and-more or hunter2-Zq7")
    assert lines(stream)[0]["event"] == "it is [redacted] or [redacted]"


def test_arguments_are_shown_like_fields() -> None:
    """By name, and by type where they hold something; numbers keep the format that the message asks for."""
    with recorded() as stream:
        log.info("%(user)s has %(password)s and %(share).1f", {"user": "me", "password": 5, "share": 0.25})
        log.info("%s of %s, %5.2f", b"12345", {"token": 1, "rows": [bytearray(3)]}, 1.5)
    assert [line["event"] for line in lines(stream)] == [
        "me has [redacted] and 0.2",
        "<5 bytes> of {'token': [redacted], 'rows': ['<3 bytes>']},  1.50",
    ]


MADE_KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIPlantedPlantedPlanted\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a password=x, and more", "a password=[redacted] and more"),
        ("{'password': 'it\\'s', 'user': 'me'}", "{'password': [redacted], 'user': 'me'}"),
        ("?token=abc&limit=5", "?token=[redacted]&limit=5"),
        ("pin: 1234", "pin: [redacted]"),
        ("Login(password=None, user='me')", "Login(password=None, user='me')"),
        ("postgresql://me:x@y@db:5432/finance?a=1", "postgresql://me:[redacted]@db:5432/finance?a=1"),
        ("as dashtam_" + "A-_9" * 11 + " said", "as [redacted] said"),
        ("as Bearer abcdef0123 said", "as Bearer [redacted] said"),
        (f"key {MADE_KEY} kept", "key [redacted] kept"),
        (repr(MADE_KEY[:50]), "'[redacted]"),
        ("card 4111 1111 1111 1111 12/27", "card ****1111 12/27"),
        ("4111111111111111 123, 378282246310005.", "****1111 123, ****0005."),
        ("to=https%3A%2F%2Fx%3Ftoken%3Dabc&x=1", "to=https%3A%2F%2Fx%3Ftoken%3D[redacted]&x=1"),
        ("('x-auth-token', 'abc def')", "('x-auth-token', [redacted])"),
        ("<USERPASS>hunter2 <USERKEY>1", "<USERPASS>[redacted] <USERKEY>1"),
        ("card-4111-1111-1111-1111", "card-****1111"),
        ("3782 822463 10005;6011000990139424", "****0005;****9424"),
        ("from DE89370400440532013000 to GB82 WEST 1234 5698 7654 32 PAID", "from ****3000 to ****5432 PAID"),
        ("BE68 5390 0754 7034 SAID", "****7034 SAID"),
        ("<Row key=b'0123456789abcdef'>", "<Row key=<bytes>>"),
        ("[parameters: (('ann', 1), ['x'])]\n(Background)", "[parameters: [redacted]]\n(Background)"),
        ("word [input_value='x y', input_type=str]", "word [input_value=[redacted], input_type=str]"),
    ],
)
def test_what_is_left_says_what_was_there(written: str, shown: str) -> None:
    """The secret alone is left out; of a number that money is at, the last four stay."""
    line = logs.redact(None, "", {"event": written})
    assert line == {"event": shown}
    assert logs.redact(None, "", line) == line, "redacting twice changes nothing more"


def test_values_are_hidden_by_name_and_type() -> None:
    """Names hide what they say is secret, types what has no text, and numbers of accounts keep four digits."""
    line: dict[str, Any] = {
        "password": "x",
        "api_keys": ["x"],
        "token": None,
        "secret": True,
        "token_id": "t1",
        "next_cursor": "c1",
        "tokenizer": "t2",
        "data": b"12345",
        "view": memoryview(b"\0" * 16).cast("I"),
        "account_number": "12345678",
        "iban": "none",
        "card": 4111111111111111,
        "epoch": 1767571200000,
        "why": UnicodeError("token=x"),
        "login": Login("me", "x"),
    }
    assert list(logs.redact(None, "", line).values()) == [
        *("[redacted]", "[redacted]", None, True, "t1", "c1", "t2"),
        *("<5 bytes>", "<16 bytes>", "****5678", "****", "****1111", 1767571200000),
        *("UnicodeError: token=[redacted]", "Login(user='me', one_time_code=[redacted])"),
    ]


HARMLESS = [
    "broken pipe: token ring",
    "token_id=5, next_cursor=abc, tokenizer: fast",
    "-1,234.50 EUR, 12.345678901234567, 4111111111111111.25 and 0.4111111111111111",
    "2026-01-05T10:00:00.123456Z 20260105120006 2026-01-05",
    "0198a000-0000-7000-8000-000000000000 12345678-1234-4234-8234-123456789012",
    "11111111-1111-1111-1111-111111111111 4111-1111-1111-1112",
    "4111 1111 1111 1112 and DE89 3704 0044 0532 0130 02",
    "http://127.0.0.1:8000/v1?limit=5 postgresql://me@db/x mailto:a@b.example https://h:80/a@b",
    "Basic authentication is off. Bearer tokens are read; basic idea",
    "dashtam_core.accounts._readers in dashtam_postgres",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 4111111111111111cd15d6c15b0f00a0",
    "the password is wrong, the pin too; spin=3 mapping: 4 code=late key=row",
    "<token> of <class 'x.Token'>, if token > 5 the spin> or <password></password>",
    "b'short' and eyJ and dashtam_ alone",
    'File "/a/b.py", line 12, in <module>',
]


@pytest.mark.parametrize("written", HARMLESS)
def test_what_is_harmless_is_left_alone(written: str) -> None:
    """Amounts, dates, ids, hashes, addresses and talk of secrets are no secrets."""
    assert logs.redact(None, "", {"event": written, "x": [written]}) == {"event": written, "x": [written]}


@given(st.text(st.characters(exclude_categories=["Nd", "Cs"]), max_size=200))
def test_any_text_without_digits_or_names_of_secrets_is_left_alone(written: str) -> None:
    """Nothing but what a rule is about is changed."""
    if "://" in written or "b'" in written or 'b"' in written:
        return
    assert logs.redact(None, "", {"event": written}) == {"event": written}


WORDS = "broken pipe : = ' \" , ( ) { } [ ] ; & ? \\ https://host/path key code id cursor amount said user@host"


@given(st.lists(st.sampled_from([*WORDS.split(), "\n"])))
def test_any_mixture_of_harmless_words_is_left_alone(words: list[str]) -> None:
    """What looks like pairs, quotes, headers and addresses is changed only for a secret's sake."""
    written = " ".join(words)
    assert logs.redact(None, "", {"event": written}) == {"event": written}


def containers(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "rows", "user", "token_id"])
    return st.lists(inside, max_size=3) | st.dictionaries(names, inside, max_size=3) | st.tuples(inside, inside)


SECRET = st.sampled_from(["password", "x-token", "Secret", "apiKey"]).map(lambda name: {name: "hunter2-Zq7"})


@given(st.recursive(SECRET | st.integers() | st.just("kept"), containers, max_leaves=20))
def test_a_secret_is_hidden_however_deep(value: object) -> None:
    """Structure does not protect a secret, neither as a field nor as an argument nor as text."""
    with recorded() as stream:
        log.info("%s", value, extra={"value": value})
        log.info(str(value))
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 2


def test_what_is_long_is_cut_in_the_middle() -> None:
    """Of text 4 KiB stay and of a traceback 16, the beginning and the end; of a structure a thousand values."""
    with recorded() as stream:
        log.error("a%sz", "." * 9_000, extra={"rows": list(range(5_000))}, exc_info=ValueError("." * 90_000 + "z"))
        log.error("short", exc_info=ValueError("." * 9_000))
    long, short = lines(stream)
    assert 4_096 < len(long["event"]) < 4_200
    assert (long["event"][0], long["event"][-1]) == ("a", "z")
    assert "… 4906 characters …" in long["event"]
    assert 16_384 < len(long["exception"]) < 16_500
    assert long["exception"].startswith("ValueError: ...")
    assert long["exception"].endswith("...z")
    assert len(long["rows"]) < 1_001
    assert str(long["rows"][-1]).endswith("more")
    assert "…" not in short["exception"]


@pytest.mark.timeout(36)
@pytest.mark.parametrize(
    "unit",
    ["=", "'", "token='", "eyJ", "://", "://a:", "b'", "DE12 ABCD ", "('", "4 ", "1", "token=( ", "{", "\\"],
)
def test_no_text_takes_long(unit: str) -> None:
    """Text made to be slow to search is searched in time that grows with its length: a hang would fail."""
    for _ in range(10):
        logs.redact(None, "", {"event": unit * (32_000 // len(unit))})
