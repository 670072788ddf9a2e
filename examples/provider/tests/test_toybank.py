"""Toybank's own ways: signs, days, pages, pending rows, and each of its refusals."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from dashtam_toybank import Toybank
from fake_bank import TOKEN, FakeBank, account, row

from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import AccountType, SyncBatch, TransactionType
from dashtam_core.connections import ProviderCode, ProviderFailed, SyncAccounts, SyncRequest
from dashtam_core.identity import ExternalSubject


async def fetched(provider: Toybank, cursor: str | None = None) -> SyncBatch:
    return (await provider.fetch(SyncRequest(credential=TOKEN, cursor=cursor))).unwrap()


async def failed(provider: Toybank, credential: str = TOKEN) -> ProviderFailed:
    return (await provider.fetch(SyncRequest(credential=credential))).failure()


async def test_what_was_spent_leaves_the_account(bank: FakeBank, provider: Toybank) -> None:
    """Amounts are digits as they were sent, with the sign of their effect on the balance."""
    bank.feed = [row("r1", 0.1, kind="card", text="Café"), row("r2", -1000)]
    (batch,) = (await fetched(provider)).accounts
    spent, earned = batch.transactions
    assert (spent.amount.amount, earned.amount.amount) == (Decimal("-0.1"), Decimal(1000))
    assert (spent.type, earned.type) == (TransactionType.POS, TransactionType.OTHER)
    assert (spent.description, earned.description) == ("Café", None)
    assert spent.posted_date == date(2026, 6, 3)


async def test_what_is_owed_on_a_card_is_below_zero(bank: FakeBank, provider: Toybank) -> None:
    """A card's balance is turned round, any other is not."""
    bank.accounts.append(account("a2", "card", balance=12.5, as_of="2026-06-05"))
    everyday, card = (await fetched(provider)).accounts
    assert card.account.account_type is AccountType.CREDITCARD
    assert [each.balances[0].amount.text for each in (everyday, card)] == ["10.00", "-12.50"]


async def test_a_pending_row_waits_until_it_is_booked(bank: FakeBank, provider: Toybank) -> None:
    """It is neither a transaction nor odd, and comes under its id once it is booked."""
    bank.feed = [row("r1", 49.9, state="pending")]
    first = await fetched(provider)
    assert (first.accounts[0].transactions, first.warnings) == ((), ())
    bank.feed.append(row("r1", 50.05))
    later = await fetched(provider, first.next_cursor)
    assert [each.amount.text for each in later.accounts[0].transactions] == ["-50.05"]


async def test_pages_follow_each_other(bank: FakeBank, provider: Toybank) -> None:
    """Each row comes once, and the last page says that it is."""
    bank.feed = [row(f"r{number}", number) for number in range(5)]
    cursor, ids, more = None, list[str | None](), True
    while more:
        batch = await fetched(provider, cursor)
        ids += [each.provider_transaction_id for each in batch.accounts[0].transactions]
        cursor, more = batch.next_cursor, batch.more
    assert ids == ["r0", "r1", "r2", "r3", "r4"]


@pytest.mark.parametrize(
    "odd",
    [
        {"day": "31.02."},
        {"spent": "4.20"},
        {"spent": True},
        {"spent": float("nan")},
        {"state": "void"},
        {"account": "a9"},
        {"id": ""},
        {"text": 7},
    ],
)
async def test_an_odd_row_costs_no_other(bank: FakeBank, provider: Toybank, odd: dict[str, Any]) -> None:
    """It is left out with a warning that names its place."""
    bank.feed = [row("r1", 1) | odd, row("r2", 2)]
    batch = await fetched(provider)
    assert [each.provider_transaction_id for each in batch.accounts[0].transactions] == ["r2"]
    assert [(each.rule, each.where) for each in batch.warnings] == [("row_unreadable", "row 0")]


@pytest.mark.parametrize(
    ("status", "wait", "meant"),
    [
        (401, "", (ProviderCode.CREDENTIAL_REFUSED, None)),
        (404, "", (ProviderCode.PROVIDER_UNREADABLE, None)),
        (410, "", (ProviderCode.PROVIDER_CURSOR_INVALID, None)),
        (429, "30", (ProviderCode.PROVIDER_LIMITED, 30.0)),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", (ProviderCode.PROVIDER_LIMITED, None)),
        (302, "", (ProviderCode.PROVIDER_UNREADABLE, None)),
        (503, "", (ProviderCode.PROVIDER_UNAVAILABLE, None)),
    ],
)
async def test_each_refusal_has_its_code(
    bank: FakeBank, provider: Toybank, status: int, wait: str, meant: tuple[ProviderCode, float | None]
) -> None:
    """A status that the bank documents says what it means, and how long to wait."""
    bank.refusal = status, {"retry-after": wait}, {}
    error = await failed(provider)
    assert (error.code, error.retry_after) == meant


@pytest.mark.parametrize("said", ["<html>", "[]", "{}", '{"rows": [], "next": 1}', "[" * 100_000, "\x00"])
async def test_an_answer_of_another_shape_is_unreadable(bank: FakeBank, provider: Toybank, said: str) -> None:
    """Nothing the bank may send is an exception."""
    bank.refusal = 200, {}, said
    assert (await failed(provider)).code is ProviderCode.PROVIDER_UNREADABLE


@pytest.mark.parametrize("token", ["", "wrong", "two\nlines", "naïve"])
async def test_a_token_that_is_none_is_refused(provider: Toybank, token: str) -> None:
    """Also one that no header can carry."""
    assert (await failed(provider, token)).code is ProviderCode.CREDENTIAL_REFUSED


async def test_a_bank_that_is_not_there_is_unavailable() -> None:
    """Who does not answer may do so later."""
    with FakeBank().open() as bank:
        pass
    assert (await failed(Toybank(bank.address))).code is ProviderCode.PROVIDER_UNAVAILABLE


async def test_a_second_sync_adds_nothing(bank: FakeBank, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed plugin is found by itself, and twins in one page are two transactions."""
    monkeypatch.setenv("TOYBANK_URL", bank.address)
    bank.feed = [row("r1", 4.2, text="Café"), row("r2", 4.2, text="Café")]
    async with Dashtam.open(settings=Settings()) as dashtam:
        me = dashtam.acting_as(ExternalSubject("ann"))
        added = [(await me.execute(SyncAccounts("toybank", TOKEN))).unwrap().added for _ in range(2)]
    assert added == [2, 0]
