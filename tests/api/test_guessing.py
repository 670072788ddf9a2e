"""Guessing: so many tries for an address and for an account, whatever is guessed and from wherever."""

import asyncio
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import attrs
import httpx
import pytest

from api.mailbox import NEW, PASSWORD, Resident, Service, application, held, show, totp
from api.people import problem

SOME: Final = "0198a000-0000-7000-8000-000000000000"
FORWARDING: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "true-client-ip")


async def at_once(times: int, ask: Callable[[int], Awaitable[httpx.Response]]) -> list[int]:
    """The statuses of many requests, sixteen at a time; whatever is over a limit says for how long."""

    async def one(number: int) -> int:
        async with room:
            answer = await ask(number)
        if answer.status_code == 429:
            problem(answer, 429, "too_many_attempts")
            assert int(answer.headers["retry-after"]) >= 1
        return answer.status_code

    room = asyncio.Semaphore(16)
    return await asyncio.gather(*map(one, range(times)))


async def test_guessing_is_limited_for_account_and_address(service: Service, cleo: Resident) -> None:
    """Of 20 wrong passwords at once, 10 reach the hash; of those of many addresses or at many accounts, more."""
    spelled = [cleo.email, cleo.email.upper(), f" {cleo.email}"]
    cases = {
        "20 at one account from one address": (10, 30, [(cleo.email, "192.0.2.66")] * 20),
        "20 at an address that nobody has": (10, 30, [("nobody@example.org", "192.0.2.66")] * 20),
        "20 in three spellings of one account": (10, 30, [(spelled[n % 3], "192.0.2.67") for n in range(20)]),
        "70 at one account from 70 addresses": (50, 30, [("dora@example.org", f"10.0.0.{n}") for n in range(70)]),
        "70 at 70 accounts from one address": (60, 2, [(f"n{n}@example.org", "192.0.2.9") for n in range(70)]),
        "70 at 70 accounts from one IPv6 network": (60, 2, [(f"m{n}@b.org", f"2001:db8::{n}") for n in range(70)]),
    }
    for case, (limit, seconds, tries) in cases.items():
        before, began = service.hasher.verified, time.monotonic()

        def ask(number: int, tries: list[tuple[str, str]] = tries) -> Awaitable[httpx.Response]:
            return service.log_in(tries[number][0], NEW, peer=tries[number][1])

        statuses = await at_once(len(tries), ask)
        room = (time.monotonic() - began) // seconds  # what comes free while a slow machine is at it
        reached = service.hasher.verified - before
        assert limit <= reached <= limit + room
        assert (statuses.count(401), statuses.count(429)) == (reached, len(tries) - reached)
        show(f"{case:42} {reached:3} reach the hash {len(tries) - reached:3} x 429")


async def test_one_guesser_keeps_nobody_out(service: Service, cleo: Resident) -> None:
    """While one address is refused, right password and all, its owner logs in from another."""
    statuses = await at_once(12, lambda _: service.log_in(cleo.email, NEW, peer="203.0.113.66"))
    assert statuses.count(429) == 2
    problem(await service.log_in(cleo.email, peer="203.0.113.66"), 429, "too_many_attempts")
    assert (await service.log_in(cleo.email)).status_code == 201


async def test_a_forwarded_address_counts_from_a_trusted_proxy_alone(service: Service, cleo: Resident) -> None:
    """What headers say changes nothing; from a proxy that was named, the last address it did not add counts."""

    async def tried(service: Service, peers: Sequence[str], told: Sequence[str], header: str) -> int:
        """How many of 12 wrong passwords reach the hash."""
        before, email = service.hasher.verified, f"{secrets.token_hex(4)}@example.org"
        body = {"email": email, "password": NEW}

        def ask(number: int) -> Awaitable[httpx.Response]:
            peer, said = peers[number % len(peers)], told[number % len(told)]
            return service.ask("POST", "/sessions", body, peer=peer, headers={header: said})

        await at_once(12, ask)
        return service.hasher.verified - before

    changing = [f"203.0.113.{n}" for n in range(12)]
    for number, header in enumerate(FORWARDING):
        told = [f"for={each}" for each in changing] if header == "forwarded" else changing
        assert await tried(service, [f"198.51.100.{number}"], told, header) == 10
    behind = attrs.evolve(service, app=application("10.1.0.0/16, 10.2.0.1"))
    behind.app.state.dashtam = service.dashtam
    proxies = ["10.1.2.3", "10.1.9.9", "10.2.0.1"]
    assert await tried(behind, proxies, changing, "x-forwarded-for") == 12
    assert await tried(behind, proxies, ["203.0.113.77"], "x-forwarded-for") == 10
    assert await tried(behind, proxies, [f"{each}, 203.0.113.78" for each in changing], "x-forwarded-for") == 10
    assert await tried(behind, ["10.2.0.2"], changing, "x-forwarded-for") == 10
    body = {"email": cleo.email, "password": PASSWORD}
    await behind.ask("POST", "/sessions", body, peer="10.1.2.3", headers={"x-forwarded-for": "203.0.113.9"})
    *_, outcome = await service.trail(cleo.user_id)
    assert outcome.personal
    assert outcome.personal["ip_address"] == "203.0.113.9"


async def test_codes_and_links_are_limited_too(service: Service, cleo: Resident, dave: Resident) -> None:
    """Whatever else is short enough to be guessed: ten tries for a person, over every path, and then no more."""
    secret, (recovery, *_) = await dave.add_factor()
    made = (await cleo.ask("POST", "/factors")).json()
    await service.ask("POST", "/users", {"email": "eve@example.org", "password": PASSWORD})
    link = await service.mailed("eve@example.org")
    confirm, wrong = f"/factors/{made['factor_id']}/confirmation", {"code": "12345"}
    paths = [confirm, f"/factors/{SOME}/confirmation", f"/factors/{dave.user_id}/confirmation"]
    code, right = totp(secret, service.clock, steps=1), {"code": totp(made["secret"], service.clock)}
    current = {"current": NEW, "new": "another password of mine"}
    verification = {"token": link, "password": NEW}
    cases: dict[str, tuple[Callable[[int], Awaitable[httpx.Response]], ...]] = {
        "codes beside a password": (
            lambda n: service.log_in(dave.email, code=f"{n:05}", peer="192.0.2.49"),
            lambda _: service.log_in(dave.email, code=code, peer="192.0.2.49"),
        ),
        "recovery codes": (
            lambda n: service.log_in(dave.email, code=f"{n:016}", peer="192.0.2.50"),
            lambda _: service.log_in(dave.email, code=recovery, peer="192.0.2.50"),
        ),
        "codes that confirm, at any id": (
            lambda n: cleo.ask("POST", paths[n % 3], wrong),
            lambda _: cleo.ask("POST", confirm, right),
        ),
        "the current password": (
            lambda _: cleo.ask("PUT", "/users/me/password", current),
            lambda _: cleo.ask("PUT", "/users/me/password", current | {"current": PASSWORD}),
        ),
        "the password of a link": (
            lambda _: service.ask("POST", "/email-verifications", verification),
            lambda _: service.ask("POST", "/email-verifications", verification | {"password": PASSWORD}),
        ),
    }
    for case, (tries, then) in cases.items():
        statuses = await at_once(12, tries)
        assert (statuses.count(429), 200 in statuses) == (2, False)
        problem(await then(0), 429, "too_many_attempts")
        show(f"{'12 ' + case:42}  10 are looked at {statuses.count(429):3} x 429, then the right one: 429")


async def test_mails_to_one_address_are_limited(service: Service, cleo: Resident) -> None:
    """Five at once, whether there is an account or not; resets count apart, so that nobody is kept from one."""
    for email in (cleo.email, "nobody@example.org"):
        registrations = [("/users", {"email": email.upper(), "password": NEW})] * 6
        resets = [("/password-resets", {"email": email})] * 6
        peers = [f"198.51.100.{n}" for n in range(12)]
        asked = zip([*registrations, *resets], peers, strict=True)
        statuses = [(await service.ask("POST", *each, peer=peer)).status_code for each, peer in asked]
        assert statuses == [*[202] * 5, 429] * 2
    problem(await cleo.ask("PUT", "/users/me/email", {"email": cleo.email}), 429, "too_many_attempts")
    await service.dashtam.relay.deliver()
    assert len(service.mails.subjects(cleo.email)) == 5
    assert len(service.mails.subjects("NOBODY@example.org")) == 5


def forged(kind: str, whom: Resident) -> str:
    """A secret of 256 random bits that names somebody, made by somebody else."""
    return f"dashtam_{kind}_{urlsafe_b64encode(whom.user_id.bytes + secrets.token_bytes(32)).decode()}"


@pytest.mark.parametrize("forger", ["anybody", "another person"])
async def test_a_forged_subject_is_nobody(service: Service, cleo: Resident, dave: Resident, forger: str) -> None:
    """Tokens that name somebody, and true ones in another's place, open nothing and keep nobody out."""
    await service.ask("POST", "/password-resets", {"email": cleo.email})
    mailed, program, before = await service.mailed(cleo.email), await cleo.api_token(), await held(cleo)
    one = {"anybody": cleo, "another person": dave}[forger].session
    his, hers = (str(each.session["access_token"]).rpartition(".") for each in (dave, cleo))
    bearers = {
        "forged API token": forged("api", cleo),
        "forged refresh token": forged("refresh", cleo),
        "a refresh token": one["refresh_token"],
        "a mailed token": mailed,
        "an access token with another's signature": f"{his[0]}.{hers[2]}",
        "an account's id": str(cleo.user_id),
    }
    refreshing = {"an access token": one["access_token"], "an API token": program, "a mailed token": mailed}
    refreshing["forged refresh token"] = bearers["forged refresh token"]
    tries: list[tuple[str, str, str, object, str | None, int]]
    tries = [(name, "GET", "/users/me", None, token, 401) for name, token in bearers.items()]
    tries += [(name, "POST", "/tokens", {"refresh_token": each}, None, 401) for name, each in refreshing.items()]
    for name, token in (("forged mailed token", forged("mail", cleo)), ("an API token", program)):
        said = {"token": token, "password": PASSWORD}
        tries += [(name, "POST", "/email-verifications", said, None, 422)]
        tries += [(name, "PUT", "/password-resets", said, None, 422)]
    for name, method, path, body, bearer, status in tries:
        answers = [await service.ask(method, path, body, token=bearer, peer="203.0.113.66") for _ in range(4)]
        assert {each.status_code for each in answers} == {status}
        show(f"{name:41} {method:4} {path:20} 4 x {status}")
    assert await held(cleo) == before
    assert (await service.log_in(cleo.email)).status_code == 201
    assert (await service.refresh(cleo.session["refresh_token"])).status_code == 200
    assert (await service.ask("GET", "/users/me", token=program)).status_code == 200
    said = {"token": mailed, "password": NEW}
    assert (await service.ask("PUT", "/password-resets", said)).status_code == 204


async def test_what_a_mail_server_reads_alike_counts_alike(service: Service) -> None:
    """Letters of another width in a domain, and spaces before it, lead to the same mailbox and its limit."""
    spelled = [
        "ann@example.org",
        "ann@\uff45xample.org",
        "ann@e\uff58ample.org",
        " " * 300 + "ann@exampl\uff45.org",
    ]
    asked = [(spelled[n % 4], f"198.51.100.{n}") for n in range(6)]
    statuses = [
        (await service.ask("POST", "/password-resets", {"email": e}, peer=p)).status_code for e, p in asked
    ]
    assert statuses == [202] * 5 + [429]


async def test_a_site_with_many_networks_is_one_guesser(service: Service) -> None:
    """Whoever has 65,536 networks of IPv6 has 240 tries at once and no more, and leaves room for others."""
    before, began = service.hasher.verified, time.monotonic()

    def ask(number: int) -> Awaitable[httpx.Response]:
        return service.log_in(f"n{number}@example.org", NEW, peer=f"2001:db8:7:{number:x}::1")

    statuses = await at_once(300, ask)
    room = (time.monotonic() - began) // 0.5
    assert 240 <= service.hasher.verified - before <= 240 + room
    assert statuses.count(429) >= 60 - room
    assert (await service.log_in("nobody@example.org", NEW, peer="2001:db8:8::1")).status_code == 401
