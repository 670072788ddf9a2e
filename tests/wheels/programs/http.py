"""The service in memory on a free port: one statement file sent to it, and the accounts asked for."""

import asyncio
import json
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from dashtam_core import Dashtam, Settings
from dashtam_core.identity import CreateApiToken, ExternalSubject
from dashtam_fastapi import create_app, serve

BOUNDARY = "a-boundary"


def exchange(url: str, token: str, data: bytes | None = None) -> list[object]:
    """The status and the document of one request; a `POST` of a form if there are data."""
    headers = {"authorization": f"Bearer {token}", "content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    try:
        with urlopen(Request(url, data=data, headers=headers), timeout=30) as answer:
            return [answer.status, json.load(answer)]
    except HTTPError as refused:
        with refused:
            return [refused.status, json.load(refused)]


def form(file: Path) -> bytes:
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="{file.name}"\r\n\r\n'
    return head.encode() + file.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()


async def main(file: Path) -> None:
    ready: asyncio.Queue[str] = asyncio.Queue()
    async with Dashtam.open(settings=Settings()) as dashtam:
        token = (await dashtam.acting_as(ExternalSubject("me")).execute(CreateApiToken("mine"))).unwrap().token
        serving = asyncio.create_task(serve(create_app(dashtam=dashtam), "127.0.0.1", 0, ready.put_nowait))
        url = await ready.get()
        said = {
            "health": await asyncio.to_thread(exchange, f"{url}/health/ready", token),
            "import": await asyncio.to_thread(exchange, f"{url}/v1/imports", token, form(file)),
            "accounts": await asyncio.to_thread(exchange, f"{url}/v1/accounts", token),
        }
        serving.cancel()
        await asyncio.wait([serving])
    json.dump(said, sys.stdout)


asyncio.run(main(Path(sys.argv[1])))
