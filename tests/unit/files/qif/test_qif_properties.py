"""What holds for every QIF file: what was written is read back, and nothing raises or runs without end."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import ImportFailed, Statement
from dashtam_core.kernel import Failure, Success
from dashtam_files.qif import QifReader
from unit.files.qif.qif_documents import directed, rows, statement

GOOD = (
    b"!Option:AutoSwitch\n!Account\nNMain\nTBank\n$5.00\n/1/31'24\n^\n!Type:Bank\n"
    b"D1/30'24\nU-1,234.50\nT-1,234.50\nCX\nN12\nPShop\nMMemo\nLFood\nSFood\nEx\n$-1,234.50\n^\n"
    b'!Type:Invst\nD2/ 1\'24\nNBuy\nYAcme\nI2.5\nQ4\nO1\nT11.00\n^\n!Type:Prices\n"ACM",2.5,"1/31\'24"\n^\n'
    b"!Type:Security\nNAcme\nSACM\nTStock\n^\n"
)
TEXTS = st.none() | st.from_regex(r"[^\W_](?:[^\r\n\0|]{0,30}[^\W_])?", fullmatch=True)
AMOUNTS = st.decimals(-(10**12), 10**12, places=2)
PARTS = st.lists(st.tuples(st.none() | st.just("Food"), AMOUNTS), max_size=3)
ROWS = st.tuples(st.dates(date(1900, 1, 1), date(2199, 12, 31)), AMOUNTS, TEXTS, TEXTS, TEXTS, PARTS)
KINDS = (b"Bank", b"Invst", b"Security", b"Cat")
LINES = st.lists(
    st.builds("{}{}".format, st.sampled_from("DTUNPMALSE$%YIQOC^!"), st.text(max_size=8)), max_size=40
).map(lambda lines: "\n".join(lines).encode("utf-8", "replace"))
type Row = tuple[date, Decimal, str | None, str | None, str | None, list[tuple[str | None, Decimal]]]


def check(data: bytes) -> None:
    QifReader().recognizes(data)
    match QifReader().read(data):
        case Success(read):
            assert isinstance(read, Statement)
            assert "\0" not in repr(read)
        case Failure(error):
            assert isinstance(error, ImportFailed)
            assert error.message.isprintable()


@given(
    st.sampled_from([b"!Account\nN", *(b"!Type:%b\n" % kind for kind in KINDS)]), st.binary(max_size=300) | LINES
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_reader_raise(before: bytes, data: bytes) -> None:
    """Whatever stands in a file, and known letters in any order, the answer is a value."""
    check(data)
    check(before + data)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_damage_makes_the_reader_raise(data: st.DataObject) -> None:
    """A good file that was cut, overwritten or doubled anywhere is read or refused."""
    bad = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at, width = data.draw(st.integers(0, len(bad))), data.draw(st.integers(0, 40))
        odd = st.sampled_from([b"^", b"!Type:Cat\n", b"\nD", b"\nT9e9", b"\0", b"\r", b"\nS\n$\n"])
        bad[at : at + width] = data.draw(st.binary(max_size=8) | odd)
    check(bytes(bad))


def printed(row: Row, order: str, mark: str) -> str:
    day, amount, payee, memo, category, parts = row
    days = {"DMY": f"{day:%d/%m}/{day.year}", "MDY": f"{day.month}/{day.day}'{day.year}", "YMD": f"{day}"}
    fields = {"D": days[order], "T": f"{amount:,}", "P": payee, "M": memo, "L": category}
    split = [line for name, part in parts for line in (f"S{name or ''}", f"${part}")]
    text = "|".join([*(f"{letter}{each}" for letter, each in fields.items() if each), *split])
    return text if mark == "." else text.replace(f"T{amount:,}", f"T{amount:,}".translate({44: 46, 46: 44}))


@given(st.lists(ROWS, min_size=1, max_size=5), st.sampled_from(["DMY", "MDY", "YMD"]), st.sampled_from([".", ","]))
@example([(date(2024, 2, 1), Decimal("-0.00"), None, None, None, [])], "DMY", ",")
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_back(written: list[Row], order: str, mark: str) -> None:
    """Days, amounts to the last digit, texts and splits, in each order of the day and with either mark."""
    reader = directed(f'format = "qif"\ndate_order = "{order}"\ncurrency = "EUR"')
    (account,) = statement(rows(*(printed(each, order, mark) for each in written)), reader).batch.accounts
    for row, (day, amount, payee, memo, category, parts) in zip(account.transactions, written, strict=True):
        assert (row.posted_date, row.amount.amount) == (day, amount)
        assert (row.payee, row.memo, row.category) == (payee, memo, category)
        assert [(part.category, part.amount and part.amount.amount) for part in row.details] == parts


HOSTILE = [" ", "^\n", "!", "\r", "#\n", "Mxxxx\n", "Mx", "D1   ", "T1,", "!Account\nNA\n^\n", "S\n"]


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
def test_hostile_text_comes_to_an_end(piece: str) -> None:
    """Endless lines, records and headers take time in proportion to their length: else this runs for hours."""
    hostile = piece * (2_000_000 // len(piece))
    check(hostile.encode())
    check(f"!Type:Bank\n{piece[:1]}{hostile.replace('\n', '')}\n{hostile}".encode())
