"""Sessions: each log-in is one, refreshed by tokens that are good once, and out is out at once."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final

import pytest

from api.mailbox import NEW, PASSWORD, Resident, Service, show
from api.people import problem
from dashtam_core.identity import RefreshSession
from dashtam_core.kernel import ANONYMOUS

AT_ONCE: Final = 64
TIMES: Final = 1_000 if os.environ.get("HYPOTHESIS_PROFILE") == "prove" else 5


async def test_a_refresh_token_is_good_once(service: Service, cleo: Resident) -> None:
    """Of 64 at once, each time, one successor and no session ended; no password is hashed for it."""
    token, hashed = str(cleo.session["refresh_token"]), service.hasher.verified
    for _ in range(TIMES):
        answers = await asyncio.gather(*(service.refresh(token) for _ in range(AT_ONCE)))
        assert {each.status_code for each in answers} == {200}
        (token,) = successors = {each.json()["refresh_token"] for each in answers}
        assert len(successors) == 1
        assert {each.json()["session_id"] for each in answers} == {cleo.session["session_id"]}
    assert service.hasher.verified == hashed
    assert len((await cleo.ask("GET", "/sessions")).json()["items"]) == 1
    refreshed = [
        each.entry for each in await service.trail(cleo.user_id) if each.entry.action == "refresh_session"
    ]
    done = {each.resource_id for each in refreshed if each.phase == "succeeded"}
    assert done == {cleo.session["session_id"]}
    await service.dashtam.relay.deliver()
    assert service.mails.mails == []
    show(f"{TIMES} x {AT_ONCE} refreshes at once: 1 successor each, 0 sessions ended")


async def test_a_replayed_refresh_token_ends_its_session(service: Service, cleo: Resident) -> None:
    """After ten seconds it is stolen: its session ends, access tokens and all, and its person is told."""
    other = (await service.log_in(cleo.email)).json()
    first = cleo.session["refresh_token"]
    second = (await service.refresh(first)).json()
    service.later(seconds=9)
    assert (await service.refresh(first)).json()["refresh_token"] == second["refresh_token"]
    service.later(seconds=1)
    problem(await service.refresh(first), 401, "token_replayed")
    for access in (cleo.session["access_token"], second["access_token"]):
        problem(await service.ask("GET", "/users/me", token=access), 401, "token_unknown")
    problem(await service.refresh(second["refresh_token"]), 401, "token_unknown")
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(cleo.email) == ["A session was ended"]
    assert (await service.refresh(other["refresh_token"])).status_code == 200
    problem(await service.refresh(first), 401, "token_unknown")


async def test_each_log_in_is_a_session_of_its_own(service: Service, cleo: Resident) -> None:
    """No two have a token or an id in common, and nothing but a log-in makes one."""
    (listed,) = (await cleo.ask("GET", "/sessions")).json()["items"]
    sessions = [cleo.session, *[(await service.log_in(cleo.email)).json() for _ in range(3)]]
    for name in ("session_id", "access_token", "refresh_token"):
        assert len({each[name] for each in sessions}) == 4
    assert listed["session_id"] == cleo.session["session_id"]
    for wrong in (NEW, PASSWORD.upper(), PASSWORD + " ", PASSWORD[:20], ""):
        problem(await service.log_in(cleo.email, wrong), 401, "credentials_wrong")
    assert len((await cleo.ask("GET", "/sessions")).json()["items"]) == 4


async def test_sessions_are_listed_and_ended_by_their_person(
    service: Service, cleo: Resident, dave: Resident
) -> None:
    """Each says since when and from where; one is ended, then all; what is another's looks like none."""
    there = (await service.log_in(cleo.email, peer="2001:db8::1")).json()
    first, second = (await cleo.ask("GET", "/sessions")).json()["items"]
    assert (first["current"], second["current"]) == (True, False)
    assert (second["ip_address"], second["user_agent"]) == ("2001:db8::1", "money app/2")
    for unknown in (dave.session["session_id"], str(dave.user_id)):
        problem(await cleo.ask("DELETE", f"/sessions/{unknown}"), 404, "session_unknown")
    assert (await cleo.ask("DELETE", f"/sessions/{there['session_id']}")).status_code == 204
    problem(await service.refresh(there["refresh_token"]), 401, "token_unknown")
    service.later(seconds=5)
    cleo.session = (await service.refresh(cleo.session["refresh_token"])).json()
    (used,) = (await cleo.ask("GET", "/sessions")).json()["items"]
    assert used == {**first, "last_used_at": used["last_used_at"]}
    assert used["last_used_at"] > used["created_at"] == first["last_used_at"]
    assert (await cleo.ask("DELETE", "/sessions")).status_code == 204
    done = [each.entry.context for each in await service.trail(cleo.user_id) if each.entry.phase == "succeeded"]
    assert [each for each in done if "ended" in each] == [{"ended": 1}] * 2
    problem(await cleo.ask("GET", "/sessions"), 401, "token_unknown")
    assert (await dave.ask("GET", "/sessions")).status_code == 200


async def test_ending_other_sessions_takes_a_recent_log_in(service: Service, cleo: Resident) -> None:
    """After 15 minutes a session ends itself alone: whoever has only a stolen one keeps its owner in."""
    other = (await service.log_in(cleo.email)).json()
    service.later(minutes=15)
    cleo.session = (await service.refresh(cleo.session["refresh_token"])).json()
    for path in ("/sessions", f"/sessions/{other['session_id']}"):
        problem(await cleo.ask("DELETE", path), 403, "log_in_again")
    assert (await cleo.ask("DELETE", f"/sessions/{cleo.session['session_id']}")).status_code == 204
    problem(await cleo.ask("GET", "/sessions"), 401, "token_unknown")
    assert (await service.refresh(other["refresh_token"])).status_code == 200


async def test_what_changes_a_lock_takes_a_recent_log_in(service: Service, cleo: Resident) -> None:
    """It may for 15 minutes, and again after a log-in that takes the session's place."""
    for seconds, status in ((899, 201), (1, 403)):
        service.later(seconds=seconds)
        cleo.session = (await service.refresh(cleo.session["refresh_token"])).json()
        assert (await cleo.ask("POST", "/factors")).status_code == status
    await cleo.log_in(instead_of=cleo.session["refresh_token"])
    assert (await cleo.ask("POST", "/factors")).status_code == 201


async def test_logging_in_again_ends_the_session_it_came_with(
    service: Service, cleo: Resident, dave: Resident
) -> None:
    """The refresh token of one's own is taken with it; another person's ends nothing, nor does a failed log-in."""
    old, beside = cleo.session, await service.log_in(cleo.email)
    problem(await service.log_in(cleo.email, NEW, instead_of=old["refresh_token"]), 401, "credentials_wrong")
    await cleo.log_in(instead_of=old["refresh_token"])
    problem(await service.refresh(old["refresh_token"]), 401, "token_unknown")
    await cleo.log_in(instead_of=dave.session["refresh_token"])
    assert (await dave.ask("GET", "/sessions")).status_code == 200
    listed = [each["session_id"] for each in (await cleo.ask("GET", "/sessions")).json()["items"]]
    assert (len(listed), listed[0]) == (3, beside.json()["session_id"])


async def test_one_session_too_many_ends_the_oldest(service: Service, cleo: Resident) -> None:
    """The 21st log-in ends the first session, and none beside it."""
    sessions = [cleo.session]
    for number in range(20):
        service.later(seconds=1)
        sessions.append((await service.log_in(cleo.email, peer=f"198.51.100.{number}")).json())
    problem(await service.refresh(sessions[0]["refresh_token"]), 401, "token_unknown")
    listed = (await service.ask("GET", "/sessions", token=sessions[-1]["access_token"])).json()["items"]
    assert [each["session_id"] for each in listed] == [each["session_id"] for each in sessions[1:]]


async def test_a_session_without_use_ends(service: Service, cleo: Resident) -> None:
    """An access token is good for 10 minutes, a refresh token for 7 days, the next one for 7 more."""
    service.later(seconds=599)
    assert (await cleo.ask("GET", "/users/me")).status_code == 200
    service.later(seconds=1)
    problem(await cleo.ask("GET", "/users/me"), 401, "token_unknown")
    for _ in range(2):
        service.later(days=6, hours=23)
        cleo.session = (await service.refresh(cleo.session["refresh_token"])).json()
    service.later(days=7)
    problem(await service.refresh(cleo.session["refresh_token"]), 401, "token_unknown")


async def test_a_session_ends_however_much_it_is_used(service: Service, cleo: Resident) -> None:
    """After 30 days of refreshing the last token is refused, and the access token made just before it."""
    for hours in (*[6 * 24] * 4, 6 * 24 - 0.1):
        service.later(hours=hours)
        cleo.session = (await service.refresh(cleo.session["refresh_token"])).json()
    assert (await cleo.ask("GET", "/users/me")).status_code == 200
    service.later(hours=0.1)
    problem(await cleo.ask("GET", "/users/me"), 401, "token_unknown")
    problem(await service.refresh(cleo.session["refresh_token"]), 401, "token_unknown")
    await cleo.log_in()
    listed = (await cleo.ask("GET", "/sessions")).json()["items"]
    assert [each["session_id"] for each in listed] == [cleo.session["session_id"]]


async def _reset(cleo: Resident, _: Resident) -> None:
    service = cleo.service
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    said = {"token": await service.mailed(cleo.email), "password": NEW}
    await service.ask("PUT", "/password-resets", said)


def _by_person(method: str, path: str, body: object = None) -> "Ending":
    async def end(cleo: Resident, _: Resident) -> None:
        assert (await cleo.ask(method, path.format_map(cleo.session), body)).status_code == 204

    return end


def _by_admin(method: str, path: str, body: object = None) -> "Ending":
    async def end(cleo: Resident, admin: Resident) -> None:
        assert (await admin.ask(method, path.format(id=cleo.user_id), body)).status_code in {200, 204}

    return end


type Ending = Callable[[Resident, Resident], Awaitable[None]]
ENDINGS: Final[dict[str, tuple[Ending, int]]] = {
    "log-out": (_by_person("DELETE", "/sessions/{session_id}"), 200),
    "log-out everywhere": (_by_person("DELETE", "/sessions"), 200),
    "password change": (_by_person("PUT", "/users/me/password", {"current": PASSWORD, "new": NEW}), 200),
    "password reset": (_reset, 401),
    "role change": (_by_admin("PATCH", "/admin/users/{id}", {"role": "READ_ONLY"}), 200),
    "lock": (_by_admin("PATCH", "/admin/users/{id}", {"status": "LOCKED"}), 401),
    "deactivation": (_by_person("POST", "/users/me/deactivation"), 401),
    "erasure": (_by_person("DELETE", "/users/me"), 401),
    "revoking one's": (_by_admin("DELETE", "/admin/users/{id}/tokens"), 401),
    "revoking everybody's": (_by_admin("DELETE", "/admin/tokens"), 401),
}
"""What ends a session, and how the person's API token is answered after it."""


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_session_that_ended_is_refused_at_once(
    service: Service, cleo: Resident, admin: Resident, ending: str
) -> None:
    """Its tokens are refused by the next request, whatever ended it; API tokens as documented."""
    end, left = ENDINGS[ending]
    program = await cleo.api_token()
    assert (await service.ask("GET", "/users/me", token=program)).status_code == 200
    await end(cleo, admin)
    access, refresh = await cleo.ask("GET", "/users/me"), await service.refresh(cleo.session["refresh_token"])
    problem(access, 401, "token_unknown")
    assert access.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    problem(refresh, 401, "token_unknown")
    api = await service.ask("GET", "/users/me", token=program)
    assert api.status_code == left
    show(f"after {ending:21} access {access.status_code}  refresh {refresh.status_code}  API {api.status_code}")


async def test_an_administrator_ends_sessions_of_one_or_all(
    service: Service, cleo: Resident, dave: Resident, admin: Resident
) -> None:
    """One person's and nobody else's; then everybody's, the administrator's own too. Both are on record."""
    await ENDINGS["revoking one's"][0](cleo, admin)
    problem(await cleo.ask("GET", "/users/me"), 401, "token_unknown")
    assert (await dave.ask("GET", "/users/me")).status_code == 200
    await ENDINGS["revoking everybody's"][0](cleo, admin)
    for each in (dave, admin):
        problem(await each.ask("GET", "/users/me"), 401, "token_unknown")
    done = [each.entry for each in await service.trail(admin.user_id) if each.entry.action == "revoke_tokens"]
    assert [each.resource_id for each in done] == [*[str(cleo.user_id)] * 2, None, None]
    assert [each.context for each in done] == [{}, {"revoked": 1}, {}, {"revoked": 2}]


async def test_a_refresh_token_that_is_no_text_is_not_known(service: Service) -> None:
    """Whoever embeds Dashtam may hand over what JSON cannot: half a surrogate pair is a wrong token, no more."""
    answer = await service.dashtam.acting_as(ANONYMOUS).execute(RefreshSession("\ud800"))
    assert answer.failure().code == "token_unknown"
