"""What the CSV reader makes of the files of banks it knows, and of those it does not."""

from datetime import UTC, date, datetime
from decimal import Decimal

import attrs
import pytest

from dashtam_core.accounts import (
    AccountBatch,
    AccountType,
    BalanceKind,
    ImportCode,
    ImportFailed,
    Statement,
    StatementReaders,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.kernel import Failure, Success
from dashtam_files.csv import BankCsvReader, CsvProfile, CsvReader


def read(text: str | bytes, reader: BankCsvReader | CsvReader | None = None) -> Statement:
    data = text.encode() if isinstance(text, str) else text
    assert (reader or CsvReader()).recognizes(data)
    match (reader or CsvReader()).read(data):
        case Success(statement):
            return statement
        case failure:
            raise AssertionError(failure)


def refusal(text: str | bytes, reader: BankCsvReader | CsvReader | None = None) -> ImportFailed:
    match (reader or CsvReader()).read(text.encode() if isinstance(text, str) else text):
        case Failure(error):
            assert "\n" not in error.message
            return error
        case success:
            raise AssertionError(success)


def only(statement: Statement) -> AccountBatch:
    (batch,) = statement.batch.accounts
    return batch


def amounts(text: str | bytes) -> list[str]:
    return [str(row.amount) for row in only(read(text)).transactions]


def days(text: str | bytes) -> list[date]:
    return [row.posted_date for row in only(read(text)).transactions]


def rules(statement: Statement) -> list[str]:
    return [warning.rule for warning in statement.batch.warnings]


ING = (
    '"Datum";"Naam / Omschrijving";"Rekening";"Tegenrekening";"Code";"Af Bij";"Bedrag (EUR)";"Mutatiesoort";'
    '"Mededelingen";"Saldo na mutatie";"Tag"\n'
    '"20260103";"Bakker";"NL10INGB0001234567";"";"BA";"Af";"12,50";"Betaalautomaat";"Pas 1";"1087,50";""\n'
    '"20260102";"Werkgever";"NL10INGB0001234567";"NL91ABNA0417164300";"GT";"Bij";"1.000,00";"Online";"Loon";"1100,00";""\n'
)


def test_a_known_header_is_read_by_its_profile() -> None:
    """Every column that the profile names becomes its field, with the sign that the indicator says."""
    statement = read(ING)
    batch = only(statement)
    assert statement.format == "CSV ing"
    assert (batch.account.number, batch.account.institution) == ("NL10INGB0001234567", "ING")
    assert (batch.account.account_type, str(batch.account.currency)) == (AccountType.CHECKING, "EUR")
    bakker, loon = batch.transactions
    assert (bakker.posted_date, str(bakker.amount), bakker.type) == (
        date(2026, 1, 3),
        "-12.50 EUR",
        TransactionType.DEBIT,
    )
    assert (loon.amount.amount, loon.type) == (Decimal("1000.00"), TransactionType.CREDIT)
    assert (bakker.payee, bakker.memo, bakker.description) == ("Bakker", "Pas 1", "Bakker Pas 1")
    assert bakker.bank_transaction_code == "Betaalautomaat"
    assert loon.counterparty
    assert loon.counterparty.account == "NL91ABNA0417164300"
    assert not statement.batch.warnings


def test_a_running_balance_that_adds_up_gives_the_balances_at_both_ends() -> None:
    """Newest first or oldest first: the oldest row's balance before it, and the newest row's after it."""
    header, new, old = ING.splitlines()
    for text in (ING, f"{header}\n{old}\n{new}"):
        found = {each.kind: (each.as_of, str(each.amount)) for each in only(read(text)).balances}
        assert found == {
            BalanceKind.OPENING_BOOKED: (date(2026, 1, 2), "100.00 EUR"),
            BalanceKind.CLOSING_BOOKED: (date(2026, 1, 3), "1087.50 EUR"),
        }


def test_a_running_balance_that_does_not_add_up_gives_no_balance() -> None:
    """Rows are missing, so neither end is certain; the rows keep what they print."""
    statement = read(ING.replace("1087,50", "1087,51"))
    assert not only(statement).balances
    assert rules(statement) == ["running_balance_disagrees"]
    assert str(only(statement).transactions[0].running_balance) == "1087.51 EUR"


def test_fees_beside_the_amount_and_rows_that_never_happened_count_as_the_bank_means_them() -> None:
    """A fee is taken on top, a pending row has the day the person acted, a reverted one is reported."""
    statement = read(
        "Type,Product,Started Date,Completed Date,Description,Amount,Fee,Currency,State,Balance\n"
        "Topup,Current,2026-01-01 09:00:00,2026-01-01 09:01:00,Top-up,100.00,0.00,EUR,COMPLETED,100.00\n"
        "Exchange,Current,2026-01-02 09:00:00,2026-01-02 09:01:00,To USD,-10.00,1.00,EUR,COMPLETED,89.00\n"
        "Card,Current,2026-01-03 09:00:00,,Hotel,-50.00,0.00,EUR,PENDING,\n"
        "Card,Current,2026-01-03 09:00:00,,Shop,-5.00,0.00,EUR,REVERTED,\n"
        "Topup,Current,2026-01-01 09:00:00,2026-01-01 09:01:00,Top-up,7.00,0.00,USD,COMPLETED,7.00\n"
    )
    euro, dollar = statement.batch.accounts
    assert [str(row.amount) for row in euro.transactions] == ["100.00 EUR", "-11.00 EUR", "-50.00 EUR"]
    assert euro.transactions[2].status is TransactionStatus.PENDING
    assert euro.transactions[2].posted_date == date(2026, 1, 3)
    assert str(euro.balances[1].amount) == "89.00 EUR"
    assert [str(row.amount) for row in dollar.transactions] == ["7.00 USD"]
    assert euro.account.provider_account_id != dollar.account.provider_account_id
    assert "row_not_booked" in rules(statement)


def test_a_card_that_prints_purchases_positive_is_turned() -> None:
    """Money leaving is negative whatever the bank prints, where its profile says so."""
    header = "Trans. Date,Post Date,Description,Amount,Category\n"
    assert amounts(f"{header}01/02/2026,01/03/2026,SHOP,14.35,Food\n01/04/2026,01/05/2026,PAYMENT,-200.00,\n") == [
        "-14.35 USD",
        "200.00 USD",
    ]


def test_a_header_is_found_below_a_preamble_and_in_any_case_and_spacing() -> None:
    """The account's number stands in the preamble, a total at the end is no booking."""
    statement = read(
        '"Umsätze Girokonto";"Zeitraum: 30 Tage";\n"IBAN";"DE89 3704 0044 0532 0130 00";\n\n'
        '"buchungstag";"WERTSTELLUNG  (Valuta)";"Vorgang";"Buchungstext";"Umsatz in EUR";\n'
        '"02.01.2026";"03.01.2026";"Lastschrift";"Strom";"-1.031,24";\n\n"Alter Kontostand";"1.200,00 EUR";\n'
    )
    assert only(statement).account.number == "DE89370400440532013000"
    (row,) = only(statement).transactions
    assert (str(row.amount), row.value_date) == ("-1031.24 EUR", date(2026, 1, 3))
    assert not rules(statement)


def test_the_profile_with_the_most_columns_wins_and_own_ones_come_before_built_in_ones() -> None:
    """A person's profile for a bank replaces the one that comes with the package."""
    (mine,) = (each for each in [CsvProfile.parse(DISCOVER)] if isinstance(each, Success))
    text = "Trans. Date,Post Date,Description,Amount,Category\n01/02/2026,01/03/2026,SHOP,14.35,Food\n"
    assert read(text, CsvReader([mine.unwrap()])).format == "CSV mine"
    less = attrs.evolve(mine.unwrap(), header=mine.unwrap().header[:4])
    assert read(text, CsvReader([less])).format == "CSV discover"


DISCOVER = """
format = "csv"
name = "mine"
header = ["Trans. Date", "Post Date", "Description", "Amount", "Category"]
dates = "DMY"
[columns]
date = "Trans. Date"
amount = "Amount"
"""


def test_a_bank_reader_knows_only_its_own_profiles() -> None:
    """It leaves every other CSV to the one that infers, and is asked before it."""
    (mine,) = (each.unwrap() for each in [CsvProfile.parse(DISCOVER)] if isinstance(each, Success))
    reader = BankCsvReader("acme", [mine])
    text = b"Trans. Date,Post Date,Description,Amount,Category\n02/01/2026,,SHOP,-5.00,\n"
    assert [row.posted_date for row in only(read(text, reader)).transactions] == [date(2026, 1, 2)]
    assert not reader.recognizes(ING.encode())
    assert refusal(ING, reader).code is ImportCode.FORMAT_UNKNOWN
    assert StatementReaders([CsvReader(), reader]).readers[0] is reader


ENGLISH = "Date,Description,Amount,Balance\n"


def test_a_profile_without_a_header_claims_no_file() -> None:
    """It fits every table, so it is for files that a person gives with it."""
    text = 'format = "csv"\nname = "x"\ndates = "YMD"\n[columns]\ndate = 1\namount = 2\n'
    (mine,) = (each.unwrap() for each in [CsvProfile.parse(text)] if isinstance(each, Success))
    assert not BankCsvReader("acme", [mine]).recognizes(ING.encode())
    match BankCsvReader("acme", [mine]).read(b"2026-01-02,-5.00\n"):
        case Success(statement):
            assert [str(row.amount) for row in only(statement).transactions] == ["-5.00 XXX"]
        case failure:
            raise AssertionError(failure)


def test_the_rows_of_one_day_are_in_the_order_that_their_balances_prove() -> None:
    """The newest may come first; the days do not say."""
    rows = [
        f"2026-01-02,{text},{amount},{left}\n"
        for text, amount, left in (("A", "-1.00", "9.00"), ("B", "5.00", "14.00"), ("C", "-2.00", "12.00"))
    ]
    for text in (ENGLISH + "".join(rows), ENGLISH + "".join(reversed(rows))):
        assert [str(each.amount.amount) for each in only(read(text)).balances] == ["10.00", "12.00"]


def test_a_word_that_only_looks_like_an_iban_is_no_account() -> None:
    """Its check digits tell."""
    text = "Ref:;CH9400762011623852957\n\nDatum;Text;Betrag\n13.04.2026;A;-5.00\n"
    assert only(read(text)).account.number is None


def test_a_running_balance_settles_amount_and_sign_without_a_header() -> None:
    """Of two columns of numbers the one that explains the other is the amount."""
    text = "13/01/2026;Shop;90,00;-10,00\n12/01/2026;Shop;100,00;-5,00\n11/01/2026;Pay;105,00;15,00\n"
    assert amounts(text) == ["-10.00 XXX", "-5.00 XXX", "15.00 XXX"]
    flipped = text.replace(";-", ";").replace(";15,00", ";-15,00")
    assert amounts(flipped) == ["-10.00 XXX", "-5.00 XXX", "15.00 XXX"]
    assert "mapping_inferred" in rules(read(text))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("23/01/2026", "02/03/2026"), (date(2026, 1, 23), date(2026, 3, 2))),
        (("01/23/2026", "02/03/2026"), (date(2026, 1, 23), date(2026, 2, 3))),
        (("01.02.2026", "02.03.2026"), (date(2026, 2, 1), date(2026, 3, 2))),
        (("01.02.26", "02.03.26"), (date(2026, 2, 1), date(2026, 3, 2))),
        (("20260102", "20260203"), (date(2026, 1, 2), date(2026, 2, 3))),
        (("2026.01.02.", "2026.02.03."), (date(2026, 1, 2), date(2026, 2, 3))),
        (("2 Jan 26", "3 märz 2026"), (date(2026, 1, 2), date(2026, 3, 3))),
        (("Jan 2, 2026", "Oct 3, 2026"), (date(2026, 1, 2), date(2026, 10, 3))),
        (("12-DEC-2026", "03-Sep-1999"), (date(2026, 12, 12), date(1999, 9, 3))),
        (("31.12.99", "01.02.00"), (date(1999, 12, 31), date(2000, 2, 1))),
        (("01/23/2026 as of 01/20/2026", "02/03/2026 10:15 PM"), (date(2026, 1, 23), date(2026, 2, 3))),
    ],
)
def test_the_order_of_a_date_comes_from_its_days(rows: tuple[str, str], expected: tuple[date, date]) -> None:
    """A day above twelve, a point, a year in front or a month's name decides for the whole file."""
    assert tuple(days(ENGLISH + "".join(f'"{day}",Shop,-1.00,\n' for day in rows))) == expected


def test_days_that_are_in_order_only_one_way_are_read_that_way() -> None:
    """Statements are in order of their days."""
    text = ENGLISH + "".join(f"{day},Shop,-1.00,\n" for day in ("03/01/2026", "12/01/2026", "01/02/2026"))
    assert days(text) == [date(2026, 1, 3), date(2026, 1, 12), date(2026, 2, 1)]


def test_a_header_in_another_language_than_english_puts_the_day_first() -> None:
    """Nobody else writes the month first."""
    assert days("Datum,Tekst,Bedrag\n01/02/2026,Winkel,-1.00\n") == [date(2026, 2, 1)]


def test_an_instant_is_in_utc_and_never_moves_the_day() -> None:
    """The day is as printed; the instant follows from time and zone."""
    (row,) = only(read(ENGLISH + "2026-01-02T00:30:00+02:00,Shop,-1.00,\n")).transactions
    assert (row.posted_date, row.posted_at) == (date(2026, 1, 2), datetime(2026, 1, 1, 22, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("-1.234,56", "-1234.56 XXX"),
        ("-1 234,56", "-1234.56 XXX"),
        ("(1,234.56)", "-1234.56 XXX"),
        ("1,234.56 DR", "-1234.56 XXX"),
        ("-€1.234,5", "-1234.50 EUR"),
        ("12,00-", "-12.00 XXX"),
    ],
)
def test_numbers_are_read_as_banks_print_them(printed: str, expected: str) -> None:
    """The digits stay as printed; marks, brackets and signs say what they say."""
    assert amounts(f'date;text;amount\n2026-01-02;Shop;"{printed}"\n') == [expected]


def test_whole_numbers_beside_a_lone_mark_prove_thousands() -> None:
    """Yen have no decimals: 1,234 beside 500 is more than a thousand."""
    assert amounts("date\ttext\tamount\n2026-01-02\tA\t-500\n2026-01-03\tB\t-1,234\n")[1] == "-1234 XXX"


AMBIGUOUS = {
    "days": ENGLISH + "10/02/2018,Shop,-5.00,995.00\n",
    "thousands": "date;text;amount\n2026-01-02;Shop;-1.234\n",
    "sign": "date,text,amount\n2026-01-02,Shop,5.00\n2026-01-03,Shop,6.00\n",
    "reversal": "2026-01-02;A;5,00;D\n2026-01-03;B;-2,00;D\n2026-01-04;C;6,00;C\n2026-01-05;C;7,00;C\n",
    "card": "date,text,amount\n2026-01-02,Shop,75.00\n2026-01-03,Payment,-100.00\n",
    "columns": "2026-01-02;Shop;5,00;\n2026-01-03;Pay;;6,00\n",
}


def test_one_balance_that_agrees_by_chance_proves_no_columns() -> None:
    """Without a header it takes two; a column that is called balance needs one."""
    rows = "13/01/2026{0}Shop{0}-1.00{0}9.00\n12/01/2026{0}Shop{0}2.00{0}10.00\n"
    assert refusal(rows.format(";")).code is ImportCode.READING_AMBIGUOUS
    assert amounts(ENGLISH + rows.format(",")) == ["-1.00 XXX", "2.00 XXX"]


def test_two_currencies_in_one_header_name_none() -> None:
    """What is not known is not guessed."""
    assert amounts("Date;Text;Amount (EUR/USD)\n2026-01-02;Shop;-5,00\n") == ["-5.00 XXX"]


def test_a_text_that_looks_like_a_side_is_a_text() -> None:
    """A description of one letter says nothing of the amount's direction."""
    assert amounts("Date;Description;Amount\n2026-01-02;D;+5,00\n2026-01-03;C;+6,00\n") == ["5.00 XXX", "6.00 XXX"]


@pytest.mark.parametrize("text", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_two_readings_are_never_guessed_between(text: str) -> None:
    """The refusal names the readings and the next step."""
    error = refusal(text)
    assert error.code is ImportCode.READING_AMBIGUOUS
    assert "2 ways" in error.message
    assert "dashtam csv propose FILE" in error.message


@pytest.mark.parametrize(
    "text",
    [
        "Datum;Tekst;Bedrag;Af Bij\n2026-01-02;Winkel;5,00;Af\n2026-01-03;Loon;6,00;Bij\n",
        "Datum;Text;Soll;Haben\n2026-01-02;Laden;5,00;\n2026-01-03;Lohn;;6,00\n",
        "Fecha;Concepto;Cargos;Abonos\n2026-01-02;Tienda;-5,00;\n2026-01-03;Nomina;;6,00\n",
        "Data;Opis operacji;Kwota\n2026-01-02;Sklep;-5,00\n2026-01-03;Pensja;+6,00\n",
        "date,text,amount,\n2026-01-02,Shop,5.00,\n2026-01-03,PAY,6.00,CR\n",
        "2026-01-02,Shop,5.00,D\n2026-01-03,PAY,6.00,C\n",
        "Date,Text,Withdrawal Amount,Deposit Amount\n2026-01-02,A,5.00,0.00\n2026-01-03,B,0.00,6.00\n",
        "Datum;Art;Summa;Deebet/Kreedit\n2026-01-02;20;5,00;D\n2026-01-03;20;6,00;K\n",
        "Date,Code,Amount\n2026-01-02,0042,-5.00\n2026-01-03,0043,+6.00\n",
        "2026-01-02,0042,-5.00,123456789012\n2026-01-03,0043,+6.00,123456789013\n",
        "Dátum;Összeg;Bevétel/Kiadás\n2026.01.02.;-5,00;outflow\n2026.01.03.;6,00;inflow\n",
        "Date;Payee;Inflow\n2026-01-02;Shop;-5,00\n2026-01-03;Pay;+6,00\n",
    ],
)
def test_amounts_are_found_by_words_of_many_languages(text: str) -> None:
    """Two columns, an indicator, a mark on one side alone or a sign: money that left is negative."""
    assert [row.amount.amount for row in only(read(text)).transactions] == [Decimal("-5.00"), Decimal("6.00")]


def test_accounts_are_told_apart_by_their_number_whatever_stands_around_it() -> None:
    """A stray quote is no other account, and a name beside the number does not count."""
    text = "Date,Text,Amount,Account Name,Account Number,Currency\n"
    text += '2026-01-02,A,-1.00,SMITH,"60123412345678",GBP\n2026-01-03,B,-2.00,SMITH,60123412345678",GBP\n'
    text += "2026-01-04,C,-3.00,SMITH,60123487654321,GBP\n2026-01-05,D,-4.00,SMITH,60123487654321,EUR\n"
    found = [(each.account.provider_account_id, len(each.transactions)) for each in read(text).batch.accounts]
    assert found == [("60123412345678", 2), ("60123487654321", 2)]


def test_without_a_header_the_most_varied_texts_are_the_description() -> None:
    """A column that says the same in each row says little."""
    text = "2026-01-02,x,Baker Street,Bread and rolls,-5.00\n2026-01-03,x,Main Square,Petrol and oil,-6.00\n"
    found = [row.description for row in only(read(text)).transactions]
    assert found == ["Baker Street Bread and rolls", "Main Square Petrol and oil"]


def test_files_without_a_header_are_not_one_account_because_they_are_as_wide() -> None:
    """Without any name the account's id comes from how the columns are meant."""
    one, other = "2026-01-02,Shop,-5.00,A\n", "Shop,2026-01-02,A,-5.00\n"
    ids = {only(read(text)).account.provider_account_id for text in (one, other)}
    assert len(ids) == 2


def test_the_account_and_its_currency_are_found_in_what_precedes_the_table() -> None:
    """Spreadsheet formulas around a number are no part of it."""
    text = 'Konto:;="CH9300762011623852957"\nSaldo;CHF 100.00\n\n'
    text += "Datum;Text;Gutschrift;Lastschrift\n13.04.2026;A;;-5.00\n"
    account = only(read(text)).account
    assert (account.number, str(account.currency)) == ("CH9300762011623852957", "CHF")


def test_a_number_on_the_other_side_is_no_account_of_ones_own() -> None:
    """A column that hardly changes is the own account, one that does is the others'."""
    text = "Date;Text;Amount;Account number;IBAN\n"
    text += "".join(f"2026-01-0{day};T;-5,00;1234567{day};DE1234\n" for day in range(1, 7))
    batch = only(read(text))
    assert batch.account.provider_account_id.endswith("DE1234") or batch.account.number == "DE1234"
    assert [row.counterparty and row.counterparty.account for row in batch.transactions[:2]] == [
        "12345671",
        "12345672",
    ]


def test_columns_that_share_a_name_are_told_apart_by_their_place() -> None:
    """Some banks print the amount and its currency under one name."""
    assert amounts("Date;Text;Amount;Amount\n2026-01-02;Shop;-5,00;CHF\n") == ["-5.00 CHF"]


def test_a_row_between_header_and_bookings_is_no_header() -> None:
    """An opening line without an amount is left out, and the names above it count."""
    statement = read("Date;Text;Betrag\n2026-01-01;Vortrag;\n2026-01-02;Laden;-5,00\n")
    assert [str(row.amount) for row in only(statement).transactions] == ["-5.00 XXX"]
    assert "'Betrag'" in (statement.batch.warnings[0].raw or "")


def test_one_line_of_text_below_a_booking_is_no_part_of_it() -> None:
    """A closing remark must not change the last row, or its key would differ from file to file."""
    (row,) = only(read(ENGLISH + "2026-01-02,Shop,-5.00,\n,End of the list,,\n")).transactions
    assert row.description == "Shop"


def test_an_amount_before_conversion_is_kept_where_it_was_converted() -> None:
    """The same amount in the account's own currency is no conversion; a header within the rows is no row."""
    header = '"Booking Date","Value Date","Partner Name","Partner Iban",Type,"Payment Reference","Account Name",'
    header += '"Amount (EUR)","Original Amount","Original Currency","Exchange Rate"\n'
    text = header + "2026-01-02,2026-01-02,A,,Presentment,,Main,-9.00,9.90,USD,1.1\n"
    statement = read(text + header + "2026-01-03,2026-01-03,B,,Presentment,,Main,-7.00,7.00,EUR,1\n")
    originals = [row.original_amount and str(row.original_amount) for row in only(statement).transactions]
    assert originals == ["-9.90 USD", None]
    assert rules(statement) == ["account_id_missing"]


def test_a_row_that_cannot_be_read_is_reported_and_left_out() -> None:
    """The rows around it are read; each reason has its rule, its line and what stands there."""
    statement = read("date,text,amount,value date\n2026-01-02,A,-1.00,x\nPending,B,-2.00,\n2026-01-04,C,n/a,\n")
    assert [row.description for row in only(statement).transactions] == ["A"]
    found = [(each.rule, each.where, each.raw) for each in statement.batch.warnings]
    assert ("date_unreadable", "line 2", "x") in found or only(statement).transactions[0].value_date is None
    assert ("transaction_date_unreadable", "line 3", "Pending | -2.00 | B") in found
    assert ("transaction_amount_unreadable", "line 4", "2026-01-04 | n/a | C") in found


def test_a_row_reads_alike_wherever_it_stands() -> None:
    """Two exports that overlap give the same rows, so that importing both adds nothing twice."""
    header, *lines = ING.splitlines()
    together = only(read(ING)).transactions
    apart = [only(read(f"{header}\n{line}\n")).transactions[0] for line in lines]
    assert list(together) == apart


def test_a_file_without_rows_is_a_statement_without_transactions() -> None:
    """A month in which nothing happened is no error."""
    assert not only(read(ING.splitlines()[0] + "\n")).transactions


@pytest.mark.parametrize(
    "data",
    [
        b"<html><table>",
        b"!Type:Bank\nD01/02/2026\nT-5.00\n^\n",
        b":20:X\n:61:2601020102D5,00N\n",
        b"{}",
        b"",
        b"a,b\nc,d\n",
    ],
)
def test_other_formats_are_not_claimed(data: bytes) -> None:
    """What has no row of a day and an amount is for other readers, and is refused if read all the same."""
    assert not CsvReader().recognizes(data)
    assert refusal(data).code is ImportCode.FORMAT_UNKNOWN
