"""Accounts, balances and periods, in every version and wrapping; and which files are refused."""

from datetime import date
from decimal import Decimal

import pytest

from dashtam_core.accounts import AccountType, BalanceKind, ImportCode
from dashtam_core.kernel import DateRange
from dashtam_files.camt import CamtReader
from unit.files.camt.documents import (
    ACCOUNT,
    OWN,
    account,
    balance,
    document,
    entry,
    refusal,
    rules,
    statement,
)

PLAIN = document(ACCOUNT + entry())
PERIOD = (
    "<CreDtTm>{}</CreDtTm>"
    "<FrToDt><FrDtTm>2026-01-01T00:00:00</FrDtTm><ToDtTm>2026-01-31T23:59:59</ToDtTm></FrToDt>"
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (PLAIN, "CAMT.053.001.08"),
        (document(ACCOUNT + entry(), tag="Rpt", version="001.02"), "CAMT.052.001.02"),
        (document(ACCOUNT + entry(), tag="Ntfctn", version="001.04"), "CAMT.054.001.04"),
        (PLAIN.replace("urn:iso:std:iso:20022:tech:xsd:", "ISO:"), "CAMT.053.001.08"),
        (PLAIN.replace(' xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"', ""), "CAMT.053"),
        (
            PLAIN.replace("<", "<c:").replace("<c:/", "</c:").replace("<c:?", "<?").replace("xmlns=", "xmlns:c="),
            "CAMT.053.001.08",
        ),
        (
            PLAIN.replace("?>\n", '?>\n<e:Envelope xmlns:e="bank"><e:Rpt>ok</e:Rpt><e:Body>')
            + "</e:Body></e:Envelope>",
            "CAMT.053.001.08",
        ),
        (PLAIN.replace("<Document ", '<Document xsi:schemaLocation="camt" '), "CAMT.053.001.08"),
        (PLAIN.replace("BkToCstmrStmt>", "BkToCstmrStmtV01>"), "CAMT.053.001.08"),
        ("\0 \n" + PLAIN + "\x1a\0", "CAMT.053.001.08"),
        (PLAIN.replace("<Sts>", "<!-- x --><?y z?><Sts>"), "CAMT.053.001.08"),
    ],
)
def test_every_wrapping_holds_the_same_entry(text: str, name: str) -> None:
    """Versions, namespaces, prefixes, envelopes and what old systems leave around a file make no difference."""
    assert CamtReader().recognizes(text.encode())
    read = statement(text)
    assert (read.format, read.batch.warnings) == (name, ())
    assert read.batch.accounts[0].transactions == account(PLAIN).transactions


@pytest.mark.parametrize(
    ("codec", "declared", "encoding"),
    [
        ("utf-8", "ISO-8859-1", "utf-8"),
        ("utf-8-sig", "UTF-8", "utf-8"),
        ("cp1252", "UTF-8", "windows-1252"),
        ("iso8859-2", "ISO-8859-2", "iso-8859-2"),
        ("utf-16", "UTF-16", "utf-16"),
    ],
)
def test_bytes_win_over_a_declaration_that_lies(codec: str, declared: str, encoding: str) -> None:
    """The text is right whatever the declaration says."""
    text = document(ACCOUNT + entry("<AddtlNtryInf>Müller</AddtlNtryInf>")).replace("UTF-8", declared)
    read = statement(text.encode(codec))
    assert (read.encoding, read.batch.accounts[0].transactions[0].memo) == (encoding, "Müller")


def test_an_account_is_named_by_its_bank() -> None:
    """Number, type, currency, bank and name; who owns it is nobody's business."""
    found = account(
        document(
            f"<Acct><Id><IBAN>{OWN}</IBAN></Id><Tp><Cd>SVGS</Cd></Tp><Ccy>EUR</Ccy><Nm>Reserve</Nm><Ownr><Nm>Ann</Nm></Ownr>"
            "<Svcr><FinInstnId><BIC>BANKDEFF</BIC><Nm>Harbour Bank</Nm></FinInstnId></Svcr></Acct>"
        )
    ).account
    assert (found.number, found.provider_account_id, str(found.currency)) == (OWN, OWN, "EUR")
    assert (found.account_type, found.official_name, found.name) == (AccountType.SAVINGS, "Reserve", None)
    assert (found.bank_id, found.institution) == ("BANKDEFF", "Harbour Bank")


def test_an_account_without_a_currency_takes_that_of_its_balances() -> None:
    """Else none is guessed, and that is reported."""
    other = "<Acct><Id><Othr><Id> 77 </Id></Othr></Id></Acct>"
    assert str(account(document(other + balance("CLBD", "1", "2026-01-15"))).account.currency) == "EUR"
    assert (rules(document(other)), rules(document(""))) == (
        ["currency_missing"],
        ["account_id_missing", "currency_missing"],
    )
    assert account(document(other)).account.number == "77"


def test_balances_keep_their_kind_sign_and_day() -> None:
    """PRCD opens a statement only where there is no OPBD; what is not known is reported."""
    codes = ("PRCD", "CLBD", "ITBD", "OPAV", "CLAV", "ITAV", "FWAV", "XPCD", "INFO")
    text = document(ACCOUNT + "".join(balance(code, "1.00", "2026-01-15", "DBIT") for code in codes))
    found = account(text).balances
    assert [each.kind.name for each in found] == [
        *("OPENING_BOOKED", "CLOSING_BOOKED", "INTERIM_BOOKED", "AVAILABLE", "CLOSING_AVAILABLE"),
        *("INTERIM_AVAILABLE", "EXPECTED", "EXPECTED"),
    ]
    assert {(each.amount.amount, each.as_of) for each in found} == {(Decimal("-1.00"), date(2026, 1, 15))}
    assert rules(text) == ["balance_type_unknown"]
    both = account(
        document(ACCOUNT + balance("PRCD", "1", "2026-01-14") + balance("OPBD", "2", "2026-01-15"))
    ).balances
    assert [each.amount.amount for each in both] == [Decimal(2)]


def test_the_balance_of_a_page_neither_opens_nor_closes() -> None:
    """The sub-type INTM marks it as of the time between; odd ones are reported."""
    page = balance("CLBD", "1", "2026-01-15").replace("</CdOrPrtry>", "</CdOrPrtry><SubTp><Cd>INTM</Cd></SubTp>")
    assert [each.kind for each in account(document(ACCOUNT + page)).balances] == [BalanceKind.INTERIM_BOOKED]
    odd = document(ACCOUNT + balance("CLBD", "one", "2026-01-15") + balance("CLBD", "1", "soon"))
    assert rules(odd) == ["balance_amount_unreadable", "balance_date_unreadable"]


@pytest.mark.parametrize(
    ("tag", "made", "rest", "last"),
    [
        ("Stmt", "2026-02-01T08:00:00", "", 31),
        ("Stmt", "2026-01-20T08:00:00", "", 20),
        ("Rpt", "2026-01-20T08:00:00", "", 19),
        ("Rpt", "2026-01-01T08:00:00", "", None),
        ("Ntfctn", "2026-02-01T08:00:00", "", None),
        ("Stmt", "2026-02-01T08:00:00", "<StmtPgntn><PgNb>1</PgNb><LastPgInd>false</LastPgInd></StmtPgntn>", None),
        ("Stmt", "2026-02-01T08:00:00", "<StmtPgntn><PgNb>2</PgNb><LastPgInd>true</LastPgInd></StmtPgntn>", None),
    ],
)
def test_a_window_claims_no_day_that_may_be_incomplete(tag: str, made: str, rest: str, last: int | None) -> None:
    """Not the days to come, nor today's of a report; notifications and pages claim none."""
    found = account(document(rest + PERIOD.format(made) + ACCOUNT, tag=tag)).covered_window
    assert found == (DateRange(date(2026, 1, 1), date(2026, 1, last)) if last else None)


def test_an_unreadable_window_is_reported() -> None:
    """One that ends before it starts says nothing."""
    text = document(PERIOD.format("").replace("2026-01-31", "2025-01-31") + ACCOUNT)
    assert (account(text).covered_window, rules(text)) == (None, ["covered_window_unreadable"])


def test_several_statements_are_several_batches() -> None:
    """Each with its own rows, also where an account comes twice."""
    read = statement(document(ACCOUNT + entry() + entry(), ACCOUNT.replace(OWN, "7") + entry(), ACCOUNT))
    assert [len(batch.transactions) for batch in read.batch.accounts] == [2, 1, 0]
    assert [batch.account.number for batch in read.batch.accounts] == [OWN, "7", OWN]


def test_entries_without_an_account_are_not_those_of_the_next_statement() -> None:
    """A report in an envelope that names no account is a statement of its own."""
    text = PLAIN.replace("?>\n", f"?>\n<e><Rpt>{entry()}{entry()}</Rpt>") + "</e>"
    read = statement(text)
    assert [len(batch.transactions) for batch in read.batch.accounts] == [2, 1]
    assert rules(text)[-2:] == ["account_id_missing", "currency_missing"]


def test_a_notification_has_the_same_rows_as_the_statement() -> None:
    """So both give one key, and nothing is booked twice."""
    notified = account(document(ACCOUNT + entry(), tag="Ntfctn"))
    assert notified.transactions == account(PLAIN).transactions


def test_many_entries_are_read_in_order() -> None:
    """Over slices of the parser and many turns of the event loop."""
    text = document(ACCOUNT + "".join(entry(f"<AcctSvcrRef>{at}</AcctSvcrRef>") for at in range(2_000)))
    assert [row.provider_transaction_id for row in account(text).transactions] == [str(at) for at in range(2_000)]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (PLAIN[: PLAIN.index("</Stmt>")], ImportCode.FILE_TRUNCATED, "statement 1"),
        (PLAIN[: PLAIN.index("2026-01") + 3], ImportCode.FILE_TRUNCATED, "cut short"),
        (PLAIN.rstrip()[:-1], ImportCode.FILE_TRUNCATED, "cut short"),
        (PLAIN.replace("</Sts>", ""), ImportCode.FILE_UNREADABLE, "line 2"),
        (PLAIN.replace("BOOK", "A & B"), ImportCode.FILE_UNREADABLE, "line 2"),
        (
            PLAIN.replace("?>\n", '?><!DOCTYPE Document [<!ENTITY a "b">]>\n'),
            ImportCode.FILE_UNREADABLE,
            "DOCTYPE",
        ),
        (PLAIN.replace("BOOK", "&a;"), ImportCode.FILE_UNREADABLE, "line 2"),
        (PLAIN.replace("<Sts>", "<a>" * 300), ImportCode.FILE_UNREADABLE, "depth"),
        (document(), ImportCode.FILE_UNREADABLE, "without a statement"),
        ("<OFX></OFX>", ImportCode.FORMAT_UNKNOWN, "camt.053"),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(text: str, code: ImportCode, said: str) -> None:
    """Cut short, not well-formed, with a document type, or without any statement: nothing of it is read."""
    error = refusal(text)
    assert (error.code, said in error.message) == (code, True), error.message


def test_a_document_type_is_found_wherever_it_stands() -> None:
    """Also after a long comment, on the border of two slices, and in UTF-16."""
    for at in range(65_520, 65_540):
        before = '<?xml version="1.0"?><!--<BkToCstmrStmt>'.ljust(at - 3, "x") + "-->"
        assert "DOCTYPE" in refusal(f"{before}<!DOCTYPE Document><Document/>").message
    assert "DOCTYPE" in refusal(PLAIN.replace("?>", "?><!DOCTYPE a>").encode("utf-16")).message


def test_forbidden_control_characters_are_removed_and_reported() -> None:
    """They would cost the whole file, and mean nothing."""
    text = document(ACCOUNT + entry("<AddtlNtryInf>a\x02b\x1f</AddtlNtryInf>"))
    assert (account(text).transactions[0].memo, rules(text)) == ("ab", ["control_characters_removed"])


def test_more_rows_or_statements_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Payments in a batch count as rows."""
    monkeypatch.setattr("dashtam_files.camt._message.MAX_ROWS", 3)
    assert refusal(document(ACCOUNT + entry() * 4)).code is ImportCode.FILE_TOO_LARGE
    batch = entry("<NtryDtls>" + "<TxDtls/>" * 4 + "</NtryDtls>")
    assert refusal(document(ACCOUNT + batch)).code is ImportCode.FILE_TOO_LARGE
    monkeypatch.setattr("dashtam_files.camt._message.MAX_ACCOUNTS", 1)
    assert refusal(document(ACCOUNT, ACCOUNT)).code is ImportCode.FILE_TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"OFXHEADER:100",
        b"camt.053.001.02",
        b"date;text\n1;<BkToCstmrStmt>",
        b'<Document xmlns="urn:pain.001.001.03">',
    ],
)
def test_other_files_are_not_claimed(data: bytes) -> None:
    """The content decides, and it begins as XML."""
    assert not CamtReader().recognizes(data)
