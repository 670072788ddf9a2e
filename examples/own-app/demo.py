"""Runs Pocketbook without a port and sends it a few requests: `python demo.py`."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
from pocketbook import app

JUNE = Path(__file__).with_name("june.ofx")


async def send(client: httpx.AsyncClient, who: str, method: str, path: str, file: bytes | None = None) -> Any:
    """Sends a request as one of Pocketbook's users. Prints its line and the answer's status."""
    files = None if file is None else {"file": ("june.ofx", file)}
    answer = await client.request(method, path, auth=(who, f"{who}'s"), files=files)
    print(f"{who}: {method} {path} → {answer.status_code}")
    return answer.json()


async def main() -> None:
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),  # a server such as uvicorn enters this by itself
        httpx.AsyncClient(transport=transport, base_url="http://pocketbook") as client,
    ):
        print(await send(client, "ann", "GET", "/hello"))
        report = await send(client, "ann", "POST", "/money/v1/imports", JUNE.read_bytes())
        print(report["format"], report["added"], "added")
        for account in (await send(client, "ann", "GET", "/money/v1/accounts"))["items"]:
            print(account["name"], account["balances"][0]["amount"], account["currency"])
        print(await send(client, "ann", "GET", "/worth"))
        print(await send(client, "ben", "GET", "/worth"))
        problem = await send(client, "guest", "POST", "/money/v1/imports", JUNE.read_bytes())
        print(problem["code"])


if __name__ == "__main__":
    asyncio.run(main())
