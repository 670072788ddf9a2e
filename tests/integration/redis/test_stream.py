"""Events of all processes in one stream, on both servers: the promises of the port, and servers that fail."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest

from dashtam_core.kernel import UnavailableCode, UnavailableError
from dashtam_core.messaging import DomainEvent, Entry, EventStream, WireEvent
from dashtam_core.testing import EventStreamConformance
from dashtam_core.testing.samples import event
from dashtam_redis._stream import RedisEventStream, open_stream
from integration.redis.servers import OwnServer, Proxy, client, full, read_only

KEY: Final = "dashtam:events"
LENGTH: Final = 20
SILENT: Final = 0.05
"""Seconds that are over before long."""
HOUR: Final = 3600.0
PATIENCE: Final = 30.0

type Make = Callable[..., RedisEventStream]


@pytest.fixture
async def make_stream(redis_url: str) -> AsyncGenerator[Make]:
    """Opens members, and closes them all in the end."""
    async with members(redis_url) as make:
        yield make


class members:  # noqa: N801 - it is used as a function
    """Makes members of the stream on one server."""

    def __init__(self, url: str) -> None:
        self._url, self._streams = url, list[RedisEventStream]()
