"""What several suites for stores share: everything a unit can write, and what is left of it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs

from dashtam_core.accounts import AccountOverview, Transaction, TransactionFilter
from dashtam_core.kernel import Subject
from dashtam_core.store import Store, UnitOfWork
from dashtam_core.testing.samples import account, annotation, balance, document, holding, row, within

PATIENCE = 30
"""Seconds after which somebody who is waited for will not come."""
HOUR = 3600.0
MANY = 10_000
"""More than there ever is in a test."""
ALL, NOTHING = [1, 2, 1, 1, 1, 1], [0] * 6
"""What `seen` tells of what `write_everything` wrote, and of a person who has nothing."""


class BrokenError(Exception):
    """What goes wrong in a test on purpose."""


async def write_everything(unit: UnitOfWork) -> None:
    """One thing of every sort, as an import writes them; the unit sees what it has written."""
    one, paper, coffee = account("one"), document(), row("coffee")
    await unit.accounts.add_accounts([one])
    await unit.transactions.add(paper.document_id, {one.account_id: [coffee, row("tea")]})
    await unit.transactions.annotate(annotation(coffee))
    await unit.accounts.add_balances([balance(one, "10")])
    await unit.accounts.add_holdings([holding(one, "1")])
    assert await unit.documents.add(paper, b"content")
    assert await unit.accounts.find_account(one.account_id) is not None
    assert len(await unit.transactions.find(TransactionFilter(account_id=one.account_id))) == 2


async def seen(store: Store, subject: Subject) -> list[int]:
    """How many accounts, rows, documents, notes, holdings and contents `write_everything` left behind."""
    async with store.unit_of_work(subject) as unit:
        accounts = await unit.accounts.list_accounts(after=None, limit=10)
        rows = await unit.transactions.find(TransactionFilter())
        papers = await unit.documents.find(document().sha256)
        of = [each.account.account_id for each in accounts]
        holdings = [each for id_ in of for each in await unit.accounts.list_holdings(id_)]
        assert None not in [await unit.accounts.find_account(id_) for id_ in of]
        content = None if papers is None else await unit.documents.content(papers.document_id)
    notes = [each for each in rows if each.annotation is not None]
    whole = int(content == b"content")
    return [len(accounts), len(rows), int(papers is not None), len(notes), len(holdings), whole]


async def overviews(store: Store, subject: Subject) -> list[AccountOverview]:
    """A person's accounts with their balances, in the order they were added."""
    return list(await within(store, subject, lambda unit: unit.accounts.list_accounts(after=None, limit=9_999)))


async def names_of(store: Store, subject: Subject) -> list[str]:
    return [each.account.name for each in await overviews(store, subject)]


def place_of(each: Any) -> Any:
    """Where the next page begins: after this account, transaction or entry."""
    match each:
        case AccountOverview():
            return each.account.account_id
        case Transaction():
            return each.posted_date, each.transaction_id
        case _:
            return each.recorded_at, each.entry_id


async def pages(read: Callable[..., Awaitable[Sequence[Any]]], limit: int) -> list[Any]:
    """Everything there is, read so many at a time."""
    found, after = list[Any](), None
    while page := await read(after=after, limit=limit):
        assert len(page) <= limit
        found += page
        after = place_of(page[-1])
        assert len(found) < MANY, "pages come to an end"
    return found


def fields_of(thing: attrs.AttrsInstance) -> dict[str, Any]:
    return attrs.asdict(thing, recurse=False)


def said(stored: object, of: type[attrs.AttrsInstance]) -> dict[str, Any]:
    """What a stored thing has of the fields of the class it was made from."""
    return {field.name: getattr(stored, field.name) for field in attrs.fields(of)}
