"""Who may do what: every endpoint of the document, for every role and for none, and every id of another person."""

import asyncio
import os
from collections.abc import Mapping
from itertools import product
from typing import Any, Final

import pytest

from api.mailbox import NEW, PASSWORD, Resident, Service, held, show
from api.people import lines, problem
from dashtam_core.identity import Role

SOME: Final = "0198a000-0000-7000-8000-000000000000"
READING: Final = {
    *("get_import", "list_accounts", "get_account", "list_balances", "list_holdings", "list_transactions"),
    *("get_transaction", "export_transactions", "list_transfers", "list_duplicates", "read_again"),
}
"""Reading a file again looks for it first: of one that is not there, whoever may read is told so."""
WRITING: Final = {
    *("import_statement", "annotate_transaction", "clear_annotation", "decide_transfer", "forget_transfer"),
    *("decide_duplicate", "forget_duplicate"),
}
PROFILE: Final = {"get_my_user", "list_sessions", "list_factors", "list_api_tokens", "listen"}
OWN: Final = {"change_password", "end_sessions", "end_all_sessions"}
LOCKS: Final = {
    *("change_email", "enroll_factor", "confirm_factor", "remove_factor", "create_api_token", "revoke_api_token"),
    *("export_user", "deactivate_user", "erase_user"),
}
PEOPLE: Final = {"list_users", "create_user", "change_user", "revoke_tokens", "revoke_all_tokens"}
NOBODY: Final = {
    *("register_user", "verify_email", "request_password_reset", "reset_password", "log_in", "refresh_session"),
}
EVERYTHING: Final = READING | WRITING | PROFILE | OWN | LOCKS | PEOPLE
MAY: Final[dict[str, set[str]]] = {
    "nobody": set(),
    "USER": EVERYTHING - PEOPLE,
    "READ_ONLY": EVERYTHING - PEOPLE - WRITING,
    "ADMIN": EVERYTHING,
    "ADMIN, an hour ago": EVERYTHING - PEOPLE - LOCKS - {"end_sessions", "end_all_sessions"},
    "API token": READING | WRITING | PROFILE,
    "API token to read": READING,
}
"""The table of roles in docs/security/identity.md, by the ids of operations."""
LAST: Final = ("end_all_sessions", "deactivate_user", "erase_user", "revoke_all_tokens")
"""After these there is nobody left to ask as."""
BODIES: Final[dict[str, dict[str, Any]]] = {
    "decide_transfer": {"state": "confirmed"},
    "decide_duplicate": {"state": "confirmed"},
    "confirm_factor": {"code": "000000"},
    "change_email": {"email": "else@example.org"},
    "change_password": {"current": NEW, "new": NEW},
    "create_api_token": {"name": "x"},
    "create_user": {"email": "no address"},
}
FULL: Final = os.environ.get("HYPOTHESIS_PROFILE") == "prove"

type Operations = Mapping[str, tuple[str, str]]


@pytest.fixture
def operations(service: Service) -> Operations:
    """Every operation under /v1 by its id: method and path."""
    paths = service.app.openapi()["paths"]
    return {
        each["operationId"]: (method.upper(), path.removeprefix("/v1"))
        for path, item in paths.items()
        if path.startswith("/v1")
        for method, each in item.items()
    }


async def as_a(service: Service, caller: str, number: int) -> str | None:
    """The token of somebody new who is this."""
    if caller == "nobody":
        return None
    named = caller.partition(",")[0]
    who = await service.resident(f"caller{number}", Role(named) if named in set(Role) else Role.ADMIN)
    if caller == "ADMIN, an hour ago":
        service.later(hours=1)
        return str((await service.refresh(who.session["refresh_token"])).json()["access_token"])
    if "API" in caller:
        return await who.api_token(**({"permissions": ["accounts:read"]} if "read" in caller else {}))
    return str(who.session["access_token"])


def at(path: str, *ids: object) -> str:
    """The path with these ids in it, in turn."""
    for each in ids:
        start, end = path.find("{"), path.find("}")
        path = f"{path[:start]}{each}{path[end + 1 :]}" if start >= 0 else path
    return path


@pytest.mark.parametrize("caller", MAY)
async def test_each_role_does_what_it_may_and_no_more(
    service: Service, operations: Operations, caller: str
) -> None:
    """Every endpoint lets in whom the documented table names: the others are 403, and 401 without a token."""
    assert set(operations) == EVERYTHING | NOBODY
    service.dashtam.live.close()  # so that whoever is let in to listen is soon done
    token, let_in = await as_a(service, caller, 0), set[str]()
    for number, name in enumerate(sorted(EVERYTHING, key=lambda each: (each in LAST, each))):
        method, path = operations[name]
        body = BODIES.get(name, {}) if method in {"POST", "PUT", "PATCH"} else None
        file = {"file": ("june.lines", b"nothing known")} if name == "import_statement" else None
        answer = await service.ask(method, at(path, SOME, SOME), None if file else body, token=token, files=file)
        if answer.status_code in {401, 403}:
            code = answer.json()["code"]
            assert code in ({"permission_denied", "log_in_again"} if token else {"unauthenticated"})
        else:
            let_in.add(name)
            token = await as_a(service, caller, number + 1) if name in LAST else token
    assert let_in == MAY[caller]
    show(f"{caller:20} {len(let_in):2} of {len(EVERYTHING)} endpoints")


async def test_who_may_only_read_reads_nothing_again(service: Service, cleo: Resident, admin: Resident) -> None:
    """A file that is there is not read again by who lost the right to write; it is still to be seen."""
    (file, *_) = await _furnished(cleo)
    await admin.ask("PATCH", f"/admin/users/{cleo.user_id}", {"role": "READ_ONLY"})
    await cleo.log_in()
    problem(await cleo.ask("POST", f"/imports/{file}/readings", {}), 403, "permission_denied")
    assert (await cleo.ask("GET", f"/imports/{file}")).status_code == 200


async def test_what_comes_before_a_token_looks_at_none(service: Service, operations: Operations) -> None:
    """Registering, logging in and refreshing answer the same with a good token, a wrong one and none."""
    for name, token in product(sorted(NOBODY), (None, "wrong", await as_a(service, "ADMIN", 0))):
        method, path = operations[name]
        problem(await service.ask(method, path, {}, token=token), 422, "request_invalid")


async def _furnished(who: Resident) -> list[str]:
    """Ids of everything a person can have; many transactions, where everything is to be proven."""
    rows = [f"2026-01-{1 + day % 28:02};{day + 1};row {day}" for day in range(500 if FULL else 2)]
    report = (await who.ask("POST", "/imports", files={"file": ("june.lines", lines(who.email, *rows))})).json()
    secret = (await who.ask("POST", "/factors")).json()
    token = (await who.ask("POST", "/api-tokens", {"name": "x"})).json()
    found = list[str]()
    for kind in ("accounts", "transactions"):
        page = (await who.ask("GET", f"/{kind}?limit=500")).json()
        found += [each[f"{kind[:-1]}_id"] for each in page["items"]]
    return [report["import_id"], secret["factor_id"], token["token_id"], who.session["session_id"], *found]


async def test_every_id_of_anothers_looks_like_none(
    service: Service, operations: Operations, cleo: Resident, dave: Resident
) -> None:
    """Each endpoint with an id in its path, asked with each of another person's ids: 404, and nothing changed."""
    ids = {who.email: await _furnished(who) for who in (cleo, dave)}
    before = [await held(who) for who in (cleo, dave)]
    owned = {name: it for name, it in operations.items() if "{" in it[1] and name not in PEOPLE}
    asked = 0
    for who, other in ((cleo, dave), (dave, cleo)):
        for (name, (method, path)), theirs in product(owned.items(), ids[other.email]):
            body = BODIES.get(name, {}) if method in {"POST", "PUT"} else None
            own = ids[who.email][-1]  # beside it, a transaction that is one's own
            for pair in [(theirs, own), (own, theirs)] if path.count("{") > 1 else [(theirs,)]:
                if name == "confirm_factor" and asked % 9:
                    continue  # guesses are limited
                answer = await who.ask(method, at(path, *pair), body)
                assert answer.status_code in ({404, 429} if name == "confirm_factor" else {404}), (name, pair)
                asked += 1
    assert [await held(who) for who in (cleo, dave)] == before
    show(f"{asked} requests at {len(owned)} endpoints with another's ids: {asked} x 404, nothing changed")


async def test_requests_at_once_do_not_mix(service: Service) -> None:
    """Of many people who ask at the same time, each is answered about themself."""
    people = [await service.resident(f"person{number}") for number in range(8)]
    answers = await asyncio.gather(*(who.ask("GET", "/users/me") for _ in range(4) for who in people))
    assert [each.json()["email"] for each in answers] == [who.email for who in people] * 4


async def test_fields_are_shown_and_changed_as_documented(
    service: Service, admin: Resident, cleo: Resident
) -> None:
    """No answer has a hash, a secret or a password in it, and no body writes a field that is not its own."""
    secret, codes = await cleo.add_factor()
    tokens = [await cleo.api_token(), cleo.session["access_token"], cleo.session["refresh_token"]]
    for path in ("/users/me", "/sessions", "/factors", "/api-tokens", "/users/me/export"):
        text = (await cleo.ask("GET", path)).text
        assert not any(each in text for each in [PASSWORD, "argon2", secret, *codes, *tokens])
    for method, path, body in [
        ("PUT", "/users/me/email", {"email": "a@b.de", "user_id": str(admin.user_id)}),
        ("PUT", "/users/me/password", {"current": PASSWORD, "new": NEW, "role": "ADMIN"}),
        ("POST", "/api-tokens", {"name": "x", "token": "mine"}),
        ("PATCH", f"/admin/users/{cleo.user_id}", {"email": "a@b.de"}),
        ("POST", "/sessions", {"email": "a@b.de", "password": "x", "session_id": SOME}),
    ]:
        problem(await admin.ask(method, path, body), 422, "request_invalid")


async def test_nobody_keeps_a_password_that_an_administrator_chose(service: Service, admin: Resident) -> None:
    """Over HTTP an administrator sends none, neither for a new account nor for one that is there."""
    made = await admin.ask("POST", "/admin/users", {"email": "new@example.org", "password": PASSWORD})
    problem(made, 422, "request_invalid")
    cleo = await service.resident("cleo")
    problem(await admin.ask("PATCH", f"/admin/users/{cleo.user_id}", {"password": NEW}), 422, "request_invalid")
    assert (await service.log_in(cleo.email)).status_code == 201
