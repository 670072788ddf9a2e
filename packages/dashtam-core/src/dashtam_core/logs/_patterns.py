"""What secrets look like in text, and by which names their values go."""

import json
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Final

HIDDEN: Final = "[redacted]"
_MIN_SECRET: Final = 8
_MAX_WHOLE: Final = 32 * 1024
"""Longer text is cut before it is searched, but this far outside what is kept, so that no secret is cut in two."""
_SLACK: Final = 1024

_KINDS: Final = "access|api|app|auth|encryption|master|private|sealing|secret|session|shared|signing"
_CODES: Final = "backup|one[-_. ]?time|recovery|security|verification"
_NAME: Final = (
    r"(?:pass(?:word|wd|phrase|code)|secret|token|authorization|cookie|credential|connection[-_. ]?string"
    rf"|(?:{_KINDS})[-_. ]?key|(?:{_CODES})[-_. ]?code|code[-_. ]?verifier|(?:sealing|signing)[-_. ]?seed"
    r"|input_value|(?:(?<=[-_.])|(?<=user))pass"
    r"|(?:(?<![a-zA-Z])|(?-i:(?<=[a-z])(?=[A-Z])))(?:auth|bearer|cvc|cvv|dsn|jwt|otp|pin|pwd|totp))"
    r"s?(?:[-_. ]?(?:confirm(?:ation|ed)?|hash|value|[0-9]+))?"
)
"""The end of a name whose value is a secret. `token_id` and `next_cursor` are none."""
_PAIR: Final = rf"""(?ix)
( (?: \( \s* b?["'][\w.-]*? {_NAME} ["'] \s* ,             # ('cookie', 'x')
    | {_NAME} \\*["']? [ \t]* (?: => | [=:] | %3d )        # cookie=x, "cookie": "x"
    | {_NAME} > (?=[^\s<]) )                               # <cookie>x
  [ \t]* )
(?! (?: None | null ) \b )
(?: b?(?P<quote>\\*["']) (?: \\. | [^\\\n] )*? (?P=quote)
  | [\[({{] [^\])}}\n]{{0,1024}} [\])}}]
  | (?: (?:basic|bearer|token) [ \t]+ )? (?: (?!["'](?:[\s,}}\])]|$)) [^\s&;] )+
    (?: ; (?: [ \t]+ [\w.-]+ = )? [^\s&;]* )*               # a=x; b=y
)"""
_URL: Final = r"""(://[^\s/?#:@"']*:)(?![0-9]{1,5}(?:[/?#]|$))[^\s<>"']{0,512}@"""
"""A password in a URL, to its last `@`: it may hold one itself. A port is none."""
_SCHEME: Final = (
    r"\b((?:[Bb]earer|BEARER|[Bb]asic|BASIC)(?:[ \t]+|%20))"
    r"(?![A-Z]?[a-z.-]{0,15}(?![\w~+/=-]))[\w.~+/=-]{6,}"  # but a word after it is prose
)
_CARD: Final = (
    r"(?<![0-9A-Za-z.])"
    r"(?!(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])[0-3][0-9]{7}(?![0-9]))"  # YYYYMMDDhhmmss
    r"(?:[0-9]{13,19}|[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -][0-9]{1,3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})"
    r"(?![0-9A-Za-z]|\.[0-9])"
)
_IBAN: Final = r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?![0-9A-Za-z])"

type _Shown = str | Callable[[re.Match[str]], str]

_secrets: Final[list[str]] = []
"""The known ones in every form they may be written in, long ones first."""


def remember(secret: str, /) -> None:
    """Keeps `secret` out of every line from now on, however it is escaped. One under 8 characters is ignored."""
    from urllib.parse import quote, quote_plus, unquote

    plain = unquote(secret)
    forms = {secret, plain, quote(plain, safe=""), quote_plus(plain)}
    forms |= {form[1:-1] for each in (secret, plain) for form in (repr(each), json.dumps(each))}
    known = {*_secrets, *(form for form in forms if len(form) >= _MIN_SECRET)}
    _secrets[:] = sorted(known, key=len, reverse=True)


@lru_cache(1024)
def is_secret(name: str) -> bool:
    """Whether the value of a field with this name is not to be shown."""
    return _compiled(_SECRET_NAME).search(name) is not None


@lru_cache(1024)
def is_account(name: str) -> bool:
    """Whether the value of a field with this name is shown by its last four characters."""
    return _compiled(_ACCOUNT_NAME).search(name) is not None


def last_four(number: str) -> str:
    return f"****{number[-4:]}" if len(number) > len("1234") else "****"


def cleaned(text: str, limit: int) -> str:
    """The text without secrets; from one of more than `limit` characters, the middle is left out."""
    half = limit // 2
    if "PRIVATE KEY-----" in text:
        text = _compiled(_PRIVATE_KEY).sub(HIDDEN, text)
    if len(text) <= _MAX_WHOLE:
        shown = _without_secrets(text)
        if len(shown) <= limit:
            return shown
        head, tail = shown[:half], shown[-half:]
    else:
        head, tail = _without_secrets(text[: half + _SLACK]), _without_secrets(text[-half - _SLACK :])
        head, tail = head[: max(0, min(half, len(head) - _SLACK))], tail[_SLACK:][-half:]
    return f"{head} … {len(text) - limit} characters … {tail}"


def _without_secrets(text: str) -> str:
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    folded = text.lower()
    for signs, pattern, shown in _RULES:
        for sign in signs:
            if sign in folded:
                text = _compiled(pattern).sub(shown, text)
                break
    return text


def _masked_card(match: re.Match[str]) -> str:
    """A card's number by its last four digits, also where the next number stands close to it."""
    for end in (len(match[0]), len("1111 2222 3333 4444")):
        digits = re.sub("[ -]", "", match[0][:end])
        if _luhn(digits):
            return last_four(digits) + match[0][end:]
    return match[0]


def _luhn(digits: str) -> bool:
    """The check of ISO/IEC 7812-1, annex B."""
    doubled = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
    return sum(doubled[int(each)] if at % 2 else int(each) for at, each in enumerate(reversed(digits))) % 10 == 0


def _masked_iban(match: re.Match[str]) -> str:
    """An account's number by its last four characters, also where a word in capitals follows it."""
    end = len(match[0])
    while end > 0:
        number = re.sub("[ -]", "", match[0][:end])
        if int("".join(str(int(each, 36)) for each in number[4:] + number[:4])) % 97 == 1:  # ISO 13616-1
            return last_four(number) + match[0][end:]
        end = max(match[0].rfind(" ", 0, end), match[0].rfind("-", 0, end))
    return match[0]


_SECRET_NAME: Final = rf"(?i){_NAME}$"
_ACCOUNT_NAME: Final = r"(?i)(?:(?:account|card)[-_. ]?(?:number|no)|iban|provider_account_id)$"
_PRIVATE_KEY: Final = r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)"
_RULES: Final[tuple[tuple[tuple[str, ...], str, _Shown], ...]] = (
    (("://",), _URL, rf"\1{HIDDEN}@"),
    (("=", ":", ",", ">", "%3d"), _PAIR, rf"\1{HIDDEN}"),
    (("bearer", "basic"), _SCHEME, rf"\1{HIDDEN}"),
    (("eyj",), r"(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]*){1,4}", HIDDEN),
    (("dashtam_",), r"dashtam_[\w-]{32,}", HIDDEN),
    (("[parameters: ",), r"(\[parameters: ).*\]", rf"\1{HIDDEN}]"),  # of SQLAlchemy's errors
    (("b'", 'b"'), r"""\bb(["'])(?:\\.|(?!\1)[^\\\n]){8,}\1""", "<bytes>"),
    ((*"0123456789",), _IBAN, _masked_iban),
    ((*"0123456789",), _CARD, _masked_card),
)
"""Signs, a pattern, and what it leaves: it is tried where one of the signs is in the text in lower case."""


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled when a line first needs it: whoever imports this module and logs nothing does not pay for it."""
    return re.compile(pattern)
