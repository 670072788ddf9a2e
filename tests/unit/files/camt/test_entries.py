"""What one entry becomes: signs, days, parties, references, currencies and batches."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from dashtam_core.accounts import Counterparty, TransactionStatus, TransactionType
from dashtam_core.kernel import Currency, Money
from unit.files.camt.documents import (
    ACCOUNT,
    CREDIT,
    OTHER,
    OWN,
    account,
    balance,
    details,
    document,
    entry,
    rules,
    transaction,
)

EUR, USD = Currency("EUR"), Currency("USD")
PARTIES = (
    f"<RltdPties><Dbtr><Pty><Nm>Ann</Nm></Pty></Dbtr><DbtrAcct><Id><IBAN>{OWN}</IBAN></Id></DbtrAcct>"
    f"<Cdtr><Nm>Bob</Nm></Cdtr><CdtrAcct><Id><Othr><Id>{OTHER}</Id></Othr></Id></CdtrAcct></RltdPties>"
    "<RltdAgts><CdtrAgt><FinInstnId><BICFI>BANKDEFF</BICFI></FinInstnId></CdtrAgt></RltdAgts>"
)
BOB = Counterparty(name="Bob", account=OTHER, bic="BANKDEFF")


def code(domain: str, family: str, sub: str) -> str:
    inner = f"<Fmly><Cd>{family}</Cd><SubFmlyCd>{sub}</SubFmlyCd></Fmly>"
    return f"<BkTxCd><Domn><Cd>{domain}</Cd>{inner}</Domn></BkTxCd>"


def test_a_payment_gives_its_fields_to_the_transaction() -> None:
    """With one TxDtls every field of it is the transaction's, and there are no details."""
    refs = (
        "<Refs><InstrId>i1</InstrId><EndToEndId>e1</EndToEndId><MndtId>m1</MndtId><ChqNb>77</ChqNb></Refs>"
        "<RltdDts><AccptncDtTm>2026-01-13T10:00:00</AccptncDtTm></RltdDts>"
    )
    reference = "<Strd><CdtrRefInf><Ref>RF18</Ref></CdtrRefInf></Strd>"
    text = f"<RmtInf><Ustrd>Invoice 1 </Ustrd><Ustrd>January</Ustrd>{reference}</RmtInf>"
    found = transaction(
        entry(
            "<ValDt><Dt>2026-01-16</Dt></ValDt><AcctSvcrRef>s1</AcctSvcrRef>"
            + code("PMNT", "ICDT", "ESCT")
            + details(refs + PARTIES + text)
            + "<AddtlNtryInf>Transfer</AddtlNtryInf>"
        )
    )
    assert found.amount == Money(Decimal("-12.50"), EUR)
    assert (found.posted_date, found.value_date) == (date(2026, 1, 15), date(2026, 1, 16))
    assert (found.transaction_date, found.posted_at) == (date(2026, 1, 13), None)
    assert (found.type, found.status) == (TransactionType.XFER, TransactionStatus.POSTED)
    assert (found.payee, found.memo) == ("Bob", "Invoice 1 January")
    assert found.description == "Transfer Invoice 1 January RF18"
    assert (found.provider_transaction_id, found.reference, found.check_number) == ("s1", "RF18", "77")
    assert (found.end_to_end_id, found.mandate_id) == ("e1", "m1")
    assert (found.bank_transaction_code, found.counterparty, found.details) == ("PMNT-ICDT-ESCT", BOB, ())


def test_a_batch_is_one_transaction_with_its_payments_as_details() -> None:
    """Several TxDtls are parts with amounts of their own; none of them speaks for the whole."""
    refs, text = "<Refs><EndToEndId>e1</EndToEndId></Refs>", "<RmtInf><Ustrd>A</Ustrd></RmtInf>"
    one = f'{refs}<Amt Ccy="EUR">10.00</Amt>{PARTIES}{text}'
    two = "<AmtDtls><TxAmt><Amt Ccy='EUR'>2.50</Amt></TxAmt></AmtDtls><RmtInf><Ustrd>B</Ustrd></RmtInf>"
    other = f'<Amt Ccy="USD">1.00</Amt>{CREDIT}'
    found = transaction(entry(details(one, two, other)))
    assert (found.amount.amount, found.payee, found.end_to_end_id) == (Decimal("-12.50"), None, None)
    amounts = [part.amount and part.amount.amount for part in found.details]
    assert amounts == [Decimal("-10.00"), Decimal("-2.50"), None]
    assert [part.description for part in found.details] == ["A", "B", None]
    assert (found.details[0].counterparty, found.details[0].end_to_end_id) == (BOB, "e1")
    assert found.description == "A"


def test_the_indicator_gives_the_sign_and_a_reversal_does_not() -> None:
    """A reversed credit is a debit with the parties of the credit."""
    found = transaction(
        entry("<RvslInd>true</RvslInd>" + details("<RltdPties><Dbtr><Nm>Eve</Nm></Dbtr></RltdPties>"))
    )
    assert (found.amount.amount, found.reversal, found.payee) == (Decimal("-12.50"), True, "Eve")
    assert transaction(entry(sign=CREDIT)).amount.amount == Decimal("12.50")


def test_a_sign_in_the_amount_is_reported_and_does_not_count() -> None:
    """The standard has no negative amounts; the indicator decides."""
    odd = entry(amount='<Amt Ccy="EUR">-5</Amt>')
    assert transaction(odd).amount.amount == Decimal(-5)
    assert rules(document(ACCOUNT + odd)) == ["amount_sign_ignored"]


def test_the_party_that_is_the_account_itself_is_not_the_counterparty() -> None:
    """Banks that mix the roles up are understood by the account number."""
    assert transaction(entry(details(PARTIES), sign=CREDIT)).counterparty == BOB


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("<Sts>BOOK</Sts>", TransactionStatus.POSTED),
        ("<Sts><Cd>BOOK</Cd></Sts>", TransactionStatus.POSTED),
        ("<Sts><Cd>PDNG</Cd></Sts>", TransactionStatus.PENDING),
        ("<Sts>FUTR</Sts>", TransactionStatus.PENDING),
        ("", TransactionStatus.POSTED),
    ],
)
def test_a_status_is_read_in_every_version(status: str, expected: TransactionStatus) -> None:
    """As a text or in a code of its own; booked where nothing is said."""
    assert transaction(entry(status=status)).status is expected


def test_what_is_for_information_is_left_out_and_reported() -> None:
    """An entry with the status INFO was not booked."""
    text = document(ACCOUNT + entry(status="<Sts>INFO</Sts>") + entry(status="<Sts>ODD</Sts>"))
    assert rules(text) == ["information_only", "status_unknown"]
    assert len(account(text).transactions) == 1


def test_a_booking_time_keeps_the_day_as_printed() -> None:
    """The instant is in UTC, the day is the bank's, even where they differ."""
    found = transaction(entry(day="<BookgDt><DtTm>2026-01-15T00:30:00.0+02:00</DtTm></BookgDt>"))
    assert found.posted_date == date(2026, 1, 15)
    assert found.posted_at == datetime(2026, 1, 14, 22, 30, tzinfo=UTC)
    odd = transaction(entry(day="<BookgDt><DtTm>2026-01-15T11:17:11:735</DtTm></BookgDt>"))
    assert (odd.posted_date, odd.posted_at) == (date(2026, 1, 15), None)


@pytest.mark.parametrize(
    "day", ["2026-02-30", "2026-01-155", "15.01.2026", "0001-01-01", "9999-12-31T23:00:00-10:00"]
)
def test_an_unreadable_day_is_reported_and_its_row_left_out(day: str) -> None:
    """No day is guessed."""
    text = document(ACCOUNT + entry(day=f"<BookgDt><Dt>{day}</Dt></BookgDt>"))
    assert account(text).transactions == ()
    assert rules(text) == ["transaction_date_unreadable"]


def test_the_value_date_stands_in_for_a_missing_booking_date() -> None:
    """A row with a value date only is posted on it, and that is reported."""
    text = document(ACCOUNT + entry("<ValDt><Dt>2026-01-16</Dt></ValDt>", day=""))
    assert account(text).transactions[0].posted_date == date(2026, 1, 16)
    assert rules(text) == ["booking_date_missing"]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (balance("OPBD", "1", "2026-01-14") + balance("CLBD", "2", "2026-01-15"), [date(2026, 1, 15)]),
        (balance("OPBD", "1", "2026-01-05") + balance("CLBD", "2", "2026-01-15"), []),
        (
            "<FrToDt><FrDtTm>2026-01-15T00:00:00</FrDtTm><ToDtTm>2026-01-15T23:59:59</ToDtTm></FrToDt>",
            [date(2026, 1, 15)],
        ),
        (
            "<FrToDt><FrDtTm>2026-01-14</FrDtTm><ToDtTm>2026-01-15</ToDtTm></FrToDt>"
            + balance("CLBD", "2", "2026-01-15"),
            [],
        ),
        ("", []),
    ],
)
def test_a_row_without_dates_takes_the_only_day_of_its_statement(before: str, expected: list[date]) -> None:
    """Only where the statement is of one day; else the row is reported and left out."""
    text = document(ACCOUNT + before + entry(day=""))
    assert [row.posted_date for row in account(text).transactions] == expected
    assert rules(text) == ["booking_date_missing" if expected else "transaction_date_unreadable"]


@pytest.mark.parametrize(
    ("odd", "rule"),
    [
        (entry(amount='<Amt Ccy="EUR">1e9</Amt>'), "transaction_amount_unreadable"),
        (entry(amount=""), "transaction_amount_unreadable"),
        (entry(sign=""), "credit_or_debit_unreadable"),
        (entry(sign="<CdtDbtInd>D</CdtDbtInd>"), "credit_or_debit_unreadable"),
    ],
)
def test_a_row_without_an_amount_is_reported_and_the_others_are_kept(odd: str, rule: str) -> None:
    """One bad field costs one row, not the file."""
    text = document(ACCOUNT + odd + entry())
    assert len(account(text).transactions) == 1
    assert rules(text) == [rule]


def test_odd_fields_cost_only_themselves() -> None:
    """An unreadable value date or currency is reported and the row stays."""
    text = document(ACCOUNT + entry("<ValDt><Dt>soon</Dt></ValDt>", amount='<Amt Ccy="E1">1</Amt>'))
    assert rules(text) == ["currency_unreadable", "date_unreadable"]
    assert account(text).transactions[0].amount == Money(Decimal(-1), Currency("XXX"))


@pytest.mark.parametrize(
    ("rate", "expected"), [("1.25", "0.8"), ("0.8", "0.8"), (None, None), ("0", None), ("x", None)]
)
def test_a_rate_is_of_the_accounts_currency_for_one_of_the_original(
    rate: str | None, expected: str | None
) -> None:
    """Banks print it in either direction, and the two amounts say in which."""
    printed = f"<CcyXchg><SrcCcy>USD</SrcCcy><XchgRate>{rate}</XchgRate></CcyXchg>" if rate else ""
    found = transaction(
        entry(details(f"<AmtDtls><InstdAmt><Amt Ccy='USD'>15.625</Amt>{printed}</InstdAmt></AmtDtls>"))
    )
    assert found.original_amount == Money(Decimal("-15.625"), USD)
    assert found.exchange_rate == (Decimal(expected) if expected else None)


def test_an_instructed_amount_in_the_same_currency_is_no_conversion() -> None:
    """Nor is one of zero, which banks print for unknown."""
    for amount in ("<Amt Ccy='EUR'>13</Amt>", "<Amt Ccy='USD'>0</Amt>"):
        found = transaction(entry(details(f"<AmtDtls><InstdAmt>{amount}</InstdAmt></AmtDtls>")))
        assert (found.original_amount, found.exchange_rate) == (None, None)


@pytest.mark.parametrize(
    ("domain", "family", "sub", "expected"),
    [
        ("PMNT", "RDDT", "ESDD", TransactionType.DIRECTDEBIT),
        ("PMNT", "CCRD", "POSD", TransactionType.POS),
        ("PMNT", "CCRD", "CWDL", TransactionType.ATM),
        ("PMNT", "CNTR", "CWDL", TransactionType.CASH),
        ("PMNT", "ICDT", "STDO", TransactionType.REPEATPMT),
        ("PMNT", "RCHQ", "URCQ", TransactionType.CHECK),
        ("ACMT", "MDOP", "CHRG", TransactionType.SRVCHG),
        ("ACMT", "MCOP", "INTR", TransactionType.INT),
        ("XTND", "NTAV", "NTAV", TransactionType.DEBIT),
    ],
)
def test_iso_codes_say_what_kind_of_booking_it_is(
    domain: str, family: str, sub: str, expected: TransactionType
) -> None:
    """By sub-family, then by family, else by the sign."""
    assert transaction(entry(code(domain, family, sub))).type is expected


def test_a_salary_is_a_direct_deposit_and_an_own_code_is_kept() -> None:
    """The bank's own code is kept as printed, also where only the payment has one."""
    assert transaction(entry(code("PMNT", "RCDT", "SALA"), sign=CREDIT)).type is TransactionType.DIRECTDEP
    own = transaction(
        entry("<BkTxCd/>" + details("<BkTxCd><Prtry><Cd>NTRF+166</Cd></Prtry></BkTxCd>"), sign=CREDIT)
    )
    assert (own.bank_transaction_code, own.type) == ("NTRF+166", TransactionType.CREDIT)


def test_what_was_not_provided_is_none() -> None:
    """NOTPROVIDED is the standard's word for nothing; an entry's reference is no id of the bank."""
    refs = "<Refs><EndToEndId>NOTPROVIDED</EndToEndId><InstrId>NOTPROVIDED</InstrId></Refs>"
    found = transaction(entry("<NtryRef>1</NtryRef>" + details(refs)))
    assert (found.end_to_end_id, found.reference, found.provider_transaction_id) == (None, "1", None)
    bare = transaction(entry(details(refs)))
    twice = "<AcctSvcrRef>s1</AcctSvcrRef>"
    assert transaction(entry(twice + details(f"<Refs>{twice}</Refs>"))).reference is None
    assert (bare.reference, bare.description, bare.payee, bare.counterparty) == (None, None, None, None)


def test_a_text_said_twice_is_described_once() -> None:
    """Banks repeat the entry's text in its payment; a comment inside a text is none of it."""
    texts = details("<AddtlTxInf>Card 1</AddtlTxInf>") + "<AddtlNtryInf>Card<!-- x --> 1</AddtlNtryInf>"
    assert transaction(entry(texts)).description == "Card 1"


def test_a_text_without_end_is_cut_and_reported() -> None:
    """Whether in one element or in many lines."""
    lines = "<Ustrd>" + "x" * 6_000 + "</Ustrd>"
    text = document(ACCOUNT + entry(details(f"<RmtInf>{lines}{lines}{lines}</RmtInf>")))
    assert len(account(text).transactions[0].memo or "") == 10_000
    assert rules(text) == ["text_cut"]
