"""Investment accounts: their rows, positions, balances and securities."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import (
    AccountType,
    BalanceKind,
    HoldingData,
    ImportCode,
    InvestmentAction,
    InvestmentDetail,
    SecurityData,
    SecurityId,
    SecurityScheme,
    SecurityType,
    TransactionData,
    TransactionType,
)
from dashtam_core.kernel import Currency, Money
from unit.files.documents import (
    BUY,
    FUND,
    FUND_LISTED,
    HEADER,
    POSITION,
    account,
    invested,
    refusal,
    response,
    row,
    rules,
    statement,
    warnings,
)

USD = Currency("USD")
TRADE = "<INVTRAN><FITID>t1<DTTRADE>20260114160000[-5:EST]<DTSETTLE>20260116<MEMO>Bought</INVTRAN>"
INVBAL = (
    "<INVBAL><AVAILCASH>1,50<MARGINBALANCE>-20.00<SHORTBALANCE>0<BALLIST><BAL><NAME>Cash<DESC>c<BALTYPE>DOLLAR<VALUE>9"
    "</BAL></BALLIST></INVBAL>"
)


def traded(text: str, listed: str = FUND_LISTED) -> tuple[TransactionData, InvestmentDetail]:
    (only,) = account(invested(text, listed=listed)).transactions
    assert only.investment is not None
    return only, only.investment


def held(text: str, listed: str = FUND_LISTED) -> HoldingData:
    (only,) = account(invested(rest=f"<INVPOSLIST>{text}</INVPOSLIST>", listed=listed)).holdings
    return only


def money(amount: str, currency: str = "USD") -> Money:
    return Money(Decimal(amount), Currency(currency))


def test_an_investment_account_is_read() -> None:
    """Its number, broker, type, window and balances, and nothing of the free list of balances."""
    data = invested(BUY, f"<INVPOSLIST>{POSITION}</INVPOSLIST>{INVBAL}")
    read = account(data)
    assert (read.account.number, read.account.bank_id, read.account.account_type) == (
        "I-77",
        "broker.example",
        AccountType.INVESTMENT,
    )
    assert str(read.covered_window and read.covered_window.start) == "2026-01-01"
    assert [(each.kind, each.amount, each.as_of) for each in read.balances] == [
        (BalanceKind.CASH, money("1.50"), date(2026, 1, 31)),
        (BalanceKind.MARGIN, money("-20.00"), date(2026, 1, 31)),
    ]
    assert (len(read.transactions), len(read.holdings)) == (1, 1)
    assert not rules(data)


@pytest.mark.parametrize("sign", ["<INV401K><EMPLOYERNAME>Acme</INV401K>", "<INV401KBAL><TOTAL>0</INV401KBAL>"])
def test_a_401k_is_a_retirement_account(sign: str) -> None:
    """Where the statement has the parts of a 401(k)."""
    assert account(invested(rest=sign)).account.account_type is AccountType.RETIREMENT


def test_a_purchase_has_its_place_for_every_field() -> None:
    """The day of the trade dates the row, its total is the effect on cash, and what was paid is positive."""
    read, detail = traded(BUY)
    assert (read.posted_date, read.posted_at) == (date(2026, 1, 14), datetime(2026, 1, 14, 21, tzinfo=UTC))
    assert (read.amount, read.type, read.provider_transaction_id) == (money("-252.10"), "DEBIT", "t1")
    assert (read.description, read.memo, read.payee) == ("Bought", "Bought", None)
    assert detail == InvestmentDetail(
        action=InvestmentAction.BUY,
        security=SecurityData(
            ids=(SecurityId(SecurityScheme.CUSIP, "922908769"), SecurityId(SecurityScheme.TICKER, "TOTFX")),
            name="Total Fund",
            type=SecurityType.MUTUALFUND,
        ),
        units=Decimal("2.5"),
        unit_price=money("100.10"),
        commission=money("1.00"),
        fees=money("0.75"),
        taxes=money("0.10"),
        settle_date=date(2026, 1, 16),
    )


PRICED = f"{FUND}<UNITS>{{units}}<UNITPRICE>10<TOTAL>{{total}}"


@pytest.mark.parametrize("kind", ["DEBT", "MF", "OPT", "OTHER", "STOCK"])
@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_every_purchase_and_sale_is_read(side: str, kind: str) -> None:
    """Whatever is bought or sold, and what kind of security it is without a list."""
    units, total = ("4", "-40.00") if side == "BUY" else ("-4", "40.00")
    body = f"<{side}{kind}><INV{side}>{TRADE}{PRICED.format(units=units, total=total)}</INV{side}></{side}{kind}>"
    read, detail = traded(body, listed="")
    assert (str(read.amount.amount), detail.action, str(detail.units)) == (total, side, units)
    types = {"MF": "MUTUALFUND", "OPT": "OPTION"}
    assert detail.security is not None
    assert (detail.security.type, detail.security.name) == (types.get(kind, kind), None)


@pytest.mark.parametrize(
    ("body", "amount", "action", "type_", "units"),
    [
        ("<INCOME>{0}<INCOMETYPE>DIV<TOTAL>5.00<WITHHOLDING>0.75</INCOME>", "5.00", "DIVIDEND", "DIV", None),
        ("<INCOME>{0}<INCOMETYPE>INTEREST<TOTAL>5.00</INCOME>", "5.00", "INTEREST", "INT", None),
        ("<INCOME>{0}<INCOMETYPE>CGLONG<TOTAL>5.00</INCOME>", "5.00", "CAPITAL_GAIN", "CREDIT", None),
        ("<INCOME>{0}<INCOMETYPE>cgshort<TOTAL>5.00</INCOME>", "5.00", "CAPITAL_GAIN", "CREDIT", None),
        ("<INCOME>{0}<INCOMETYPE>MISC<TOTAL>5.00</INCOME>", "5.00", "OTHER", "CREDIT", None),
        (
            "<REINVEST>{0}<INCOMETYPE>DIV<TOTAL>-5.00<UNITS>0.5<UNITPRICE>10</REINVEST>",
            "-5.00",
            "REINVEST",
            "DEBIT",
            "0.5",
        ),
        ("<INVEXPENSE>{0}<TOTAL>-5.00</INVEXPENSE>", "-5.00", "FEE", "FEE", None),
        ("<MARGININTEREST>{0}<TOTAL>-5.00</MARGININTEREST>", "-5.00", "MARGIN_INTEREST", "INT", None),
        ("<RETOFCAP>{0}<TOTAL>5.00</RETOFCAP>", "5.00", "RETURN_OF_CAPITAL", "CREDIT", None),
        ("<JRNLSEC>{0}<SUBACCTTO>CASH<SUBACCTFROM>MARGIN<UNITS>7</JRNLSEC>", "0", "OTHER", "XFER", "0"),
        ("<TRANSFER>{0}<UNITS>7<TFERACTION>IN<POSTYPE>LONG</TRANSFER>", "0", "TRANSFER_IN", "XFER", "7"),
        ("<TRANSFER>{0}<UNITS>7<TFERACTION>OUT<POSTYPE>LONG</TRANSFER>", "0", "TRANSFER_OUT", "XFER", "-7"),
        ("<TRANSFER>{0}<UNITS>-7<TFERACTION>IN<POSTYPE>SHORT</TRANSFER>", "0", "TRANSFER_IN", "XFER", "-7"),
        ("<SPLIT>{0}<OLDUNITS>10<NEWUNITS>25.5<NUMERATOR>2</SPLIT>", "0", "SPLIT", "OTHER", "15.5"),
        ("<SPLIT>{0}<OLDUNITS>9<NEWUNITS>4<FRACCASH>3.10</SPLIT>", "3.10", "SPLIT", "OTHER", "-5"),
        ("<CLOSUREOPT>{0}<OPTACTION>EXERCISE<UNITS>-1</CLOSUREOPT>", "0", "OPTION_EXERCISE", "OTHER", "-1"),
        ("<CLOSUREOPT>{0}<OPTACTION>ASSIGN<UNITS>1</CLOSUREOPT>", "0", "OPTION_EXERCISE", "OTHER", "1"),
        ("<CLOSUREOPT>{0}<OPTACTION>EXPIRE<UNITS>-1</CLOSUREOPT>", "0", "OPTION_EXPIRE", "OTHER", "-1"),
    ],
)
def test_every_other_row_is_read(body: str, amount: str, action: str, type_: str, units: str | None) -> None:
    """Income, expenses, transfers and what happens to units; where only units move the amount is zero."""
    data = invested(body.format(TRADE + FUND))
    (read,) = account(data).transactions
    assert read.investment is not None
    assert (str(read.amount), read.type) == (str(money(amount)), type_)
    assert (read.investment.action, read.investment.units and str(read.investment.units)) == (
        action,
        units if units != "0" else Decimal(0),
    )
    assert read.investment.security is not None
    assert not rules(data)


def test_cash_within_an_account_changes_nothing() -> None:
    """Cash that goes from one part of an account to another is told by its parts, and their sum is zero."""
    read, _ = traded(f"<JRNLFUND>{TRADE}<SUBACCTTO>MARGIN<SUBACCTFROM>CASH<TOTAL>30.00</JRNLFUND>")
    assert read.amount == money("0")
    assert [(each.amount, each.description) for each in read.details] == [
        (money("-30.00"), "CASH"),
        (money("30.00"), "MARGIN"),
    ]


def test_taxes_withheld_are_what_was_paid() -> None:
    """What is withheld for the state and for others is one sum."""
    body = f"<INCOME>{TRADE}{FUND}<INCOMETYPE>DIV<TOTAL>5.00<WITHHOLDING>-0.75<STATEWITHHOLDING>0.25</INCOME>"
    assert traded(body)[1].taxes == money("1.00")


@pytest.mark.parametrize(
    ("side", "units", "total", "read", "rule"),
    [
        ("SELL", "4", "40.00", "-4", []),
        ("BUY", "-4", "-40.00", "4", []),
        ("SELL", "4", "0", "-4", []),
        ("BUY", "4", "40.00", "4", ["total_sign_unusual"]),
        ("SELL", "-4", "-40.00", "-4", ["total_sign_unusual"]),
        ("BUY", "-4", "40.00", "-4", []),
        ("SELL", "0", "40.00", "0", []),
    ],
)
def test_units_have_the_sign_of_their_effect(
    side: str, units: str, total: str, read: str, rule: list[str]
) -> None:
    """A bank that prints a sale's units without a sign is understood; a total keeps its sign, and is reported."""
    data = invested(
        f"<{side}MF><INV{side}>{TRADE}{PRICED.format(units=units, total=total)}</INV{side}></{side}MF>"
    )
    (row,) = account(data).transactions
    assert row.investment is not None
    assert (str(row.investment.units), str(row.amount.amount), rules(data)) == (read, total, rule)


def test_totals_prove_what_a_lone_mark_means() -> None:
    """Investments print no TRNAMT; what they print counts as well."""
    rows = BUY.replace("-252.10", "-1.234").replace("100.10", "5").replace("2.5<", "2,5<")
    (read,) = account(invested(rows + rows.replace("-1.234", "-7,50"))).transactions[:1]
    assert str(read.amount.amount) == "-1234"


def test_a_reversal_is_marked() -> None:
    """A row that takes another back says so, and its sign is as printed."""
    read, _ = traded(BUY.replace("<DTTRADE>", "<REVERSALFITID>t0<DTTRADE>"))
    assert (read.reversal, read.reference, read.amount) == (True, "t0", money("-252.10"))
    assert not traded(BUY)[0].reversal


def test_the_other_account_of_a_transfer_is_told() -> None:
    """Its number is the counterparty's, and not the account's own."""
    other = "<INVACCTFROM><BROKERID>b<ACCTID>Z-9</INVACCTFROM>"
    read, _ = traded(f"<TRANSFER>{TRADE}{FUND}<UNITS>7<TFERACTION>IN<POSTYPE>LONG{other}</TRANSFER>")
    assert read.counterparty is not None
    assert read.counterparty.account == "Z-9"


def test_another_currency_is_kept() -> None:
    """CURRENCY is the unit of every amount of a row; ORIGCURRENCY is what its total was converted from."""
    other = "<{0}><CURRATE>1.25<CURSYM>GBP</{0}><SUBACCTSEC>"
    read, detail = traded(BUY.replace("<SUBACCTSEC>", other.format("CURRENCY")))
    assert (read.amount, detail.unit_price) == (money("-252.10", "GBP"), money("100.10", "GBP"))
    assert (read.exchange_rate, read.original_amount) == (Decimal("1.25"), None)
    read, detail = traded(BUY.replace("<SUBACCTSEC>", other.format("ORIGCURRENCY")))
    assert (read.amount, read.original_amount) == (money("-252.10"), money("-201.68", "GBP"))
    assert detail.commission == money("1.00")


def test_cash_rows_are_among_the_others_in_order() -> None:
    """An INVBANKTRAN is a bank's row, with no security."""
    cash = f"<INVBANKTRAN>{row(FITID='c1')}<SUBACCTFUND>CASH</INVBANKTRAN>"
    read = account(invested(BUY + cash + BUY)).transactions
    assert [each.provider_transaction_id for each in read] == ["t1", "c1", "t1"]
    assert [each.investment is None for each in read] == [False, True, False]


@pytest.mark.parametrize(
    ("change", "rule", "rows"),
    [
        (("<DTTRADE>20260114160000[-5:EST]", "<DTTRADE>"), "transaction_date_unreadable", 0),
        (("<TOTAL>-252.10", "<TOTAL>?"), "transaction_amount_unreadable", 0),
        (("<TOTAL>-252.10", ""), "transaction_amount_unreadable", 0),
        (("<UNITS>2.5", "<UNITS>many"), "number_unreadable", 1),
        (("<DTSETTLE>20260116", "<DTSETTLE>soon"), "date_unreadable", 1),
        (("<FEES>0.25", f"<FEES>{'9' * 38}"), "number_unreadable", 1),
    ],
)
def test_what_cannot_be_read_costs_as_little_as_possible(change: tuple[str, str], rule: str, rows: int) -> None:
    """A row without its day or its total is left out, any other field is; both are reported."""
    data = invested(BUY.replace(*change))
    assert len(account(data).transactions) == rows
    assert [(each.rule, each.where) for each in warnings(data)] == [(rule, "statement 1, transaction 1")]


@pytest.mark.parametrize("told", ["", "<INCOMETYPE>GIFT"])
def test_an_unknown_action_is_other_and_reported(told: str) -> None:
    """The row is kept, whatever it did."""
    data = invested(f"<INCOME>{TRADE}{FUND}{told}<TOTAL>5.00</INCOME>")
    (read,) = account(data).transactions
    assert read.investment is not None
    assert (read.investment.action, str(read.amount), rules(data)) == (
        "OTHER",
        "5.00 USD",
        ["investment_action_unknown"],
    )


def test_a_position_is_a_holding_on_the_statements_day() -> None:
    """Units, price and value, the security as listed, and the day of the price beside the statement's."""
    found = held(POSITION)
    assert (found.security.name, found.as_of, found.price_as_of) == (
        "Total Fund",
        date(2026, 1, 31),
        date(2026, 1, 30),
    )
    assert (found.units, found.unit_price, found.market_value) == (
        Decimal("12.5"),
        money("101.00"),
        money("1262.50"),
    )
    assert found.cost_basis is None


@pytest.mark.parametrize("kind", ["MF", "STOCK", "DEBT", "OPT", "OTHER"])
def test_every_position_is_read(kind: str) -> None:
    """Whatever is held; a short position has negative units, printed so or not."""
    body = POSITION.replace("POSMF", f"POS{kind}")
    assert held(body, listed="").security.type == {"MF": "MUTUALFUND", "OPT": "OPTION"}.get(kind, kind)
    assert [held(body.replace("LONG", "SHORT").replace("12.5<", f"{sign}12.5<")).units for sign in ("", "-")] == [
        Decimal("-12.5"),
        Decimal("-12.5"),
    ]


@pytest.mark.parametrize("missing", ["<UNITS>12.5", FUND])
def test_a_position_of_unknown_size_or_security_is_reported(missing: str) -> None:
    """It is left out, and the others are read."""
    data = invested(rest=f"<INVPOSLIST>{POSITION.replace(missing, '')}{POSITION}</INVPOSLIST>")
    assert len(account(data).holdings) == 1
    assert [(each.rule, each.where) for each in warnings(data)] == [
        ("position_incomplete", "statement 1, position 1")
    ]


@pytest.mark.parametrize(
    ("printed", "scheme"),
    [
        ("CUSIP", "CUSIP"),
        ("isin", "ISIN"),
        ("SEDOL", "SEDOL"),
        ("TICKER", "TICKER"),
        ("HOUSE", "OTHER"),
        ("", "OTHER"),
    ],
)
def test_a_securitys_id_has_a_scheme(printed: str, scheme: str) -> None:
    """One that OFX or a broker made up is the provider's own; the most telling id comes first."""
    listed = FUND_LISTED.replace("<UNIQUEIDTYPE>CUSIP", f"<UNIQUEIDTYPE>{printed}")
    ids = held(POSITION, listed).security.ids
    assert SecurityId(SecurityScheme(scheme), "922908769") in ids
    assert [each.scheme for each in ids] == sorted((each.scheme for each in ids), key=list(SecurityScheme).index)


def test_an_option_is_not_its_underlying() -> None:
    """The list names the underlying security inside of the option, which keeps its own id."""
    under = "<SECID><UNIQUEID>037833100<UNIQUEIDTYPE>CUSIP</SECID>"
    option = f"<OPTINFO><SECINFO>{FUND}<SECNAME>CALL 50</SECINFO><OPTTYPE>CALL<STRIKEPRICE>50{under}</OPTINFO>"
    found = held(POSITION, option + FUND_LISTED).security
    assert (found.name, found.type, found.ids[0].value) == ("CALL 50", SecurityType.OPTION, "922908769")


def test_accounts_of_all_kinds_share_a_file() -> None:
    """A bank's account before and after an investment account, each with its own rows."""
    bank = f"<BANKMSGSRSV1>{response(row(TRANSFER='1'))}</BANKMSGSRSV1>"
    data = (
        invested(BUY).replace("<INVSTMTMSGSRSV1>", f"{bank}<INVSTMTMSGSRSV1>").replace("</OFX>", f"{bank}</OFX>")
    )
    read = statement(data).batch
    assert [(each.account.number, len(each.transactions)) for each in read.accounts] == [
        ("4417", 1),
        ("I-77", 1),
        ("4417", 1),
    ]
    assert not read.warnings


def test_an_investment_statement_may_stand_alone() -> None:
    """Without a sign-on and without the root element."""
    data = invested(BUY)
    bare = HEADER + data[data.index("<INVSTMTMSGSRSV1>") :].removesuffix("</OFX>")
    assert (len(account(bare).transactions), rules(bare)) == (1, ["end_missing"])


def test_an_option_that_ends_is_an_option() -> None:
    """Without a list the row tells what kind of security it is about."""
    _, detail = traded(f"<CLOSUREOPT>{TRADE}{FUND}<OPTACTION>EXPIRE<UNITS>-1</CLOSUREOPT>", listed="")
    assert detail.security is not None
    assert detail.security.type is SecurityType.OPTION


def test_open_orders_are_reported_as_not_read() -> None:
    """What was not done yet is no transaction."""
    orders = f"<INVOOLIST><OOBUYMF><OO><FITID>o1{FUND}<DTPLACED>20260101<UNITS>1</OO></OOBUYMF></INVOOLIST>"
    data = invested(BUY, f"{orders}<INVPOSLIST>{POSITION}</INVPOSLIST>")
    assert (len(account(data).transactions), len(account(data).holdings)) == (1, 1)
    assert [(each.rule, each.raw) for each in warnings(data)] == [("section_not_read", "INVOOLIST")]


@pytest.mark.parametrize("cut", ["</INVBUY>", "</SECID>", "</INVTRANLIST>", "<POSTYPE>LONG"])
def test_an_investment_file_that_is_cut_short_is_refused(cut: str) -> None:
    """Inside a row or a position as anywhere else."""
    whole = invested(BUY, f"<INVPOSLIST>{POSITION}</INVPOSLIST>")
    assert refusal(whole[: whole.index(cut) + len(cut)]).code is ImportCode.FILE_TRUNCATED


NUMBERS = st.decimals(Decimal("0.001"), 10**9, places=3)
TEXTS = st.from_regex(r"[A-Za-z][A-Za-z ]{0,20}[a-z]", fullmatch=True)


@st.composite
def trades(draw: st.DrawFn) -> TransactionData:
    """A purchase or a sale as it should be read."""
    buys, id_, memo = draw(st.booleans()), draw(st.from_regex(r"[A-Z0-9]{9}", fullmatch=True)), draw(TEXTS)
    units, total = draw(NUMBERS), draw(NUMBERS)
    return TransactionData(
        posted_date=draw(st.dates(date(1900, 1, 1), date(2199, 12, 31))),
        amount=Money(-total if buys else total, USD),
        type=TransactionType.DEBIT if buys else TransactionType.CREDIT,
        description=memo,
        memo=memo,
        provider_transaction_id=draw(st.from_regex(r"[0-9A-Z]{1,12}", fullmatch=True)),
        investment=InvestmentDetail(
            action=InvestmentAction.BUY if buys else InvestmentAction.SELL,
            security=SecurityData(ids=(SecurityId(SecurityScheme.CUSIP, id_),), type=SecurityType.STOCK),
            units=units if buys else -units,
            unit_price=draw(st.none() | NUMBERS.map(lambda price: Money(price, USD))),
            settle_date=draw(st.none() | st.dates(date(1900, 1, 1), date(2199, 12, 31))),
        ),
    )


def written(row: TransactionData) -> str:
    side, detail = ("BUY" if row.amount.amount < 0 else "SELL"), row.investment
    assert detail is not None
    assert detail.security is not None
    texts = {
        "FITID": row.provider_transaction_id,
        "DTTRADE": f"{row.posted_date:%Y%m%d}".zfill(8),
        "DTSETTLE": detail.settle_date and f"{detail.settle_date:%Y%m%d}".zfill(8),
        "MEMO": row.memo,
        "UNIQUEID": detail.security.ids[0].value,
        "UNITS": detail.units,
        "UNITPRICE": detail.unit_price and detail.unit_price.amount,
        "TOTAL": row.amount.amount,
    }
    body = "".join(f"<{tag}>{text}\n" for tag, text in texts.items() if text is not None)
    inside = body.replace("<UNIQUEID>", "</INVTRAN><SECID><UNIQUEIDTYPE>CUSIP<UNIQUEID>").replace(
        "<UNITS>", "</SECID><UNITS>"
    )
    return f"<{side}STOCK><INV{side}><INVTRAN>{inside}</INV{side}></{side}STOCK>"


@given(st.lists(trades(), max_size=6))
@settings(max_examples=150, deadline=None)
def test_what_is_written_of_investments_is_read_back(rows: list[TransactionData]) -> None:
    """Purchases and sales, to the last digit."""
    assert account(invested("".join(map(written, rows)), listed="")).transactions == tuple(rows)
