"""A service that people log in to: its mails are kept, its clock is moved by hand, and hashing costs little."""

import asyncio
import hmac
import re
from base64 import b32decode
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from typing import Any, Final

import attrs
import httpx
from fastapi import FastAPI

from api.people import problem
from dashtam_core import Dashtam, Settings, UnavailableError
from dashtam_core.audit import EntryFilter, ListAuditEntries, ReadableEntry
from dashtam_core.container import provide
from dashtam_core.identity import (
    OPERATOR,
    Argon2Hasher,
    CreateUser,
    ExternalSubject,
    IdentityCode,
    Mail,
    Mailer,
    PasswordHasher,
    Role,
    Verdict,
)
from dashtam_core.kernel import Clock, UserId
from dashtam_core.memory import FixedClock
from dashtam_core.store import Store
from dashtam_core.testing.samples import LinesPlugin
from dashtam_fastapi import ServiceSettings, create_app

PASSWORD: Final = "violet harbour gravel 77"
NEW: Final = "seven lanterns over tundra"
PEER: Final = "192.0.2.7"
KEY: Final = "Zq3-the-key-of-these-tests-9f2c1d7be04a"
OPERATING: Final = ExternalSubject("operator", OPERATOR)

_TOKEN: Final = re.compile(r"dashtam_mail_[\w-]{64}")


@attrs.define
class Mailbox:
    """A `Mailer` that keeps what it is given, and takes nothing for those in `refused`."""

    mails: list[Mail] = attrs.field(factory=list[Mail])
    refused: set[str] = attrs.field(factory=set[str])

    async def send(self, mail: Mail, /) -> None:
        if mail.to in self.refused:
            raise UnavailableError(IdentityCode.MAIL_UNAVAILABLE, "the mail server knows nobody of this name")
        self.mails.append(mail)

    def subjects(self, address: str) -> list[str]:
        """What the mails to an address are about, in order."""
        return [each.subject for each in self.mails if each.to == address]

    def token(self, address: str) -> str:
        """The token of the last mail there that has one."""
        mails = [each.text for each in self.mails if each.to.casefold() == address.casefold()]
        return [found[0] for text in mails for found in _TOKEN.finditer(text)][-1]


@attrs.define(eq=False)
class Counting(Argon2Hasher):
    """Argon2id as cheap as it gets, that counts the passwords it looked at; while `broken`, it hashes none."""

    memory_kib: int = 8
    time_cost: int = 1
    verified: int = 0
    broken: bool = False

    async def hash(self, password: str, /) -> str:
        if self.broken:
            raise RuntimeError(password)
        return await super().hash(password)

    async def verify(self, encoded: str | None, password: str, /) -> Verdict:
        self.verified += 1
        return await super().verify(encoded, password)


@attrs.frozen
class Service:
    """The service, asked over HTTP by anybody from any address."""

    dashtam: Dashtam
    app: FastAPI
    clock: FixedClock
    mails: Mailbox
    hasher: Counting
    refused: list[str] = attrs.field(factory=list[str], repr=False)
    """The bodies of all problems so far."""

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        peer: str = PEER,
        headers: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> httpx.Response:
        """Sends one request. Whatever is refused is a problem, all through."""
        transport = httpx.ASGITransport(self.app, client=(peer, 4711))
        bearer = {"authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://dashtam.test/v1") as http:
            answer = await http.request(
                method, path, json=body, files=files, headers={**bearer, **(headers or {})}
            )
        if answer.status_code >= 400:
            problem(answer, answer.status_code, answer.json()["code"])
            self.refused.append(answer.text)
        return answer

    async def log_in(
        self, email: str, password: str = PASSWORD, *, peer: str = PEER, **more: object
    ) -> httpx.Response:
        return await self.ask(
            "POST", "/sessions", {"email": email, "password": password, **more}, peer=peer, headers=AGENT
        )

    async def refresh(self, token: str) -> httpx.Response:
        return await self.ask("POST", "/tokens", {"refresh_token": token})

    async def mailed(self, address: str) -> str:
        """Delivers what waits; the token of the last mail to the address."""
        await self.dashtam.relay.deliver()
        return self.mails.token(address)

    async def resident(self, name: str, role: Role = Role.USER) -> "Resident":
        """Somebody with an account here, and with a session."""
        email = f"{name}@example.org"
        made = await self.dashtam.acting_as(OPERATING).execute(CreateUser(email, PASSWORD, role))
        return Resident(self, made.unwrap().user_id, email, (await self.log_in(email)).json())

    async def trail(self, user_id: UserId | None = None) -> list[ReadableEntry]:
        """The audit trail, or what it holds of one person, in order."""
        wanted = ListAuditEntries(EntryFilter(user_id=user_id), limit=1000)
        page = (await self.dashtam.acting_as(OPERATING).ask(wanted)).unwrap()
        return list(reversed(page.items))

    def later(self, **by: float) -> None:
        """Moves the clock."""
        self.clock.advance(timedelta(**by))


AGENT: Final = {"user-agent": "money app/2"}


@attrs.define
class Resident:
    """A person with an account and the tokens of one session."""

    service: Service
    user_id: UserId
    email: str
    session: dict[str, Any] = attrs.field(repr=False)

    async def ask(self, method: str, path: str, body: object = None, **more: Any) -> httpx.Response:
        return await self.service.ask(method, path, body, **{"token": self.session["access_token"], **more})

    async def log_in(self, **more: Any) -> httpx.Response:
        """Takes another session's tokens in place of those at hand."""
        answer = await self.service.log_in(self.email, **more)
        self.session = answer.json()
        return answer

    async def api_token(self, **said: object) -> str:
        made = (await self.ask("POST", "/api-tokens", {"name": "a program", **said})).json()
        return str(made["token"])

    async def add_factor(self) -> tuple[str, list[str]]:
        """Turns a second factor on, which takes the code of now; its secret and the recovery codes."""
        made = (await self.ask("POST", "/factors")).json()
        code = {"code": totp(made["secret"], self.service.clock)}
        confirmed = await self.ask("POST", f"/factors/{made['factor_id']}/confirmation", code)
        return made["secret"], confirmed.json()["recovery_codes"]


async def held(who: Resident) -> dict[str, Any]:
    """All that is held of a person but the trail, which asking for it adds to."""
    told: dict[str, Any] = (await who.ask("GET", "/users/me/export")).json()
    del told["audit_entry"]
    return {name: sorted(rows, key=str) for name, rows in told.items()}  # a store is free in their order


@cache
def application(trusted_proxies: str = "") -> FastAPI:
    """The service's application, made once for all tests: whose Dashtam it asks is in its state.

    It takes as many requests as come: many tests are about other limits.
    """
    return create_app(ServiceSettings(trusted_proxies=trusted_proxies, rate_limit=0))


@asynccontextmanager
async def serving(
    store: Store, settings: Settings | None = None, plugins: Iterable[object] = ()
) -> AsyncGenerator[Service]:
    """The service on a store, without background work: mails go out by `mailed`."""
    clock, mails, hasher = FixedClock(), Mailbox(), Counting()
    ports = [
        provide(Clock).value(clock),
        provide(Mailer).value(mails),
        provide(PasswordHasher).value(hasher, closing=lambda _: asyncio.to_thread(hasher.close)),
    ]
    chosen, own = settings or Settings(key=KEY), [LinesPlugin(), *plugins]
    async with Dashtam.open(settings=chosen, store=store, plugins=own, overrides=ports, workers=False) as dashtam:
        application().state.dashtam = dashtam
        yield Service(dashtam, application(), clock, mails, hasher)


def show(line: str) -> None:
    """A line of a table, for whoever runs the tests with `-s`."""
    print(f"\n{line}", end="")  # noqa: T201 - it is asked for by -s alone


def totp(secret: str, clock: Clock, *, steps: int = 0) -> str:
    """The code that an authenticator shows, so many periods from now (RFC 6238)."""
    counter = int(clock.now().timestamp()) // 30 + steps
    digest = hmac.digest(b32decode(secret), counter.to_bytes(8), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
