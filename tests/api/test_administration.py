"""What administrators do with accounts, and what they cannot: see anybody's data, or change their own state."""

import pytest

from api.mailbox import NEW, PASSWORD, Resident, Service
from api.people import problem
from dashtam_core.audit import Phase

SOME = "0198a000-0000-7000-8000-000000000000"


async def test_accounts_are_listed_in_pages(service: Service, admin: Resident) -> None:
    """Everybody's, the oldest first, each once, by a cursor that nobody can make up; of data there is nothing."""
    emails = [admin.email, *[(await service.resident(f"person{n}")).email for n in range(4)]]
    found = list[dict[str, str]]()
    path = "/admin/users?limit=2"
    for more in (True, True, False):
        page = (await admin.ask("GET", path)).json()
        found += page["items"]
        assert (page["next_cursor"] is not None) is more
        path = f"/admin/users?limit=2&cursor={page['next_cursor']}"
    assert [each["email"] for each in found] == emails
    assert all(set(each) == {"user_id", "email", "role", "status", "created_at"} for each in found)
    problem(await admin.ask("GET", "/admin/users?cursor=AAAA"), 422, "cursor_invalid")
    problem(await admin.ask("GET", "/admin/users?limit=0"), 422, "request_invalid")


async def test_somebody_is_invited(service: Service, admin: Resident) -> None:
    """The account is there, its owner is mailed a link to choose a password, and only then can log in."""
    answer = await admin.ask("POST", "/admin/users", {"email": "New@example.org", "role": "READ_ONLY"})
    new = answer.json()
    assert (answer.status_code, new["role"], new["status"]) == (201, "READ_ONLY", "ACTIVE")
    problem(await service.log_in("new@example.org", ""), 401, "credentials_wrong")
    said = {"token": await service.mailed("New@example.org"), "password": NEW}
    assert (await service.ask("PUT", "/password-resets", said)).status_code == 204
    assert (await service.log_in("new@example.org", NEW)).status_code == 201
    again = await admin.ask("POST", "/admin/users", {"email": "NEW@example.org"})
    problem(again, 409, "email_taken")
    problem(await admin.ask("POST", "/admin/users", {"email": "new"}), 422, "email_invalid")
    problem(await admin.ask("POST", "/admin/users", {"email": "b@c.de", "role": "GOD"}), 422, "request_invalid")


async def test_an_account_is_locked_and_opened(service: Service, cleo: Resident, admin: Resident) -> None:
    """Nobody gets into a locked one; opened, the old password is good again. Its owner is mailed both times."""
    path = f"/admin/users/{cleo.user_id}"
    locked = await admin.ask("PATCH", path, {"status": "LOCKED"})
    assert (locked.status_code, locked.json()["status"]) == (200, "LOCKED")
    problem(await service.log_in(cleo.email), 401, "credentials_wrong")
    assert (await admin.ask("PATCH", path, {"status": "ACTIVE"})).json()["status"] == "ACTIVE"
    assert (await cleo.log_in()).status_code == 201
    await cleo.ask("POST", "/users/me/deactivation")
    problem(await service.log_in(cleo.email), 401, "credentials_wrong")
    await admin.ask("PATCH", path, {"status": "ACTIVE"})
    assert (await cleo.log_in()).status_code == 201
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(cleo.email) == ["Your account was changed"] * 4


async def test_a_role_counts_at_once(service: Service, cleo: Resident, admin: Resident) -> None:
    """With the next log-in, for the old sessions are over; and it is taken away in the same way."""
    path = f"/admin/users/{cleo.user_id}"
    for role, status in (("ADMIN", 200), ("USER", 403)):
        assert (await admin.ask("PATCH", path, {"role": role})).json()["role"] == role
        problem(await cleo.ask("GET", "/users/me"), 401, "token_unknown")
        await cleo.log_in()
        assert (await cleo.ask("GET", "/admin/users")).status_code == status
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(cleo.email) == [], "of a state that is the same nobody is told"


@pytest.mark.parametrize("how", ["lock", "deactivation", "tokens"])
async def test_a_link_ends_with_all_else(service: Service, cleo: Resident, admin: Resident, how: str) -> None:
    """Whoever got hold of one before an account was closed, or rid of its tokens, has nothing afterwards."""
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    said, program = {"token": await service.mailed(cleo.email), "password": NEW}, await cleo.api_token()
    path = f"/admin/users/{cleo.user_id}"
    if how == "lock":
        await admin.ask("PATCH", path, {"status": "LOCKED"})
    elif how == "deactivation":
        await cleo.ask("POST", "/users/me/deactivation")
    else:
        assert (await admin.ask("DELETE", f"{path}/tokens")).status_code == 204
    if how != "tokens":
        await admin.ask("PATCH", path, {"status": "ACTIVE"})
    problem(await service.ask("PUT", "/password-resets", said), 422, "link_spent")
    api = await service.ask("GET", "/users/me", token=program)
    assert api.status_code == (200 if how == "lock" else 401), "an API token outlives a lock alone"


async def test_what_administrators_do_is_on_record(service: Service, cleo: Resident, admin: Resident) -> None:
    """Looking at everybody's accounts too; each entry says whose account it was, and what that is now."""
    await admin.ask("GET", "/admin/users")
    made = (await admin.ask("POST", "/admin/users", {"email": "new@example.org", "role": "ADMIN"})).json()
    await admin.ask("PATCH", f"/admin/users/{cleo.user_id}", {"status": "LOCKED"})
    problem(await admin.ask("PATCH", f"/admin/users/{SOME}", {"status": "LOCKED"}), 404, "user_unknown")
    trail = [each.entry for each in await service.trail(admin.user_id) if "user" in each.entry.action]
    done = [(each.action, each.resource_id, each.context) for each in trail if each.phase != "attempted"]
    assert done == [
        ("list_users", None, {}),
        ("create_user", made["user_id"], {"role": "ADMIN"}),
        ("change_user", str(cleo.user_id), {"role": "USER", "status": "LOCKED"}),
        ("change_user", SOME, {}),
    ]


@pytest.mark.parametrize("body", [{"status": "LOCKED"}, {"role": "USER"}, {"status": "ACTIVE"}])
async def test_nobody_changes_their_own_state(admin: Resident, body: dict[str, str]) -> None:
    """Not even an administrator: so there is always one left."""
    problem(await admin.ask("PATCH", f"/admin/users/{admin.user_id}", body), 409, "own_account")
    assert (await admin.ask("GET", "/users/me")).json()["role"] == "ADMIN"


async def test_what_cannot_be_changed_so_looks_like_none(
    service: Service, cleo: Resident, admin: Resident
) -> None:
    """An unknown id, an account that is not proven, and a state that only its person chooses."""
    await service.ask("POST", "/users", {"email": "unproven@example.org", "password": PASSWORD})
    listed = (await admin.ask("GET", "/admin/users")).json()["items"]
    unproven = next(each["user_id"] for each in listed if each["status"] == "UNVERIFIED")
    for path, body in (
        (SOME, {"status": "LOCKED"}),
        (unproven, {"status": "ACTIVE"}),
        (cleo.user_id, {"status": "DEACTIVATED"}),
        (cleo.user_id, {"status": "UNVERIFIED"}),
    ):
        problem(await admin.ask("PATCH", f"/admin/users/{path}", body), 404, "user_unknown")
    problem(await admin.ask("DELETE", f"/admin/users/{SOME}/tokens"), 404, "user_unknown")
    assert (await cleo.ask("GET", "/users/me")).json()["status"] == "ACTIVE"


async def test_an_account_is_closed_exported_and_erased(service: Service, cleo: Resident) -> None:
    """Everything held is to be had first; then nothing of it is left, and the address is free for anybody."""
    await cleo.add_factor()
    await cleo.api_token()
    told = (await cleo.ask("GET", "/users/me/export")).json()
    assert told["person"][0]["email"] == cleo.email
    assert [len(each["address_key"]) for each in told["address"]] == [64], "what is no sealed text is a hash"
    kinds = {each["kind"] for each in told["credential"]}
    assert kinds == {"PASSWORD", "SESSION", "REFRESH_TOKEN", "API_TOKEN", "TOTP", "RECOVERY_CODE"}
    assert not any({"data", "secret_hash"} & set(each) for each in told["credential"])
    assert {each["created_at"][10] for each in told["credential"]} == {"T"}, "instants as in ISO 8601"
    asked = [each.entry.phase for each in await service.trail(cleo.user_id) if each.entry.action == "export_user"]
    assert asked == [Phase.ATTEMPTED, Phase.SUCCEEDED]
    assert (await cleo.ask("DELETE", "/users/me")).status_code == 204
    problem(await cleo.ask("GET", "/users/me"), 401, "token_unknown")
    problem(await service.log_in(cleo.email), 401, "credentials_wrong")
    again = await service.resident("cleo")
    told = (await again.ask("GET", "/users/me/export")).json()
    assert {each["kind"] for each in told["credential"]} == {"PASSWORD", "SESSION", "REFRESH_TOKEN"}
    assert cleo.user_id != again.user_id
