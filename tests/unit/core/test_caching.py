"""Answers from the cache: never from before a change that was answered, never another's, and asked for once."""

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, cast
from unittest.mock import patch
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashtam_core import Dashtam, Settings
from dashtam_core.identity import ACCOUNTS_READ, ACCOUNTS_WRITE, ExternalSubject
from dashtam_core.kernel import (
    Failure,
    Origin,
    Permission,
    Success,
    UnavailableCode,
    UnavailableError,
    UserId,
    new_id,
)
from dashtam_core.memory import MemoryCache, MemoryStore, _shared
from dashtam_core.messaging import (
    KEPT_SECONDS,
    Answer,
    Call,
    Command,
    Notes,
    Outgoing,
    Query,
    QueryCache,
    Rendering,
)
from dashtam_core.messaging import _caching as caching

ANN, BEN = ExternalSubject("ann"), ExternalSubject("ben")
KEY = os.urandom(32)
PLAIN = Rendering("plain", lambda value: str(value).encode())
LOUD = Rendering("loud", lambda value: f"{value}!".encode())
OUTCOMES = ["fine", "fine", "fine", "fine", "failed before", "failed after", "cancelled"]


@attrs.frozen
class Total(Query[int, str]):
    permission: ClassVar[Permission] = ACCOUNTS_READ
    resource_type: ClassVar[str] = "total"
    cached: ClassVar[bool] = True
    of: str = ""


class Watched(Total):
    audited: ClassVar[bool] = True


class Uncached(Total):
    cached: ClassVar[bool] = False


@attrs.frozen
class Add(Command[int, str]):
    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "total"


class Look(Add):
    changes_data: ClassVar[bool] = False


class BrokenError(Exception):
    """What the store raises on purpose."""


class Clock:
    """Time as the test says."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = perf_counter = time


@contextmanager
def own_time() -> Generator[Clock]:
    clock = Clock()
    with patch.object(caching, "time", clock), patch.object(_shared, "_now", clock.time):
        yield clock


@pytest.fixture
def clock() -> Generator[Clock]:
    with own_time() as made:
        yield made


@attrs.define
class Flaky(MemoryCache):
    """A cache that does not answer while it is `down`."""

    down: bool = False
    sets: Counter[str] = attrs.field(factory=Counter[str])
    hears: asyncio.Event = attrs.field(factory=asyncio.Event)
    replies: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Before and after something is set: who sets it waits."""

    def __attrs_post_init__(self) -> None:
        super().__init__()
        self.hears.set()
        self.replies.set()

    async def get_many(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        await self._answer()
        return await super().get_many(keys)

    async def set(self, key: str, value: bytes, /, *, seconds: float) -> None:
        await self._answer()
        await self.hears.wait()
        self.sets[key.split("/")[1]] += 1
        await super().set(key, value, seconds=seconds)
        await self.replies.wait()

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise UnavailableError(UnavailableCode.CACHE_UNREACHABLE, "down: start it")

    @property
    def answers(self) -> dict[str, tuple[bytes, float]]:
        return {key: kept for key, kept in self._kept.items() if "/answer/" in key}


@attrs.define
class Data:
    """The store, as a stage sees what comes after it: it counts who asks, and waits while it is shut."""

    value: Any = 1
    asked: int = 0
    open: asyncio.Event = attrs.field(factory=asyncio.Event)
    refuses: bool = False
    fails: Exception | None = None

    def __attrs_post_init__(self) -> None:
        self.open.set()

    async def __call__(self, call: Call) -> Answer:
        self.asked += 1
        value = self.value
        await self.open.wait()
        if self.fails:
            raise self.fails
        if isinstance(call.message, Command):
            self.value += 1
        return Failure("no") if self.refuses else Success(value)


def call_of(message: Any, who: ExternalSubject = ANN, render: Rendering | None = PLAIN) -> Call:
    unit = MemoryStore().unit_of_work(who)
    return Call(
        message, cast("Any", None), who, None, unit, Outgoing(), Notes(), Origin(), new_id(), render=render
    )


@pytest.fixture
def cache() -> Flaky:
    return Flaky()


@pytest.fixture
def stage(cache: Flaky) -> QueryCache:
    return QueryCache(cache, KEY)


async def settled() -> None:
    """Everybody has come as far as they can."""
    for _ in range(12):
        await asyncio.sleep(0)


@attrs.define
class World(MemoryCache):
    """Some processes over one cache and one store, each of whose steps is taken when the test says."""

    clock: Clock
    gates: list[tuple[asyncio.Future[str], "asyncio.Task[Any]"]] = attrs.field(factory=list[Any])
    hit: set["asyncio.Task[Any]"] = attrs.field(factory=set["asyncio.Task[Any]"])
    values: Counter[UserId] = attrs.field(factory=Counter[UserId])
    known: dict[object, int] = attrs.field(factory=lambda: defaultdict[object, int](int))
    """The least that whoever begins to read may be told: in a process, or in all of them."""
    late: list[tuple[float, UserId, int]] = attrs.field(factory=list[tuple[float, UserId, int]])
    stale: list[str] = attrs.field(factory=list[str])

    def __attrs_post_init__(self) -> None:
        super().__init__()
        self.processes = [QueryCache(self, KEY), QueryCache(self, KEY)]

    async def step(self, done: Callable[[], Any], *, cache: bool) -> Any:
        """Waits for its turn; what is cut off or fails at the cache has hit the change it belongs to."""
        task = asyncio.current_task()
        assert task is not None
        gate = asyncio.get_running_loop().create_future()
        self.gates.append((gate, task))
        try:
            outcome = await gate
        except asyncio.CancelledError:
            self.hit |= {task} if cache else set()
            raise
        answer = None if outcome == "failed before" else done()
        if outcome != "fine":
            self.hit |= {task} if cache else set()
            raise UnavailableError(UnavailableCode.CACHE_UNREACHABLE, outcome) if cache else BrokenError
        return answer

    async def get_many(self, keys: Sequence[str], /) -> Sequence[bytes | None]:
        found: Sequence[bytes | None] = await self.step(lambda: [self._now(key) for key in keys], cache=True)
        return found

    async def set(self, key: str, value: bytes, /, *, seconds: float) -> None:
        await self.step(lambda: self._kept.update({key: (value, self.clock.now + seconds)}), cache=True)

    def _now(self, key: str) -> bytes | None:
        value, until = self._kept.get(key, (None, 0.0))
        return value if self.clock.now < until else None

    async def read(self, process: int, who: ExternalSubject) -> None:
        began, user_id = self.clock.now, who.user_id
        late = [value for at, whose, value in self.late if whose == user_id and at + KEPT_SECONDS <= began]
        least = max([self.known[user_id], self.known[process, user_id], *late])

        async def store(_: Call) -> Answer:
            seen = await self.step(lambda: self.values[user_id], cache=False)
            await self.step(lambda: None, cache=False)
            return Success(seen)

        told = int((await self.processes[process](call_of(Total(), who), store)).unwrap())
        if told < least:
            self.stale.append(f"{who} is told {told} in process {process}, and {least} was known before")

    async def change(self, process: int, who: ExternalSubject, *, commits: bool) -> None:
        task, user_id, made = asyncio.current_task(), who.user_id, 0
        assert task is not None

        def commit() -> None:
            nonlocal made
            self.values[user_id] += 1
            made = self.values[user_id]

        async def store(_: Call) -> Answer:
            await self.step(commit if commits else lambda: None, cache=False)
            await self.step(lambda: None, cache=False)
            return Success(0) if commits else Failure("no")

        try:
            await self.processes[process](call_of(Add(), who, None), store)
        finally:
            self.known[process, user_id] = max(self.known[process, user_id], made)
            if task in self.hit:
                self.late.append((self.clock.now, user_id, made))
            else:
                self.known[user_id] = max(self.known[user_id], made)

    def pass_on(self, which: int, outcome: str) -> None:
        """Lets one of those who wait take its step, if it goes at all."""
        gate, task = self.gates.pop(which % len(self.gates))
        if outcome == "cancelled":
            task.cancel()
        elif not gate.done():
            gate.set_result(outcome)


STEP = st.one_of(
    st.tuples(st.just("read"), st.integers(0, 1), st.sampled_from([ANN, ANN, BEN])),
    st.tuples(st.just("change"), st.integers(0, 1), st.sampled_from([ANN, ANN, BEN]), st.booleans()),
    *[st.tuples(st.just("go on"), st.integers(0, 5), st.sampled_from(OUTCOMES))] * 4,
    st.tuples(st.just("wait"), st.sampled_from([0.5, 25.0, 59.0, 61.0])),
    st.tuples(st.sampled_from(["forget", "cut off"]), st.integers(0, 9)),
)


@settings(max_examples=settings().max_examples * 8)
@given(steps=st.lists(STEP, min_size=10, max_size=70))
def test_nobody_is_told_what_was_before_a_change_that_was_answered(steps: list[Any]) -> None:
    """However reads, changes, failures, cancellations, evictions and time fall: only what may be outdated is."""

    async def live() -> list[str]:
        world, tasks = World(time), list[asyncio.Task[None]]()
        for step in [*steps, *[("go on", 0, "fine")] * 40]:
            match step:
                case ("read", int(process), ExternalSubject() as who):
                    tasks.append(asyncio.create_task(world.read(process, who)))
                case ("change", int(process), ExternalSubject() as who, bool(commits)):
                    tasks.append(asyncio.create_task(world.change(process, who, commits=commits)))
                case ("go on", int(which), str(outcome)) if world.gates:
                    world.pass_on(which, outcome)
                case ("cut off", int(which)) if tasks:
                    tasks[which % len(tasks)].cancel()
                case ("wait", float(seconds)):
                    time.now += seconds
                case ("forget", int(which)) if world._kept:
                    del world._kept[[*world._kept][which % len(world._kept)]]
                case _:
                    pass  # there is nothing it could be done to
            await settled()
        while world.gates:
            world.pass_on(0, "fine")
            await settled()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(each) for each in ended} <= {type(None), asyncio.CancelledError, BrokenError}
        return world.stale

    with own_time() as time:
        assert asyncio.run(live()) == []


async def test_a_hundred_who_ask_at_once_ask_the_store_once(stage: QueryCache, cache: Flaky) -> None:
    """One asks, and all are told what it found; whoever comes later finds it kept."""
    data = Data()
    assert set(await asyncio.gather(*(stage(call_of(Total()), data) for _ in range(100)))) == {Success(b"1")}
    assert (data.asked, cache.sets) == (1, {"version": 1, "answer": 1})
    for process in (stage, QueryCache(cache, KEY)):
        assert (await process(call_of(Total()), data), data.asked) == (Success(b"1"), 1)


async def test_one_of_those_who_wait_goes_on_for_who_was_cut_off(stage: QueryCache) -> None:
    """Whoever asked for all is cancelled: one other asks, and the cancelled one alone hears nothing."""
    data = Data()
    data.open.clear()
    leader, *others = [asyncio.create_task(stage(call_of(Total()), data)) for _ in range(50)]
    await settled()
    others.pop().cancel()  # one who only waits takes nothing away from the others
    leader.cancel()
    await settled()
    data.open.set()
    assert set(await asyncio.gather(*others)) == {Success(b"1")}
    assert (leader.cancelled(), data.asked) == (True, 2)


async def test_a_failure_is_shared_and_not_kept(stage: QueryCache, cache: Flaky) -> None:
    """All who asked at once hear of it; the next one asks again."""
    data = Data(refuses=True)
    data.open.clear()
    asking = [asyncio.create_task(stage(call_of(Total()), data)) for _ in range(9)]
    await settled()
    data.open.set()
    assert set(await asyncio.gather(*asking)) == {Failure("no")}
    assert (data.asked, cache.answers) == (1, {})
    data.refuses = False
    assert await stage(call_of(Total()), data) == Success(b"1")


async def test_what_one_asker_runs_into_is_not_the_others(stage: QueryCache, cache: Flaky) -> None:
    """After an exception each of the others asks for itself, at once, and nothing is kept or left behind."""
    data = Data(fails=BrokenError())
    data.open.clear()
    asking = [asyncio.create_task(stage(call_of(Total()), data)) for _ in range(5)]
    await settled()
    data.open.set()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert ({type(each) for each in ended}, data.asked) == ({BrokenError}, 5)
    data.fails = None
    assert (await stage(call_of(Total()), data), stage._flights) == (Success(b"1"), {})


async def test_one_of_many_makes_it_anew_before_its_time(
    stage: QueryCache, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near its end one asks the store early; the others are told meanwhile what is kept."""

    async def slow(call: Call) -> Answer:
        clock.now += 2.0
        return await data(call)

    data = Data()
    await stage(call_of(Total()), slow)
    data.value, clock.now = 2, clock.now + KEPT_SECONDS - 5.0
    monkeypatch.setattr("random.random", lambda: 0.5)  # 2 s · ln 2 is early by 1.4 s
    assert await stage(call_of(Total()), data) == Success(b"1")
    clock.now += 2.0
    told = Counter(map(str, await asyncio.gather(*(stage(call_of(Total()), data) for _ in range(100)))))
    assert (told[str(Success(b"2"))], data.asked) == (1, 2)
    assert await stage(call_of(Total()), data) == Success(b"2")


async def test_what_took_long_is_kept_for_less(stage: QueryCache, cache: Flaky, clock: Clock) -> None:
    """The time counts from before the store was asked: what was read a minute ago is not kept at all."""

    async def slow(call: Call) -> Answer:
        clock.now += seconds
        return await data(call)

    data = Data()
    seconds = KEPT_SECONDS + 1
    await stage(call_of(Total()), slow)
    assert cache.answers == {}
    seconds = KEPT_SECONDS - 1
    await stage(call_of(Total()), slow)
    ((_, until),) = cache.answers.values()
    assert until == clock.now + 1


async def test_what_a_cache_holds_beyond_its_time_is_not_served(
    stage: QueryCache, cache: Flaky, clock: Clock
) -> None:
    """The end is written in what is sealed: a cache that forgets late, or is given it again, changes nothing."""
    data = Data()
    await stage(call_of(Total()), data)
    ((key, (value, _)),) = cache.answers.items()
    clock.now += KEPT_SECONDS
    await cache.set(key, value, seconds=1_000)
    data.open.clear()
    asking = [asyncio.create_task(stage(call_of(Total()), data)) for _ in range(2)]
    await settled()
    assert not any(each.done() for each in asking)  # also not who finds another making it anew
    data.value = 2
    data.open.set()
    await asyncio.gather(*asking)
    assert data.asked == 2


@pytest.mark.parametrize(
    ("message", "who", "render"),
    [
        (Total("x"), ANN, PLAIN),
        (Total(), BEN, PLAIN),
        (Total(), ANN, LOUD),
        (type("Sum", (Total,), {})(), ANN, PLAIN),
    ],
    ids=["another question", "another person", "another rendering", "another query"],
)
async def test_anothers_answer_never_comes(
    stage: QueryCache, cache: Flaky, message: Total, who: ExternalSubject, render: Rendering
) -> None:
    """What is kept is of one person, query, rendering and version; put in another's place it is worth nothing."""
    data = Data()
    await stage(call_of(Total()), data)
    ((_, kept),) = cache.answers.items()
    data.value = 2
    await stage(call_of(message, who, render), data)
    (other,) = [key for key, value in cache.answers.items() if value != kept]
    cache._kept[other] = kept
    cache._kept[f"v1/version/{who.user_id}"] = cache._kept[f"v1/version/{ANN.user_id}"]
    data.value = 3
    assert await stage(call_of(message, who, render), data) == Success(render.write(3))


async def test_what_was_changed_in_the_cache_is_not_served(stage: QueryCache, cache: Flaky) -> None:
    """Each byte that another holds, a piece of it, or another's key: asked for anew, as if nothing were kept."""
    data = Data()
    await stage(call_of(Total()), data)
    ((key, (sealed, until)),) = cache.answers.items()
    pieces = [bytes([*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]]) for at in range(len(sealed))]
    for number, each in enumerate([*pieces, sealed[:20], sealed[:3], b"", sealed + b"x"], 2):
        cache._kept[key], data.value = (each, until), number
        assert await stage(call_of(Total()), data) == Success(b"%d" % number)
    data.value = 1_000
    assert await QueryCache(cache, os.urandom(32))(call_of(Total()), data) == Success(b"1000")


async def test_a_version_that_is_none_keeps_nothing(stage: QueryCache, cache: Flaky) -> None:
    """While somebody changes the data, or where a version is not one: the store answers, and nothing is kept."""
    data = Data()
    for odd in (b"changing", b"", b"x" * 17):
        await cache.set(f"v1/version/{ANN.user_id}", odd, seconds=9)
        assert (await stage(call_of(Total()), data), cache.answers) == (Success(b"1"), {})


@pytest.mark.parametrize(("length", "kept"), [(caching._LARGEST, 1), (caching._LARGEST + 1, 0), (0, 1)])
async def test_a_large_answer_is_not_kept(stage: QueryCache, cache: Flaky, length: int, kept: int) -> None:
    """Beyond 256 KiB an answer is only given."""
    data = Data("x" * length)
    assert await stage(call_of(Total()), data) == Success(b"x" * length)
    assert len(cache.answers) == kept


@pytest.mark.parametrize(
    ("message", "render", "told"), [(Watched(), PLAIN, b"1"), (Uncached(), PLAIN, b"1"), (Total(), None, 1)]
)
async def test_what_is_not_to_be_kept_goes_past_the_cache(
    stage: QueryCache, cache: Flaky, message: Total, render: Rendering | None, told: object
) -> None:
    """An audited query, one that is not cached, and who wants no rendering: the store is asked each time."""
    data = Data()
    for _ in range(2):
        assert await stage(call_of(message, render=render), data) == Success(told)
    assert (data.asked, cache._kept) == (2, {})


async def test_a_command_that_changes_no_data_leaves_what_is_kept(stage: QueryCache, cache: Flaky) -> None:
    """`changes_data = False` leaves the version; any other command takes it away, whatever becomes of it."""
    data = Data()
    await stage(call_of(Total()), data)
    await stage(call_of(Look(), render=None), data)
    assert (await stage(call_of(Total()), data), cache.sets["version"]) == (Success(b"1"), 1)
    data.fails = BrokenError()
    with suppress(BrokenError):
        await stage(call_of(Add(), render=None), data)
    data.fails = None
    assert (await stage(call_of(Total()), data), cache.sets["version"]) == (Success(b"2"), 3)


async def test_while_a_command_runs_nothing_is_kept(stage: QueryCache, cache: Flaky) -> None:
    """From before its transaction until it is over, its person is answered by the store."""
    data = Data()
    await stage(call_of(Total()), data)
    data.open.clear()
    changing = asyncio.create_task(stage(call_of(Add(), render=None), data))
    await settled()
    data.open.set()
    cache._kept = {key: kept for key, kept in cache._kept.items() if "/version/" in key}  # type: ignore[assignment] # as good
    assert await QueryCache(cache, KEY)(call_of(Total()), Data(5)) == Success(b"5")
    assert cache.answers == {}
    await changing


async def test_a_cache_that_is_down_costs_nothing_but_time(stage: QueryCache, cache: Flaky, clock: Clock) -> None:
    """Everything comes from the store, changes too; when it is back, nothing of before is served."""
    data = Data()
    await stage(call_of(Total()), data)
    cache.down = True
    assert await stage(call_of(Add(), render=None), data) == Success(1)
    assert await stage(call_of(Total()), data) == Success(b"2")
    cache.down = False
    clock.now += KEPT_SECONDS - 1
    assert await stage(call_of(Total()), data) == Success(b"2")
    assert (await stage(call_of(Total()), data), data.asked) == (Success(b"2"), 4)


async def test_who_is_owed_is_so_until_the_cache_has_heard(stage: QueryCache, cache: Flaky) -> None:
    """A change could not be told, and the next is on its way to the cache: the store answers until it is there."""
    data = Data()
    await stage(call_of(Total()), data)
    cache.down = True
    await stage(call_of(Add(), render=None), data)
    cache.down = False
    cache.hears.clear()
    telling = asyncio.create_task(stage.changed(ANN.user_id))
    await settled()
    asking = asyncio.create_task(stage(call_of(Total()), data))
    await settled()
    cache.hears.set()
    assert await asking == Success(b"2")
    await telling


async def test_what_an_earlier_telling_hears_late_settles_nothing_later(stage: QueryCache, cache: Flaky) -> None:
    """The cache knew before a change that could not be told, and its reply comes after: the change is owed."""
    data = Data()
    cache.replies.clear()
    telling = asyncio.create_task(stage.changed(ANN.user_id))
    await settled()
    other = asyncio.create_task(QueryCache(cache, KEY)(call_of(Total()), data))
    await settled()
    cache.down = True
    await stage(call_of(Add(), render=None), data)
    cache.down = False
    cache.replies.set()
    await asyncio.gather(telling, other)
    assert await stage(call_of(Total()), data) == Success(b"2")


async def test_those_the_cache_could_not_be_told_of_are_forgotten_in_time(
    stage: QueryCache, cache: Flaky, clock: Clock
) -> None:
    """However long it is down, whoever changes again and again: only who did in the last minute is remembered."""
    cache.down = True
    for number in range(2_000):
        clock.now += 1
        await stage.changed(ANN.user_id)
        await stage.changed(UserId(UUID(int=number)))
    assert len(stage._owed) <= KEPT_SECONDS + 2


async def test_without_a_cache_answers_are_only_rendered() -> None:
    """No cache, no key: the stage renders and does nothing else."""
    stage, data = QueryCache(), Data()
    assert [await stage(call_of(Total()), data) for _ in range(2)] == [Success(b"1")] * 2
    await stage.changed(ANN.user_id)
    assert data.asked == 2


@attrs.define
class Totals:
    """Answers `Total` and `Add`, in an application."""

    total: int = 0
    asked: int = 0

    async def apply(self, message: Total | Add, /) -> Any:
        self.asked += isinstance(message, Total)
        self.total += isinstance(message, Add)
        return Success(self.total)


async def test_an_application_keeps_answers_and_forgets_them() -> None:
    """With a cache configured, `render` asks the store once between two changes of the person."""
    totals = Totals()
    routes: Any = [Total.handled_by(lambda: totals), Add.handled_by(lambda: totals)]
    async with Dashtam.open(settings=Settings(cache_url="memory:"), routes=routes, workers=False) as dashtam:
        ann, ben = dashtam.acting_as(ANN), dashtam.acting_as(BEN)
        for _ in range(3):
            assert await ann.render(Total(), PLAIN) == Success(b"0")
        await ann.execute(Add())
        assert [await ann.render(Total(), LOUD) for _ in range(2)] == [Success(b"1!")] * 2
        assert (await ben.render(Total(), LOUD), await ann.ask(Total())) == (Success(b"1!"), Success(1))
        assert totals.asked == 4
