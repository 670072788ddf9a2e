"""What is shared, on a server that is not there."""

import asyncio
import json
import logging
import sys

from dashtam_core import Dashtam, Settings, UnavailableError
from dashtam_core.accounts import ListAccounts
from dashtam_core.identity import ExternalSubject

URL = "redis://somebody:hush@127.0.0.1:1/0"


async def main() -> None:
    settings = Settings(store_url="memory:", cache_url=URL, bus_url=URL)
    async with Dashtam.open(settings=settings) as dashtam:
        page = (await dashtam.acting_as(ExternalSubject("somebody")).ask(ListAccounts())).unwrap()
        try:
            await dashtam.shared.cache.get("key")
        except UnavailableError as error:
            json.dump({"listed": len(page.items), "code": error.code, "said": error.message}, sys.stdout)


logging.disable()  # that the server is gone is told in the log too
asyncio.run(main())
