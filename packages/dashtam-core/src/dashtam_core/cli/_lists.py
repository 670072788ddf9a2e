"""`dashtam accounts` and `dashtam transactions`: pages of what is in the store."""

import shlex
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Final

import attrs
import typer

from dashtam_core import accounts
from dashtam_core.accounts import DEFAULT_LIMIT, MAX_LIMIT, AccountId, ListAccounts, ListTransactions
from dashtam_core.app import Actor
from dashtam_core.cli._exits import stop, value_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._rows import BALANCE, TRANSACTION, balance_row, short_id, transaction_row
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import document, line, table
from dashtam_core.kernel import Page

DAY: Final = ["%Y-%m-%d"]

Limit = Annotated[int, typer.Option(help=f"How many to show, 1 to {MAX_LIMIT}.")]
Cursor = Annotated[str | None, typer.Option(help="Where the page begins, as the page before it said.")]
From = Annotated[datetime | None, typer.Option("--from", formats=DAY, metavar="DAY", help="The first day.")]
To = Annotated[datetime | None, typer.Option("--to", formats=DAY, metavar="DAY", help="The last day.")]
Chosen = Annotated[str | None, typer.Option(help="One account: its last four, or the beginning of its id.")]


def list_accounts(
    ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None, as_json: Json = False
) -> None:
    """List your accounts with their latest balances."""
    page = value_of(Host.of(ctx).run(load_settings(), lambda me: me.ask(ListAccounts(limit, cursor))))
    if as_json:
        items = [accounts.account_view(each) for each in page.items]
        document({"items": items, "next_cursor": page.next_cursor})
    else:
        table(("account", "type", *BALANCE, "id"), [row for each in page.items for row in _account_rows(each)])
        show_next("accounts", page.next_cursor, {"--limit": limit})


def list_transactions(
    ctx: typer.Context,
    *,
    account: Chosen = None,
    from_day: From = None,
    to_day: To = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List your transactions, the latest first."""
    first, last = from_day and from_day.date(), to_day and to_day.date()
    wanted = ListTransactions(from_date=first, to_date=last, limit=limit, cursor=cursor)

    async def work(me: Actor) -> tuple[Page[accounts.Transaction], Mapping[AccountId, accounts.Account]]:
        known = await every_account(me)
        of_account = None if account is None else chosen(account, known.values())
        found = await me.ask(attrs.evolve(wanted, account_id=of_account))
        return value_of(found), known

    page, known = Host.of(ctx).run(load_settings(), work)
    if as_json:
        items = [accounts.transaction_view(each) for each in page.items]
        document({"items": items, "next_cursor": page.next_cursor})
    else:
        names = {id_: each.name for id_, each in known.items()}
        rows = [
            (*transaction_row(each), names.get(each.account_id, each.account_id), short_id(each.transaction_id))
            for each in page.items
        ]
        table((*TRANSACTION, "account", "id"), rows)
        options = {"--account": account, "--from": first, "--to": last, "--limit": limit}
        show_next("transactions", page.next_cursor, options)


async def every_account(me: Actor) -> Mapping[AccountId, accounts.Account]:
    known: dict[AccountId, accounts.Account] = {}
    query: ListAccounts | None = ListAccounts(MAX_LIMIT)
    while query:
        page = value_of(await me.ask(query))
        known |= {each.account.account_id: each.account for each in page.items}
        query = ListAccounts(MAX_LIMIT, page.next_cursor) if page.next_cursor else None
    return known


def chosen(text: str, known: Iterable[accounts.Account]) -> AccountId:
    """The one account with this mask, or else with an id that begins so; without one the command ends."""
    some = [each for each in known if text]
    found = [each for each in some if (each.mask or "").lower() == text.lower()]
    found = found or [each for each in some if str(each.account_id).startswith(text.lower())]
    if not found:
        stop(f"no account of yours has the last four or an id beginning with {text!r}: see dashtam accounts", 2)
    if len(found) > 1:
        named = "; ".join(f"{each.account_id} {each.name}" for each in found)
        stop(f"{text!r} fits {len(found)} accounts, give the beginning of one's id: {named}", 2)
    return found[0].account_id


def _account_rows(overview: accounts.AccountOverview) -> Iterable[tuple[object, ...]]:
    """A row for each balance, and one for an account that has none."""
    account = overview.account
    balances = [balance_row(each) for each in overview.balances] or [(None, None, None, account.currency)]
    return [(account.name, account.account_type, *balance, account.account_id) for balance in balances]


def show_next(command: str, cursor: str | None, options: Mapping[str, object]) -> None:
    """Ends a page with the command that shows the next one, where there is one."""
    if cursor is not None:
        given = {name: str(value) for name, value in options.items() if value is not None} | {"--cursor": cursor}
        words = [word for option in given.items() for word in option]
        line(f"next page: {shlex.join(['dashtam', *command.split(), *words])}")
