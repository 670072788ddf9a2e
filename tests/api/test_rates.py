"""How many requests a minute each caller may make, and what every answer says is left."""

import re
from collections.abc import Mapping

import attrs
import httpx
import pytest
from fastapi import APIRouter, FastAPI

from api.mailbox import KEY, Resident, Service
from api.people import Person, problem
from api.test_contributed import client_of
from api.test_document import OPERATIONS, UNPROVEN
from dashtam_core import Dashtam, Settings, UnavailableError, hookimpl
from dashtam_core.identity import Allowance, ExternalSubject, Rate
from dashtam_core.kernel import Subject, UnavailableCode
from dashtam_core.memory import MemoryRateLimiter, MemoryShared, MemoryStore
from dashtam_core.plugins import RouterMaker
from dashtam_core.store import Store
from dashtam_fastapi import ServiceSettings, _rates, create_app, router

LIMIT = 20
ELSEWHERE = "198.51.100.9"


class Limits(MemoryRateLimiter):
    """Remembers what it was asked to count; while `away`, it answers nobody."""

    asked: list[str]
    away = False

    async def take(self, wanted: Mapping[str, Rate], /) -> Allowance:
        self.asked += wanted
        if self.away:
            raise UnavailableError(UnavailableCode.CACHE_UNREACHABLE, "the cache does not answer")
        return await super().take(wanted)


@pytest.fixture
def limits(service: Service) -> Limits:
    found = Limits(service.clock)
    found.asked = []
    return found


@pytest.fixture
def limited(service: Service, limits: Limits) -> Service:
    """The service with 20 requests a minute for a person, and two for an address."""
    service.dashtam.shared = MemoryShared(limits=limits)
    app = create_app(ServiceSettings(rate_limit=LIMIT), dashtam=service.dashtam)
    return attrs.evolve(service, app=app)


@pytest.fixture
def cora(cleo: Resident, limited: Service) -> Resident:
    """Cleo, who logged in before anything was limited."""
    return attrs.evolve(cleo, service=limited)


def said(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers["ratelimit-policy"], answer.headers["ratelimit"]


async def statuses(who: Resident, times: int, **more: str) -> list[int]:
    return [(await who.ask("GET", "/users/me", **more)).status_code for _ in range(times)]


async def test_every_operation_is_counted_and_says_what_is_left(ann: Person, nobody: httpx.AsyncClient) -> None:
    """Those with ids in their paths too, and errors as much as answers; health and the document are free."""
    some, counted = "0198a000-0000-7000-8000-000000000000", {"default": 0, "anonymous": 0}
    await ann.get("/v1/accounts")  # an API token is known from its first use on
    for (method, path), (name, _) in OPERATIONS.items():
        answer = await ann.http.request(method, re.sub(r"\{\w+\}", some, path), params={"misspelt": "1"})
        if not path.startswith("/v1"):
            assert "ratelimit" not in answer.headers
            continue
        policy, most = ("anonymous", 60) if name in UNPROVEN else ("default", 600)
        counted[policy] += 1
        assert answer.headers.get_list("ratelimit-policy") == [f'"{policy}";q={most};w=60']
        assert re.fullmatch(rf'"{policy}";r=\d+;t=\d+', answer.headers["ratelimit"])
    assert counted["default"] == len(OPERATIONS) - len(UNPROVEN) - 2
    for path in ("/health/live", "/openapi.json", "/docs", "/v1/nothing"):
        assert "ratelimit" not in (await nobody.get(path)).headers


@pytest.mark.parametrize("data", ["memory"], indirect=True)
async def test_a_failure_of_ours_says_what_is_left(ann: Person) -> None:
    """Whatever is answered when nobody knows why: also that has the headers."""
    answer = await ann.upload(b"EXPLODE")
    assert (answer.status_code, said(answer)[0]) == (500, '"anonymous";q=60;w=60')


async def test_a_person_has_so_many_wherever_they_come_from(
    cora: Resident, dave: Resident, limited: Service
) -> None:
    """One more is answered 429 with when to come back; then one is taken again. Others are not held up."""
    first = await cora.ask("GET", "/users/me")
    assert said(first) == ('"default";q=20;w=60', '"default";r=19;t=3')
    assert await statuses(cora, LIMIT - 1, peer=ELSEWHERE) == [200] * (LIMIT - 1)
    over = await cora.ask("GET", "/users/me")
    problem(over, 429, "too_many_requests")
    assert (said(over)[1], over.headers["retry-after"]) == ('"default";r=0;t=60', "3")
    assert await statuses(attrs.evolve(dave, service=limited), 1) == [200]
    limited.later(seconds=3)
    assert await statuses(cora, 2) == [200, 429]


async def test_an_address_over_its_limit_is_refused_before_the_store_is_asked(
    limited: Service, cora: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public operations and tokens that are not good count together, by networks; a signed token counts apart."""
    asked, kind = list[Subject](), type(limited.dashtam.store)
    begun = kind.unit_of_work

    def counting(self: Store, subject: Subject) -> object:
        asked.append(subject)
        return begun(self, subject)

    monkeypatch.setattr(kind, "unit_of_work", counting)
    problem(await limited.ask("POST", "/tokens", {"refresh_token": "x"}, peer="2001:db8::1"), 401, "token_unknown")
    wrong = [await limited.ask("GET", "/accounts", token="wrong", peer=f"2001:db8::{each}") for each in range(3)]
    problem(wrong[0], 401, "token_unknown")
    asked.clear()
    for token in ("wrong", "more.than.wrong", None):
        problem(await limited.ask("GET", "/accounts", token=token, peer="2001:db8::9"), 429, "too_many_requests")
    problem(await limited.log_in("cleo@example.org", peer="2001:db8::9"), 429, "too_many_requests")
    assert [each.status_code for each in wrong[1:]] == [429, 429]
    assert asked == []
    assert await statuses(cora, 1, peer="2001:db8::9") == [200]
    problem(await limited.ask("GET", "/accounts", token="wrong", peer="2001:db8:0:1::1"), 401, "token_unknown")


async def test_an_api_token_counts_for_its_person_once_it_was_good(
    service: Service, limited: Service, cleo: Resident, cora: Resident
) -> None:
    """Its first use counts for the address; one that only names a person never counts for that person."""
    token = await cleo.api_token()
    policies = [said(await cora.ask("GET", "/accounts", token=token))[0] for _ in range(3)]
    assert policies == ['"anonymous";q=2;w=60', *['"default";q=20;w=60'] * 2]
    forged = token[:-4] + "AAAA"
    assert said(await cora.ask("GET", "/accounts", token=forged, peer=ELSEWHERE))[0].startswith('"anonymous"')
    assert said(await cora.ask("GET", "/accounts"))[1].startswith('"default";r=17;')


async def test_a_token_that_was_refused_counts_for_the_address(cleo: Resident, cora: Resident) -> None:
    """Who has an ended session's token, or a revoked one, does not use up what its person may ask."""
    signed, token = str(cleo.session["access_token"]), await cleo.api_token()
    assert (await cora.ask("GET", "/accounts", token=token)).status_code == 200
    made = (await cleo.ask("GET", "/api-tokens")).json()["items"]
    await cleo.ask("DELETE", f"/api-tokens/{made[0]['token_id']}")
    await cleo.ask("DELETE", "/sessions")
    for each in (signed, token):
        refused = [await cora.ask("GET", "/accounts", token=each, peer=ELSEWHERE) for _ in range(2)]
        assert [said(answer)[0][:5] for answer in refused] == ['"defa', '"anon']


async def test_each_request_is_counted_once(cora: Resident, limits: Limits) -> None:
    """Known or not, let in or not: the limiter is asked one time, and hears no address."""
    token = await cora.api_token()
    limits.asked.clear()
    for each in (token, token, "wrong", "more.than.wrong"):
        await cora.ask("GET", "/accounts", token=each)
    await cora.ask("POST", "/tokens", {"refresh_token": "x"})
    address, site, *others = limits.asked
    assert (address[:9], site[:5], "192" in address + site) == ("requests:", "site:", False)
    assert others == [f"requests:{cora.user_id}", *[address, site] * 3]


async def test_a_token_in_use_stays_known(dashtam: Dashtam, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many others come: the one that was used longest ago is forgotten first."""
    monkeypatch.setattr(_rates, "_REMEMBERED", 2)
    limit, ann = _rates.RateLimit(LIMIT), ExternalSubject("ann").user_id
    for token in ("used", "once", "used", "new"):
        limit.learn(token, ann)
    assert [limit.holder(dashtam, token) for token in ("used", "once", "new")] == [ann, None, ann]


async def test_a_site_with_many_networks_is_one_caller(limited: Service) -> None:
    """Of IPv6 one has 65,536 networks: together they may do as much as four."""
    peers = [f"2001:db8:7:{number}::1" for number in range(9)]
    found = [(await limited.ask("GET", "/accounts", token="wrong", peer=each)).status_code for each in peers]
    assert found == [401] * 8 + [429]


async def test_without_what_all_processes_share_each_counts_for_itself(cora: Resident, limits: Limits) -> None:
    """While the count of all cannot be had, nobody is let in without being counted."""
    limits.away = True
    assert await statuses(cora, LIMIT + 1) == [200] * LIMIT + [429]


async def test_a_router_in_another_application_counts_if_it_is_told_to(dashtam: Dashtam) -> None:
    """By whom that application says acts; without a limit of its own it leaves that to the application."""
    app = FastAPI()
    app.include_router(router(dashtam, subject=lambda: ExternalSubject("cleo"), rate_limit=3), prefix="/some")
    app.include_router(router(dashtam), prefix="/all")
    async with client_of(app) as client:
        answers = [await client.get(f"/some/v1/accounts?{query}") for query in ("", "x=1", "", "")]
        free = [await client.get("/all/v1/accounts") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 422, 200, 429]
    assert {said(each)[0] for each in answers} == {'"default";q=3;w=60'}
    assert not any(each.status_code == 429 or "ratelimit" in each.headers for each in free)


class Plain:
    """A plugin whose routes are of any class."""

    @hookimpl
    def dashtam_routers(self) -> Mapping[str, RouterMaker]:
        return {"plain": make_plain}


def make_plain() -> APIRouter:
    plain = APIRouter()

    @plain.get("/{name}")
    async def get_name(name: str) -> str:
        return name

    return plain


async def test_the_resources_of_plugins_are_counted() -> None:
    """Whatever class their routes are of."""
    async with (
        Dashtam.open(settings=Settings(key=KEY), store=MemoryStore(), plugins=[Plain()]) as dashtam,
        client_of(create_app(ServiceSettings(rate_limit=10), dashtam=dashtam)) as client,
    ):
        answers = [await client.get("/v1/plain/1") for _ in range(2)]
    assert [each.status_code for each in answers] == [401, 429]
    assert [said(each)[1][:15] for each in answers] == ['"anonymous";r=0'] * 2
