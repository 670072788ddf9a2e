"""What becomes of the fields of a transaction."""

from decimal import Decimal

import pytest

from dashtam_core.accounts import Counterparty, TransactionStatus, TransactionType
from dashtam_core.kernel import Currency, Money
from unit.files.documents import (
    ROW,
    XML_HEADER,
    account,
    document,
    response,
    row,
    rules,
    transaction,
    transactions,
    warnings,
)

EUR, USD = Currency("EUR"), Currency("USD")


def test_every_field_has_its_place() -> None:
    """Ids, numbers, codes and texts arrive as printed, their ends stripped."""
    read = transaction(
        TRNTYPE="CHECK",
        CHECKNUM="0042",
        REFNUM="R-7",
        SIC="5812",
        MEMO=" table  4 ",
        NAME="  BISTRO   12 ",
        FITID=" f 1 ",
    )
    assert (read.type, read.check_number, read.reference, read.mcc) == (
        TransactionType.CHECK,
        "0042",
        "R-7",
        "5812",
    )
    assert (read.payee, read.memo, read.description) == ("BISTRO   12", "table  4", "BISTRO   12")
    assert (read.provider_transaction_id, read.status) == ("f 1", TransactionStatus.POSTED)


def test_unknown_is_none() -> None:
    """A field that is absent or empty is None, never an empty text."""
    read = transaction(FITID="", NAME="", MEMO="  ")
    assert (read.provider_transaction_id, read.payee, read.memo, read.description) == (None, None, None, None)
    assert (read.mcc, read.check_number, read.reference, read.posted_at, read.original_amount) == (None,) * 5


@pytest.mark.parametrize(
    ("fields", "payee", "description"),
    [
        ({"NAME": "Shop", "MEMO": "m"}, "Shop", "Shop"),
        ({"NAME": "", "MEMO": "m"}, None, "m"),
        ({"NAME": "", "EXTDNAME": "Shop of long name", "MEMO": "m"}, "Shop of long name", "Shop of long name"),
        ({"NAME": "Shop", "EXTDNAME": "Shop of long name"}, "Shop", "Shop"),
        ({"NAME": "", "PAYEE": "<NAME>Plumber\n<ADDR1>Road 1\n<CITY>Ham\n</PAYEE>"}, "Plumber", "Plumber"),
        ({"NAME": "", "PAYEE": "Plumber"}, "Plumber", "Plumber"),
    ],
)
def test_the_description_is_the_best_text_there_is(
    fields: dict[str, str], payee: str | None, description: str
) -> None:
    """The name, else the payee's, else the long name, else the memo."""
    read = transaction(**fields)
    assert (read.payee, read.description) == (payee, description)


def test_every_memo_is_kept() -> None:
    """Banks split a long memo over a second element, named MEMO2 or MEMO again."""
    assert transaction(MEMO="one", MEMO2="two").memo == "one two"
    assert transaction(MEMO="one\n<MEMO>two").memo == "one two"
    assert transaction(MEMO2="two").memo == "two"


def test_the_first_of_a_repeated_field_counts() -> None:
    """A field that comes twice does not overwrite what was read, and an empty one says nothing."""
    assert transaction(NAME="First\n<NAME>Second").payee == "First"
    assert transaction(NAME="\t\n<NAME>Second").payee == "Second"


@pytest.mark.parametrize(
    ("sic", "mcc"), [("5812", "5812"), ("0000", None), ("581", None), ("58120", None), ("food", None)]
)
def test_a_merchant_category_has_four_digits(sic: str, mcc: str | None) -> None:
    """Placeholders are no category."""
    assert transaction(SIC=sic).mcc == mcc


@pytest.mark.parametrize(
    ("printed", "type_"), [("Credit", "CREDIT"), (" POS ", "POS"), ("directdebit", "DIRECTDEBIT")]
)
def test_a_type_is_known_in_any_case(printed: str, type_: str) -> None:
    """OFX types are recognized however a bank spells them."""
    assert transaction(TRNTYPE=printed).type == type_


@pytest.mark.parametrize("printed", ["", "PIX"])
def test_an_unknown_type_is_other_and_reported(printed: str) -> None:
    """A type outside OFX costs the type, not the row."""
    data = document(response(row(TRNTYPE=printed)))
    assert account(data).transactions[0].type is TransactionType.OTHER
    assert [(each.rule, each.raw) for each in warnings(data)] == [("transaction_type_unknown", printed or None)]


@pytest.mark.parametrize(
    "aggregate",
    [
        "<PAYEE><NAME>Other<ADDR1>Road 1<CITY>Ham<STATE>X<POSTALCODE>1<PHONE>1</PAYEE>",
        "<PAYEE><NAME>Other</NAME><PHONE>1</PHONE></PAYEE>",
        "<BANKACCTTO><BANKID>1<ACCTID>999<ACCTTYPE>SAVINGS</BANKACCTTO>",
        "<CCACCTTO><ACCTID>999</CCACCTTO>",
        "<IMAGEDATA><IMAGETYPE>TRANSACTION<IMAGEREF>1<DTIMAGEAVAIL>20260301<NAME>Other</IMAGEDATA>",
        "<BANK.EXTRA><NAME>Other<MEMO>other<TRNAMT>99.00<DTPOSTED>20200101<FITID>zz</BANK.EXTRA>",
        "<BANK.EXTRA><INNER><NAME>Other</INNER><TRNAMT>99.00</BANK.EXTRA>",
    ],
)
def test_nested_aggregates_are_not_the_row(aggregate: str) -> None:
    """What is inside another aggregate is never taken for the row's own field, wherever it stands."""
    plain = "<TRNTYPE>POS<DTPOSTED>20260115<TRNAMT>-1.00<FITID>a<NAME>Mine<MEMO>memo"
    for body in (plain + aggregate, aggregate + plain):
        (read,) = transactions(f"<STMTTRN>{body}</STMTTRN>")
        assert (read.payee, read.memo, str(read.amount), read.provider_transaction_id) == (
            "Mine",
            "memo",
            "-1.00 USD",
            "a",
        )


def test_custom_elements_are_passed_over() -> None:
    """A bank's own elements between the standard ones do no harm."""
    read = transaction(VALUEDATE="20260101", CATEGORY="Food", **{"BANK.X": "1"})
    assert (read.payee, read.type) == ("Corner Bakery", TransactionType.DEBIT)


@pytest.mark.parametrize(
    ("printed", "read"),
    [
        ("A &amp; B", "A & B"),
        ("A &lt;B&gt; &quot;C&quot; &apos;D&apos;", "A <B> \"C\" 'D'"),
        ("caf&#233; &#xE9;", "café é"),
        ("A&nbsp;B", "A B"),
        ("A &amp;lt; B", "A &lt; B"),
        ("A & B &unknown; &amp", "A & B &unknown; &amp"),
        ("A&#0;B &#xD800; &#x110000;", "A&#0;B &#xD800; &#x110000;"),
        ("A < B", "A < B"),
        ("mail <ann@example.org>", "mail <ann@example.org>"),
        ("1 <2> 3", "1 <2> 3"),
    ],
)
def test_character_references_are_resolved_once(printed: str, read: str) -> None:
    """The five of XML, numbers and the blank of OFX 1 are known; the rest stays as printed."""
    assert transaction(MEMO=printed).memo == read


def test_cdata_is_text() -> None:
    """A CDATA section holds plain text, tags and references in it included."""
    name = "<![CDATA[A & B <NAME>x</NAME> &amp; ]]>"
    read = account(document(response(row(NAME=name)), header=XML_HEADER)).transactions[0]
    assert read.payee == "A & B <NAME>x</NAME> &amp;"
    rows = row(NAME="<![CDATA[A <!-- B]]>") + row(NAME="C<!-- -->")
    assert [each.payee for each in transactions(rows)] == ["A <!-- B", "C"]


def test_comments_are_not_read() -> None:
    """Rows and fields inside comments do not exist, and a comment that never ends is text."""
    rows = f"<!-- <!-- {row(FITID='no')} -->" + row(NAME="Shop<!-- 1 -->")
    (read,) = transactions(rows)
    assert (read.payee, read.provider_transaction_id) == ("Shop", "a1")
    assert transaction(MEMO="see <!-- there").memo == "see <!-- there"


def test_comments_are_found_wherever_they_begin() -> None:
    """Long documents are searched in parts, and a comment may begin across two of them."""
    data = document(response(f"<!-- {row(FITID='no')} -->{ROW}"))
    at = data.index("<!--")
    assert len(account(data[:at] + " " * (2**20 - 1 - at) + data[at:]).transactions) == 1


@pytest.mark.parametrize("empty", ["<MEMO>\n", "<MEMO></MEMO>", "<MEMO/>", "<MEMO />", "<MEMO> </MEMO>"])
def test_empty_elements_are_empty(empty: str) -> None:
    """However a bank writes an empty element, the next one is not its value."""
    (read,) = transactions(f"<STMTTRN>{empty}<TRNTYPE>POS<DTPOSTED>20260115<TRNAMT>-1<NAME>Shop</STMTTRN>")
    assert (read.memo, read.payee) == (None, "Shop")


def test_a_debit_with_a_positive_amount_is_not_flipped() -> None:
    """The sign of TRNAMT rules, whatever the type says."""
    assert transaction(TRNTYPE="DEBIT", TRNAMT="5.00").amount == Money(Decimal("5.00"), USD)


def test_an_unconverted_amount_is_in_its_own_currency() -> None:
    """CURRENCY says that the amount is not in the account's currency (OFX 2.3, section 5.2)."""
    read = transaction(CURRENCY="<CURRATE>1.0834\n<CURSYM>EUR\n</CURRENCY>")
    assert (read.amount, read.original_amount) == (Money(Decimal("-12.50"), EUR), None)
    assert read.exchange_rate == Decimal("1.0834")


def test_a_converted_amount_tells_its_original() -> None:
    """ORIGCURRENCY says what the amount was converted from: amount divided by rate, in that currency's cents."""
    read = transaction(TRNAMT="-25.46", ORIGCURRENCY="<CURRATE>1.0834\n<CURSYM>EUR\n</ORIGCURRENCY>")
    assert read.amount == Money(Decimal("-25.46"), USD)
    assert read.original_amount == Money(Decimal("-23.50"), EUR)
    assert read.exchange_rate == Decimal("1.0834")


@pytest.mark.parametrize(
    "aggregate",
    [
        "<CURSYM>EUR\n",
        "<CURRATE>1.0000<CURSYM>EUR\n",
        "<CURRATE>0<CURSYM>EUR\n",
        "<CURRATE>x<CURSYM>EUR\n",
        "<CURRATE>1.1<CURSYM>EURO\n",
        "<CURRATE>1.1<CURSYM>BTC\n",
        f"<CURRATE>0.{'0' * 36}1<CURSYM>EUR\n",
    ],
)
def test_an_original_amount_that_cannot_be_known_is_not_made_up(aggregate: str) -> None:
    """Without a usable rate there is no original amount, and the currency found is reported."""
    data = document(response(row(ORIGCURRENCY=aggregate + "</ORIGCURRENCY>")))
    (read,) = account(data).transactions
    assert (read.amount, read.original_amount) == (Money(Decimal("-12.50"), USD), None)
    assert rules(data) == ["original_amount_unknown"]


def test_the_accounts_own_currency_is_no_conversion() -> None:
    """A row that names the account's currency adds nothing."""
    read = transaction(ORIGCURRENCY="<CURRATE>1.0\n<CURSYM>USD\n</ORIGCURRENCY>")
    assert (str(read.amount), read.original_amount) == ("-12.50 USD", None)


def test_a_row_in_an_unreadable_currency_has_none() -> None:
    """An amount whose currency cannot be read is not taken for the account's."""
    data = document(response(row(CURRENCY="<CURRATE>1\n<CURSYM>??\n</CURRENCY>")))
    assert str(account(data).transactions[0].amount) == "-12.50 XXX"
    assert rules(data) == ["currency_unreadable"]


@pytest.mark.parametrize(("action", "status"), [("DELETE", "VOID"), ("REPLACE", "POSTED"), ("replace", "POSTED")])
def test_corrections_name_what_they_replace(action: str, status: str) -> None:
    """A row that replaces another, or takes it back, says which (OFX 2.3, section 11.4.4.2)."""
    data = document(response(row(CORRECTFITID="a0", CORRECTACTION=action)))
    (read,) = account(data).transactions
    assert (read.replaces, read.status, read.provider_transaction_id) == ("a0", status, "a1")
    assert not rules(data)


@pytest.mark.parametrize("action", ["", "UNDO"])
def test_a_correction_of_an_unknown_kind_is_reported(action: str) -> None:
    """It is still known which row it is about."""
    data = document(response(row(CORRECTFITID="a0", CORRECTACTION=action)))
    assert (account(data).transactions[0].replaces, account(data).transactions[0].status) == ("a0", "POSTED")
    assert [(each.rule, each.raw) for each in warnings(data)] == [("correction_unknown", action or None)]


def test_the_other_account_of_a_transfer_is_told() -> None:
    """Where the bank names the account that the money went to, it is the counterparty's."""
    to = "<BANKID>1\n<ACCTID>999\n<ACCTTYPE>SAVINGS\n</BANKACCTTO>"
    assert transaction(BANKACCTTO=to).counterparty == Counterparty(name="Corner Bakery", account="999")
    assert transaction(CCACCTTO="<ACCTID>77\n</CCACCTTO>").counterparty == Counterparty(
        name="Corner Bakery", account="77"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"TRNAMT": "-0.00"},
        {"TRNAMT": "+7"},
        {"TRNAMT": "1.234"},
        {"TRNAMT": "x"},
        {"DTPOSTED": "20260230"},
        {"DTPOSTED": " 20260115120000[-5:EST] "},
        {"DTUSER": "20260114", "DTAVAIL": "20260116"},
        {"DTUSER": "soon"},
        {"DTAVAIL": "00000000"},
        {"CHECKNUM": "7", "REFNUM": "R 7"},
        {"CHECKNUM": "7", "REFNUM": "R7", "SIC": "5812"},
        {"SIC": "0000"},
        {"TRNTYPE": "debit"},
        {"TRNTYPE": "PIX"},
        {"FITID": "a &amp; b"},
        {"FITID": " "},
        {"NAME": " ", "MEMO": " m &lt; &#233; "},
        {"MEMO": "m" * 10_001},
        {"NAME": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("close", [False, True])
def test_plain_rows_are_read_as_any_other(fields: dict[str, str], close: bool) -> None:
    """A row in the standard's order, which has a way of its own, becomes what it becomes in any other order."""
    order = [
        "TRNTYPE",
        "DTPOSTED",
        "DTUSER",
        "DTAVAIL",
        "TRNAMT",
        "FITID",
        "CHECKNUM",
        "REFNUM",
        "SIC",
        "NAME",
        "MEMO",
    ]
    usual = {"TRNTYPE": "POS", "DTPOSTED": "20260115", "TRNAMT": "-1.50", "FITID": "1", "NAME": "n", "MEMO": "m"}
    tags = [(tag, (usual | fields)[tag]) for tag in order if tag in usual | fields]
    texts = [f"<{tag}>{text}{f'</{tag}>' if close else ''}\n" for tag, text in tags]
    plain, other = (document(response(f"<STMTTRN>{''.join(each)}</STMTTRN>")) for each in (texts, texts[::-1]))
    assert account(plain) == account(other)
    assert sorted(map(str, warnings(plain))) == sorted(map(str, warnings(other)))


def test_pending_rows_are_pending() -> None:
    """The pending list of OFX 2.2 is dated by DTTRAN and never posted."""
    pending = (
        "<BANKTRANLISTP><DTASOF>20260131<STMTTRNP><TRNTYPE>HOLD<DTTRAN>20260130<DTEXPIRE>20260203<TRNAMT>-9.00<NAME>Hotel"
        "</STMTTRNP></BANKTRANLISTP>"
    )
    posted, held = account(document(response(rest=pending))).transactions
    assert (posted.status, held.status) == (TransactionStatus.POSTED, TransactionStatus.PENDING)
    assert (str(held.posted_date), held.type, held.payee) == ("2026-01-30", TransactionType.HOLD, "Hotel")


def test_a_field_of_absurd_length_is_cut() -> None:
    """One field cannot fill a store; that it was cut is told."""
    data = document(response(row(MEMO="m" * 10_001)))
    assert account(data).transactions[0].memo == "m" * 10_000
    assert [(each.rule, each.raw) for each in warnings(data)] == [("text_cut", "MEMO")]
