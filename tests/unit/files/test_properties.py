"""What holds for every file: nothing raises, and what was written is read back."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import ImportCode, ImportFailed, Statement, TransactionData, TransactionType
from dashtam_core.kernel import Currency, Failure, Money, Success
from dashtam_files import OfxReader
from unit.files.documents import (
    ACCOUNT,
    BUY,
    HEADER,
    POSITION,
    XML_HEADER,
    account,
    document,
    invested,
    response,
    sgml_row,
    xml_row,
)

SAMPLES = Path(__file__).resolve().parents[3] / "examples/service/statements"
GOOD = [path.read_bytes() for path in sorted(SAMPLES.glob("*.[oq]fx"))]
INVESTMENTS = invested(BUY, f"<INVPOSLIST>{POSITION}</INVPOSLIST>").encode()


def check(data: bytes) -> None:
    """Reads anything: a statement that could be stored as UTF-8, or a refusal in one line."""
    match OfxReader().read(data):
        case Success(read):
            assert isinstance(read, Statement)
            assert "\0" not in repr(read)
            repr(read).encode()
        case Failure(error):
            assert isinstance(error, ImportFailed)
            assert "\n" not in error.message
    OfxReader().recognizes(data)


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", HEADER.encode(), HEADER.encode() + b"<OFX>", b"<OFX>", b"\xff\xfe<\0O\0"]),
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_reader_raise(data: bytes, before: bytes) -> None:
    """Whatever stands in a file, the answer is a value."""
    check(before + data)


@given(st.data())
@settings(max_examples=250, deadline=None)
def test_no_damage_makes_the_reader_raise(data: st.DataObject) -> None:
    """Good files that were cut, overwritten or doubled anywhere are read or refused."""
    good = bytearray(data.draw(st.sampled_from([*GOOD, INVESTMENTS])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good)))
        width = data.draw(st.integers(0, 60))
        piece = data.draw(
            st.one_of(st.binary(max_size=12), st.sampled_from([b"<STMTTRN>", b"</OFX>", b"<", b">", b"\0"]))
        )
        good[at : at + width] = piece
    check(bytes(good))


TAGS = st.sampled_from(
    [
        *("OFX", "SONRS", "STATUS", "CODE", "SEVERITY", "STMTTRNRS", "STMTRS", "CCSTMTRS", "INVSTMTRS"),
        *("ACCTINFORS", "CURDEF", "ACCTID", "BANKTRANLIST", "DTSTART", "DTEND", "STMTTRN", "STMTTRNP"),
        *("DTPOSTED", "DTTRAN", "TRNAMT", "INVTRANLIST", "BUYMF", "INVTRAN", "SECID", "UNIQUEID"),
        *("DTTRADE", "UNITS", "TOTAL", "INVBANKTRAN", "SPLIT", "OLDUNITS", "NEWUNITS", "POSMF"),
        *("SECLIST", "MFINFO", "STMTENDRS", "CLOSING", "BALCLOSE", "NAME", "PAYEE", "MEMO", "CURRENCY"),
        *("ORIGCURRENCY", "CURSYM", "CURRATE", "LEDGERBAL", "BALAMT", "DTASOF"),
    ]
)
VALUES = st.one_of(
    st.sampled_from(["", "\n", "20260131", "-1,5", "USD", "1e9", "0", "1.234", "&#1;", "<"]), st.text(max_size=8)
)


@given(st.lists(st.tuples(st.sampled_from(["", "/"]), TAGS, VALUES), max_size=60))
@settings(max_examples=400, deadline=None)
def test_no_order_of_tags_makes_the_reader_raise(tokens: list[tuple[str, str, str]]) -> None:
    """Known tags in any order, closed or not, with any value."""
    check(
        f"<OFX>{''.join(f'<{slash}{tag}>{value}' for slash, tag, value in tokens)}</OFX>".encode(
            "utf-8", "replace"
        )
    )


@pytest.mark.parametrize("good", GOOD, ids=range(len(GOOD)))
def test_a_prefix_of_a_file_is_never_taken_for_the_whole(good: bytes) -> None:
    """Wherever a download breaks off before its last statement ends, it is refused or said to lack its end."""
    last = good.rindex(b"STMTRS>")
    for end in range(len(HEADER), last, 11):
        match OfxReader().read(good[:end]):
            case Success(read):
                assert "end_missing" in {warning.rule for warning in read.batch.warnings}
                assert good[:end].rstrip().endswith((b"</STMTRS>", b"</STMTTRNRS>")), end
            case Failure(error):
                assert error.code in {
                    ImportCode.FILE_TRUNCATED,
                    ImportCode.FILE_UNREADABLE,
                    ImportCode.FORMAT_UNKNOWN,
                }


DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
TEXTS = st.one_of(
    st.none(), st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40)
)
NUMBERS = st.one_of(st.none(), st.from_regex(r"[0-9A-Z]{1,12}", fullmatch=True))
AMOUNTS = st.decimals(-(10**12), 10**12, places=2).map(lambda amount: amount or abs(amount))


@st.composite
def movements(draw: st.DrawFn) -> TransactionData:
    payee, memo = draw(TEXTS), draw(TEXTS)
    return TransactionData(
        posted_date=draw(DAYS),
        amount=Money(draw(AMOUNTS), Currency("EUR")),
        type=draw(st.sampled_from(TransactionType)),
        payee=payee,
        memo=memo,
        description=payee or memo,
        provider_transaction_id=draw(NUMBERS),
        check_number=draw(NUMBERS),
        reference=draw(NUMBERS),
        value_date=draw(st.one_of(st.none(), DAYS)),
        transaction_date=draw(st.one_of(st.none(), DAYS)),
    )


def printed(row: TransactionData, decimal_mark: str, *, backwards: bool) -> dict[str, str]:
    texts = {
        "TRNTYPE": row.type.value,
        "DTPOSTED": f"{row.posted_date:%Y%m%d}".zfill(8),
        "DTUSER": row.transaction_date and f"{row.transaction_date:%Y%m%d}",
        "DTAVAIL": row.value_date and f"{row.value_date:%Y%m%d}120000",
        "TRNAMT": str(row.amount.amount).replace(".", decimal_mark),
        "FITID": row.provider_transaction_id,
        "CHECKNUM": row.check_number,
        "REFNUM": row.reference,
        "NAME": row.payee,
        "MEMO": row.memo,
    }
    kept = {tag: escape(text) for tag, text in texts.items() if text}
    return dict(reversed(kept.items())) if backwards else kept


@given(rows=st.lists(movements(), max_size=6), mark=st.sampled_from([".", ","]), backwards=st.booleans())
@example(rows=[], mark=".", backwards=False)
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize(("header", "write"), [(HEADER, sgml_row), (XML_HEADER, xml_row)])
def test_what_is_written_is_read_back(
    header: str,
    write: Callable[[Mapping[str, str]], str],
    rows: list[TransactionData],
    mark: str,
    *,
    backwards: bool,
) -> None:
    """Statements as OFX 1 and as OFX 2 hold the same rows as were written, to the last digit, in any order."""
    text = document(
        response(
            "".join(write(printed(row, mark, backwards=backwards)) for row in rows),
            currency="EUR",
            account=ACCOUNT,
        ),
        header=header,
    )
    read = account(text.encode()).transactions
    assert read == tuple(rows)
    assert [str(each.amount.amount) for each in read] == [str(each.amount.amount) for each in rows]


@given(AMOUNTS, st.sampled_from([("", "."), (",", "."), (".", ","), ("'", "."), (" ", ",")]))
@settings(max_examples=200, deadline=None)
def test_grouped_amounts_are_read_back(amount: Decimal, marks: tuple[str, str]) -> None:
    """Any amount with two decimals is understood in each of the usual notations."""
    group, mark = marks
    text = f"{amount:,}".replace(",", "_").replace(".", mark).replace("_", group)
    (read,) = account(document(response(sgml_row({"DTPOSTED": "20260101", "TRNAMT": text})))).transactions
    assert read.amount.amount == amount
