"""Publishing one event to three async handlers, beside awaiting the three of them one after another.

Run: `.venv/bin/python benchmarks/bench_bus.py`. Prints the wall and CPU time of one publish in µs, medians of
interleaved repeats, and the ratio of its CPU time to that of the three awaits in the same repeat. Each library is
used as its documentation says, and every publish is awaited until all handlers have ended. Handlers do nothing;
those that wait give way to the event loop once.
"""

import asyncio
import gc
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import attrs

from dashtam_core.memory import MemoryEventBus
from dashtam_core.messaging import Delivery, DomainEvent

TURNS = 15
TURN_SECONDS = 0.02

type Handlers = tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]
type Publish = Callable[[Any], Awaitable[object]]


@attrs.frozen
class Happened(DomainEvent):
    pass


@dataclass(frozen=True)
class Told:
    """An event for those who ask for no class of their own."""


async def first(_: object) -> None:
    pass


async def second(_: object) -> None:
    pass


async def third(_: object) -> None:
    pass


async def first_waits(_: object) -> None:
    await asyncio.sleep(0)


async def second_waits(_: object) -> None:
    await asyncio.sleep(0)


async def third_waits(_: object) -> None:
    await asyncio.sleep(0)


@attrs.frozen
class Way:
    """A way to tell three handlers, what it does for them, and how it ends if it has to."""

    name: str
    does: str
    publish: Publish
    event: Any
    close: Callable[[], Awaitable[object]] | None = None

    async def run(self, times: int) -> None:
        publish, event = self.publish, self.event
        for _ in range(times):
            await publish(event)


@attrs.frozen
class Awaits(Way):
    """The limit: nothing between the loop and the handlers."""

    handlers: Handlers = attrs.field(kw_only=True)

    async def run(self, times: int) -> None:
        one, two, three = self.handlers
        event = self.event
        for _ in range(times):
            await one(event)
            await two(event)
            await three(event)


def function(handlers: Handlers) -> Way:
    one, two, three = handlers

    async def publish(event: object) -> None:
        await one(event)
        await two(event)
        await three(event)

    return Way("3 awaits in a function", "what one more call costs", publish, Told())


def limit(handlers: Handlers) -> Way:
    publish = function(handlers).publish
    return Awaits(
        "3 awaits", "the limit; an error stops the rest and is raised", publish, Told(), handlers=handlers
    )


def dashtam(name: str, does: str, options: dict[str, Any], handlers: Handlers) -> Way:
    bus = MemoryEventBus([Happened.heard_by(handler, **options) for handler in handlers])
    return Way(f"Dashtam, {name}", does, bus.publish, Happened(), partial(bus.close, 1))


def blinker(handlers: Handlers) -> Way:
    signal = import_module("blinker").Signal()
    for handler in handlers:
        signal.connect(handler)
    return Way(
        "blinker", "in no order, one at a time; an error stops the rest and is raised", signal.send_async, Told()
    )


def lato(handlers: Handlers) -> Way:
    module = import_module("lato")
    event = type("Happened", (module.Event,), {})
    app = module.Application("benchmark")
    for handler in handlers:
        app.handler(event)(handler)
    does = "one after another in a transaction context, arguments injected; an error stops the rest and is raised"
    return Way("lato", does, app.publish_async, event())


def pyventus(handlers: Handlers) -> Way:
    events, processing = import_module("pyventus.events"), import_module("pyventus.core.processing.asyncio")
    linker: Any = type("Linker", (events.EventLinker,), {})
    service = processing.AsyncIOProcessingService()
    emitter = events.EventEmitter(event_processor=service, event_linker=linker)
    for handler in handlers:
        linker.subscribe(Told, event_callback=handler)

    async def publish(event: Told) -> None:
        emitter.emit(event)
        await service.wait_for_tasks()

    return Way("pyventus", "at once, in tasks below one in the background; errors are logged", publish, Told())


def bubus(handlers: Handlers) -> Way:
    module = import_module("bubus")
    event = type("Happened", (module.BaseEvent,), {})
    bus = module.EventBus()
    for handler in handlers:
        bus.on(event, handler)

    async def publish(event: Callable[[], Any]) -> None:
        await bus.dispatch(event())

    does = "one after another from a queue, each with a timeout; a new event every time, results and history kept"
    return Way("bubus", does, publish, event, partial(bus.stop, clear=True))


OURS = (
    partial(dashtam, "bare", "one after another; errors are logged and stop nobody", {"isolated": False}),
    partial(dashtam, "isolated", "the default: as bare, each in a copy of the context", {}),
    partial(dashtam, "with a timeout", "as isolated, each cancelled if it takes too long", {"timeout": 5}),
    partial(dashtam, "concurrent", "as isolated, at once, in a task each", {"delivery": Delivery.CONCURRENT}),
)
PEERS = (blinker, lato, pyventus, bubus)


@asynccontextmanager
async def ways(handlers: Handlers) -> AsyncGenerator[Sequence[Way]]:
    """Every way there is to tell these handlers, for as long as the block lasts."""
    installed = [peer for peer in PEERS if find_spec(peer.__name__)]
    async with AsyncExitStack() as stack:
        makers: list[Callable[[Handlers], Way]] = [limit, function, *OURS, *installed]
        found = [make(handlers) for make in makers]
        for way in found:
            if way.close is not None:
                stack.push_async_callback(way.close)
        yield found


async def check() -> None:
    """Every way has told all three by the time it says so."""
    heard: list[object] = []

    async def hear(event: object) -> None:
        await asyncio.sleep(0)
        heard.append(event)

    async def hear_too(event: object) -> None:
        await hear(event)

    async def hear_as_well(event: object) -> None:
        await hear(event)

    async with ways((hear, hear_too, hear_as_well)) as found:
        for way in found:
            await way.run(1)
            assert len(heard) == 3, f"{way.name} told {len(heard)} of 3"
            heard.clear()


@attrs.frozen
class Cost:
    """Microseconds of one publish, and by how many times its CPU time is that of the limit in the same turn."""

    wall: float
    cpu: float
    ratio: float = 1.0

    def __str__(self) -> str:
        return f"{self.wall:,.2f} | {self.cpu:,.2f} | {self.ratio:,.1f}"


async def once(way: Way, times: int) -> Cost:
    gc.collect()
    gc.disable()
    wall, cpu = time.perf_counter(), time.process_time()
    await way.run(times)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    gc.enable()
    return Cost(wall * 1e6 / times, cpu * 1e6 / times)


async def measure(handlers: Handlers) -> dict[str, Cost]:
    """The medians of every way, each with as many publishes in a turn as take about `TURN_SECONDS`."""
    spent: dict[str, list[Cost]] = defaultdict(list)
    async with ways(handlers) as found:
        times = {way.name: max(1, int(TURN_SECONDS * 1e6 / (await once(way, 20)).wall)) for way in found}
        for _ in range(TURNS):
            turn = {way.name: await once(way, times[way.name]) for way in found}
            for name, cost in turn.items():
                spent[name].append(attrs.evolve(cost, ratio=cost.cpu / turn["3 awaits"].cpu))
    return {name: median(costs) for name, costs in spent.items()}


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(each) for each in zip(*map(attrs.astuple, costs), strict=True)))


async def main() -> None:
    await check()
    quick = await measure((first, second, third))
    waiting = await measure((first_waits, second_waits, third_waits))
    for peer in PEERS:
        is_there = find_spec(peer.__name__) is not None
        print(peer.__name__, version(peer.__name__) if is_there else "is not installed, and left out")
    print("\n| publish to 3 handlers | µs | µs CPU | ratio | they wait: µs | µs CPU | ratio | what it does |")
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    async with ways((first, second, third)) as found:
        for way in found:
            print(f"| {way.name} | {quick[way.name]} | {waiting[way.name]} | {way.does} |")


if __name__ == "__main__":
    asyncio.run(main())
