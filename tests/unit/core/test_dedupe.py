"""The key of a transaction: from the bytes of its own row, and from nothing else."""

import hashlib
import unicodedata
from datetime import date
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashtam_core.accounts import (
    KEY_BYTES,
    TransactionData,
    TransactionStatus,
    TransactionType,
    dedupe_key,
    keyed,
)
from dashtam_core.accounts._dedupe import _digest
from dashtam_core.kernel import Currency, Money

EUR = Currency("EUR")
PLAIN = TransactionData(
    posted_date=date(2026, 3, 1),
    amount=Money(Decimal("-4.50"), EUR),
    type=TransactionType.POS,
    description="Coffee",
    end_to_end_id="e2e",
    check_number="7",
)

texts = st.none() | st.text(max_size=12)
rows = st.builds(
    TransactionData,
    posted_date=st.dates(date(2026, 3, 1), date(2026, 3, 3)),
    amount=st.sampled_from(["-4.50", "-4.5", "0", "-0.0", "100"]).map(lambda each: Money(Decimal(each), EUR)),
    type=st.sampled_from([TransactionType.POS, TransactionType.OTHER]),
    description=st.sampled_from([None, "", "Coffee", " coffee ", "Tea"]),
    provider_transaction_id=st.sampled_from([None, "", "NONREF", "000", "A1", " A1", "A2"]),
    end_to_end_id=st.sampled_from([None, "e1"]),
    check_number=st.sampled_from([None, "7"]),
)


def key(**changes: Any) -> bytes:
    return dedupe_key(attrs.evolve(PLAIN, **changes))


@given(st.lists(rows, max_size=8), st.lists(rows, max_size=8), rows)
def test_a_key_is_independent_of_its_document(
    before: list[TransactionData], after: list[TransactionData], row: TransactionData
) -> None:
    """A row has one key wherever it stands, and its occurrence counts the equal keys above it."""
    document = list(keyed([*before, row, *after]))
    found = document[len(before)]
    assert found.dedupe_key == dedupe_key(row)
    assert found.occurrence == 1 + sum(dedupe_key(each) == dedupe_key(row) for each in before)
    assert len(found.dedupe_key) == KEY_BYTES == 16
    assert [each.index for each in document] == list(range(len(document)))
    assert len({(each.dedupe_key, each.occurrence) for each in document}) == len(document)


@pytest.mark.parametrize("same", [["5", "5.0", "5.00", "0.5E1"], ["0", "-0", "0.00", "-0.0"], ["100", "1E2"]])
def test_spellings_of_an_amount_are_one(same: list[str]) -> None:
    """How many zeros a bank writes does not count."""
    assert len({key(amount=Money(Decimal(amount), EUR)) for amount in same}) == 1


def test_different_amounts_are_different() -> None:
    """Neither a sign, nor a digit, nor a trailing zero before the point, nor a currency is lost."""
    amounts = [Money(Decimal(each), EUR) for each in ("5", "-5", "50", "500", "5.05", "5.5", "0.5", "0")]
    assert len({key(amount=each) for each in [*amounts, Money(Decimal(5), Currency("USD"))]}) == 9


@given(st.text(st.characters(codec="ascii"), max_size=20))
def test_case_and_spaces_do_not_count(text: str) -> None:
    """Upper or lower case and runs of white space are one description."""
    spaced = text.replace(" ", " \t\n ")
    assert key(description=text) == key(description=f"  {spaced.upper()}\n") == key(description=spaced.lower())


@given(st.text(max_size=20))
def test_compatibility_forms_do_not_count(text: str) -> None:
    """Composed, decomposed and compatibility characters are one description."""
    spellings = {unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert {key(description=each) for each in spellings} == {key(description=text)}


def test_full_width_text_is_the_same_text() -> None:
    """A bank that prints in full width says the same, and other words stay other words."""
    wide = "\uff23\uff4f\uff46\uff46\uff45\uff45"
    assert key(description=wide) == key(description="Coffee")
    assert key(description="Cof fee") != key(description="Coffee")
    assert key(description=None) == key(description="") == key(description="  ")


FILLERS = ["", " ", "0", "0000", "NONREF", "nonref", " NonRef ", "NOTPROVIDED", "None", "n/a", "NULL", None]


@pytest.mark.parametrize("filler", FILLERS)
def test_a_filler_is_no_id(filler: str | None) -> None:
    """What banks print for no id leaves the row to its content, also where ids are promised to be stable."""
    row = attrs.evolve(PLAIN, provider_transaction_id=filler)
    assert dedupe_key(row) == dedupe_key(row, stable_ids=True) == dedupe_key(PLAIN)


def test_an_id_stands_for_the_text() -> None:
    """With a usable id the description, memo and references do not count."""
    assert key(provider_transaction_id="A1") != key()
    assert key(provider_transaction_id="A1", description="COFFEE*2") == key(provider_transaction_id=" A1 ")
    assert key(provider_transaction_id="A1", check_number=None) == key(provider_transaction_id="A1")
    assert key(provider_transaction_id="A1") != key(provider_transaction_id="a1")
    assert key(provider_transaction_id="0010") != key(provider_transaction_id="10")


@pytest.mark.parametrize(
    "changes",
    [
        {"posted_date": date(2026, 3, 2)},
        {"amount": Money(Decimal("-4.51"), EUR)},
        {"amount": Money(Decimal("-4.50"), Currency("USD"))},
        {"type": TransactionType.OTHER},
    ],
)
def test_an_id_used_again_for_other_content_is_another_row(changes: dict[str, Any]) -> None:
    """Banks re-use ids: day, amount, currency and type are part of the key, unless ids are promised stable."""
    first = attrs.evolve(PLAIN, provider_transaction_id="A1")
    again = attrs.evolve(first, **changes)
    assert dedupe_key(first) != dedupe_key(again)
    assert dedupe_key(first, stable_ids=True) == dedupe_key(again, stable_ids=True)


@pytest.mark.parametrize("name", ["posted_date", "type", "description", "end_to_end_id", "check_number"])
def test_content_counts(name: str) -> None:
    """Without an id every part of the content tells rows apart."""
    other = {"posted_date": date(2026, 3, 2), "type": TransactionType.FEE}
    assert key(**{name: other.get(name, "something else")}) != key()


@pytest.mark.parametrize(
    "changes",
    [
        {"payee": "x", "memo": "x", "mcc": "1234", "reference": "x"},
        {"status": TransactionStatus.PENDING},
        {"value_date": date(2026, 3, 9), "transaction_date": date(2026, 3, 9)},
        {"original_amount": Money(Decimal(1), Currency("USD")), "exchange_rate": Decimal(2)},
    ],
)
def test_what_banks_fill_in_later_does_not_count(changes: dict[str, Any]) -> None:
    """Fields outside the rule change no key."""
    assert key(**changes) == key()


parts = st.lists(st.text(st.characters(exclude_characters="\0"), max_size=4), max_size=5)


@given(parts, parts)
def test_no_two_lists_of_parts_share_a_digest(one: list[str], other: list[str]) -> None:
    """Parts cannot be moved across their borders."""
    assert (_digest("rule", *one) == _digest("rule", *other)) == (one == other)


def test_no_text_can_forge_a_border() -> None:
    """Text that looks like a border, a length or another rule does not pass for one."""
    lists = [["a", "b"], ["a1:b"], ["1:a", "b"], ["", "a", "b"], ["a", "b", ""], ["ab"]]
    assert len({_digest(*each) for each in lists}) == len(lists)
    assert _digest("a\0b") == _digest("ab"), "NUL is no text: stores leave it out"
    assert key(description="x", end_to_end_id="y") != key(description="x\0y", end_to_end_id=None)
    assert key(description="x", end_to_end_id="y") != key(description="x", end_to_end_id=None, check_number="y7")


@given(texts, texts, texts)
def test_any_text_has_a_key(description: str | None, bank_id: str | None, reference: str | None) -> None:
    """Whatever characters a file holds, lone surrogates among them, a row has a key."""
    odd = f"{reference}\ud800\x00"
    row = attrs.evolve(PLAIN, description=description, provider_transaction_id=bank_id, end_to_end_id=odd)
    assert len(dedupe_key(row)) == len(dedupe_key(row, stable_ids=True)) == KEY_BYTES


def test_keys_do_not_change_between_releases() -> None:
    """Keys are stored: these two follow the documented rule, parted by NUL."""
    assert key().hex() == _sha256("content", "2026-03-01", "-4.5 EUR", "POS", "coffee", "e2e", "7")
    with_id = _sha256("bank", "A1", "2026-03-01", "-4.5 EUR", "POS")
    assert key(provider_transaction_id="A1").hex() == with_id


def _sha256(*parts: str) -> str:
    return hashlib.sha256(b"\0".join(part.encode() for part in parts)).hexdigest()[:32]
