"""Two ways for many tasks to share connections to a server of Redis: nobody gets a cancelled call's reply."""

import asyncio
from collections import deque
from importlib import import_module
from typing import Any


class Coalesced:
    """Pipelines of redis-py: what is called while `most` of them are under way is sent in the next one."""

    def __init__(self, client: Any, most: int) -> None:
        self._client, self._most = client, most
        self._calls: list[tuple[tuple[str, ...], asyncio.Future[Any]]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def execute(self, *command: str) -> Any:
        """Give the reply to this command, or raise what redis-py raises."""
        self._calls.append((command, reply := asyncio.get_running_loop().create_future()))
        if len(self._calls) == 1:
            reply.get_loop().call_soon(self._send)
        return await reply

    def _send(self, _: object = None) -> None:
        if len(self._under_way) < self._most and self._calls:
            task = asyncio.create_task(self._execute())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.remove)
            task.add_done_callback(self._send)

    async def _execute(self) -> None:
        calls, self._calls = [call for call in self._calls if not call[1].done()], []
        pipeline = self._client.pipeline(transaction=False)
        for command, _ in calls:
            pipeline.execute_command(*command)
        try:
            answers = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # noqa: BLE001 -- it is raised to every caller
            answers = [error] * len(calls)
        for (_, reply), answer in zip(calls, answers, strict=True):
            settle(reply, answer)


class Multiplexed(asyncio.Protocol):
    """The bound: a connection without timeouts; what is called in one turn of the event loop is one write."""

    def __init__(self) -> None:
        hiredis = import_module("hiredis")
        self._pack, self._reader = hiredis.pack_command, hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    async def execute(self, *command: str) -> Any:
        """Give the reply to this command, or raise the server's error."""
        self._waiting.append(reply := asyncio.get_running_loop().create_future())
        if not self._unsent:
            reply.get_loop().call_soon(self._send)
        self._unsent.append(self._pack(command))
        return await reply

    def _send(self) -> None:
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            settle(self._waiting.popleft(), answer)

    async def aclose(self) -> None:
        self._transport.abort()


def settle(reply: asyncio.Future[Any], answer: Any) -> None:
    """Give this answer to the caller, or raise it there if it is an error, unless the call was cancelled."""
    if not reply.done():
        (reply.set_exception if isinstance(answer, Exception) else reply.set_result)(answer)
