"""Changing what one logs in with: the password, by the one before or by a link, and the address."""

import asyncio
from datetime import timedelta

import pytest

from api.mailbox import NEW, PASSWORD, Resident, Service, totp
from api.people import problem


async def reset(service: Service, email: str, password: str = NEW) -> int:
    """Forgets the password and takes another by the link that is mailed; the status of the answer."""
    await service.ask("POST", "/password-resets", {"email": email})
    said = {"token": await service.mailed(email), "password": password}
    return (await service.ask("PUT", "/password-resets", said)).status_code


async def test_a_change_takes_the_current_password(service: Service, cleo: Resident) -> None:
    """Without it or with a wrong one nothing is changed; with it the new one logs in, the old one does not."""
    path = "/users/me/password"
    problem(await cleo.ask("PUT", path, {"new": NEW}), 422, "request_invalid")
    problem(await cleo.ask("PUT", path, {"current": PASSWORD.upper(), "new": NEW}), 422, "password_wrong")
    problem(await cleo.ask("PUT", path, {"current": PASSWORD, "new": "short"}), 422, "password_too_short")
    problem(await cleo.ask("PUT", path, {"current": PASSWORD, "new": cleo.email}), 422, "password_common")
    assert (await service.log_in(cleo.email)).status_code == 201
    assert (await cleo.ask("PUT", path, {"current": PASSWORD, "new": NEW})).status_code == 204
    problem(await service.log_in(cleo.email), 401, "credentials_wrong")
    assert (await service.log_in(cleo.email, NEW)).status_code == 201
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(cleo.email) == ["Your password was changed"]


async def test_a_new_password_ends_the_other_sessions(service: Service, cleo: Resident) -> None:
    """After a change or a reset no session goes on, this one included, and nobody else notices."""
    dave = await service.resident("dave")
    for change in range(2):
        here, there = cleo.session, (await cleo.log_in()).json()
        if change:
            assert await reset(service, cleo.email, PASSWORD) == 204
        else:
            await cleo.ask("PUT", "/users/me/password", {"current": PASSWORD, "new": PASSWORD})
        for each in (here, there):
            problem(await service.ask("GET", "/sessions", token=each["access_token"]), 401, "token_unknown")
            problem(await service.refresh(each["refresh_token"]), 401, "token_unknown")
        assert (await cleo.log_in()).status_code == 201
    assert (await dave.ask("GET", "/sessions")).status_code == 200


async def test_a_forgotten_password_is_replaced(service: Service, cleo: Resident) -> None:
    """The mailed token sets a password, opens no session, and takes every other such token with it."""
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    first = await service.mailed(cleo.email)
    for password, code in (("short", "password_too_short"), (cleo.email, "password_common")):
        said = {"token": first, "password": password}
        problem(await service.ask("PUT", "/password-resets", said), 422, code)
    assert await reset(service, cleo.email.upper()) == 204
    said = {"token": first, "password": PASSWORD}
    service.hasher.broken = True  # a link that is spent costs no hashing
    problem(await service.ask("PUT", "/password-resets", said), 422, "link_spent")
    problem(await service.log_in(cleo.email), 401, "credentials_wrong")
    assert (await service.log_in(cleo.email, NEW)).status_code == 201


async def test_a_reset_is_not_undone_by_a_change_under_way(service: Service, cleo: Resident) -> None:
    """Whoever knew the old password, and changes it at this moment, does not keep its owner out."""
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    said = {"token": await service.mailed(cleo.email), "password": NEW}
    changing = cleo.ask("PUT", "/users/me/password", {"current": PASSWORD, "new": "the thief took this one"})
    replaced, changed = await asyncio.gather(service.ask("PUT", "/password-resets", said), changing)
    assert (replaced.status_code == 204) is not (changed.status_code == 204)
    opens = NEW if replaced.status_code == 204 else "the thief took this one"
    assert (await service.log_in(cleo.email, opens)).status_code == 201


async def test_a_reset_leaves_the_second_factor_on(service: Service, cleo: Resident) -> None:
    """Whoever reads the mail comes in with a code alone, and beside a factor 8 characters do."""
    secret, _ = await cleo.add_factor()
    assert await reset(service, cleo.email, "7 chars") == 422
    assert await reset(service, cleo.email, "tundra84") == 204
    problem(await service.log_in(cleo.email, "tundra84"), 401, "code_required")
    code = totp(secret, service.clock, steps=1)
    assert (await service.log_in(cleo.email, "tundra84", code=code)).status_code == 201


@pytest.mark.parametrize("state", ["LOCKED", "DEACTIVATED"])
async def test_a_closed_account_is_not_reset_open(
    service: Service, cleo: Resident, admin: Resident, state: str
) -> None:
    """Neither a link from before nor a new one opens an account that was locked or closed."""
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    said = {"token": await service.mailed(cleo.email), "password": NEW}
    if state == "LOCKED":
        await admin.ask("PATCH", f"/admin/users/{cleo.user_id}", {"status": "LOCKED"})
    else:
        await cleo.ask("POST", "/users/me/deactivation")
    before = len(service.mails.mails)
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    await service.dashtam.relay.deliver()
    assert [each.subject for each in service.mails.mails[before:]] == ["Your account was changed"]
    problem(await service.ask("PUT", "/password-resets", said), 422, "link_spent")
    for password in (PASSWORD, NEW):
        problem(await service.log_in(cleo.email, password), 401, "credentials_wrong")


async def test_a_new_address_counts_once_it_is_proven(service: Service, cleo: Resident) -> None:
    """Until link and password come together the old one logs in; then the new one, and the old one is told."""
    old, new = cleo.email, "Cleo@Elsewhere.example"
    changed = await cleo.ask("PUT", "/users/me/email", {"email": new})
    assert (changed.status_code, changed.content) == (202, b"")
    said = {"token": await service.mailed("Cleo@elsewhere.example"), "password": NEW}
    problem(await service.ask("POST", "/email-verifications", said), 422, "link_spent")
    assert (await service.log_in(old)).status_code == 201
    problem(await service.log_in(new), 401, "credentials_wrong")
    assert (await service.ask("POST", "/email-verifications", said | {"password": PASSWORD})).status_code == 204
    assert (await service.log_in(new)).status_code == 201
    problem(await service.log_in(old), 401, "credentials_wrong")
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(old) == ["Your address was changed"]
    assert (await cleo.ask("GET", "/users/me")).json()["email"] == "Cleo@elsewhere.example"


async def test_anothers_address_cannot_be_taken(service: Service, cleo: Resident, dave: Resident) -> None:
    """Asking for it is answered like any other, its owner hears of it, and nothing changes."""
    assert (await cleo.ask("PUT", "/users/me/email", {"email": dave.email})).status_code == 202
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(dave.email) == ["You have an account already"]
    assert (await cleo.ask("GET", "/users/me")).json()["email"] == cleo.email
    problem(await cleo.ask("PUT", "/users/me/email", {"email": "none"}), 422, "email_invalid")
    await cleo.ask("PUT", "/users/me/email", {"email": cleo.email})
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(cleo.email) == ["Confirm your address"], "one's own is nobody else's"


async def test_a_password_does_not_expire(service: Service, cleo: Resident) -> None:
    """After ten years, the password and the API token without an end still open the account."""
    token = await cleo.api_token()
    service.clock.advance(timedelta(days=3_652))
    assert (await service.log_in(cleo.email)).status_code == 201
    assert (await service.ask("GET", "/users/me", token=token)).status_code == 200


async def linked(service: Service, who: Resident, new: str) -> dict[str, str]:
    """What proves a new address of theirs."""
    await who.ask("PUT", "/users/me/email", {"email": new})
    return {"token": await service.mailed(new), "password": PASSWORD}


async def test_a_link_to_the_former_address_ends_with_it(service: Service, cleo: Resident) -> None:
    """Whoever still reads the mail that was left behind resets nothing."""
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    said = {"token": await service.mailed(cleo.email), "password": NEW}
    link = await linked(service, cleo, "new@example.org")
    assert (await service.ask("POST", "/email-verifications", link)).status_code == 204
    problem(await service.ask("PUT", "/password-resets", said), 422, "link_spent")
    assert (await service.log_in("new@example.org")).status_code == 201


async def test_no_address_is_proven_with_a_password_that_is_replaced(service: Service, cleo: Resident) -> None:
    """Of a reset and a link that a thief follows with the old password at this moment, one succeeds."""
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    said = {"token": await service.mailed(cleo.email), "password": NEW}
    link = await linked(service, cleo, "thief@example.org")
    proving = service.ask("POST", "/email-verifications", link)
    answers = await asyncio.gather(service.ask("PUT", "/password-resets", said), proving)
    assert sorted(each.status_code for each in answers) == [204, 422]


@pytest.mark.parametrize("state", ["LOCKED", "DEACTIVATED"])
async def test_a_closed_account_takes_no_other_address(
    service: Service, cleo: Resident, admin: Resident, state: str
) -> None:
    """A link from before proves nothing while it is closed, so that whoever opens it again finds it as it was."""
    link = await linked(service, cleo, "thief@example.org")
    if state == "LOCKED":
        await admin.ask("PATCH", f"/admin/users/{cleo.user_id}", {"status": "LOCKED"})
    else:
        await cleo.ask("POST", "/users/me/deactivation")
    problem(await service.ask("POST", "/email-verifications", link), 422, "link_spent")
    await admin.ask("PATCH", f"/admin/users/{cleo.user_id}", {"status": "ACTIVE"})
    assert (await service.log_in(cleo.email)).status_code == 201
