"""Rows, keys and expectations for the suites, written by hand: no adapter is measured by its own computing."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest

from dashtam_core.accounts import (
    Account,
    AccountId,
    AccountStatus,
    AccountType,
    Balance,
    BalanceKind,
    DocumentId,
    ImportDocument,
    KeyedTransaction,
    Transaction,
    TransactionData,
    TransactionFilter,
    TransactionId,
    TransactionStatus,
    TransactionType,
)
from dashtam_core.identity import ACCOUNTS_READ, TOKENS_WRITE, ApiToken, ExternalSubject, TokenId
from dashtam_core.kernel import Currency, Money, Subject, new_id
from dashtam_core.store import Store, UnitOfWork

ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")
EUR = Currency("EUR")
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
TEXTS = (
    "Caf\u00e9 \u6771\u4eac \U0001f3e6 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "e\u0301 is not \u00e9",
    "tab\tline\nreturn\rnext",
    "\\N \\. \\t \\\\",
    "'quoted' \"twice\", {in,braces}; -- $1 %s",
    "NULL",
    " spaces around ",
    "",
    "long " * 4_000,
)
AMOUNTS = (
    "12.50",
    "-12.50",
    "0",
    "0.00",
    "0.000000000000000001",
    "-12345678901234567890.123456789012345678",
    "999999999999999999999999999999",
    "-999999999999999999999999999999.99999999",
    "9" * 38,
    "0." + "9" * 38,
)
FEW_OR_MANY = pytest.mark.parametrize("beside", [0, 2_000], ids=["small", "bulk"])


def eur(amount: str) -> Money:
    return Money(Decimal(amount), EUR)


def account(key: str, **changes: Any) -> Account:
    plain = Account(
        account_id=AccountId(new_id()),
        provider="file",
        account_key=key.encode().ljust(16, b"."),
        name=f"account {key}",
        account_type=AccountType.CHECKING,
        currency=EUR,
        created_at=NOON,
    )
    return attrs.evolve(plain, **changes)


def full_account() -> Account:
    """An account of which everything is known."""
    return account(
        "full",
        provider_account_id="opaque",
        name=TEXTS[0],
        official_name=TEXTS[4],
        mask="6789",
        account_type=AccountType.CREDITCARD,
        currency=Currency("x" * 64),
        bank_id="021000021",
        institution="B\u00e4nk",
        status=AccountStatus.CLOSED,
    )


def row(text: str, day: int = 1, occurrence: int = 1, amount: str = "-4.50", **changes: Any) -> KeyedTransaction:
    """A row of March 2026, known by its text."""
    data = TransactionData(
        posted_date=date(2026, 3, day), amount=eur(amount), type=TransactionType.POS, description=text
    )
    key = text.encode()[:16].ljust(16, b".")
    return KeyedTransaction(TransactionId(new_id()), key, occurrence, 0, attrs.evolve(data, **changes))


def full_row() -> KeyedTransaction:
    """A row that says all there is to say."""
    return row(
        "full",
        day=3,
        status=TransactionStatus.PENDING,
        type=TransactionType.DIRECTDEBIT,
        payee="Payee",
        memo="Memo",
        provider_transaction_id="FITID-1",
        value_date=date(2026, 3, 4),
        transaction_date=date(2026, 3, 2),
        posted_at=NOON,
        original_amount=Money(Decimal("-5.123456789012345678"), Currency("ETH")),
        exchange_rate=Decimal("0.878048780487804878"),
        mcc="5814",
        check_number="0042",
        reference="ref",
        end_to_end_id="e2e",
    )


def said_in(of: KeyedTransaction, code: str) -> KeyedTransaction:
    """The same row, converted from as many units of another currency."""
    original = Money(of.data.amount.amount, Currency(code))
    return attrs.evolve(of, data=attrs.evolve(of.data, original_amount=original))


def filler(count: int) -> list[KeyedTransaction]:
    return [row(f"filler {number}", day=28) for number in range(count)]


def balance(of: Account, amount: str, day: int = 1, hour: int | None = None, **changes: Any) -> Balance:
    at = None if hour is None else NOON.replace(day=day, hour=hour)
    plain = Balance(
        account_id=of.account_id,
        kind=BalanceKind.LEDGER,
        as_of=date(2026, 3, day),
        amount=eur(amount),
        reported_at=at,
    )
    return attrs.evolve(plain, **changes)


def document(digit: str = "1", **changes: Any) -> ImportDocument:
    plain = ImportDocument(
        document_id=DocumentId(new_id()),
        sha256=bytes.fromhex(digit * 64),
        filename="march.ofx",
        format="OFX 2.11",
        encoding="utf-8",
        parser="suite 1",
        imported_at=NOON,
    )
    return attrs.evolve(plain, **changes)


def token(of: Subject, digit: str = "1") -> ApiToken:
    return ApiToken(
        token_id=TokenId(new_id()),
        user_id=of.user_id,
        name="phone",
        token_hash=bytes.fromhex(digit * 32) + of.user_id.bytes,
        permissions=frozenset({TOKENS_WRITE, ACCOUNTS_READ}),
        created_at=NOON,
    )


async def have(store: Store, subject: Subject, *accounts: Account) -> list[Account]:
    async with store.unit_of_work(subject) as unit:
        return list(await unit.accounts.add_accounts(accounts))


async def add(store: Store, subject: Subject, to: Account, *rows: KeyedTransaction) -> int:
    async with store.unit_of_work(subject) as unit:
        return (await unit.accounts.add_transactions(None, {to.account_id: rows}))[to.account_id]


async def rows_of(store: Store, subject: Subject, **wanted: Any) -> list[Transaction]:
    async with store.unit_of_work(subject) as unit:
        found = await unit.accounts.list_transactions(TransactionFilter(**wanted), after=None, limit=5_000)
        return list(found)


async def texts_of(store: Store, subject: Subject, **wanted: Any) -> list[str | None]:
    return [each.description for each in await rows_of(store, subject, **wanted)]


async def balances_of(store: Store, subject: Subject, of: Account) -> dict[BalanceKind, Decimal]:
    async with store.unit_of_work(subject) as unit:
        found = await unit.accounts.find_account(of.account_id)
    assert found is not None
    kinds = {each.kind: each.amount.amount for each in found.balances}
    assert len(kinds) == len(found.balances), "one balance of each kind"
    return kinds


async def write_everything(unit: UnitOfWork, subject: Subject) -> AccountId:
    """One thing of every sort, as an import writes them."""
    one, paper = account("one"), document()
    await unit.accounts.add_accounts([one])
    await unit.accounts.add_transactions(paper.document_id, {one.account_id: [row("coffee"), row("tea")]})
    await unit.accounts.add_balances([balance(one, "10")])
    assert await unit.documents.add(paper)
    await unit.tokens.add(token(subject))
    return one.account_id


async def seen(store: Store, subject: Subject, account_id: AccountId | None = None) -> list[int]:
    """How many accounts, rows, documents and tokens `write_everything` left behind."""
    async with store.unit_of_work(subject) as unit:
        accounts = await unit.accounts.list_accounts(after=None, limit=10)
        rows = await unit.accounts.list_transactions(TransactionFilter(), after=None, limit=10)
        papers = await unit.documents.find(document().sha256)
        tokens = await unit.tokens.find(token(subject).token_hash)
        assert account_id is None or (await unit.accounts.find_account(account_id) is None) == (not accounts)
    return [len(accounts), len(rows), int(papers is not None), int(tokens is not None)]


ALL, NOTHING = [1, 2, 1, 1], [0, 0, 0, 0]


def said(stored: Transaction) -> dict[str, Any]:
    return {field.name: getattr(stored, field.name) for field in attrs.fields(TransactionData)}


def fields_of(thing: attrs.AttrsInstance) -> dict[str, Any]:
    return attrs.asdict(thing, recurse=False)
