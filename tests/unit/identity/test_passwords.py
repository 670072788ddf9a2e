"""What a password may be: long, not guessable, and of whatever characters."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.identity._errors import IdentityCode
from dashtam_core.identity._passwords import MAX_BYTES, Blocklist, check_password, password_bytes
from dashtam_core.kernel import Success

BLOCKLIST = Blocklist()
ABOUT = ("Ann.Smith84@example.org",)


def refused(
    password: str, *, second_factor: bool = False, blocklist: Blocklist = BLOCKLIST
) -> IdentityCode | None:
    checked = check_password(password, second_factor=second_factor, about=ABOUT, blocklist=blocklist)
    if isinstance(checked, Success):
        return None
    assert password not in checked.failure().message
    return checked.failure().code


@pytest.mark.parametrize("second_factor", [False, True])
@given(st.permutations("kv 7!Z\u00e9\u0416\u05d0\u0639\u4e2d\u3042\ud55c\U0001f99c\u20ac\u00a0"))
def test_any_characters_will_do(second_factor: bool, characters: list[str]) -> None:
    """Nothing is asked of a password's composition: letters, signs and spaces of all scripts, in any order."""
    assert refused("".join(characters), second_factor=second_factor) is None


def test_length_is_counted_in_code_points_of_the_normal_form() -> None:
    """Fifteen alone and eight beside a second factor, however many bytes and key strokes they are."""
    letters = "\u00e9\u00e0\u00fc\u00f1\u00e7\u00f6\u00ea\u00ef\u00f4\u00fb\u00e8\u00ee\u00e2\u00eb\u00e4"
    decomposed = "e\u0301a\u0300u\u0308n\u0303c\u0327o\u0308e\u0302i\u0308"
    assert [refused(letters[:size]) for size in (14, 15)] == [IdentityCode.PASSWORD_TOO_SHORT, None]
    assert refused(letters[:7], second_factor=True) is IdentityCode.PASSWORD_TOO_SHORT
    assert refused(decomposed) is IdentityCode.PASSWORD_TOO_SHORT
    assert refused(decomposed, second_factor=True) is None
    assert refused("\U0001f99c\U0001f40a\U0001f99d\U0001f98a" * 2, second_factor=False) is not None


def test_what_two_keyboards_write_is_one_password() -> None:
    """The normal form is NFC: what looks different stays different."""
    assert password_bytes("Zu\u0308rich e\u0301te\u0301 \u00e9") == "Z\u00fcrich \u00e9t\u00e9 \u00e9".encode()
    assert password_bytes("\ufb01ve") != password_bytes("five")
    checked = check_password("u\u0308ber den Wolken 7", second_factor=False, about=(), blocklist=BLOCKLIST)
    assert checked == Success("\u00fcber den Wolken 7")


def test_a_long_password_is_whole_or_refused() -> None:
    """Up to 1,024 bytes each one counts; beyond that nothing is cut, and nothing is normalized for long."""
    words = "".join(chr(0x4E00 + 37 * each) for each in range(400))
    assert refused(words[:64]) is None
    assert refused(words[:341] + "!") is None
    assert refused(words[:341] + "!!") is IdentityCode.PASSWORD_TOO_LONG
    assert password_bytes(words[:341] + "!")[-1:] == b"!"
    assert refused("\u0315\u0301" * 500_000) is IdentityCode.PASSWORD_TOO_LONG
    assert password_bytes("x" * (MAX_BYTES + 1)) == b""


@pytest.mark.parametrize("odd", ["\x00", "\n", "\x7f", "\x9f", "\ud800", "\u0378", "\U0010ffff"])
def test_what_is_no_character_is_refused(odd: str) -> None:
    """Control characters, half surrogates and code points that are not assigned."""
    assert refused(f"correct mule {odd} battery") is IdentityCode.PASSWORD_INVALID


@pytest.mark.parametrize(
    "password",
    [
        "password12345678", "PASSWORD!!!!!!!!", "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44 2026 2026",
        "Summer2026!!!!!!", "123456789012345", "qwertyuiopasdfgh", "1q2w3e4r5t6y7u8i", "aaaaaaaaaaaaaaaa",
        "abcabcabcabcabca", "20262026202620262", "correct horse battery staple", "CorrectHorseBatteryStaple1",
        "letmeinletmeinletmein1", "p@ssw0rd-19841984", "Dashtam-12345678", "dashtamdashtam!1",
        "ann.smith84@example.org", "ANN.SMITH84@EXAMPLE.ORG!", "ann.smith-2026-2026", "Ann.Smith84!!!!!",
        "\U0001f99c\U0001f40a" * 8,
    ],
)  # fmt: skip # a list of words
def test_what_is_guessed_first_is_refused(password: str) -> None:
    """Common ones, repetitions, and what others know of the person, with the usual decoration."""
    assert refused(password) is IdentityCode.PASSWORD_COMMON


@pytest.mark.parametrize(
    "password",
    [
        "my password is a mule",
        "annsmithereens go home",
        "x7!Summer-kiln-2026",
        "483920174829301",
    ],
)
def test_what_only_looks_like_it_is_taken(password: str) -> None:
    """A common word inside of a longer one makes it no worse."""
    assert refused(password) is None


def test_short_words_known_of_a_person_do_not_count() -> None:
    """Who is a@example.org may have an a in it."""
    checked = check_password("a94-71!55?02-63", second_factor=False, about=("a@x.org", ""), blocklist=BLOCKLIST)
    assert checked == Success("a94-71!55?02-63")


def test_every_word_of_the_list_is_refused() -> None:
    """Also in capitals and decorated, and there are about a thousand of them."""
    words = [word for word in BLOCKLIST.words if len(word) >= 8]
    assert 800 <= len(words) <= 1_500
    assert [word for word in words if refused(word.upper(), second_factor=True) is None] == []
    assert "words" not in repr(BLOCKLIST)


def test_an_operator_adds_words(tmp_path: Path) -> None:
    """Those of their own file count beside the shipped ones, in whatever case and form they are written."""
    file = tmp_path / "words.txt"
    file.write_text("Fabrik\u0061\u0308cme Zu\ufb01cht\n\n   acme-intranet  \n", "utf-8")
    own = Blocklist.of(file)
    assert refused("fabrik\u00e4cme zuficht") is None
    for each in ("fabrik\u00e4cme zuficht", "ACME-Intranet 2026", "password12345678"):
        assert refused(each, blocklist=own) is IdentityCode.PASSWORD_COMMON
