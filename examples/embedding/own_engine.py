"""Dashtam on your own SQLAlchemy engine, in a schema of your own, and twice in one process.

Run it with `python own_engine.py`, after `pip install dashtam-embedded dashtam-files dashtam-postgres`.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import dashtam_embedded
import dashtam_postgres
from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import ImportStatement, ListTransactions
from dashtam_core.identity import ExternalSubject

ROLE: Final = "money_app"
PASSWORD: Final = secrets.token_urlsafe(32)
KEY: Final = secrets.token_urlsafe(32)  # of a store that lasts, keep it: without it no account is known again
ANN: Final = ExternalSubject("ann")


@asynccontextmanager
async def opened(engine: AsyncEngine, schema: str) -> AsyncGenerator[Dashtam]:
    """One Dashtam in one schema. The engine stays open at the end: it is its maker's."""
    async with (
        dashtam_postgres.PostgresStore(engine, schema=schema) as store,
        Dashtam.open(settings=Settings(key=KEY), store=store) as dashtam,
    ):
        yield dashtam


async def count(dashtam: Dashtam) -> int:
    return len((await dashtam.acting_as(ANN).ask(ListTransactions())).unwrap().items)


async def main() -> None:
    async with dashtam_embedded.postgres() as server:  # a throw-away server, where you have one of your own
        for schema in ("shop", "club"):
            await dashtam_postgres.upgrade(server.admin_url, app_role=ROLE, app_password=PASSWORD, schema=schema)
        url = make_url(server.admin_url).set(drivername="postgresql+asyncpg", username=ROLE, password=PASSWORD)
        engine = create_async_engine(url)
        async with opened(engine, "shop") as shop, opened(engine, "club") as club:
            june = Path(__file__).with_name("june.ofx").read_bytes()
            report = (await shop.acting_as(ANN).execute(ImportStatement(june))).unwrap()
            print("added to shop:", report.document.added)
            print("in shop:", await count(shop))
            print("in club:", await count(club))
        await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
