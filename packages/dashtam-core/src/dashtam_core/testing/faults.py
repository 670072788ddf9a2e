"""Faults by plan: any adapter of any port, misbehaving where and when a plan says.

    plan = Faults.at("unit_of_work.__aexit__", call=2, fault=Fault.FAIL_AFTER)
    async with Dashtam.open(store=faulty(MemoryStore(), plan)) as dashtam: ...
    print(plan)

A place is named by the way to it: `audit.record` is the method `record` of what `store.audit` hands out. Async
methods, async context managers (`unit_of_work.__aenter__`, `unit_of_work.__aexit__`) and async iterators
(`audit.leaves.__anext__`) are struck, also those of whatever an adapter hands out: a unit of work, a repository,
the unit inside a delivery (`deliveries.next_for.unit.accounts.add_accounts`). What is not async passes through.
A pattern may leave out the beginning of the way, and `*` stands for anything: `accounts.add_*`.

To try an operation under every fault there is, run it with `Faults()`, then once for each of its `calls`.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum, auto
from fnmatch import fnmatchcase
from functools import cache, partial
from inspect import iscoroutinefunction, isroutine
from typing import Any, Final, Self, cast

import attrs

from dashtam_core.kernel import UnavailableCode, UnavailableError


class Fault(Enum):
    """How a call misbehaves. Leaving a context manager always reaches the adapter, at the least to roll back."""

    FAIL_BEFORE = auto()
    """Nothing happens, and the caller hears an error. A context manager is left with that error."""
    FAIL_AFTER = auto()
    """It happens, and the caller hears an error: the reply was lost."""
    DELAY = auto()
    """It takes longer: half of the time until it happens, half until the caller hears."""
    DUPLICATE = auto()
    """It happens twice, and the caller hears the first answer. For async methods alone."""
    DROP = auto()
    """Nothing happens, and the caller's task is cancelled."""
    CANCEL = auto()
    """It happens, and the caller's task is cancelled before it hears."""
    CRASH = auto()
    """Nothing happens, and nothing does any more: see `Faults.crash`."""


type Places = Mapping[Fault, Sequence[str]]

PLACES: Final[Places] = {
    Fault.FAIL_BEFORE: ("*",),
    Fault.FAIL_AFTER: ("*",),
    Fault.DELAY: ("*",),
    Fault.DUPLICATE: (
        *("cache.*", "stream.append", "stream.done", "stream.after", "stream.latest"),
        *("ping", "maintain", "accounts.*", "documents.*", "person_keys.*", "unit_of_work.flush"),
        *("users.find", "users.look_up", "users.page", "credentials.get", "credentials.find", "credentials.list"),
        *("audit.entries", "audit.seal", "audit.leaf_hashes", "audit.checkpoints", "audit.sweep", "audit.lag"),
        *(f"deliveries.{name}" for name in ("register", "failed", "dead", "retry", "lag", "announce")),
    ),
    Fault.DROP: ("unit_of_work.*",),
    Fault.CANCEL: ("unit_of_work.*",),
}
"""Where each fault is fair: what may be done again, or be cancelled. A crash takes somebody who restarts."""


@attrs.frozen
class Strike:
    """A fault at the `call`th call, from 1 on, of a place. A delay takes `seconds`."""

    path: str
    fault: Fault
    call: int = 1
    seconds: float = 1.0
    error: Callable[[], Exception] | None = attrs.field(default=None, repr=False)
    """What a failure raises instead of `UnavailableError` with the code `store_unreachable`."""

    def __str__(self) -> str:
        took = f" {self.seconds:.3f} s" if self.fault is Fault.DELAY else ""
        return f"{self.path} #{self.call}: {self.fault.name.lower()}{took}"


class Faults:
    """A plan of faults, and the record of what came of it. Without any, it only counts."""

    def __init__(self, *strikes: Strike) -> None:
        self.calls: Counter[str] = Counter()
        """How often each place was called."""
        self.done: list[Strike] = []
        """What was done so far, by the full paths; `str` of the plan has a line for each."""
        self.crashed = asyncio.Event()
        self.life = 0
        self._strikes = strikes
        self._seen: Counter[Strike] = Counter()
        self._draw: Callable[[str], Strike | None] | None = None

    @classmethod
    def at(cls, path: str, /, *, fault: Fault, call: int = 1, **more: Any) -> Self:
        """One fault, with `seconds` or `error` as in `Strike`; `Faults(Strike(...), ...)` plans several."""
        return cls(Strike(path, fault, call, **more))

    @classmethod
    def seeded(
        cls, seed: int, *strikes: Strike, rate: float, places: Places = PLACES, longest_seconds: float = 1.0
    ) -> Self:
        """Faults at a fraction `rate` of all calls, each drawn from what is fair there, beside those given."""
        plan, drawn = cls(*strikes), random.Random(seed)  # noqa: S311 - a seed is to be repeated, not secret

        @cache
        def fair(path: str) -> list[Fault]:
            return [fault for fault, paths in places.items() if any(_matches(path, each) for each in paths)]

        def draw(path: str) -> Strike | None:
            if drawn.random() >= rate or not fair(path):
                return None
            return Strike(path, drawn.choice(fair(path)), seconds=drawn.random() * longest_seconds)

        plan._draw = draw
        return plan

    def stop(self) -> None:
        """Lets everything go well from here on, unless it has crashed."""
        self._strikes, self._draw = (), None

    def crash(self) -> None:
        """Refuses whatever goes through what was wrapped so far, for good: its process is dead.

        What is under way happens or not, but nobody hears of it; a unit of work that is open is rolled back.
        """
        self.crashed.set()

    def restart(self) -> None:
        """From here on adapters may be wrapped anew. Those wrapped before stay dead."""
        self.life += 1
        self.crashed.clear()

    def next_at(self, path: str, /) -> Strike | None:
        """Counts a call, and says what becomes of it."""
        self.calls[path] += 1
        fitting = [each for each in self._strikes if _matches(path, each.path)]
        self._seen.update(fitting)
        due = next((each for each in fitting if self._seen[each] == each.call), None)
        found = due or (self._draw and self._draw(path))
        if found:
            self.done.append(attrs.evolve(found, path=path, call=self.calls[path]))
        return self.done[-1] if found else None

    def __str__(self) -> str:
        return "\n".join(map(str, self.done)) or "no faults"


def faulty[T](adapter: T, plan: Faults, /, name: str = "") -> T:
    """The adapter, misbehaving by plan, `isinstance` of the same; `name` begins its paths in the plan."""
    return cast("T", _Faulty(_Place(adapter, plan, plan.life, name)))


@attrs.frozen
class _Place:
    """Something of an adapter's, and the way to it."""

    thing: Any
    plan: Faults
    life: int
    path: str

    def to(self, name: str, thing: Any = None) -> "_Place":
        return _Place(thing or self.thing, self.plan, self.life, f"{self.path}.{name}" if self.path else name)

    def attribute(self, name: str) -> Any:
        found = getattr(self.thing, name)
        if iscoroutinefunction(found):
            return partial(self.to(name).awaited, found)
        if isroutine(found):
            return partial(self.to(name).called, found)
        return _Faulty(self.to(name, found)) if _is_port(found.__class__) else found

    async def awaited(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Any:
        strike = await self.before()
        answer = await work(*args, **more)
        if strike is not None and strike.fault is Fault.DUPLICATE:
            await work(*args, **more)
        await self.after(strike)
        return self.handed(answer)

    def called(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Any:
        return self.handed(work(*args, **more))

    async def entered(self) -> Any:
        place = self.to("__aenter__")
        strike = await place.before()
        handed = await self.thing.__aenter__()
        await self.or_left(place.after(strike))
        return self.handed(handed)

    async def left(self, *raised: Any) -> bool | None:
        place = self.to("__aexit__")
        strike = await self.or_left(place.before())
        swallowed: bool | None = await self.thing.__aexit__(*raised)
        await place.after(strike)
        return swallowed

    async def or_left[T](self, work: Awaitable[T]) -> T:
        try:
            return await work
        except BaseException as error:
            await self.thing.__aexit__(type(error), error, error.__traceback__)
            raise

    async def before(self) -> Strike | None:
        """What comes before a call. What it answers is to be followed by `after`."""
        await asyncio.sleep(0)
        self.check()
        strike = self.plan.next_at(self.path)
        if strike is not None and strike.fault in {Fault.FAIL_BEFORE, Fault.DELAY, Fault.DROP, Fault.CRASH}:
            await self.suffer(strike)
        return strike

    async def after(self, strike: Strike | None) -> None:
        await asyncio.sleep(0)
        self.check()
        if strike is not None and strike.fault in {Fault.FAIL_AFTER, Fault.DELAY, Fault.CANCEL}:
            await self.suffer(strike)

    async def suffer(self, strike: Strike) -> None:
        match strike.fault:
            case Fault.CRASH:
                self.plan.crash()
            case Fault.DELAY:
                await asyncio.sleep(strike.seconds / 2)
            case Fault.DROP | Fault.CANCEL:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)
            case _:
                raise strike.error() if strike.error else _unreachable(f"planned: {strike}")
        self.check()

    def check(self) -> None:
        if self.life != self.plan.life or self.plan.crashed.is_set():
            raise _unreachable(f"{self.path}: this process has crashed")

    def handed(self, value: Any) -> Any:
        """What a call handed out: a port is wrapped, and so is one that is a field of a value."""
        if _is_port(value.__class__):
            return _Faulty(attrs.evolve(self, thing=value))
        fields = attrs.fields(value.__class__) if attrs.has(value.__class__) else ()
        found = {each.alias: getattr(value, each.name) for each in fields}
        ports = {alias: _Faulty(self.to(alias, each)) for alias, each in found.items() if _is_port(each.__class__)}
        return attrs.evolve(value, **ports) if ports else value


class _Faulty:
    """Stands for an adapter. What Python looks for in a class is here; all else is looked up in the adapter."""

    __slots__ = ("_faulty",)

    def __init__(self, place: _Place) -> None:
        self._faulty = place

    @property  # type: ignore[misc] # nobody sets it
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as above
        return self._faulty.thing.__class__

    def __getattr__(self, name: str) -> Any:
        return self._faulty.attribute(name)

    async def __aenter__(self) -> Any:
        return await self._faulty.entered()

    async def __aexit__(self, *raised: object) -> bool | None:
        return await self._faulty.left(*raised)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self._faulty.to("__anext__").awaited(self._faulty.thing.__anext__)


@cache
def _is_port(kind: type) -> bool:
    """Whether something of this class has anything that a fault could strike."""
    members = [(name, member) for each in kind.__mro__ for name, member in vars(each).items()]
    return any(iscoroutinefunction(member) or name in {"__aenter__", "__anext__"} for name, member in members)


@cache
def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"*.{pattern}")


def _unreachable(why: str) -> UnavailableError:
    return UnavailableError(UnavailableCode.STORE_UNREACHABLE, why)
