"""What holds for every file: nothing raises, and what was written is read back."""

from datetime import date
from decimal import Decimal
from xml.sax.saxutils import escape

from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import (
    Counterparty,
    ImportCode,
    ImportFailed,
    Statement,
    TransactionData,
    TransactionPart,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.kernel import Currency, Failure, Money, Success
from dashtam_files.camt import CamtReader
from unit.files.camt.documents import ACCOUNT, account, balance, details, document, entry

GOOD = document(
    ACCOUNT + balance("OPBD", "1", "2026-01-01") + entry(details("<Refs><EndToEndId>é</EndToEndId></Refs>") * 2)
).encode()
TAGS = (
    *("Stmt", "Rpt", "Ntfctn", "Acct", "Id", "IBAN", "Othr", "Bal", "Tp", "Cd", "Amt", "CdtDbtInd", "Dt", "DtTm"),
    *("FrToDt", "FrDtTm", "ToDtTm", "Ntry", "Sts", "BookgDt", "ValDt", "NtryDtls", "TxDtls", "Refs", "EndToEndId"),
    *("AmtDtls", "InstdAmt", "CcyXchg", "XchgRate", "RltdPties", "Cdtr", "CdtrAcct", "Nm", "RmtInf", "Ustrd"),
)


def check(data: bytes) -> None:
    """Reads anything: a statement that could be stored as UTF-8, or a refusal in one line."""
    match CamtReader().read(data):
        case Success(read):
            assert isinstance(read, Statement)
            assert "\0" not in repr(read)
            repr(read).encode()
        case Failure(error):
            assert isinstance(error, ImportFailed)
            assert "\n" not in error.message
    CamtReader().recognizes(data)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", GOOD[:40], GOOD[:150], GOOD[:-40], "<Document xmlns='camt.053.'".encode("utf-16")]),
)
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_the_reader_raise(data: bytes, before: bytes) -> None:
    """Whatever stands in a file, the answer is a value."""
    check(before + data)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_damage_makes_the_reader_raise(data: st.DataObject) -> None:
    """A good file that was cut, overwritten or doubled anywhere is read or refused."""
    good = bytearray(GOOD)
    pieces = st.one_of(
        st.binary(max_size=8), st.sampled_from([b"<Ntry>", b"</Stmt>", b"<", b">", b"&#0;", b"<!--", b"1e99999"])
    )
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(good)))
        good[at : at + data.draw(st.integers(0, 40))] = data.draw(pieces)
    check(bytes(good))


NODES = st.recursive(
    st.sampled_from(["", "1", "-1.5", "EUR", "DBIT", "2026-01-31", "2026-01-31T00:00:00Z", "INFO", "0", "9" * 40]),
    lambda inner: st.lists(
        st.tuples(st.sampled_from(TAGS), st.sampled_from(["", ' Ccy="EUR"', ' Ccy="?"']), inner), max_size=6
    ).map(lambda nodes: "".join(f"<{tag}{ccy}>{text}</{tag}>" for tag, ccy, text in nodes)),
    max_leaves=40,
)


@given(NODES, NODES)
@settings(max_examples=300, deadline=None)
def test_no_order_of_elements_makes_the_reader_raise(before: str, inside: str) -> None:
    """Known elements anywhere, in any other, with any value."""
    check(document(before + entry(inside) + before + entry(details(inside))).encode())


@given(st.integers(0, len(GOOD.rstrip()) - 1))
def test_a_prefix_of_a_file_is_never_taken_for_the_whole(end: int) -> None:
    """Wherever a download breaks off, it is refused."""
    match CamtReader().read(GOOD[:end]):
        case Failure(error):
            assert error.code in {ImportCode.FILE_TRUNCATED, ImportCode.FORMAT_UNKNOWN}
        case read:
            raise AssertionError(read)


DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=30)
SOME = st.one_of(st.none(), TEXTS)
AMOUNTS = st.decimals(-(10**12), 10**12, places=2).map(lambda amount: amount or abs(amount))


@st.composite
def parts(draw: st.DrawFn, amount: st.SearchStrategy[Decimal]) -> TransactionPart:
    name, number = draw(SOME), draw(SOME)
    return TransactionPart(
        amount=Money(draw(amount), Currency("EUR")),
        description=draw(SOME),
        counterparty=Counterparty(name=name, account=number) if name or number else None,
        reference=draw(SOME),
        end_to_end_id=draw(SOME),
        mandate_id=draw(SOME),
    )


@st.composite
def movements(draw: st.DrawFn) -> TransactionData:
    amount = draw(AMOUNTS)
    only = draw(parts(st.just(amount)))
    many = draw(st.one_of(st.just([]), st.lists(parts(AMOUNTS), min_size=2, max_size=3)))
    part = TransactionPart() if many else only
    payee = part.counterparty.name if part.counterparty else None
    return TransactionData(
        posted_date=draw(DAYS),
        amount=Money(amount, Currency("EUR")),
        type=TransactionType.DEBIT if amount < 0 else TransactionType.CREDIT,
        status=draw(st.sampled_from([TransactionStatus.POSTED, TransactionStatus.PENDING])),
        description=part.description or payee or (many[0].description if many else None),
        payee=payee,
        memo=part.description,
        provider_transaction_id=draw(SOME.filter(lambda text: text is None or text != part.reference)),
        value_date=draw(st.one_of(st.none(), DAYS)),
        reference=part.reference,
        end_to_end_id=part.end_to_end_id,
        mandate_id=part.mandate_id,
        counterparty=part.counterparty,
        details=tuple(many),
    )


def tag(name: str, text: object) -> str:
    return "" if text is None else f"<{name}>{escape(str(text))}</{name}>"


def sign(amount: Decimal) -> str:
    return tag("CdtDbtInd", "DBIT" if amount < 0 else "CRDT")


def payment(part: TransactionPart, role: str) -> str:
    other = part.counterparty or Counterparty()
    number = f"<{role}Acct><Id><Othr>{tag('Id', other.account)}</Othr></Id></{role}Acct>"
    own = f'<Amt Ccy="EUR">{abs(part.amount.amount)}</Amt>{sign(part.amount.amount)}' if part.amount else ""
    return (
        f"<Refs>{tag('EndToEndId', part.end_to_end_id)}{tag('MndtId', part.mandate_id)}"
        f"{tag('InstrId', part.reference)}</Refs>{own}"
        f"<RltdPties><{role}>{tag('Nm', other.name)}</{role}>{number}</RltdPties>"
        f"<RmtInf>{tag('Ustrd', part.description)}</RmtInf>"
    )


def printed(row: TransactionData) -> str:
    amount = row.amount.amount
    only = TransactionPart(
        description=row.memo,
        counterparty=row.counterparty,
        reference=row.reference,
        end_to_end_id=row.end_to_end_id,
        mandate_id=row.mandate_id,
    )
    return entry(
        f"<ValDt>{tag('Dt', row.value_date)}</ValDt>{tag('AcctSvcrRef', row.provider_transaction_id)}"
        + details(*(payment(part, "Cdtr" if amount < 0 else "Dbtr") for part in row.details or [only])),
        amount=f'<Amt Ccy="EUR">{abs(amount)}</Amt>',
        sign=sign(amount),
        status=tag("Sts", "BOOK" if row.status is TransactionStatus.POSTED else "PDNG"),
        day=f"<BookgDt>{tag('Dt', row.posted_date)}</BookgDt>",
    )


@given(st.lists(movements(), max_size=5), st.sampled_from(["Stmt", "Rpt", "Ntfctn"]))
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back(rows: list[TransactionData], kind: str) -> None:
    """A message of each kind holds the same rows as were written, to the last digit."""
    read = account(document(ACCOUNT + "".join(map(printed, rows)), tag=kind)).transactions
    assert read == tuple(rows)
    assert [str(each.amount.amount) for each in read] == [str(each.amount.amount) for each in rows]
