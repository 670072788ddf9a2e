"""Syncing with a provider: what it brings is stored once, and nothing of it is left half done."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal

import attrs
import pytest

from dashtam_core import Actor, Dashtam, Failure, Result, Settings, Success, hookimpl
from dashtam_core.accounts import (
    AccountBatch,
    AccountData,
    AccountType,
    BalanceData,
    BalanceKind,
    ImportStatement,
    ListAccounts,
    ListTransactions,
    ReadingWarning,
    Statement,
    StatementReader,
    SyncBatch,
    TransactionData,
    TransactionType,
)
from dashtam_core.audit import ListAuditEntries
from dashtam_core.connections import (
    AccountsSynced,
    Provider,
    ProviderCode,
    ProviderFailed,
    SyncAccounts,
    SyncReport,
    SyncRequest,
    _sync,
)
from dashtam_core.identity import OPERATOR, ExternalSubject
from dashtam_core.kernel import Currency, Money, Permission
from dashtam_core.memory import MemoryProvider

EUR = Currency("EUR")
SECRET = "credential-of-ann"


def money(amount: str) -> Money:
    return Money(Decimal(amount), EUR)


def row(text: str, amount: str = "-1", **more: object) -> TransactionData:
    plain = TransactionData(
        posted_date=date(2026, 3, 1), amount=money(amount), type=TransactionType.POS, description=text
    )
    return attrs.evolve(plain, **more)  # type: ignore[arg-type] # names of its fields


def batch(*rows: TransactionData, account: str = "acc-0001", **more: object) -> SyncBatch:
    data = AccountData(provider_account_id=account, account_type=AccountType.CHECKING, currency=EUR, name="Main")
    balance = BalanceData(kind=BalanceKind.LEDGER, as_of=date(2026, 3, 1), amount=money("10"))
    return SyncBatch(
        accounts=(AccountBatch(account=data, transactions=rows, balances=(balance,)),),
        **more,  # type: ignore[arg-type] # as above
    )


@attrs.define
class Bank:
    """The plugin with these providers and readers."""

    providers: Sequence[Provider]
    readers: Sequence[StatementReader] = ()

    @hookimpl
    def dashtam_providers(self) -> Iterable[Provider]:
        return self.providers

    @hookimpl
    def dashtam_readers(self) -> Iterable[StatementReader]:
        return self.readers


@asynccontextmanager
async def opened(*providers: Provider, readers: Sequence[StatementReader] = ()) -> AsyncGenerator[Dashtam]:
    async with Dashtam.open(settings=Settings(), plugins=[Bank(providers, readers)]) as dashtam:
        yield dashtam


@asynccontextmanager
async def ann_with(*batches: SyncBatch, stable_ids: bool = False) -> AsyncGenerator[Actor]:
    provider = MemoryProvider({SECRET: list(batches)}, stable_ids=stable_ids)
    async with opened(provider) as dashtam:
        yield dashtam.acting_as(ExternalSubject("ann"))


async def sync(me: Actor, cursor: str | None = None, *, name: str = "memory") -> SyncReport:
    return (await me.execute(SyncAccounts(name, SECRET, cursor))).unwrap()


async def texts(me: Actor) -> list[str]:
    return sorted(str(each.description) for each in (await me.ask(ListTransactions())).unwrap().items)


async def test_what_a_provider_brings_is_stored() -> None:
    """Accounts, balances and rows are there, under the provider's name, and the report says how many are new."""
    async with ann_with(batch(row("tea"), row("tea"), warnings=(ReadingWarning("odd", "row 1"),))) as me:
        report = await sync(me)
        assert (report.added, report.next_cursor, report.more) == (2, "1", False)
        assert report.warnings == (ReadingWarning("odd", "row 1"),)
        assert await texts(me) == ["tea", "tea"]
        (found,) = (await me.ask(ListAccounts())).unwrap().items
        assert (found.account.provider, found.account.name, found.account.mask) == ("memory", "Main", None)
        assert found.account.provider_account_id == "acc-0001"
        assert [each.amount for each in found.balances] == [money("10")]
        assert report.accounts[0].account_id == found.account.account_id


async def test_batches_follow_one_another_by_cursor() -> None:
    """With `more` the next cursor goes on at once; without anything new a batch is empty."""
    async with ann_with(batch(row("a")), batch(row("b"))) as me:
        first = await sync(me)
        assert (first.added, first.more) == (1, True)
        second = await sync(me, first.next_cursor)
        assert (second.added, second.more) == (1, False)
        third = await sync(me, second.next_cursor)
        assert (third.added, third.more, third.next_cursor) == (0, False, "2")
        assert await texts(me) == ["a", "b"]


async def test_going_on_from_an_older_cursor_adds_nothing_twice() -> None:
    """Whoever lost their cursor starts anew, and finds every account and row there once."""
    async with ann_with(batch(row("a"), row("a")), batch(row("b"))) as me:
        for cursor in (None, "1", None, "1"):
            await sync(me, cursor)
        assert await texts(me) == ["a", "a", "b"]
        assert len((await me.ask(ListAccounts())).unwrap().items) == 1


@pytest.mark.parametrize(("stable", "added"), [(True, 0), (False, 1)])
async def test_a_stable_id_is_one_transaction_for_ever(stable: bool, added: int) -> None:
    """Where ids are stable, other words under the same id are no new row; otherwise they are."""
    said, later = row("tea", provider_transaction_id="7"), row("TEA HOUSE", "-2", provider_transaction_id="7")
    async with ann_with(batch(said), batch(later), stable_ids=stable) as me:
        assert (await sync(me)).added == 1
        assert (await sync(me, "1")).added == added


async def test_two_providers_and_a_file_are_apart() -> None:
    """The same account id of another provider, or of a file, is another account."""

    class Reader:
        name = "any"

        def recognizes(self, data: bytes, /) -> bool:
            return True

        def read(self, data: bytes, /) -> Success[Statement]:
            return Success(Statement(format="any", encoding="utf-8", parser="t", batch=batch(row("file"))))

    one, two = (MemoryProvider({SECRET: [batch(row(name))]}, name=name) for name in ("one", "two"))
    async with opened(one, two, readers=[Reader()]) as dashtam:
        me = dashtam.acting_as(ExternalSubject("ann"))
        await sync(me, name="one")
        await sync(me, name="two")
        assert (await me.execute(ImportStatement(b"x"))).unwrap().document.added == 1
        found = (await me.ask(ListAccounts())).unwrap().items
        assert sorted((each.account.provider, each.account.mask) for each in found) == [
            ("file", None),
            ("one", None),
            ("two", None),
        ]


async def test_a_provider_nobody_installed_is_named() -> None:
    """The failure says which providers there are."""
    async with ann_with() as me:
        error = (await me.execute(SyncAccounts("nope", SECRET))).failure()
        assert error.code is ProviderCode.PROVIDER_UNKNOWN
        assert "'nope'" in error.message
        assert "memory" in error.message


@pytest.mark.parametrize(
    ("credential", "cursor", "code"),
    [
        ("wrong", None, "credential_refused"),
        (SECRET, "9", "provider_cursor_invalid"),
        (SECRET, "x", "provider_cursor_invalid"),
    ],
)
async def test_what_a_provider_refuses_is_a_failure(credential: str, cursor: str | None, code: str) -> None:
    """Its failure is the answer, and nothing was stored."""
    async with ann_with(batch(row("a"))) as me:
        error = (await me.execute(SyncAccounts("memory", credential, cursor))).failure()
        assert error.code == code
        assert await texts(me) == []


async def test_a_provider_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time there is a failure; a timeout of the provider's own is its bug."""

    @attrs.define
    class Slow:
        error: Exception | None = None
        name = "slow"
        stable_ids = False

        async def fetch(self, _: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
            if self.error:
                raise self.error
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(_sync, "FETCH_SECONDS", 0.01)
    slow = Slow()
    async with opened(slow) as dashtam:
        me = dashtam.acting_as(ExternalSubject("ann"))
        failed = await me.execute(SyncAccounts("slow", SECRET))
        assert failed.failure().code is ProviderCode.PROVIDER_UNAVAILABLE
        slow.error = TimeoutError("theirs")
        with pytest.raises(TimeoutError, match="theirs"):
            await me.execute(SyncAccounts("slow", SECRET))


@pytest.mark.parametrize("cursor", [None, "1"])
async def test_a_provider_that_goes_round_in_circles_is_stopped(cursor: str | None) -> None:
    """More to come from the same cursor would never end: it is refused, and nothing of it stored."""

    class Circling(MemoryProvider):
        async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
            return Success(batch(row("a"), next_cursor=cursor, more=True))

    async with opened(Circling()) as dashtam:
        me = dashtam.acting_as(ExternalSubject("ann"))
        failed = await me.execute(SyncAccounts("memory", SECRET, cursor))
        assert failed.failure().code is ProviderCode.PROVIDER_UNREADABLE
        assert await texts(me) == []


async def test_the_credential_is_kept_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the trail, nor a log line, nor what prints the command holds it; the trail names the provider."""
    caplog.set_level(logging.DEBUG)
    async with ann_with(batch(row("a"))) as me:
        await sync(me)
        await me.execute(SyncAccounts("memory", SECRET, "99"))
        operator = me.dashtam.acting_as(ExternalSubject("op", OPERATOR))
        entries = (await operator.ask(ListAuditEntries())).unwrap().items
    told = [each.entry for each in entries if each.entry.action == "sync_accounts"]
    assert [each.phase for each in told] == ["failed", "attempted", "succeeded", "attempted"]
    assert {each.resource_id for each in told} == {"memory"}
    assert told[2].context == {"read": 1, "added": 1}
    assert SECRET not in repr((entries, SyncAccounts("memory", SECRET), SyncRequest(credential=SECRET)))
    assert SECRET not in caplog.text


async def test_subscribers_hear_of_what_came() -> None:
    """One event tells which accounts of whom got how many new rows."""
    heard: list[AccountsSynced] = []

    async def hear(event: AccountsSynced) -> None:
        heard.append(event)

    provider = MemoryProvider({SECRET: [batch(row("a"))]})
    async with Dashtam.open(
        settings=Settings(), plugins=[Bank([provider])], subscriptions=[AccountsSynced.heard_by(hear)]
    ) as dashtam:
        me = dashtam.acting_as(ExternalSubject("ann"))
        report = await sync(me)
    (event,) = heard
    assert event == AccountsSynced(me.subject.user_id, "memory", (report.accounts[0].account_id,), 1)


async def test_who_may_not_write_gets_nothing() -> None:
    """Without the permission the provider is not even asked."""
    provider = MemoryProvider({SECRET: [batch(row("a"))]})
    async with opened(provider) as dashtam:
        guest = dashtam.acting_as(ExternalSubject("guest", frozenset[Permission]()))
        failed = await guest.execute(SyncAccounts("memory", SECRET))
        assert isinstance(failed, Failure)
        assert failed.failure().code == "permission_denied"
