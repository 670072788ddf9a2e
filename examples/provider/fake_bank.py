"""A bank to try the provider on: it speaks Toybank's API on this machine, and holds what it is told."""

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import attrs

TOKEN: Final = "anns-token"  # noqa: S105 - a bank of no money
PAGE: Final = 2

type Answer = tuple[int, Mapping[str, str], Any]
"""Status, headers and body of an answer; a text is sent as it is, anything else as JSON."""


@attrs.define
class FakeBank:
    """What one person has at the bank. `refusal` is given in place of every answer, while there is one."""

    accounts: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    feed: list[dict[str, Any]] = attrs.field(factory=list[dict[str, Any]])
    refusal: Answer | None = None
    address: str = ""

    def answer(self, path: str, token: str) -> Answer:
        if self.refusal is not None:
            return self.refusal
        parts = urlsplit(path)
        if token != f"Bearer {TOKEN}":
            return 401, {}, {"problem": "who are you?"}
        if parts.path == "/v1/accounts":
            return 200, {}, {"accounts": self.accounts}
        (after,) = parse_qs(parts.query).get("after", ["0"])
        if not after.isdecimal() or int(after) > len(self.feed):
            return 410, {}, {"problem": "this cursor is not known"}
        rows = self.feed[int(after) : int(after) + PAGE]
        end = int(after) + len(rows)
        return 200, {}, {"rows": rows, "next": str(end), "more": end < len(self.feed)}

    @contextmanager
    def open(self) -> Generator["FakeBank"]:
        """Serves on a free port of this machine while the block lasts."""
        bank = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, said = bank.answer(self.path, self.headers.get("authorization", ""))
                body = (said if isinstance(said, str) else json.dumps(said)).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server gives
                """Says nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            self.address = f"http://127.0.0.1:{server.server_port}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def account(account_id: str, kind: str = "current", **more: Any) -> dict[str, Any]:
    return {"id": account_id, "kind": kind, "currency": "EUR", "name": f"My {kind} account", **more}


def row(row_id: str, spent: float, day: str = "2026-06-03", **more: Any) -> dict[str, Any]:
    return {"id": row_id, "account": "a1", "state": "booked", "day": day, "spent": spent, **more}
