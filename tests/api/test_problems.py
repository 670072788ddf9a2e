"""What is answered when something is wrong that no endpoint knows of."""

from uuid import UUID

import httpx
import pytest

from api.people import Person, problem
from dashtam_core import Dashtam, Settings, UnavailableError, provide
from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind, Subject, UnavailableCode
from dashtam_core.memory import MemoryStore
from dashtam_core.store import Store, UnitOfWork
from dashtam_fastapi import ProblemError, ServiceSettings, create_app, problem_response

STATUSES = {
    ErrorKind.INVALID: 422,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.TOO_MANY: 429,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED: 415,
    ErrorKind.UNAVAILABLE: 503,
}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_error_has_its_status(kind: ErrorKind) -> None:
    """A kind without a status would be a 500 one day."""

    class Code(ErrorCode):
        SOMETHING = "something", kind

    answer = problem_response(ProblemError.of(DomainError(Code.SOMETHING, "why, and what to do")))
    assert answer.status_code == STATUSES[kind]
    assert ("retry-after" in answer.headers) == (kind is ErrorKind.UNAVAILABLE)
    assert ("www-authenticate" in answer.headers) == (kind is ErrorKind.UNAUTHENTICATED)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/v1/nothing", "/v1/accounts/", "/docs/nothing", "/health"])
async def test_an_unknown_path_is_not_found(ann: Person, path: str) -> None:
    """A path that nothing is at answers 404 and redirects nowhere."""
    problem(await ann.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/accounts", "GET"),
        ("GET", "/v1/imports", "POST"),
        ("PUT", "/v1/transactions", "GET"),
        ("OPTIONS", "/v1/accounts", "GET"),
        ("TRACE", "/v1/accounts", "GET"),
        ("POST", "/health/live", "GET"),
        ("POST", "/docs", "GET"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_refused(
    ann: Person, method: str, path: str, allowed: str
) -> None:
    """The answer is 405, and Allow names what is taken."""
    answer = await ann.http.request(method, path)
    problem(answer, 405, "method_not_allowed")
    assert allowed in answer.headers["allow"]


class Down(MemoryStore):
    """A store whose server goes away once it is open."""

    opened = False

    async def ping(self) -> None:
        if not self.opened:
            self.opened = True
            return
        raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, "the database does not answer: start it")

    def unit_of_work(self, subject: Subject, /) -> UnitOfWork:  # type: ignore[override]
        raise UnavailableError(UnavailableCode.STORE_UNREACHABLE, "the database does not answer: start it")


class TestWithoutItsStore:
    """The service while its database is away."""

    @pytest.fixture(params=["down"])
    def data(self) -> Store:
        return Down()

    async def test_a_request_is_put_off(self, nobody: httpx.AsyncClient) -> None:
        """What needs the store answers 503, with when to try again."""
        answer = await nobody.get("/v1/accounts", headers={"authorization": "Bearer some"})
        problem(answer, 503, "store_unreachable")
        assert int(answer.headers["retry-after"]) > 0

    async def test_it_is_alive_but_not_ready(
        self, nobody: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Liveness asks nothing; readiness names the port, and the log says what is missing and where."""
        assert (await nobody.get("/health/live")).json() == {"status": "live"}
        answer = await nobody.get("/health/ready")
        (error,) = problem(answer, 503, "not_ready")["errors"]
        assert error == {"port": "Store", "detail": "this cannot serve now"}
        assert "database" not in answer.text, "where the store should be is the operator's to know"
        assert "Store: [store_unreachable] the database does not answer: start it" in caplog.text
        assert int(answer.headers["retry-after"]) > 0


class Rates:
    """A port of an application's own, whose server does not answer."""

    async def ping(self) -> None:
        raise ConnectionRefusedError("rates.internal:6379")


async def test_readiness_names_each_port_that_is_down() -> None:
    """A port beside the store is asked too, and the one that serves is not named."""
    rates = provide(Rates).value(Rates(), ping=Rates.ping)
    async with Dashtam.open(settings=Settings(), plugins=(), overrides=[rates], workers=False) as dashtam:
        transport = httpx.ASGITransport(create_app(ServiceSettings(), dashtam=dashtam))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.get("/health/ready")
    assert [each["port"] for each in problem(answer, 503, "not_ready")["errors"]] == ["Rates"]
    assert "internal" not in answer.text


async def test_a_service_with_its_store_is_ready(nobody: httpx.AsyncClient) -> None:
    """Both checks answer 200 without a token."""
    assert (await nobody.get("/health/live")).json() == {"status": "live"}
    assert (await nobody.get("/health/ready")).json() == {"status": "ready"}


async def test_a_request_keeps_the_id_its_sender_gave(nobody: httpx.AsyncClient) -> None:
    """A plain token is taken over; anything else is replaced by an id of ours, a UUID of version 7."""
    for sane in ("abc", "0198a000-0000-7000-8000-000000000000", "x" * 64):
        assert (await nobody.get("/health/live", headers={"request-id": sane})).headers["request-id"] == sane
    for insane in ("", "x" * 65, "a b", "a\tb", "<script>"):
        given = (await nobody.get("/health/live", headers={"request-id": insane})).headers["request-id"]
        assert UUID(given).version == 7
    one, other = [(await nobody.get("/v1/accounts")).headers["request-id"] for _ in range(2)]
    assert one != other


async def test_answers_are_neither_kept_nor_guessed_at(ann: Person) -> None:
    """What is somebody's is not stored on the way, and its type is as it says."""
    for path in ("/v1/accounts", "/v1/transactions"):
        answer = await ann.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/json"


async def test_an_application_opens_a_dashtam_of_its_own(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one given, the lifespan opens what the environment says."""
    monkeypatch.setenv("DASHTAM_STORE_URL", "memory:")
    app = create_app(ServiceSettings())
    async with app.router.lifespan_context(app):
        assert isinstance(app.state.dashtam, Dashtam)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            assert (await client.get("/health/ready")).status_code == 200


async def test_a_bug_before_the_endpoint_is_a_problem_too() -> None:
    """Even where the application was put together wrongly, the answer is problem details."""
    app = create_app(ServiceSettings())  # and its lifespan never ran
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        answer = await client.get("/v1/accounts", headers={"authorization": "Bearer some"})
    problem(answer, 500, "internal_server_error")
    assert "NoneType" not in answer.text
