"""An answer may be handed on where answers with more errors are taken, as a value of its own type."""
# ruff: noqa: INP001

import asyncio

from dashtam_core import Actor, Result
from dashtam_core.accounts import AccountOverview, AccountsRefused, ListAccounts
from dashtam_core.kernel import Page
from dashtam_core.messaging import Refused


def show(answer: Result[Page[AccountOverview], AccountsRefused | Refused]) -> None:
    """Takes an answer."""


async def pass_on(me: Actor) -> None:
    """Awaited inside a call, and gathered from many."""
    show(await me.ask(ListAccounts()))
    for answer in await asyncio.gather(*(me.ask(ListAccounts(limit=limit)) for limit in (1, 2))):
        show(answer)
