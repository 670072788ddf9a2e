"""Accounts, balances and windows; what banks leave out, and files that are cut short."""

import re
from datetime import UTC, date, datetime

import pytest

from dashtam_core.accounts import AccountType, BalanceKind, ImportCode
from dashtam_core.kernel import DateRange
from unit.files.documents import (
    ACCOUNT,
    HEADER,
    ROW,
    XML_HEADER,
    account,
    document,
    refusal,
    response,
    row,
    rules,
    statement,
    warnings,
)

CARD = (
    "<CCSTMTTRNRS><TRNUID>0<STATUS><CODE>0<SEVERITY>INFO</STATUS><CCSTMTRS><CURDEF>EUR<CCACCTFROM><ACCTID>5500"
    f"</CCACCTFROM><BANKTRANLIST>{ROW}{ROW}</BANKTRANLIST></CCSTMTRS></CCSTMTTRNRS>"
)
BALANCES = (
    "<LEDGERBAL><BALAMT>100.00<DTASOF>20260131120000[-5:EST]</LEDGERBAL>"
    "<AVAILBAL><BALAMT>90,5<DTASOF>20260130</AVAILBAL>"
)


def test_an_account_is_as_its_bank_names_it() -> None:
    """Number, bank, institution, type and currency of a bank account."""
    read = account(document(response())).account
    assert (read.provider_account_id, read.number, read.bank_id) == ("4417", "4417", "021")
    assert (read.institution, read.institution_id) == ("Harbour Bank", "7")
    assert (read.account_type, str(read.currency)) == (AccountType.CHECKING, "USD")


def test_a_branch_is_part_of_the_bank_id() -> None:
    """Two branches may give out one number: BANKID/BRANCHID."""
    data = document(response(account=ACCOUNT.replace("<ACCTID>", "<BRANCHID>0099<ACCTID>")))
    assert account(data).account.bank_id == "021/0099"


def test_several_accounts_in_one_file_stay_apart() -> None:
    """Every statement response is an account with its own rows and currency, in the file's order."""
    other = response(currency="GBP", account=ACCOUNT.replace("4417", "4418").replace("CHECKING", "savings"))
    read = statement(document(response(), other, CARD, CARD.replace("5500", "5501"), response(rows=""))).batch
    found = [
        (each.account.number, each.account.account_type, str(each.account.currency)) for each in read.accounts
    ]
    assert found == [
        ("4417", "CHECKING", "USD"),
        ("4418", "SAVINGS", "GBP"),
        ("5500", "CREDITCARD", "EUR"),
        ("5501", "CREDITCARD", "EUR"),
        ("4417", "CHECKING", "USD"),
    ]
    assert [len(each.transactions) for each in read.accounts] == [1, 1, 2, 2, 0]
    assert str(read.accounts[2].transactions[0].amount) == "-12.50 EUR"
    assert not read.warnings


def test_two_documents_in_one_file_are_both_read() -> None:
    """Downloads that were joined together are read one after the other, each with its own bank."""
    first, second = document(response()), document(response()).replace("Harbour Bank", "Hill Bank")
    read = statement(first + second).batch.accounts
    assert [each.account.institution for each in read] == ["Harbour Bank", "Hill Bank"]


@pytest.mark.parametrize(
    "change",
    [
        ("<STMTRS>", "<stmtrs>"),
        ("<STMTTRN>", "<StmtTrn>"),
        ("<OFX>", "<OFX >"),
        ("<OFX>", '<OFX xmlns="http://ofx.example/types">'),
        ("<(/?)", r"<\1ofx:"),
        ("</BANKTRANLIST>", ""),
        ("</STMTTRN>", ""),
        ("</STMTRS>", "</CCSTMTRS>"),
        ("</STATUS>", ""),
        ("</BANKACCTFROM>", ""),
        ("<BANKTRANLIST>", '<BANKTRANLIST count="1">'),
        (">", ">\r\n\t"),
        ("<TRNUID>0", "<TRNUID>"),
    ],
)
def test_sloppy_tags_change_nothing(change: tuple[str, str]) -> None:
    """Case, blanks, attributes, prefixes and missing or wrong closing tags do not matter."""
    tidy = document(response(row() + row(FITID="a2"), rest=BALANCES))
    sloppy = HEADER + re.sub(*change, tidy.removeprefix(HEADER))
    assert account(sloppy) == account(tidy)


def test_balances_have_a_day_and_a_kind() -> None:
    """The ledger and the available balance, each with its day as printed and its instant where known."""
    ledger, available = account(document(response(rest=BALANCES))).balances
    assert (ledger.kind, str(ledger.amount), ledger.as_of) == (BalanceKind.LEDGER, "100.00 USD", date(2026, 1, 31))
    assert ledger.reported_at == datetime(2026, 1, 31, 17, tzinfo=UTC)
    assert (available.kind, str(available.amount), available.as_of, available.reported_at) == (
        BalanceKind.AVAILABLE,
        "90.50 USD",
        date(2026, 1, 30),
        None,
    )


def test_balances_inside_a_list_that_is_never_closed_are_found() -> None:
    """A balance that comes before the end of the rows, or after a row without end, is no part of a row."""
    data = document(response(ROW + ROW.removesuffix("</STMTTRN>") + BALANCES))
    read = account(data)
    assert (len(read.transactions), len(read.balances)) == (2, 2)
    assert read.transactions[1].payee == "Corner Bakery"


def test_other_balances_are_not_taken_for_the_ledger() -> None:
    """BALLIST may hold anything; its entries are not read."""
    other = "<BALLIST><BAL><NAME>Points<DESC>p<BALTYPE>NUMBER<VALUE>7<BALAMT>7<DTASOF>20260131</BAL></BALLIST>"
    assert [str(each.amount) for each in account(document(response(rest=other + BALANCES))).balances] == [
        "100.00 USD",
        "90.50 USD",
    ]


@pytest.mark.parametrize(
    ("balance", "rule"),
    [
        ("<BALAMT><DTASOF>20260131", "balance_amount_unreadable"),
        ("<BALAMT> </BALAMT><DTASOF>20260131", "balance_amount_unreadable"),
        ("<BALAMT>none<DTASOF>20260131", "balance_amount_unreadable"),
        ("<BALAMT>1.00<DTASOF>", "balance_date_unreadable"),
        ("<BALAMT>0,00<DTASOF>00000000", "balance_date_unreadable"),
    ],
)
def test_a_balance_that_cannot_be_read_is_reported(balance: str, rule: str) -> None:
    """No balance is better than a wrong one."""
    data = document(response(rest=f"<LEDGERBAL>{balance}</LEDGERBAL>"))
    assert account(data).balances == ()
    assert [(each.rule, each.where) for each in warnings(data)] == [(rule, "statement 1, LEDGERBAL")]


def test_a_balance_without_a_day_is_of_the_lists_last() -> None:
    """Where DTASOF is left out, the end of the list dates the balance."""
    data = document(response(rest="<LEDGERBAL><BALAMT>1.00</LEDGERBAL>"))
    assert account(data).balances[0].as_of == date(2026, 1, 31)
    undated = data.replace("<DTSTART>20260101<DTEND>20260131", "")
    assert (account(undated).balances, rules(undated)) == ((), ["balance_date_unreadable"])


def test_the_covered_window_is_the_lists() -> None:
    """The days that the bank claims to be complete."""
    assert account(document(response())).covered_window == DateRange(date(2026, 1, 1), date(2026, 1, 31))


@pytest.mark.parametrize("end", ["00000000", "20251231", "soon", ""])
def test_a_window_that_makes_no_sense_is_unknown(end: str) -> None:
    """A bad, missing or earlier end gives no window, and is reported."""
    data = document(response()).replace("<DTEND>20260131", f"<DTEND>{end}")
    assert (account(data).covered_window, rules(data)) == (None, ["covered_window_unreadable"])


@pytest.mark.parametrize(("currency", "rule"), [("", "currency_missing"), ("R$", "currency_unreadable")])
def test_an_account_without_a_currency_has_none(currency: str, rule: str) -> None:
    """The ISO 4217 code for no currency stands where a bank prints none, and none is guessed."""
    data = document(response(currency=currency))
    assert (str(account(data).account.currency), rules(data)) == ("XXX", [rule])


@pytest.mark.parametrize("printed", ["", "CURRENT"])
def test_an_unknown_account_type_is_other(printed: str) -> None:
    """A type outside OFX is reported, and the account is read."""
    data = document(response(account=ACCOUNT.replace("CHECKING", printed)))
    assert (account(data).account.account_type, rules(data)) == (AccountType.OTHER, ["account_type_unknown"])


def test_a_card_is_known_by_its_statement() -> None:
    """Even where its account is named as a bank's is."""
    data = document(CARD.replace("CCACCTFROM", "BANKACCTFROM"))
    assert account(data).account.account_type is AccountType.CREDITCARD


def test_a_row_that_is_not_closed_ends_with_the_document() -> None:
    """The document's last tag is not part of it."""
    data = f"{HEADER}<OFX><STMTRS><CURDEF>USD{ACCOUNT}{ROW.removesuffix('</STMTTRN>')}</OFX>"
    assert (len(account(data).transactions), rules(data)) == (1, [])


def test_an_account_without_a_number_is_read() -> None:
    """Rows are not lost because their account has no number; that it has none is reported."""
    data = document(response(account=ACCOUNT.replace("4417", "")))
    assert (account(data).account.number, len(account(data).transactions)) == (None, 1)
    assert rules(data) == ["account_id_missing"]


def test_what_the_bank_reports_is_passed_on() -> None:
    """A response with an error and no statement is no account, but not silence either."""
    status = "<STATUS><CODE>2000<SEVERITY>ERROR<MESSAGE>General &amp; server error</STATUS>"
    data = document(response(), f"<STMTTRNRS><TRNUID>1{status}</STMTTRNRS>")
    assert len(statement(data).batch.accounts) == 1
    assert [(each.rule, each.where, each.raw) for each in warnings(data)] == [
        ("bank_reported_error", "statement 2", "2000 General & server error")
    ]


def test_a_failed_sign_on_is_passed_on() -> None:
    """A file that holds only a refused sign-on is read, and says why it is empty."""
    data = f"{HEADER}<OFX><SONRS><STATUS><CODE>15500<SEVERITY>ERROR</STATUS></SONRS></OFX>"
    assert statement(data).batch.accounts == ()
    assert rules(data) == ["bank_reported_error", "no_statement"]


def test_loans_are_reported_as_not_read() -> None:
    """Nobody believes that a file was complete when a section of it was passed over."""
    loan = "<CURDEF>USD<LOANACCTFROM><LOANACCTID>9</LOANACCTFROM>"
    loans = f"<LOANSTMTTRNRS><LOANSTMTRS>{loan}</LOANSTMTRS></LOANSTMTTRNRS>"
    data = document(response(), loans)
    assert account(data).account.number == "4417"
    assert [(each.rule, each.raw) for each in warnings(data)] == [("section_not_read", "LOANSTMTRS")]


CLOSING = (
    "<CLOSING><FITID>c{0}<DTOPEN>20260{0}01<DTCLOSE>20260{0}28<BALOPEN>10.00<BALCLOSE>{0}5.50<BALMIN>1.00"
    "<DTPOSTSTART>20260{0}01<DTPOSTEND>20260{0}28</CLOSING>"
)


def test_closing_statements_give_their_closing_balances() -> None:
    """One for each period, and no opening balances: the rows to prove them with are elsewhere."""
    periods = CLOSING.format(1) + CLOSING.format(2)
    closing = f"<STMTENDTRNRS><TRNUID>0<STMTENDRS><CURDEF>USD{ACCOUNT}{periods}</STMTENDRS></STMTENDTRNRS>"
    data = document(response(), closing)
    _, closed = statement(data).batch.accounts
    assert (closed.account.number, closed.transactions, closed.covered_window) == ("4417", (), None)
    assert [(each.kind, str(each.amount), str(each.as_of)) for each in closed.balances] == [
        (BalanceKind.CLOSING_BOOKED, "15.50 USD", "2026-01-28"),
        (BalanceKind.CLOSING_BOOKED, "25.50 USD", "2026-02-28"),
    ]
    assert not rules(data)
    assert rules(data.replace("<BALCLOSE>15.50", "<BALCLOSE>?")) == ["balance_amount_unreadable"]


def test_cards_have_closing_statements_too() -> None:
    """CCSTMTENDRS is read as STMTENDRS is."""
    period = CLOSING.format(3).replace("CLOSING", "CCCLOSING")
    closing = f"<CCSTMTENDRS><CURDEF>EUR<CCACCTFROM><ACCTID>5500</CCACCTFROM>{period}</CCSTMTENDRS>"
    closed = account(document(f"<CCSTMTENDTRNRS><TRNUID>0{closing}</CCSTMTENDTRNRS>"))
    assert (closed.account.account_type, closed.account.number) == (AccountType.CREDITCARD, "5500")
    assert [str(each.amount) for each in closed.balances] == ["35.50 EUR"]


def test_rows_before_their_currency_are_read_in_order() -> None:
    """A currency that comes after the list still counts for every row, as one that is missing does."""
    rows = row(FITID="1") + row(FITID="2")
    usual = document(response(rows))
    without = usual.replace("<CURDEF>USD\n", "")
    for after in ("</BANKTRANLIST>", "</STMTTRN>\n"):
        assert account(without.replace(after, f"{after}<CURDEF>USD\n", 1)) == account(usual)


@pytest.mark.parametrize("tag", ["TRANSFER", "INCOME", "SPLIT", "CLOSING"])
def test_a_banks_own_elements_are_no_investments(tag: str) -> None:
    """The words of investments have no meaning in a bank's rows."""
    data = document(response(row(**{tag: "1"}) + row(FITID="2")))
    assert [each.provider_transaction_id for each in account(data).transactions] == ["a1", "2"]


def test_a_list_of_accounts_is_no_statement() -> None:
    """Accounts that a bank only lists are not imported, and the file says that it held no statement."""
    listed = f"<ACCTINFOTRNRS><ACCTINFORS><ACCTINFO>{ACCOUNT}</ACCTINFO></ACCTINFORS></ACCTINFOTRNRS>"
    assert statement(document(listed)).batch.accounts == ()
    assert rules(document(listed)) == ["section_not_read", "no_statement"]
    assert rules(f"{HEADER}<OFX></OFX>") == ["no_statement"]


COMPLETE = document(response(rest=BALANCES), CARD)


@pytest.mark.parametrize(
    "end",
    [
        "<TRNAMT>-12",
        "<NAME>Corner Bakery",
        "</STMTTRN>",
        "<BANKTRANLIST>",
        "<BALAMT>100.00",
        "</LEDGERBAL>",
        "<CCSTMTTRNRS>",
        "</CCACCTFROM>",
        "<CODE>0",
        "<FI><ORG>Harbour",
        "</CCSTMTRS></CCSTM",
    ],
)
def test_a_file_that_is_cut_short_is_refused(end: str) -> None:
    """A download that broke off is imported as a whole or not at all."""
    cut = COMPLETE[: COMPLETE.index(end) + len(end)]
    error = refusal(cut)
    assert error.code is ImportCode.FILE_TRUNCATED
    assert "download" in error.message


def test_a_file_that_only_lacks_its_end_is_read() -> None:
    """Where every statement is whole, a missing last tag is reported."""
    whole = COMPLETE[: COMPLETE.index("</CCSTMTTRNRS>") + len("</CCSTMTTRNRS>")]
    assert len(statement(whole).batch.accounts) == 2
    assert rules(whole) == ["end_missing"]


@pytest.mark.parametrize(
    "data",
    [
        HEADER.encode(),
        HEADER.encode() + b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 50,
        HEADER.encode() + b"<OFX>" + bytes(range(1, 60)) * 40,
        XML_HEADER.encode() + b"\0" * 4096,
    ],
)
def test_garbage_after_a_header_is_unreadable(data: bytes) -> None:
    """A header alone does not make a statement."""
    error = refusal(data)
    assert error.code is ImportCode.FILE_UNREADABLE
    assert "damaged" in error.message


def test_null_characters_are_removed() -> None:
    """Padding with zeros is reported and does not reach any store."""
    data = document(response(row(NAME="Corner\0Bakery")))
    assert account(data).transactions[0].payee == "CornerBakery"
    assert rules(data) == ["null_characters_removed"]


def test_document_types_and_their_entities_are_ignored() -> None:
    """No entity can be defined, no file and no network is reached."""
    header = XML_HEADER + '<!DOCTYPE OFX [<!ENTITY a "aaaa"><!ENTITY x SYSTEM "file:///etc/hostname">]>'
    data = document(response(row(NAME="&x; &a;")), header=header)
    assert account(data).transactions[0].payee == "&x; &a;"
