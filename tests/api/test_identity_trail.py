"""What is on record of people who log in, and what is nowhere: every secret of a full run is looked for."""

import hashlib
import io
import json
import logging
from base64 import b32decode
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Final, cast

import asyncpg
import attrs
import pytest

from api.mailbox import KEY, NEW, PASSWORD, Resident, Service, show, totp
from api.people import problem
from api.test_guessing import forged
from dashtam_core import identity
from dashtam_core.audit import ReadableEntry
from dashtam_core.identity import RetireKeys, RotateKey
from dashtam_core.kernel import ANONYMOUS, UserId, new_id
from dashtam_core.messaging import Command
from dashtam_core.store import Store
from dashtam_postgres import PostgresStore

EVE: Final = "eve@example.org"
GUESS: Final = "a wrong guess of somebody"
TOLD_ONCE: Final = {"access_token", "refresh_token", "token", "secret", "uri"}
BY_OPERATORS: Final = {RotateKey.action, RetireKeys.action}

type Dump = Callable[[], Awaitable[bytes]]


@pytest.fixture
def dump(data: Store, request: pytest.FixtureRequest) -> Dump:
    """All that the store holds, bytes as text and as hexadecimal digits."""

    async def of_tables() -> bytes:
        output, owner = io.BytesIO(), await asyncpg.connect(request.getfixturevalue("database").admin_url)
        tables = "SELECT relname FROM pg_class WHERE relnamespace = 'dashtam'::regnamespace AND relkind = 'r'"
        for (table,) in await owner.fetch(tables):
            await owner.copy_from_table(table, schema_name="dashtam", output=output)
        await owner.close()
        return output.getvalue()

    async def of_memory() -> bytes:
        return b"\n".join(_texts(data, {}))

    return of_tables if isinstance(data, PostgresStore) else of_memory


def _texts(thing: Any, seen: dict[int, Any]) -> Iterator[bytes]:
    """Every text in an object and in all that hangs on it; what was `seen` is kept, so that ids stay true."""
    if isinstance(thing, str):
        yield thing.encode()
    elif isinstance(thing, bytes):
        yield thing + b" " + thing.hex().encode()
    elif id(thing) not in seen:
        seen[id(thing)] = thing
        for each in _parts(thing):
            yield from _texts(each, seen)


def _parts(thing: Any) -> list[Any]:
    if isinstance(thing, Mapping):
        return [*thing.items()]
    if isinstance(thing, list | tuple | set | frozenset):
        return [*cast("Iterable[Any]", thing)]
    fields = getattr(cast("Any", type(thing)), "__attrs_attrs__", ())
    names = [*getattr(thing, "__dict__", ()), *(each.name for each in fields)]
    return [] if isinstance(thing, type) else [getattr(thing, name) for name in names]


@attrs.define
class Run:
    """One of every flow, with each secret that came up in it, and what the store held around each mail."""

    service: Service
    dump: Dump
    secrets: set[str] = attrs.field(factory=lambda: {KEY, PASSWORD, NEW, GUESS})
    codes: set[str] = attrs.field(factory=set[str])
    held: list[bytes] = attrs.field(factory=list[bytes])

    async def whole(self, admin: Resident) -> None:
        self.secrets |= set(map(str, admin.session.values())) - {"600", admin.session["session_id"]}
        eve = await self.protecting(await self.coming())
        await self.leaving(await self.changing(eve), admin)

    async def goes(self, method: str, path: str, body: object = None, by: Resident | None = None) -> Any:
        """Asks for what is allowed; what an answer tells once is a secret."""
        answer = await (by or self.service).ask(method, path, body)
        assert answer.status_code < 300, (method, path, answer.text)
        told: Any = answer.json() if answer.content else None
        if isinstance(told, dict):
            fields = cast("dict[str, str]", told)
            self.secrets |= {text for name, text in fields.items() if name in TOLD_ONCE}
        return cast("Any", told)

    async def mailed(self, address: str) -> str:
        self.held.append(await self.dump())
        token = await self.service.mailed(address)
        self.held.append(await self.dump())
        assert hashlib.sha256(token.encode()).hexdigest().encode() in self.held[-1]
        self.secrets.add(token)
        return token

    async def log_in(self, email: str, password: str = PASSWORD, **more: str) -> Resident:
        session = await self.goes("POST", "/sessions", {"email": email, "password": password, **more})
        return Resident(self.service, ANONYMOUS.user_id, email, session)

    async def coming(self) -> Resident:
        await self.goes("POST", "/users", {"email": EVE, "password": PASSWORD})
        proof = {"token": await self.mailed(EVE), "password": PASSWORD}
        problem(
            await self.service.ask("POST", "/email-verifications", proof | {"password": GUESS}), 422, "link_spent"
        )
        await self.goes("POST", "/email-verifications", proof)
        problem(await self.service.log_in(EVE, GUESS), 401, "credentials_wrong")
        stolen = (await self.log_in(EVE)).session["refresh_token"]
        await self.goes("POST", "/tokens", {"refresh_token": stolen})
        self.held.append(await self.dump())
        self.service.later(minutes=1)
        problem(await self.service.refresh(stolen), 401, "token_replayed")
        return await self.log_in(EVE)

    async def protecting(self, eve: Resident) -> Resident:
        made = await self.goes("POST", "/factors", by=eve)
        first, second = (totp(made["secret"], self.service.clock, steps=each) for each in (0, 1))
        path = f"/factors/{made['factor_id']}"
        confirmed = await self.goes("POST", f"{path}/confirmation", {"code": first}, eve)
        recovery: list[str] = confirmed["recovery_codes"]
        self.secrets |= {*recovery, *(each.replace("-", "") for each in recovery), b32decode(made["secret"]).hex()}
        self.codes |= {first, second}
        problem(await self.service.log_in(EVE, code=first), 401, "code_refused")
        await self.log_in(EVE, code=second)
        eve = await self.log_in(EVE, code=recovery[0])
        await self.goes("DELETE", path, by=eve)
        token = await self.goes("POST", "/api-tokens", {"name": "a program", "days": 7}, eve)
        await self.goes("DELETE", f"/api-tokens/{token['token_id']}", by=eve)
        problem(await self.service.ask("GET", "/users/me", token=token["token"]), 401, "token_unknown")
        return eve

    async def changing(self, eve: Resident) -> Resident:
        path, other = "/users/me/password", "eve@new.example"
        problem(await eve.ask("PUT", path, {"current": GUESS, "new": NEW}), 422, "password_wrong")
        await self.goes("PUT", path, {"current": PASSWORD, "new": NEW}, eve)
        await self.goes("PUT", "/users/me/email", {"email": other}, await self.log_in(EVE, NEW))
        await self.goes("POST", "/email-verifications", {"token": await self.mailed(other), "password": NEW})
        await self.goes("POST", "/password-resets", {"email": other})
        reset = {"token": await self.mailed(other), "password": PASSWORD}
        await self.goes("PUT", "/password-resets", reset)
        problem(await self.service.ask("PUT", "/password-resets", reset), 422, "link_spent")
        return await self.log_in(other)

    async def leaving(self, eve: Resident, admin: Resident) -> None:
        new = await self.goes("POST", "/admin/users", {"email": "new@example.org"}, admin)
        reset = {"token": await self.mailed("new@example.org"), "password": NEW}
        await self.goes("PUT", "/password-resets", reset)
        await self.goes("PATCH", f"/admin/users/{new['user_id']}", {"role": "READ_ONLY"}, admin)
        await self.goes("DELETE", f"/admin/users/{new['user_id']}/tokens", by=admin)
        await self.goes("GET", "/users/me/export", by=eve)
        await self.goes("DELETE", "/sessions", by=eve)
        await self.goes("DELETE", "/users/me", by=await self.log_in("new@example.org", NEW))
        await self.goes("POST", "/users/me/deactivation", by=await self.log_in("eve@new.example"))
        self.held.append(await self.dump())


async def test_no_secret_of_a_full_run_is_kept_or_logged(
    service: Service, admin: Resident, dump: Dump, caplog: pytest.LogCaptureFixture
) -> None:
    """No password, token, code or key is in a log, problem, event, audit entry or table, as text or hex."""
    caplog.set_level(logging.DEBUG)
    run = Run(service, dump)
    await run.whole(admin)
    places = {
        "log records": b"\n".join(_texts([(each.getMessage(), vars(each)) for each in caplog.records], {})),
        "problem bodies": "\n".join(service.refused).encode(),
        "audit entries": b"\n".join(_texts(await service.trail(), {})),
        "store and outbox": b"\n".join(run.held),
    }
    forms = {form for each in run.secrets for form in (each.encode(), each.encode().hex().encode())}
    forms |= {f"{mark}{code}{mark}".encode() for code in run.codes for mark in "\"'"}
    for place, text in places.items():
        assert [form for form in forms if form in text] == []
        show(f"{place:17} {len(text):9,} bytes, {len(run.secrets | run.codes)} secrets looked for: 0 found")
    held = places["store and outbox"]
    assert all(each in held for each in (EVE.encode(), b"PasswordResetRequested", b"$argon2id$v=19$m=8,t=1,p=1$"))
    assert hashlib.sha256(admin.session["refresh_token"].encode()).hexdigest().encode() in held
    assert len(service.refused) >= 7
    assert {"dashtam_core", "dashtam_fastapi"} <= {each.name.partition(".")[0] for each in caplog.records}


async def test_every_command_leaves_its_attempt_and_outcome(service: Service, admin: Resident, dump: Dump) -> None:
    """Each command of identity that HTTP knows leaves ATTEMPTED and, under the same number, what came of it."""
    await Run(service, dump).whole(admin)
    commands = {each.message.action for each in identity.ROUTES if issubclass(each.message, Command)}
    left = dict[tuple[str, object], list[str]]()
    for each in [each.entry for each in await service.trail()]:
        if each.action in commands and each.channel == "http":
            left.setdefault((each.action, each.attempt_id), []).append(str(each.phase))
    assert {tuple(phases) for phases in left.values()} == {("attempted", "succeeded"), ("attempted", "failed")}
    succeeded = {name for (name, _), phases in left.items() if phases[-1] == "succeeded"}
    assert succeeded == commands - BY_OPERATORS


def _told(trail: list[ReadableEntry], action: str) -> list[tuple[str, str | None]]:
    return [(str(each.entry.phase), each.entry.code) for each in trail if each.entry.action == action]


async def test_log_ins_are_on_record_with_their_factors(service: Service, cleo: Resident) -> None:
    """Each success says what it took, each failure its code, under the account that was meant."""
    secret, (recovery, *_) = await cleo.add_factor()
    code = totp(secret, service.clock, steps=1)
    for more in ({"password": NEW}, {}, {"code": "123"}, {"code": code}, {"code": recovery}):
        await service.log_in(cleo.email, **more)
    await service.log_in("nobody@example.org")
    trail = await service.trail(cleo.user_id)
    codes = [None, "credentials_wrong", "code_required", "code_refused", None, None]
    phases = [
        phase for code in codes for phase in (("attempted", None), ("failed" if code else "succeeded", code))
    ]
    assert _told(trail, "log_in") == phases
    done = [each for each in trail if each.entry.action == "log_in" and each.entry.phase == "succeeded"]
    assert [each.entry.context["factor"] for each in done] == ["none", "totp", "recovery code"]
    assert done[0].entry.resource_id == cleo.session["session_id"]
    assert done[0].personal == {"ip_address": "192.0.2.7", "user_agent": "money app/2"}
    nobody = _told(await service.trail(ANONYMOUS.user_id), "log_in")
    assert nobody == [("attempted", None), ("failed", "credentials_wrong")]


async def test_an_id_that_nobody_has_is_left_without_a_trace(service: Service, cleo: Resident) -> None:
    """Secrets that name it are refused as nobody's, and nothing is on record under it."""
    made_up = attrs.evolve(cleo, user_id=UserId(new_id()))
    token, said = forged("refresh", made_up), {"token": forged("mail", made_up), "password": PASSWORD}
    problem(await service.refresh(token), 401, "token_unknown")
    problem(await service.ask("POST", "/email-verifications", said), 422, "link_spent")
    problem(await service.ask("PUT", "/password-resets", said), 422, "link_spent")
    assert await service.trail(made_up.user_id) == []
    nobody = {each.entry.action for each in await service.trail(ANONYMOUS.user_id)}
    assert {"refresh_session", "verify_email", "reset_password"} <= nobody


async def test_what_tries_to_get_around_is_on_record(
    service: Service, cleo: Resident, caplog: pytest.LogCaptureFixture
) -> None:
    """A limit, a replay and a refused permission leave an entry; a forged token a line with where it came from."""
    for _ in range(11):
        await service.log_in(cleo.email, GUESS, peer="203.0.113.66")
    used = str(cleo.session["refresh_token"])
    await service.refresh(used)
    await cleo.ask("GET", "/admin/users")
    service.later(minutes=1)
    await service.refresh(used)
    trail = await service.trail(cleo.user_id)
    assert _told(trail, "log_in")[-1] == ("failed", "too_many_attempts")
    assert _told(trail, "refresh_session")[-1] == ("failed", "token_replayed")
    assert _told(trail, "list_users") == [("denied", "permission_denied")]
    with caplog.at_level(logging.INFO):
        await service.ask("GET", "/users/me", token="dashtam_api_forged", peer="203.0.113.66")
    (line,) = [vars(each) for each in caplog.records if each.getMessage() == "request"]
    assert (line["client"], line["path"], line["status"]) == ("203.0.113.66", "/v1/users/me", 401)


async def test_a_failure_happens_once_and_leaves_nothing(
    service: Service, admin: Resident, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug in the middle of a registration runs once and tells nothing, and the next try is as new."""
    service.hasher.broken = True
    answer = await service.ask("POST", "/users", {"email": EVE, "password": PASSWORD})
    body = problem(answer, 500, "internal_server_error")
    assert not any(word in json.dumps(body) for word in (PASSWORD, "RuntimeError", "SELECT", "Traceback", ".py"))
    attempts = [each for each in await service.trail() if each.entry.action == "register_user"]
    assert [str(each.entry.phase) for each in attempts] == ["attempted", "failed"]
    assert [each["email"] for each in (await admin.ask("GET", "/admin/users")).json()["items"]] == [admin.email]
    service.hasher.broken = False
    await service.ask("POST", "/users", {"email": EVE, "password": PASSWORD})
    said = {"token": await service.mailed(EVE), "password": PASSWORD}
    assert (await service.ask("POST", "/email-verifications", said)).status_code == 204
    assert [each.levelname for each in caplog.records if each.exc_info] == ["ERROR"]
