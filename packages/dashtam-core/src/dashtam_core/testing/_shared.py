"""What several suites for stores share: everything a unit can write, and what is left of it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import attrs

from dashtam_core.accounts import AccountId, AccountOverview, TransactionFilter
from dashtam_core.kernel import Subject
from dashtam_core.store import Store, UnitOfWork
from dashtam_core.testing.samples import account, balance, document, row, token

PATIENCE = 30
"""Seconds after which somebody who is waited for will not come."""
ALL, NOTHING = [1, 2, 1, 1], [0, 0, 0, 0]
"""What `seen` tells of what `write_everything` wrote, and of a person who has nothing."""


class BrokenError(Exception):
    """What goes wrong in a test on purpose."""


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


async def overviews(store: Store, subject: Subject) -> list[AccountOverview]:
    """A person's accounts with their balances, in the order they were added."""
    async with store.unit_of_work(subject) as unit:
        return list(await unit.accounts.list_accounts(after=None, limit=9_999))


async def names_of(store: Store, subject: Subject) -> list[str]:
    """The names of a person's accounts."""
    return [each.account.name for each in await overviews(store, subject)]


async def cancelled_after(steps: int, work: Coroutine[Any, Any, None]) -> None:
    """Cancels work after so many turns of the loop, if it takes as many."""
    task = asyncio.create_task(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.exception() is None


def fields_of(thing: attrs.AttrsInstance) -> dict[str, Any]:
    return attrs.asdict(thing, recurse=False)


def said(stored: object, of: type[attrs.AttrsInstance]) -> dict[str, Any]:
    """What a stored thing has of the fields of the class it was made from."""
    return {field.name: getattr(stored, field.name) for field in attrs.fields(of)}
