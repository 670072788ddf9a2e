"""Coming here: an account is its owner's once mailed link and password come together, and tells nobody else."""

import asyncio
from typing import Any

import httpx
import pytest

from api.mailbox import KEY, NEW, PASSWORD, Service, serving
from api.people import problem
from dashtam_core import Settings
from dashtam_core.identity import Role
from dashtam_core.store import Store

EVE = "eve@example.org"
UNLIKE = {"request-id", "date"}


async def register(service: Service, email: str = EVE, password: str = PASSWORD, **more: Any) -> httpx.Response:
    return await service.ask("POST", "/users", {"email": email, "password": password}, **more)


async def verify(service: Service, token: str, password: str = PASSWORD) -> httpx.Response:
    return await service.ask("POST", "/email-verifications", {"token": token, "password": password})


async def test_a_new_person_comes_in(service: Service) -> None:
    """Registering, proving the address and logging in work on a store that was just made, with nothing faked."""
    registered = await register(service, "Eve@Example.ORG")
    assert (registered.status_code, registered.content) == (202, b"")
    proven = await verify(service, await service.mailed("Eve@example.org"))
    assert (proven.status_code, proven.content) == (204, b"")
    await service.dashtam.relay.deliver()
    assert service.mails.subjects("Eve@example.org") == ["Confirm your address"]
    answer = await service.log_in(EVE.upper())
    session = answer.json()
    assert answer.status_code == 201
    assert set(session) == {"session_id", "access_token", "refresh_token", "expires_in"}
    assert (answer.headers["location"], session["expires_in"]) == (f"/v1/sessions/{session['session_id']}", 600)
    me = (await service.ask("GET", "/users/me", token=session["access_token"])).json()
    assert set(me) == {"user_id", "email", "role", "status", "created_at"}
    assert (me["email"], me["role"], me["status"]) == ("Eve@example.org", "USER", "ACTIVE")
    trail = [each.entry for each in await service.trail() if each.entry.action == "register_user"]
    assert [each.resource_id for each in trail] == [None, me["user_id"]]


async def test_a_new_store_has_no_account(service: Service) -> None:
    """Nobody is there before somebody is made, and names that installers like let nobody in."""
    for name in ("admin@example.org", "dashtam@localhost.local", "root@example.org"):
        for password in ("admin", "dashtam", "", PASSWORD):
            problem(await service.log_in(name, password), 401, "credentials_wrong")
    admin = await service.resident("first", Role.ADMIN)
    assert [each["email"] for each in (await admin.ask("GET", "/admin/users")).json()["items"]] == [admin.email]


async def test_no_step_is_skipped(service: Service) -> None:
    """No log-in and no reset before the address is proven, and none of it with another's password or no link."""
    await register(service)
    problem(await service.log_in(EVE), 401, "credentials_wrong")
    await service.ask("POST", "/password-resets", {"email": EVE})
    token = await service.mailed(EVE)
    assert service.mails.subjects(EVE) == ["Confirm your address"]
    problem(await verify(service, token, NEW), 422, "link_spent")
    problem(await service.ask("PUT", "/password-resets", {"token": token, "password": NEW}), 422, "link_spent")
    problem(await verify(service, token[:-1]), 422, "link_spent")
    problem(await service.log_in(EVE), 401, "credentials_wrong")
    assert (await verify(service, token)).status_code == 204
    assert (await service.log_in(EVE)).status_code == 201


async def test_a_link_works_once_and_not_for_long(service: Service) -> None:
    """A mailed token is good once, also of many at once, for one purpose, for 12 hours or for 30 minutes."""
    await register(service)
    token = await service.mailed(EVE)
    tried = await asyncio.gather(*(verify(service, token) for _ in range(8)))
    assert sorted(each.status_code for each in tried) == [204, *[422] * 7]
    links = {token}
    for minutes, status in ((29, 204), (31, 422)):
        await service.ask("POST", "/password-resets", {"email": EVE})
        links.add(token := await service.mailed(EVE))
        service.later(minutes=minutes)
        problem(await verify(service, token), 422, "link_spent")
        spent = {"token": token, "password": NEW}
        service.hasher.broken = status == 422  # one that is too old costs no hashing
        assert (await service.ask("PUT", "/password-resets", spent)).status_code == status
        problem(await service.ask("PUT", "/password-resets", spent), 422, "link_spent")
    service.hasher.broken = False
    await register(service, "late@example.org")
    links.add(token := await service.mailed("late@example.org"))
    service.later(hours=12)
    problem(await verify(service, token), 422, "link_spent")
    assert len(links) == 4
    assert all(len(each) == len("dashtam_mail_") + 64 for each in links)


async def test_an_address_is_whose_link_and_password_come_together(service: Service) -> None:
    """Of two who register one address, it is theirs who proves it; the other is told, and may take another."""
    await register(service)
    first = await service.mailed(EVE)
    await register(service, password=NEW)
    second = await service.mailed(EVE)
    problem(await verify(service, first, NEW), 422, "link_spent")
    assert (await verify(service, second, NEW)).status_code == 204
    problem(await verify(service, first), 409, "email_taken")
    problem(await service.log_in(EVE), 401, "credentials_wrong")
    assert (await service.log_in(EVE, NEW)).status_code == 201


async def test_known_and_unknown_addresses_are_answered_alike(service: Service) -> None:
    """Registering, logging in and asking for a reset say, byte for byte, the same whether an account is there."""
    known = (await service.resident("known")).email
    asked: list[tuple[str, dict[str, str]]] = [
        ("/users", {"password": NEW}),
        ("/users", {"password": "short"}),
        ("/sessions", {"password": NEW}),
        ("/password-resets", {}),
    ]
    shown = list[list[object]]()
    for email in (known, "nobody@example.org"):
        answers = [await service.ask("POST", path, {"email": email, **more}) for path, more in asked]
        headers = [sorted((k, v) for k, v in each.headers.items() if k not in UNLIKE) for each in answers]
        shown.append([*((each.status_code, each.content) for each in answers), *headers])
        assert [each.status_code for each in answers] == [202, 422, 401, 202]
    assert shown[0] == shown[1]
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(known) == ["You have an account already", "Reset your password"]
    assert service.mails.subjects("nobody@example.org") == ["Confirm your address"]


async def test_a_password_is_looked_at_for_whoever_it_is(service: Service) -> None:
    """Known, unknown and unproven addresses take one hash each, and a refusal before it takes none."""
    known = (await service.resident("known")).email
    await register(service)
    for email in (known, "nobody@example.org", EVE):
        before = service.hasher.verified
        problem(await service.log_in(email, NEW), 401, "credentials_wrong")
        assert service.hasher.verified == before + 1


@pytest.mark.parametrize("more", [{"role": "ADMIN"}, {"status": "ACTIVE"}, {"user_id": "1"}, {"created_at": "1"}])
async def test_nobody_chooses_their_role_or_state(service: Service, more: dict[str, str]) -> None:
    """What is not a field of registering is refused by its place, and nothing is made of the rest."""
    answer = await service.ask("POST", "/users", {"email": EVE, "password": PASSWORD, **more})
    body = problem(answer, 422, "request_invalid")
    assert [each["pointer"] for each in body["errors"]] == [f"#/{name}" for name in more]
    assert await service.dashtam.relay.deliver() == 0


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("a@b.de\r\nBcc: c@d.de", PASSWORD, "email_invalid"),
        (EVE, "fourteen chars", "password_too_short"),
        (EVE, "x y" * 400, "password_too_long"),
        (EVE, EVE, "password_common"),
        ("wanderer-of-hills@example.org", "wanderer-of-hills", "password_common"),
        ("eve@wanderer-of-hills.example", "wanderer-of-hills.example", "password_common"),
    ],
)
async def test_what_is_refused_says_why(service: Service, email: str, password: str, code: str) -> None:
    """An address or password that is not taken is answered with its code, and without either in the answer."""
    answer = await register(service, email, password)
    assert password not in problem(answer, 422, code)["detail"]


async def test_a_mail_that_cannot_go_out_stops_no_other(service: Service) -> None:
    """An address that the mail server refuses is tried again later, and the next person's mail goes out now."""
    service.mails.refused.add("gone@example.org")
    await register(service, "gone@example.org")
    await register(service)
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(EVE) == ["Confirm your address"]


async def test_a_closed_service_makes_no_account_for_strangers(data: Store) -> None:
    """Where registration is off, known and unknown addresses are told so alike; a reset is still to be had."""
    async with serving(data, Settings(key=KEY, registration=False)) as service:
        known = (await service.resident("known")).email
        for email in (known, EVE):
            problem(await register(service, email), 403, "registration_closed")
            assert (await service.ask("POST", "/password-resets", {"email": email})).status_code == 202
