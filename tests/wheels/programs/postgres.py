"""The durable store where there is no server."""

import asyncio
import json
import sys
from importlib.resources import files

import dashtam_postgres
from dashtam_core import UnavailableError


async def main() -> None:
    try:
        async with dashtam_postgres.open_store("postgresql://dashtam_app:hush@127.0.0.1:1/none"):
            said = "it opened"
    except UnavailableError as error:
        said = error.message
    versions = files("dashtam_postgres") / "migrations" / "versions"
    migrations = sorted(each.name for each in versions.iterdir() if each.name[0].isdigit())
    json.dump({"said": said, "migrations": migrations}, sys.stdout)


asyncio.run(main())
