"""A throw-away server, spoken to without any client library."""

import asyncio
import json
import sys
from urllib.parse import urlsplit

import dashtam_embedded

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


async def main() -> None:
    async with dashtam_embedded.postgres() as server:
        parts = urlsplit(server.admin_url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(SSL_REQUEST)
        answer = await reader.readexactly(1)
        writer.close()
        await writer.wait_closed()
    json.dump({"host": parts.hostname, "answer": answer.decode()}, sys.stdout)


asyncio.run(main())
