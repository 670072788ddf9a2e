"""A server in the folder given, migrated, and what a person has there after one more import of the file given."""

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit

import dashtam_embedded
import dashtam_postgres
from dashtam_core import Dashtam, Settings
from dashtam_core.accounts import ImportStatement, ListTransactions
from dashtam_core.identity import ExternalSubject

ROLE, PASSWORD, KEY = "dashtam_app", "a-password-of-the-application", "k" * 32


async def main(folder: Path, statement: bytes) -> None:
    async with dashtam_embedded.postgres(folder) as server:
        await dashtam_postgres.upgrade(server.admin_url, app_role=ROLE, app_password=PASSWORD)
        parts = urlsplit(server.admin_url)
        url = parts._replace(netloc=f"{ROLE}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()
        async with Dashtam.open(settings=Settings(store_url=url, key=KEY)) as dashtam:
            me = dashtam.acting_as(ExternalSubject("me"))
            before = len((await me.ask(ListTransactions(limit=500))).unwrap().items)
            report = (await me.execute(ImportStatement(statement))).unwrap()
            after = len((await me.ask(ListTransactions(limit=500))).unwrap().items)
    json.dump({"before": before, "known": report.already_imported, "after": after}, sys.stdout)


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()))
