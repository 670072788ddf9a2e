"""What `BeancountWriter` writes; that Beancount itself takes it is tried with the wheels."""

import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core.accounts import AccountType, BalanceKind, ExportedAccount, TransactionStatus
from dashtam_core.kernel import Currency
from dashtam_core.testing import samples
from dashtam_files.writers import BeancountWriter
from unit.files.writers.exports import accounts, exported, row, written

POSTING = re.compile(r"^  ((?:Assets|Liabilities):\S+)  (-?[\d.]+) (\S+)$", re.MULTILINE)
OPEN = re.compile(r"^(\d{4}-\d\d-\d\d) open (\S+)$", re.MULTILINE)
HELD = re.compile(r"^(\d{4}-\d\d-\d\d) balance (\S+)  (-?[\d.]+) (\S+)$", re.MULTILINE)
CHECKING = "Assets:Checking:Account-one"


def ledger(*some: ExportedAccount) -> str:
    return written(BeancountWriter(), *some)


def names(text: str) -> list[str]:
    return [name for _, name in OPEN.findall(text)][3:]


@given(st.lists(accounts(), max_size=3))
@settings(max_examples=40, deadline=None)
def test_every_row_is_a_transaction_that_balances(some: list[ExportedAccount]) -> None:
    """Amounts are written digit by digit, each with its opposite, after their account was opened."""
    text = ledger(*some)
    kept = [row for each in some for row in each.transactions if row.status is not TransactionStatus.VOID]
    amounts = [Decimal(amount) for _, amount, _ in POSTING.findall(text.replace("\n; ", "\n"))]
    openings = text.count('* "Opening balance"')
    assert len(amounts) == len(kept) + openings
    if not openings:
        assert amounts == [row.amount.amount for row in kept]
    for row_ in kept:
        assert f'  transaction_id: "{row_.transaction_id}"\n' in text
    assert len(set(names(text))) == len(some)


@given(accounts())
@settings(max_examples=40, deadline=None)
def test_what_is_asserted_holds(some: ExportedAccount) -> None:
    """The postings before the day of an assertion come to its amount."""
    text = ledger(some)
    for day, _, amount, unit in HELD.findall(text):
        before = [
            Decimal(found[2])
            for part in text.split("\n\n")
            if part[:10] < day
            and not part.startswith(";")
            and (found := POSTING.search(part))
            and found[3] == unit
        ]
        assert sum(before) == Decimal(amount)


def test_a_ledger() -> None:
    """A row has its day, its words, its ids, and the other side by its sign."""
    text = ledger(
        exported(
            row('The "Corner" \\ Bakery', 2, reference="R1", check_number="0042", value_date=date(2026, 3, 3)),
            row("POS 4711", 3, "10", payee="Ann", status=TransactionStatus.PENDING),
        )
    )
    assert '2026-03-02 * "The \\"Corner\\" \\\\ Bakery"\n  transaction_id: ' in text
    assert '  reference: "R1"\n  check_number: "0042"\n  value_date: "2026-03-03"\n' in text
    assert f"  {CHECKING}  -4.50 EUR\n  Expenses:Unknown  4.50 EUR\n" in text
    assert '2026-03-03 ! "Ann" "POS 4711"\n' in text
    assert f"  {CHECKING}  10.00 EUR\n  Income:Unknown  -10.00 EUR\n" in text
    assert OPEN.findall(text)[-1] == ("2026-03-02", CHECKING)


def test_a_closing_balance_is_asserted_where_it_holds() -> None:
    """On the morning after its day, if the rows come to it; one that they do not come to is left out."""
    of = samples.account("one")
    rows = row(day=2, amount="10"), row(day=3, amount="-4"), row(day=9)
    holds = ledger(exported(*rows, account=of, balances=[samples.balance(of, "6", day=3)]))
    assert HELD.findall(holds) == [("2026-03-04", CHECKING, "6.00", "EUR")]
    wrong = ledger(exported(*rows, account=of, balances=[samples.balance(of, "7", day=5)]))
    assert HELD.findall(wrong) == []


def test_an_opening_balance_is_written_where_one_is_needed() -> None:
    """A statement that begins with money adds up from there, and only then has an opening balance."""
    of = samples.account("one")
    opening = samples.balance(of, "100", day=1, kind=BalanceKind.OPENING_BOOKED)
    closing = samples.balance(of, "95.50", day=31, kind=BalanceKind.CLOSING_BOOKED)
    text = ledger(exported(row(day=2), account=of, balances=[opening, closing]))
    assert (
        f'2026-03-01 * "Opening balance"\n  {CHECKING}  100.00 EUR\n  Equity:Opening-Balances  -100.00 EUR\n'
        in text
    )
    assert HELD.findall(text) == [("2026-04-01", CHECKING, "95.50", "EUR")]
    for rows in ([row(day=2, amount="-5")], [row(day=2), row(amount="0", posted_date=date(2026, 2, 1))]):
        assert "Opening balance" not in ledger(
            exported(*sorted(rows, key=lambda each: each.posted_date), account=of, balances=[opening, closing])
        )


def test_rows_that_do_not_count() -> None:
    """A void row is left out, and one that Beancount would round is a comment."""
    text = ledger(exported(row("void", status=TransactionStatus.VOID), row("huge", amount="9" * 38)))
    assert "void" not in text
    assert '\n; 2026-03-01 * "huge"\n;   transaction_id' in text
    assert f"\n;   {CHECKING}  {'9' * 38}.00 EUR\n" in text


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("Checking ••1234", AccountType.CHECKING, "Assets:Checking:Checking-1234"),
        ("größe: 2", AccountType.SAVINGS, "Assets:Savings:Größe-2"),
        ("普通預金", AccountType.OTHER, "Assets:Other:X-普通預金"),
        ("••", AccountType.CREDITCARD, "Liabilities:Creditcard:Account"),
        ("1a", AccountType.LOAN, "Liabilities:Loan:1a"),
    ],
)
def test_names_of_accounts(name: str, kind: AccountType, shown: str) -> None:
    """They come from the kind and the name of an account, spelled as Beancount takes them."""
    assert names(ledger(exported(account=samples.account("one", name=name, account_type=kind)))) == [shown]


def test_accounts_of_one_name_are_told_apart() -> None:
    """The second one has a number, also where a third is called like it."""
    some = [exported(account=samples.account(key, name=key[:1])) for key in ("a1", "a2", "a3")]
    some.append(exported(account=samples.account("b", name="A-2")))
    assert names(ledger(*some)) == [f"Assets:Checking:{each}" for each in ("A", "A-2", "A-3", "A-2-2")]


def test_units_that_beancount_cannot_spell() -> None:
    """They get a name of their own, and a commodity that says which unit it is."""
    units = ["x", "btc", "BTC", "TRUE", "FALSE", "$", "a_very/long-unit.of.account"]
    text = ledger(exported(*(row(unit=Currency(each), amount="1") for each in units)))
    spelled = [commodity for _, _, commodity in POSTING.findall(text)]
    assert spelled == ["X-X", "BTC-2", "BTC", "X-TRUE", "X-FALSE", "X-UNIT", "A_VERY-LONG-UNIT.OF"]
    assert '2026-03-01 commodity BTC-2\n  unit: "btc"\n' in text
    assert "commodity BTC\n" not in text


def test_nothing_is_a_ledger_too() -> None:
    """Without accounts there are those of the other side."""
    assert [name for _, name in OPEN.findall(ledger())] == [
        *("Expenses:Unknown", "Income:Unknown", "Equity:Opening-Balances"),
    ]
