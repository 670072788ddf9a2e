"""The container: scopes are inferred, gaps and circles are explained, nothing leaks between requests."""

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import attrs
import pytest

from dashtam_core import AssemblyError, provide
from dashtam_core.container import Container
from dashtam_core.kernel import UnavailableCode, UnavailableError


class Request:
    """What each request brings."""


class Engine:
    """A thing of the application."""


@attrs.frozen(eq=False)
class Repository:
    request: Request
    engine: Engine


@attrs.frozen(eq=False)
class Service:
    repository: Repository
    engine: Engine


@attrs.frozen(eq=False)
class Handler:
    service: Service
    repository: Repository
    request: Request


class Counted:
    """A factory that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def engine(self) -> Engine:
        self.calls += 1
        return Engine()


def container(*more: Any) -> Container:
    bindings = (
        provide(Engine).by(Engine),
        provide(Repository).by(Repository),
        provide(Service).by(Service),
        *more,
    )
    return Container(bindings, request_ports=[Request])


def test_what_needs_no_request_is_made_once() -> None:
    """An adapter that hangs on no request is one for the whole application."""
    counted = Counted()
    whole = container(provide(Engine).by(counted.engine))
    make = whole.maker(Handler)
    engines = [make({Request: Request()}).service.engine for _ in range(3)]
    assert {*engines, whole.get(Engine)} == {engines[0]}
    assert counted.calls == 1


def test_what_needs_a_request_is_made_anew() -> None:
    """Whatever hangs on a request, also through others, is made for each and shared inside it."""
    make = container().maker(Handler)
    one, two = make({Request: Request()}), make({Request: Request()})
    assert one.repository is one.service.repository
    assert one.repository.request is one.request
    assert one.service is not two.service
    assert one.repository is not two.repository


def test_nothing_of_a_request_stays() -> None:
    """A request's objects are in no later one, and what it brought is left as it was."""
    make = container().maker(Handler)
    brought: dict[Any, Any] = {Request: Request()}
    first = make(brought)
    assert list(brought) == [Request]
    again = make(brought)
    assert again.request is first.request
    assert again.repository is not first.repository


def test_later_bindings_win() -> None:
    """An override replaces the default for all who need the port."""
    mine = Engine()
    whole = container(provide(Engine).value(mine))
    assert whole.get(Engine) is mine
    assert whole.maker(Handler)({Request: Request()}).repository.engine is mine


def test_what_is_overridden_is_never_made() -> None:
    """The factory that lost is not called."""
    counted = Counted()
    Container([provide(Engine).by(counted.engine), provide(Engine).by(Engine)]).get(Engine)
    assert counted.calls == 0


def test_a_missing_port_is_explained() -> None:
    """The error names the port, who needs it all the way up, and what to do."""
    bindings = [provide(Service).by(Service), provide(Repository).by(Repository)]
    with pytest.raises(AssemblyError) as caught:
        Container(bindings, request_ports=[Request])
    for word in ("nothing provides Engine", "Service → Repository", "provide(Engine).by(...)", "install"):
        assert word in str(caught.value)
    with pytest.raises(AssemblyError, match="Engine, needed by the caller"):
        Container([]).get(Engine)
    with pytest.raises(AssemblyError, match="nothing provides Service, needed by Handler"):
        Container([], request_ports=[Request]).maker(Handler)


class Hen:
    """Wants an egg, which wants a hen."""


class Egg:
    """Wants a hen, which wants an egg."""


def hen(egg: Egg) -> Hen:
    raise NotImplementedError


def egg(hen: Hen) -> Egg:
    raise NotImplementedError


class Itself:
    """Wants another of itself."""


def itself(other: Itself) -> Itself:
    raise NotImplementedError


def test_a_circle_is_explained() -> None:
    """The error draws the circle, when the container is built and not at the first request."""
    with pytest.raises(AssemblyError, match="circular: Hen → Egg → Hen: let one of them"):
        Container([provide(Hen).by(hen), provide(Egg).by(egg)])
    with pytest.raises(AssemblyError, match="circular: Itself → Itself"):
        Container([provide(Itself).by(itself)])


def untyped(engine) -> Repository:  # type: ignore[no-untyped-def] # noqa: ANN001 # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]
    raise NotImplementedError


def dangling(engine: "NoSuchName") -> Engine:  # type: ignore[name-defined] # noqa: F821 # pyright: ignore[reportUndefinedVariable]
    raise NotImplementedError


def test_a_parameter_without_a_type_is_explained() -> None:
    """A factory's parameter that says no port cannot be filled, and is named."""
    factory: Callable[..., Repository] = untyped  # pyright: ignore[reportUnknownVariableType]
    with pytest.raises(AssemblyError, match="untyped takes engine without a type: annotate it"):
        Container([provide(Repository).by(factory)])


def test_a_type_that_cannot_be_found_is_explained() -> None:
    """A name that is there for the type checker alone is named with the factory."""
    factory: Callable[..., Engine] = dangling  # pyright: ignore[reportUnknownVariableType]
    with pytest.raises(AssemblyError, match=r"dangling cannot be read: .*NoSuchName"):
        Container([provide(Engine).by(factory)])


class Misspelled:
    def make(self, engine: "attrs.NoSuchName") -> Engine:  # type: ignore[name-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownParameterType, reportUnknownMemberType]
        raise NotImplementedError


def test_an_attribute_that_cannot_be_found_is_explained() -> None:
    """A type that its module does not have is named with the factory, as a missing name is."""
    factory: Callable[..., Engine] = Misspelled().make  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    with pytest.raises(AssemblyError, match="make cannot be read"):
        Container([provide(Engine).by(factory)])


def test_a_default_is_left_to_the_factory() -> None:
    """A parameter with a default is not filled."""

    def make(name: str = "default") -> Engine:
        made = Engine()
        made.name = name  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]
        return made

    assert vars(Container([provide(Engine).by(make)]).get(Engine)) == {"name": "default"}


def test_a_thing_of_a_request_is_not_had_outside_one() -> None:
    """Asking the application for what a request makes is refused, naming it."""
    whole = container()
    with pytest.raises(AssemblyError, match="Repository is made for each request"):
        whole.get(Repository)
    with pytest.raises(AssemblyError, match="Request is made for each request"):
        whole.get(Request)


class Port(Protocol):
    def do(self) -> int: ...


class Adapter:
    def do(self) -> int:
        return 7


def test_a_port_may_be_a_protocol_or_any_type() -> None:
    """Ports are keys of any type: protocols, classes and parametrized types."""
    whole = Container([provide(Port).by(Adapter), provide(list[int]).value([1]), provide(list[str]).value(["a"])])
    assert whole.get(Port).do() == 7
    assert (whole.get(list[int]), whole.get(list[str])) == ([1], ["a"])


@attrs.frozen(kw_only=True)
class Keywords:
    engine: Engine


def keywords(*, engine: Engine) -> Engine:
    return engine


def test_parameters_by_keyword_are_filled() -> None:
    """A factory whose parameters go by keyword alone, as kw_only attrs classes have them, is filled as well."""
    whole = container(provide(Keywords).by(Keywords))
    assert whole.maker(keywords)({}) is whole.get(Keywords).engine


def open_ended(*args) -> Engine:  # type: ignore[no-untyped-def] # noqa: ANN002 # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]
    raise NotImplementedError


def test_open_ended_parameters_are_refused() -> None:
    """`*args` says no type: the factory is refused when the container is built."""
    factory: Callable[..., Engine] = open_ended  # pyright: ignore[reportUnknownVariableType]
    with pytest.raises(AssemblyError, match="without a type"):
        Container([provide(Engine).by(factory)])


def test_a_factory_that_fails_is_not_kept() -> None:
    """An adapter that could not be made is tried again the next time."""
    tries: list[int] = []

    def make() -> Engine:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("not yet")
        return Engine()

    whole = Container([provide(Engine).by(make)])
    with pytest.raises(OSError, match="not yet"):
        whole.get(Engine)
    assert whole.get(Engine) is whole.get(Engine)


class Cache:
    """Another thing of the application."""


class Closings(list[str]):
    """What was closed, in order, and how."""

    def noting(self, how: str) -> Callable[[Any], Awaitable[None]]:
        async def close(thing: Any) -> None:
            self.append(f"{how} {type(thing).__name__}")

        return close


def cache(engine: Engine) -> Cache:
    return Cache()


async def never(thing: Any) -> None:
    await asyncio.Event().wait()


async def cancels_itself(thing: Any) -> None:
    raise CancelledError


async def fails(thing: Any) -> None:
    raise RuntimeError("no")


def fails_at_once(thing: Any) -> Awaitable[None]:
    raise RuntimeError("no")


async def test_what_was_made_is_closed_in_reverse_order() -> None:
    """What another was made from is closed after it, values last of all, and each of them once."""
    closings = Closings()
    close = closings.noting("closed")
    whole = Container(
        [
            provide(Cache).by(cache, closing=close),
            provide(Engine).by(Engine, closing=close),
            provide(Adapter).value(Adapter(), closing=close),
        ]
    )
    whole.get(Cache)
    await whole.aclose()
    await whole.aclose()
    assert closings == ["closed Cache", "closed Engine", "closed Adapter"]


async def test_what_was_not_made_is_not_closed() -> None:
    """Closing makes nothing, and what an override replaced is not ours to close."""
    closings, counted = Closings(), Counted()
    replaced = provide(Cache).value(Cache(), closing=closings.noting("replaced"))
    override = provide(Cache).value(Cache(), closing=closings.noting("override"))
    engine = provide(Engine).by(counted.engine, closing=closings.noting("closed"))
    await Container([replaced, engine, override]).aclose()
    assert (closings, counted.calls) == (["override Cache"], 0)


@pytest.mark.parametrize(
    ("close", "why"),
    [
        (fails, "failed"),
        (fails_at_once, "failed"),
        (cancels_itself, "failed"),
        (never, "was not done by the deadline"),
    ],
)
async def test_what_does_not_close_stops_nothing(
    close: Callable[[Any], Awaitable[None]], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, by its port's name and with the error, and the others are closed."""
    closings = Closings()
    whole = Container(
        [
            provide(Engine).value(Engine(), closing=closings.noting("closed")),
            provide(list[int]).value([1], closing=close),
        ]
    )
    async with asyncio.timeout(5):
        await whole.aclose(deadline=0.01)
    assert closings == ["closed Engine"]
    (record,) = caplog.records
    assert record.getMessage() == f"closing list[int] {why}"
    assert record.exc_info


async def test_the_deadline_is_for_all_together(caplog: pytest.LogCaptureFixture) -> None:
    """When it has passed, what is still to be closed gets no time of its own."""
    closings = Closings()

    async def wait(thing: Engine) -> None:
        await asyncio.sleep(0)
        await closings.noting("closed")(thing)

    engine, slow = provide(Engine).value(Engine(), closing=wait), provide(Cache).value(Cache(), closing=never)
    await Container([engine, slow]).aclose(deadline=0.01)
    assert closings == []
    assert [vars(record)["port"] for record in caplog.records] == ["Cache", "Engine"]


async def test_closing_may_be_cancelled_and_taken_up_again(caplog: pytest.LogCaptureFixture) -> None:
    """Who waits for the end may give up: that is no failure, and what is left can still be closed."""
    closings, begun = Closings(), asyncio.Event()

    async def wait(thing: Any) -> None:
        begun.set()
        await never(thing)

    whole = Container(
        [
            provide(Cache).value(Cache(), closing=closings.noting("closed")),
            provide(Engine).value(Engine(), closing=wait),
        ]
    )
    closing = asyncio.create_task(whole.aclose())
    await begun.wait()
    closing.cancel()
    with pytest.raises(CancelledError):
        await closing
    await whole.aclose()
    assert (closings, caplog.records) == (["closed Cache"], [])


async def test_nothing_is_had_from_what_is_closed() -> None:
    """Neither a port nor a request nor a ping: what they would use is gone, and is named."""
    whole = container()
    make = whole.maker(Handler)
    await whole.aclose()
    gone = "is closed: ask before the application ends"
    with pytest.raises(AssemblyError, match=f"Engine, needed by the caller, {gone}"):
        whole.get(Engine)
    with pytest.raises(AssemblyError, match=f"Handler, needed by a request, {gone}"):
        make({Request: Request()})
    with pytest.raises(AssemblyError, match=f"Engine, needed by keywords, {gone}"):
        whole.maker(keywords)
    with pytest.raises(AssemblyError, match=gone):
        await whole.ping()


async def test_a_ping_asks_everything_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each answers for itself; an error that tells the operator nothing is a bug, and logged."""
    meet, down = asyncio.Barrier(2), UnavailableError(UnavailableCode.STORE_UNREACHABLE, "start it")

    async def asked(thing: Any) -> None:
        await meet.wait()

    async def is_down(thing: Any) -> None:
        await meet.wait()
        raise down

    whole = Container(
        [
            provide(Engine).value(Engine(), ping=asked),
            provide(Cache).value(Cache(), ping=is_down),
            provide(Adapter).value(Adapter(), ping=fails_at_once),
            provide(Hen).value(Hen(), ping=cancels_itself),
            provide(Egg).by(Egg, ping=never),  # nobody needed it so far, so it is not made
        ]
    )
    async with asyncio.timeout(30):
        answers = await whole.ping()
    assert {name: str(error) if error else None for name, error in answers.items()} == {
        "Engine": None,
        "Cache": "start it",
        "Adapter": "no",
        "Hen": "the ping of Hen was cancelled",
    }
    assert answers["Cache"] is down
    assert [record.getMessage() for record in caplog.records] == [
        "the ping of Adapter failed",
        "the ping of Hen failed",
    ]


async def test_a_ping_takes_no_longer_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    """What does not answer in time is unavailable, and says what to look at."""
    answers = await Container([provide(Engine).value(Engine(), ping=never)]).ping(timeout=0.01)
    error = answers["Engine"]
    assert isinstance(error, UnavailableError)
    assert (error.code, caplog.records) == (UnavailableCode.TOO_SLOW, [])
    assert "Engine did not answer in time: see" in error.message


async def test_a_ping_may_be_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """Who gives up waiting for an answer is no bug of what was asked."""
    asking = asyncio.create_task(Container([provide(Engine).value(Engine(), ping=never)]).ping())
    for _ in range(3):
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(CancelledError):
        await asking
    assert (caplog.records, asyncio.all_tasks()) == ([], {asyncio.current_task()})


def test_what_cannot_be_closed_or_pinged_does_not_start() -> None:
    """A thing of a request with a closing or a ping, and two pings of one name, are refused at start."""
    for use in ({"closing": fails}, {"ping": fails}):
        with pytest.raises(
            AssemblyError, match="Repository is made for each request: nothing can close or ping it"
        ):
            container(provide(Repository).by(Repository, **use))
    other = type("Engine", (), {})
    with pytest.raises(AssemblyError, match="two ports called Engine have a ping"):
        container(provide(Engine).by(Engine, ping=fails), provide(other).by(other, ping=fails))
    container(
        provide(Engine).by(Engine, ping=fails), provide(other).by(other), provide(Engine).by(Engine, ping=fails)
    )
