"""Which files are read and which refused; character sets; what holds for every file."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import ImportCode, ImportFailed, Statement
from dashtam_core.kernel import Failure, Success
from dashtam_files.mt940 import Mt940Reader, _reader
from unit.files.mt940.documents import LINE, batch, document, read, refusal, rules

GOOD = document(
    LINE, ":86:166?00GUTSCHRIFT?20EREF+A?21SVWZ+Miete?32Jane", ":61:240207C1,NMSCX", ":86:/NAME/A/REMI/B"
)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (GOOD, True),
        ("\x01\r\n" + GOOD, True),
        ("{1:F01BANKDEFFXXXX}{2:I103BANKDEFFXXXXN}{4:\r\n:20:X\r\n:32A:240205EUR5,\r\n-}", False),
        ("Date,Amount,Text\r\n2024-02-05,5,at :61: and :20:", False),
    ],
)
def test_the_content_tells_the_format(text: str, known: bool) -> None:
    """A field at the beginning of a line, unless an envelope names another message."""
    assert Mt940Reader().recognizes(text.encode()) is known
    if not known:
        assert refusal(text).code is ImportCode.FORMAT_UNKNOWN


def test_a_statement_says_how_it_was_read() -> None:
    """The type of the first message, by its envelope or its fields."""
    assert (read(GOOD).format, read(GOOD).encoding) == ("MT940", "us-ascii")
    assert read("{2:O950BANKDEFFXXXX}{4:\n" + GOOD).format == "MT950"
    assert read(":20:X\n").batch.warnings[0].rule == "no_statement"


@pytest.mark.parametrize(
    "end",
    [":61:240207C", ":61:240207C1,00", ":61:240207C1,00NMSCREF", ":61:240207C1,00NMSCREF\r\n:86:Corner Ba"],
)
def test_a_file_that_ends_inside_a_row_is_refused(end: str) -> None:
    """An amount, a reference or a text that may be cut is not taken at its word."""
    assert refusal(document(LINE, tail=()) + end).code is ImportCode.FILE_TRUNCATED


def test_a_file_that_ends_after_a_row_is_read() -> None:
    """Its rows are whole; the closing balance is missing."""
    text = document(LINE, ":86:Corner Ba", tail=())
    assert len(batch(text).transactions) == 1
    assert rules(text) == ["closing_balance_missing"]


def test_too_many_rows_statements_or_accounts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many statements of one account are one account."""
    monkeypatch.setattr(_reader, "MAX_ACCOUNTS", 1)
    assert len(read(GOOD * 3).batch.accounts) == 3
    assert refusal(GOOD + GOOD.replace("1020304050", "99")).code is ImportCode.FILE_TOO_LARGE
    monkeypatch.setattr(_reader, "MAX_STATEMENTS", 2)
    assert "statements" in refusal(GOOD * 3).message
    monkeypatch.setattr(_reader, "MAX_ROWS", 1)
    assert "transactions" in refusal(GOOD).message


def test_a_text_without_end_is_cut() -> None:
    """Fields are bounded, and the cut is reported."""
    text = document(LINE, f":86:{'x' * 20_000}", tail=(":62F:C240229EUR87,50",))
    (found,) = batch(text).transactions
    assert len(found.description or "") == 10_000
    assert rules(text) == ["text_cut"]


@pytest.mark.parametrize(
    ("codec", "name"), [("cp1252", "windows-1252"), ("cp852", "ibm852"), ("utf-16", "utf-16")]
)
def test_the_letters_tell_the_character_set(codec: str, name: str) -> None:
    """A file never says which it is in; DOS and Windows differ in which bytes are letters inside words."""
    text = "Müller und Bäcker,\nÖsterhöfe"
    data = document(LINE, f":86:{text}".replace("\n", "\r\n")).encode(codec)
    assert (batch(data).transactions[0].description, read(data).encoding) == (text, name)


def test_control_characters_and_bytes_without_meaning_are_read_around() -> None:
    """The first are left out, the second reported."""
    data = (
        document(LINE, ":86:Corner\x00 Bakery ~", tail=(":62F:C240229EUR87,50",)).encode().replace(b"~", b"\x81")
    )
    assert batch(data).transactions[0].description == "Corner Bakery \ufffd"
    assert rules(data) == ["bytes_undecodable"]


TEXT = st.text(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ abcxyz0123456789.,-+()äöü"), max_size=60)
AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=2)
DAYS = st.dates(date(1981, 1, 1), date(2078, 12, 1))


@given(st.lists(st.tuples(DAYS, AMOUNTS, TEXT, st.from_regex("[A-Z0-9]{0,16}", fullmatch=True))))
@settings(max_examples=150, deadline=None)
def test_what_was_written_is_read_back(rows: list[tuple[date, Decimal, str, str]]) -> None:
    """Days, amounts, texts and references of any statement come back equal, and add up."""
    lines: list[str] = []
    for day, amount, text, reference in rows:
        mark, digits = "CD"[amount < 0], f"{abs(amount):f}".replace(".", ",")
        lines += [f":61:{day:%y%m%d}{day:%m%d}{mark}{digits}NTRFNONREF//{reference}", f":86:X{text}"]
    closing = Decimal(100) + sum(amount for _, amount, _, _ in rows)
    end = f":62F:{'CD'[closing < 0]}240229EUR{abs(closing):.2f}".replace(".", ",")
    text = document(*lines, tail=(end, "-"))
    assert [
        (row.posted_date, row.amount.amount, row.description, row.provider_transaction_id)
        for row in batch(text).transactions
    ] == [(day, amount, f"X{text}".strip(), reference or None) for day, amount, text, reference in rows]
    assert rules(text) == []


def check(data: bytes) -> None:
    match Mt940Reader().read(data):
        case Success(found):
            assert isinstance(found, Statement)
            repr(found).encode("utf-8", "surrogatepass")
        case Failure(error):
            assert isinstance(error, ImportFailed)
            assert "\n" not in error.message


PIECES = b":61: :86: :62F: :20: \r\n -\n {2:I940 ?20 /REMI/ \0 \xff 99999999999999".split(b" ")


@given(st.binary(max_size=300), st.sampled_from([b"", b":20:X\n", b":61:240205D", b":86:166?", b":60F:C"]))
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_reader_raise(data: bytes, before: bytes) -> None:
    """Whatever stands in a file, the answer is a value."""
    check(before + data)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_damage_makes_the_reader_raise(data: st.DataObject) -> None:
    """A good file that was cut or overwritten anywhere is read or refused."""
    good = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good)))
        piece = data.draw(st.one_of(st.binary(max_size=9), st.sampled_from(PIECES)))
        good[at : at + data.draw(st.integers(0, 60))] = piece
    check(bytes(good))
