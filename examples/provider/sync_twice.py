"""Syncs with a bank on this machine, twice: run it with `python sync_twice.py`, once the package is installed."""

import asyncio

from dashtam_toybank import Toybank
from fake_bank import TOKEN, FakeBank, account, row

from dashtam_core import Actor, Dashtam, Failure, Settings, Success, hookimpl
from dashtam_core.accounts import ListAccounts, ListTransactions
from dashtam_core.connections import SyncAccounts
from dashtam_core.identity import ExternalSubject


class Plugin:
    """Like the plugin of the package, which is found by itself, but for the address."""

    def __init__(self, address: str) -> None:
        self._address = address

    @hookimpl
    def dashtam_providers(self) -> tuple[Toybank, ...]:
        return (Toybank(self._address),)


async def sync(me: Actor, credential: str, cursor: str | None = None) -> str | None:
    """Brings in batch after batch, and gives the cursor to keep for the next time."""
    while True:
        match await me.execute(SyncAccounts("toybank", credential, cursor)):
            case Success(report):
                print(f"{report.added} added", *(f"({each.rule} in {each.where})" for each in report.warnings))
                cursor = report.next_cursor
                if not report.more:
                    return cursor
            case Failure(error):
                print(f"{error.code}: {error.message}")
                return cursor


async def main() -> None:
    current = account("a1", balance=941.55, as_of="2026-06-05", iban="DE02120300000000202051")
    card = account("a2", "card", balance=12, as_of="2026-06-05")
    feed = [
        row("r1", 4.2, text="Café Morgenrot", kind="card"),
        row("r2", 4.2, text="Café Morgenrot", kind="card"),  # a twin: two coffees
        row("r3", 49.9, text="Rail ticket", kind="card", state="pending"),
        row("r4", -1000, "2026-06-04", text="Birnbaum Verlag, salary", kind="transfer"),
        row("r5", 12, "soon", account="a2", text="Sunglasses", kind="card"),
    ]
    with FakeBank([current, card], feed).open() as bank:
        async with Dashtam.open(settings=Settings(), plugins=[Plugin(bank.address)]) as dashtam:
            me = dashtam.acting_as(ExternalSubject("ann"))
            cursor = await sync(me, TOKEN)
            print("Again, from where it ended:")
            bank.feed.append(row("r3", 50.05, "2026-06-05", text="Rail ticket", kind="card"))  # booked by now
            cursor = await sync(me, TOKEN, cursor)
            cursor = await sync(me, TOKEN, cursor)
            print("Again, from the beginning:")
            await sync(me, TOKEN)
            await sync(me, "no-such-token", cursor)
            for each in (await me.ask(ListAccounts())).unwrap().items:
                print(each.account.name, *(f"{balance.kind}: {balance.amount}" for balance in each.balances))
            for known in (await me.ask(ListTransactions())).unwrap().items:
                print(known.posted_date, f"{known.amount.text:>8}", known.amount.currency, known.description)


if __name__ == "__main__":
    asyncio.run(main())
