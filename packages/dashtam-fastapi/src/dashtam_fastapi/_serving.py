"""Serving an application on a socket until somebody says stop."""

import asyncio
import errno
import gc
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, cast

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from dashtam_core import Dashtam, UnavailableError
from dashtam_core.kernel import ErrorCode, ErrorKind
from dashtam_fastapi._envelope import ALWAYS
from dashtam_fastapi._problems import problem_response

_DRAIN_SECONDS: Final = 5
_BACKLOG: Final = 2048
_THRESHOLDS: Final = (10_000, 20, 50)
"""How many objects are made between two looks at the youngest, and how many looks between those at older ones."""


class ServingCode(ErrorCode):
    ADDRESS_UNAVAILABLE = "address_unavailable", ErrorKind.UNAVAILABLE


async def serve(app: FastAPI, host: str, port: int, on_ready: Callable[[str], None] | None = None) -> None:
    """Serves `app` until SIGINT, SIGTERM or cancellation, then lets requests under way finish, for 5 seconds.

    `on_ready` is called with the URL once it answers. Port 0 takes any that is free.

    Raises:
        UnavailableError: the address cannot be listened on; nothing was started.
    """
    with _listening(host, port) as listener, _short_collections():
        server = _Server(app, _url(host, listener), on_ready)
        with until_signalled(server.stop):
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            try:
                await asyncio.shield(serving)
            except asyncio.CancelledError:
                server.stop()
                await serving
                raise


@contextmanager
def _short_collections() -> Generator[None]:
    """While this lasts, garbage is collected in seldom, short runs."""
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def until_signalled(stop: Callable[[], object]) -> Generator[None]:
    """While this lasts, SIGINT and SIGTERM call `stop` on the running loop, and do nothing else.

    Handlers are set explicitly, so that it works as process 1 too, where signals have no default. Outside the main
    thread, where Python hears no signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.set_exception_handler(_pass_over_lost_connections)
        stop()

    def heard(*_: object) -> None:
        loop.call_soon_threadsafe(end)

    before = {each: signal.signal(each, heard) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _pass_over_lost_connections(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A connection to the database that was being made when the signal came leaves a future that nobody asks."""
    if not isinstance(context.get("exception"), ConnectionError):
        loop.default_exception_handler(context)


class _Protocol(H11Protocol):
    """HTTP/1.1 by h11, whatever other parser is installed; what is no HTTP is answered with a problem too."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's sentence, in whose place ours stands
        last = cast("RequestResponseCycle | None", self.cycle)
        if last is None or not last.response_started or (last.response_complete and not last.more_body):
            self.transport.write(_no_http())
        self.transport.close()


def _no_http() -> bytes:
    answer = problem_response(HTTPException(400, "this is no HTTP/1.1 with one beginning and end: see RFC 9112"))
    headers = dict([*ALWAYS, *answer.raw_headers, (b"connection", b"close")])
    lines = (b"HTTP/1.1 400 Bad Request", *map(b": ".join, headers.items()), b"", bytes(answer.body))
    return b"\r\n".join(lines)


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling, which ends the process by the signal once more."""

    def __init__(self, app: FastAPI, url: str, on_ready: Callable[[str], None] | None) -> None:
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every malformed upload
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                http=_Protocol,
                log_config=None,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                ws="none",
            )
        )
        self._app = app
        self._url = url
        self._on_ready = on_ready

    def stop(self) -> None:
        """Ends it gently; the second time at once. Whoever listens for events is told to come back."""
        if isinstance(dashtam := getattr(self._app.state, "dashtam", None), Dashtam):
            dashtam.live.close()
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # the modules stay: to look through them takes 90 ms, and holds up every request
        if self._on_ready is not None:
            self._on_ready(self._url)


@contextmanager
def _listening(host: str, port: int) -> Generator[socket.socket]:
    try:
        listener = _listen(host, port)
    except (OSError, UnicodeError) as error:
        raise UnavailableError(ServingCode.ADDRESS_UNAVAILABLE, _why_not(host, port, error)) from None
    with listener:
        yield listener


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # Only where the protocol is named does asyncio switch off Nagle's algorithm, which holds answers for 40 ms.
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken: choose another with --port or DASHTAM_PORT, or end what has it"
    why = error.strerror if isinstance(error, OSError) else "this is no name of a machine"
    return f"{host}, port {port}: {why}: correct --host or DASHTAM_HOST, and take a port above 1023"


def _url(host: str, listener: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"
