"""A second factor: set up with a code, asked for at every log-in, each code good once, and lost without harm."""

import asyncio
import hashlib
import re

from api.mailbox import PASSWORD, Resident, Service, totp
from api.people import problem
from dashtam_core.identity import ConfirmFactor, CredentialKind, EnrollFactor
from dashtam_core.kernel import Subject
from dashtam_core.store import identity_store


async def test_a_factor_is_set_up_shown_and_removed(service: Service, cleo: Resident) -> None:
    """It counts from its first code on, is confirmed once, and both its coming and its going are mailed."""
    made = await cleo.ask("POST", "/factors")
    factor = made.json()
    assert (made.status_code, set(factor)) == (201, {"factor_id", "secret", "uri"})
    assert factor["uri"] == f"otpauth://totp/Dashtam:{cleo.email}?secret={factor['secret']}&issuer=Dashtam"
    (listed,) = (await cleo.ask("GET", "/factors")).json()["items"]
    assert (listed["confirmed"], listed["recovery_codes_left"]) == (False, 0)
    confirmation = f"/factors/{factor['factor_id']}/confirmation"
    wrong = f"{(int(totp(factor['secret'], service.clock)) + 500_000) % 1_000_000:06}"
    problem(await cleo.ask("POST", confirmation, {"code": wrong}), 422, "code_wrong")
    assert (await cleo.log_in()).status_code == 201
    code = {"code": totp(factor["secret"], service.clock)}
    await asyncio.gather(*(cleo.ask("GET", "/factors") for _ in range(8)))  # so that as many connections are open
    confirmed = await asyncio.gather(*(cleo.ask("POST", confirmation, code) for _ in range(8)))
    assert sorted(each.status_code for each in confirmed) == [200, *[404] * 7]
    problem(await cleo.ask("POST", "/factors"), 409, "factor_present")
    (listed,) = (await cleo.ask("GET", "/factors")).json()["items"]
    assert set(listed) == {"factor_id", "confirmed", "created_at", "recovery_codes_left"}
    assert (listed["confirmed"], listed["recovery_codes_left"]) == (True, 10)
    path = f"/factors/{factor['factor_id']}"
    assert (await cleo.ask("DELETE", path)).status_code == 204
    problem(await cleo.ask("DELETE", path), 404, "factor_unknown")
    assert (await cleo.ask("GET", "/factors")).json()["items"] == []
    assert "RECOVERY_CODE" not in (await cleo.ask("GET", "/users/me/export")).text
    assert (await cleo.log_in()).status_code == 201
    await service.dashtam.relay.deliver()
    assert service.mails.subjects(cleo.email) == ["Your second factor was changed"] * 2
    assert ["turned on" in each.text for each in service.mails.mails] == [True, False]
    assert ["removed" in each.text for each in service.mails.mails] == [False, True]


async def test_a_log_in_takes_both_factors(service: Service, cleo: Resident, dave: Resident) -> None:
    """The password alone opens no session, the code alone none, and neither does another person's code."""
    secret, _ = await cleo.add_factor()
    others, (recovery, *_) = await dave.add_factor()
    code = totp(secret, service.clock, steps=1)
    problem(await service.log_in(cleo.email), 401, "code_required")
    problem(await service.log_in(cleo.email, code=""), 401, "code_required")
    problem(await service.log_in(cleo.email, "another password", code=code), 401, "credentials_wrong")
    for wrong in (totp(others, service.clock, steps=1), recovery, "000", "héllo"):
        problem(await service.log_in(cleo.email, code=wrong), 401, "code_refused")
    assert (await service.log_in(cleo.email, code=code)).status_code == 201


async def test_a_code_is_good_once(service: Service, cleo: Resident) -> None:
    """Of many who send one code at once, and of those who come later, one gets in."""
    secret, (recovery, *_) = await cleo.add_factor()
    problem(await service.log_in(cleo.email, code=totp(secret, service.clock)), 401, "code_refused")
    for code in (totp(secret, service.clock, steps=1), recovery):
        peers = [f"198.51.100.{n}" for n in range(6)]
        tried = await asyncio.gather(*(service.log_in(cleo.email, code=code, peer=peer) for peer in peers))
        assert sorted(each.status_code for each in tried) == [201, *[401] * 5]
        problem(await service.log_in(cleo.email, code=code), 401, "code_refused")


async def test_a_code_does_not_outlive_its_period(service: Service, cleo: Resident) -> None:
    """Codes of the period before, of this one and of the next are good, in this order; no other is."""
    secret, _ = await cleo.add_factor()
    service.later(minutes=5)
    for steps, status in ((-2, 401), (2, 401), (-1, 201), (0, 201), (-1, 401), (1, 201), (0, 401)):
        code = totp(secret, service.clock, steps=steps)
        assert (await service.log_in(cleo.email, code=code)).status_code == status


async def test_a_lost_factor_takes_a_recovery_code(service: Service, cleo: Resident) -> None:
    """Each of ten logs in once, however it is typed, and takes nothing off; then a new factor can be set up."""
    _, codes = await cleo.add_factor()
    typed = codes[0].lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert (await cleo.log_in(code=typed)).status_code == 201
    problem(await service.log_in(cleo.email, code=codes[0]), 401, "code_refused")
    (factor,) = (await cleo.ask("GET", "/factors")).json()["items"]
    assert (factor["confirmed"], factor["recovery_codes_left"]) == (True, 9)
    problem(await service.log_in(cleo.email), 401, "code_required")
    assert (await cleo.ask("DELETE", f"/factors/{factor['factor_id']}")).status_code == 204
    secret, others = await cleo.add_factor()
    problem(await service.log_in(cleo.email, code=codes[1]), 401, "code_refused")
    assert (await cleo.log_in(code=others[1])).status_code == 201
    assert (await service.log_in(cleo.email, code=totp(secret, service.clock, steps=1))).status_code == 201


async def test_recovery_codes_are_random_and_kept_hashed(service: Service, cleo: Resident, dave: Resident) -> None:
    """140 bits of each differ for everybody; what is kept takes our key to be compared, and has no code in it."""
    _, hers = await cleo.add_factor()
    _, his = await dave.add_factor()
    assert len({*hers, *his}) == 20
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}", each) for each in hers)
    async with identity_store(service.dashtam.store).unit_of_work(Subject(cleo.user_id, frozenset())) as unit:
        kept = await unit.credentials.list(CredentialKind.RECOVERY_CODE)
    plain = {hashlib.sha256(text.encode()).digest() for each in hers for text in (each, each.replace("-", ""))}
    assert {len(each.secret_hash or b"") for each in kept} == {32}
    assert not plain & {each.secret_hash for each in kept}
    assert {each.data for each in kept} == {""}


async def test_other_sessions_can_be_ended_with_a_change_of_factor(service: Service, cleo: Resident) -> None:
    """One request right after it ends them all, and every next one took the new factor."""
    before = cleo.session
    await cleo.log_in()
    secret, _ = await cleo.add_factor()
    assert (await cleo.ask("DELETE", "/sessions")).status_code == 204
    for each in (before, cleo.session):
        problem(await service.refresh(each["refresh_token"]), 401, "token_unknown")
    problem(await service.log_in(cleo.email, PASSWORD), 401, "code_required")
    assert (await cleo.log_in(code=totp(secret, service.clock, steps=1))).status_code == 201


async def test_a_session_that_was_ended_turns_no_factor_on(service: Service, cleo: Resident) -> None:
    """Whoever has a stolen one and was let in just before its owner ended it does not keep the owner out."""
    thief = service.dashtam.acting_as((await service.dashtam.authenticate(cleo.session["access_token"])).unwrap())
    factor = (await thief.execute(EnrollFactor())).unwrap()
    assert (await cleo.ask("DELETE", "/sessions")).status_code == 204
    code = totp(factor.secret, service.clock)
    assert (await thief.execute(ConfirmFactor(factor.factor_id, code))).failure().code == "factor_unknown"
    assert (await service.log_in(cleo.email)).status_code == 201
