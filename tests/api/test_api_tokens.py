"""API tokens: made and ended by their person, with scopes, and never more than that person may now."""

import asyncio

import httpx
import pytest

from api.mailbox import Resident, Service
from api.people import Person, problem
from dashtam_core.identity import CreateApiToken

SOME = "0198a000-0000-7000-8000-000000000000"


async def made(who: Resident, **said: object) -> httpx.Response:
    return await who.ask("POST", "/api-tokens", {"name": "a program", **said})


async def test_a_token_is_made_listed_and_revoked(service: Service, cleo: Resident, dave: Resident) -> None:
    """It is shown once, listed without itself, revoked by its person alone, and then refused at once."""
    answer = await made(cleo, name=" night job ", permissions=["accounts:read", "profile:read"], days=7)
    new = answer.json()
    assert (answer.status_code, set(new)) == (201, {"token_id", "token"})
    assert answer.headers["cache-control"] == "no-store"
    token = str(new["token"])
    assert (await service.ask("GET", "/users/me", token=token)).json()["email"] == cleo.email
    (listed,) = (await cleo.ask("GET", "/api-tokens")).json()["items"]
    assert set(listed) == {"token_id", "name", "permissions", "created_at", "expires_at"}
    assert (listed["name"], listed["permissions"]) == ("night job", ["accounts:read", "profile:read"])
    path = f"/api-tokens/{new['token_id']}"
    problem(await dave.ask("DELETE", path), 404, "api_token_unknown")
    assert (await service.ask("GET", "/users/me", token=token)).status_code == 200
    assert (await cleo.ask("DELETE", path)).status_code == 204
    problem(await service.ask("GET", "/users/me", token=token), 401, "token_unknown")
    problem(await cleo.ask("DELETE", path), 404, "api_token_unknown")
    problem(await cleo.ask("DELETE", f"/api-tokens/{cleo.session['session_id']}"), 404, "api_token_unknown")
    (done,) = [each.entry for each in await service.trail(cleo.user_id) if each.entry.context.get("permissions")]
    assert (done.action, done.resource_id) == ("create_api_token", new["token_id"])
    assert done.context == {"permissions": ["accounts:read", "profile:read"]}
    assert (await cleo.ask("GET", "/api-tokens")).json()["items"] == []


async def test_a_token_does_its_scopes_and_no_more(service: Service, cleo: Resident, admin: Resident) -> None:
    """What it was not given is 403, and what its person may no more; a lock stops it until it is undone."""
    reading = await cleo.api_token(permissions=["accounts:read"])
    whole = await cleo.api_token()
    for token, accounts, annotation, profile in ((reading, 200, 403, 403), (whole, 200, 404, 200)):
        assert (await service.ask("GET", "/accounts", token=token)).status_code == accounts
        path = f"/transactions/{SOME}/annotation"
        assert (await service.ask("PUT", path, {"note": "x"}, token=token)).status_code == annotation
        assert (await service.ask("GET", "/users/me", token=token)).status_code == profile
    account = f"/admin/users/{cleo.user_id}"
    await admin.ask("PATCH", account, {"role": "READ_ONLY"})
    answer = await service.ask("PUT", f"/transactions/{SOME}/annotation", {"note": "x"}, token=whole)
    problem(answer, 403, "permission_denied")
    for status, expected in (("LOCKED", 401), ("ACTIVE", 200)):
        await admin.ask("PATCH", account, {"status": status})
        assert (await service.ask("GET", "/accounts", token=whole)).status_code == expected


async def test_no_token_carries_what_changes_a_lock(service: Service, admin: Resident) -> None:
    """Not even an administrator's: asked for, it is refused by name; left open, it is left out."""
    for permission in ("profile:write", "sessions:write", "tokens:write", "users:erase", "users:manage"):
        body = problem(await made(admin, permissions=[permission]), 422, "token_scope_invalid")
        assert permission in body["detail"]
    token = await admin.api_token()
    asked = [("GET", "/admin/users"), ("DELETE", "/sessions"), ("POST", "/factors"), ("DELETE", "/users/me")]
    for method, path in asked:
        problem(await service.ask(method, path, token=token), 403, "permission_denied")


async def test_a_token_that_ended_is_refused(service: Service, cleo: Resident) -> None:
    """From its last second on, and one without an end stays; one that ended is not listed any more."""
    ending, lasting = await cleo.api_token(days=2), await cleo.api_token()
    service.later(days=2, seconds=-1)
    assert (await service.ask("GET", "/accounts", token=ending)).status_code == 200
    service.later(seconds=1)
    problem(await service.ask("GET", "/accounts", token=ending), 401, "token_unknown")
    assert (await service.ask("GET", "/accounts", token=lasting)).status_code == 200
    await cleo.log_in()
    assert [each["expires_at"] for each in (await cleo.ask("GET", "/api-tokens")).json()["items"]] == [None]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"name": ""}, "token_name_invalid"),
        ({"name": "a\nb"}, "token_name_invalid"),
        ({"days": 0}, "token_lifetime_invalid"),
        ({"days": 3_651}, "token_lifetime_invalid"),
        ({"permissions": ["everything"]}, "token_scope_invalid"),
        ({"days": "7"}, "request_invalid"),
    ],
)
async def test_what_is_refused_says_why(cleo: Resident, said: dict[str, object], code: str) -> None:
    """A name, lifetime or permission that is not taken is answered with its code, and nothing is made."""
    problem(await made(cleo, **said), 422, code)
    assert (await cleo.ask("GET", "/api-tokens")).json()["items"] == []


async def test_who_has_no_account_here_reads_so(ann: Person) -> None:
    """A person whom another system knows has a token and no account: what takes one says what is missing."""
    body = problem(await ann.get("/v1/users/me"), 404, "user_unknown")
    assert "another system says who you are" in body["detail"]
    assert (await ann.get("/v1/accounts")).status_code == 200
    assert (await ann.get("/v1/sessions")).json() == {"items": []}
    for method, path in (("POST", "factors"), ("DELETE", "users/me"), ("GET", "admin/users")):
        answer = await ann.http.request(method, f"/v1/{path}")
        assert "log in if no API token may carry it" in problem(answer, 403, "permission_denied")["detail"]


@pytest.mark.parametrize("whose", ["their own", "everybody's"])
async def test_no_token_is_made_behind_the_end_of_all_sessions(
    service: Service, cleo: Resident, admin: Resident, whose: str
) -> None:
    """Whoever was let in just before makes none once an administrator has ended what gives access."""
    there = service.dashtam.acting_as((await service.dashtam.authenticate(cleo.session["access_token"])).unwrap())
    path = "/admin/tokens" if whose == "everybody's" else f"/admin/users/{cleo.user_id}/tokens"
    assert (await admin.ask("DELETE", path)).status_code == 204
    assert (await there.execute(CreateApiToken("a program"))).failure().code == "token_unknown"
    await cleo.log_in()
    assert (await cleo.ask("GET", "/api-tokens")).json()["items"] == []


async def test_many_at_once_are_no_more_than_one_may_have(cleo: Resident) -> None:
    """Of eight where two have room, two are made."""
    for _ in range(98):
        assert (await made(cleo)).status_code == 201
    statuses = [each.status_code for each in await asyncio.gather(*(made(cleo) for _ in range(8)))]
    assert sorted(statuses) == [201] * 2 + [409] * 6
