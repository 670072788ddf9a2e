"""Passwords of 15 characters and more that people make when they have to, and that attackers try for it."""

from itertools import product
from pathlib import Path
from typing import Final

import pytest

from dashtam_core.identity._errors import IdentityCode
from dashtam_core.identity._passwords import Blocklist, check_password
from dashtam_core.kernel import Success

BLOCKLIST: Final = Blocklist()
MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip # a list of words
FIRST: Final = ("john", "mary", "david", "anna", "peter", "maria", "kevin")
LAST: Final = ("smith", "jones", "brown", "miller", "schmidt", "garcia", "lee")
SENTENCES: Final = (
    "mynameis{}{}", "iam{}{}thebest", "ilove{}and{}forever", "{}.{}.password", "{}-{}-2026!dashtam",
    "1984{}{}1984love",
)  # fmt: skip # a list of words
WALKS: Final = (
    "qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "abcdefghijklmnopqrstuvwxyz",
    "zxcvbnm,./asdfghjkl;'", "1q2w3e4r5t6y7u8i9o0p", "azertyuiopqsdfghjklm", "qwertzuiopasdfghjkl",
)  # fmt: skip # a list of words


def accepted(password: str, blocklist: Blocklist = BLOCKLIST) -> bool:
    about = ("ann.weaver@example.org",)
    checked = check_password(password, second_factor=False, about=about, blocklist=blocklist)
    assert isinstance(checked, Success) or checked.failure().code is IdentityCode.PASSWORD_COMMON
    return isinstance(checked, Success)


def commonest() -> set[str]:
    dated = product(MONTHS, range(1950, 2031), ("{}{}{}", "password{}{}", "{}-{}-dashtam", "{0}{1}{0}!"))
    made = {form.format(month, year, month) for month, year, form in dated}
    made |= {each.format(*names) for each, *names in product(SENTENCES, FIRST, LAST)}
    walks = {walk[::way] for walk in WALKS for way in (1, -1)}
    made |= {walk[at : at + size] for walk in walks for at in range(len(walk)) for size in (15, 16, 18)}
    return {each for each in made if len(each) >= 15}


def test_a_common_or_leaked_password_is_refused(tmp_path: Path) -> None:
    """Three thousand by the habits that most have, and whatever is in the operator's list of leaked ones."""
    common = commonest()
    assert len(common) >= 3_000
    assert [each for each in common if accepted(each.title())] == []
    leaked = tmp_path / "leaked.txt"
    leaked.write_text("kiln-mule-otter-7\nzebu\nkiln\n", "utf-8")
    own = Blocklist.of(leaked)
    assert accepted("Kiln-Mule-Otter-7")
    assert not accepted("Kiln-Mule-Otter-7", own)
    assert accepted("zebu and kiln in the zebu", own), "a list of millions is not put together to sentences"


@pytest.mark.parametrize(
    ("guessed", "taken"),
    [
        ("monkey dragon and summer", "monkey dragon summer guitar"),
        ("MyNameIs-Monkey-Dragon!", "MyNameIs-Monkey-Kiln!"),
        ("ann.weaver monkey 2026 dragon", "ann.weaver monkey 2026 kiln"),
        ("qwertyuiop77asdf", "qwertyuiop77kiln!mule"),
        ("zaq1!qaz2wsx@wsx", "zaq1!mule2kiln@otter"),
        ("tzuzhztgtzuhgzut", "fjdkqpw7eyrbvnmx"),
    ],
)
def test_what_it_is_made_of_decides(guessed: str, taken: str) -> None:
    """Up to three common words, or keys in a row, with little beside them; not what takes a guess of its own."""
    assert (accepted(guessed), accepted(taken)) == (False, True)


@pytest.mark.parametrize(("word", "taken"), [("love", True), ("iamin", True), ("monkey", True), ("qwerty", False)])
def test_a_long_one_is_checked_to_its_end(word: str, taken: bool) -> None:
    """In however many ways it can be read: small words for ever make nothing common, keys in a row do."""
    assert accepted((word * 300)[:1_000] + " kiln of the mules") is taken
