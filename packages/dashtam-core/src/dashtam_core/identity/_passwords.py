"""What a password has to be when it is chosen, by NIST SP 800-63B-4: long and not guessable."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

import attrs

from dashtam_core.identity._errors import IdentityCode, IdentityRefused
from dashtam_core.kernel import Failure, Result, Success

# The fewest characters of a password that is all one logs in with, and of one beside a second factor.
ALONE_MIN: Final = 15
BESIDE_FACTOR_MIN: Final = 8
# The longest in UTF-8. Longer ones are refused and never cut.
MAX_BYTES: Final = 1_024

_NOT_TEXT: Final = frozenset({"Cc", "Cn", "Cs"})
_DECORATION: Final = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_SHORTEST_WORD: Final = 3
# From here on no few words make it up, and looking would hold up who waits for the loop.
_LONG: Final = 100
_SHORTEST_WALK: Final = 4
# How many of the shipped words, one after another, are guessed as one is, whatever small words join them.
_MOST_WORDS: Final = 3
_SMALL: Final = dict.fromkeys((
    "a", "am", "and", "are", "be", "for", "i", "in", "is", "it", "like", "love", "me", "my", "name", "of", "on",
    "our", "so", "the", "this", "to", "we", "with", "you", "your",
), 0)  # fmt: skip # a list of words
# Rows of ten keys: neighbours are 0 or 1 apart in a row, and 9 or 10 from one row to the next.
_KEYBOARDS: Final = (
    "1234567890qwertyuiopasdfghjklzxcvbnm,./",
    "1234567890qwertzuiopasdfghjklyxcvbnm,.-",
    "1234567890azertyuiopqsdfghjklmwxcvbn,;:",
)
_UNSHIFTED: Final = str.maketrans("!@#$%^&*()", "1234567890")


@cache
def _shipped() -> frozenset[str]:
    return _words(files("dashtam_core.identity").joinpath("blocklist.txt").read_text("utf-8"))


@attrs.frozen
class Blocklist:
    """Passwords that people choose most and attackers try first, in whatever case and compatible form."""

    words: frozenset[str] = attrs.field(factory=_shipped, repr=False)

    @classmethod
    def of(cls, path: Path, /) -> "Blocklist":
        """The shipped list and an operator's own: a UTF-8 file with one password on each line."""
        return cls(_shipped() | _words(path.read_text("utf-8")))


def check_password(
    password: str, *, second_factor: bool, about: Iterable[str], blocklist: Blocklist
) -> Result[str, IdentityRefused]:
    """The password to hash, or why it is not to be used. Any printable characters will do, in any mixture.

    It is normalized to NFC, as RFC 8265 has it for passwords: what two keyboards write in different ways is one
    password, and what looks different stays different, as it would not in NFKC. Code points that Unicode has not
    assigned are refused, since their normal form may change. `about` is what others know of the person.
    """
    plain = _normalized(password)
    if plain is None:
        return _refused(IdentityCode.PASSWORD_TOO_LONG, f"is longer than {MAX_BYTES} bytes: choose a shorter one")
    if any(unicodedata.category(each) in _NOT_TEXT for each in plain):
        why = "holds a control character or one that is none in Unicode: leave it out, what can be seen is welcome"
        return _refused(IdentityCode.PASSWORD_INVALID, why)
    least = BESIDE_FACTOR_MIN if second_factor else ALONE_MIN
    if len(plain) < least:
        why = f"has {len(plain)} characters and needs at least {least}: a few words make a good one"
        return _refused(IdentityCode.PASSWORD_TOO_SHORT, why)
    if _easily_guessed(_folded(plain), about, blocklist):
        why = "is among those guessed first (common words, keys in a row, repeated, your address): choose another"
        return _refused(IdentityCode.PASSWORD_COMMON, why)
    return Success(plain)


def password_bytes(password: str, /) -> bytes:
    """What is hashed of a password: its NFC in UTF-8. Nothing, if it is too long to be anybody's."""
    return (_normalized(password) or "").encode("utf-8", "surrogatepass")


def _normalized(password: str) -> str | None:
    if len(password) > MAX_BYTES:  # before normalizing, which takes the square of a long text's time
        return None
    plain = unicodedata.normalize("NFC", password)
    return plain if len(plain.encode("utf-8", "surrogatepass")) <= MAX_BYTES else None


def _easily_guessed(folded: str, about: Iterable[str], blocklist: Blocklist) -> bool:
    said = {_folded(part) for word in about for part in (word, word.partition("@")[0])}
    said = {word for word in said | set(map(_bare, said)) if len(word) >= _SHORTEST_WORD}
    if _unit(folded) != folded or not {folded, _unit(_bare(folded))}.isdisjoint(said | blocklist.words):
        return True
    common = len(folded) <= _LONG and _made_of(folded, said | _shipped())
    return common or any(_walks(folded, keyboard) for keyboard in _KEYBOARDS)


def _made_of(text: str, words: Iterable[str]) -> bool:
    """Whether its letters are all those of a few of the words, and of small ones between them."""
    cost, fewest = dict.fromkeys(words, 1) | _SMALL, [0]
    longest = max(map(len, cost))
    for end, last in enumerate(text, 1):
        begun = [start for start in range(max(0, end - longest), end) if fewest[start] <= _MOST_WORDS]
        ways = [fewest[start] + cost[text[start:end]] for start in begun if text[start:end] in cost]
        fewest.append(min(ways, default=_MOST_WORDS + 1) if last.isalpha() else fewest[-1])
    return 1 <= fewest[-1] <= _MOST_WORDS


def _walks(text: str, keyboard: str) -> bool:
    """Whether two thirds of it are runs of neighbouring keys or letters."""
    places, keys = {key: place for place, key in enumerate(keyboard)}, text.translate(_UNSHIFTED)
    apart = [(places.get(a, -99) - places.get(b, 99), ord(a) - ord(b)) for a, b in pairwise(keys)]
    near = [abs(places_off) in {0, 1, 9, 10} or abs(letters_off) <= 1 for places_off, letters_off in apart]
    runs = [len(list(steps)) + 1 for kept, steps in groupby(near) if kept]
    return 3 * sum(run for run in runs if run >= _SHORTEST_WALK) >= 2 * len(text)


def _bare(text: str) -> str:
    """Without the digits and punctuation around it, which make no password harder to guess."""
    return _DECORATION.sub("", text)


def _unit(text: str) -> str:
    """The shortest sequence that the text repeats; all of it, where it repeats none."""
    size = len(text)
    repeated = (text[:n] for n in range(1, size // 2 + 1) if text[n:] == text[: size - n])
    return next(repeated, text)


def _words(text: str) -> frozenset[str]:
    return frozenset(_folded(line.strip()) for line in text.splitlines() if line.strip())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _refused(code: IdentityCode, why: str) -> Failure[IdentityRefused]:
    return Failure(IdentityRefused(code, f"this password {why}"))
