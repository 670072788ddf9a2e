"""Publishing one event to three async handlers, beside awaiting the three of them one after another.

Run: `.venv/bin/python benchmarks/bench_bus.py`. Every way in turn, many times over; the medians of wall and CPU time
of one publish in µs, and the ratio of its CPU time to that of the three awaits in the same turn. Each library is
used as its documentation says, and every publish is awaited until all handlers have ended. Handlers do nothing;
those that wait give way to the event loop once.
"""

import asyncio
import gc
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

import attrs

from dashtam_core.memory import MemoryEventBus
from dashtam_core.messaging._events import Delivery, DomainEvent

TURNS = 15
TURN_SECONDS = 0.02

type Handler = Callable[[Any], Any]
type Handlers = tuple[Handler, Handler, Handler]
type Publish = Callable[[Any], Awaitable[object]]


@attrs.frozen
class Happened(DomainEvent):
    pass


@dataclass(frozen=True)
class Told:
    """An event for those who ask for no class of their own."""


async def first(event: object) -> None:
    pass


async def second(event: object) -> None:
    pass


async def third(event: object) -> None:
    pass


async def first_waits(event: object) -> None:
    await asyncio.sleep(0)


async def second_waits(event: object) -> None:
    await asyncio.sleep(0)


async def third_waits(event: object) -> None:
    await asyncio.sleep(0)


QUICK, WAITING = (first, second, third), (first_waits, second_waits, third_waits)


@attrs.frozen
class Way:
    """A way to tell three handlers, and what it does for them."""

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
class Awaits:
    """The limit: nothing between the loop and the handlers."""

    handlers: Handlers
    name: str = "3 awaits"
    does: str = "the limit"

    async def run(self, times: int) -> None:
        one, two, three = self.handlers
        event = Happened()
        for _ in range(times):
            await one(event)
            await two(event)
            await three(event)


def ours(name: str, does: str, handlers: Handlers, **options: Any) -> Way:
    bus = MemoryEventBus([Happened.heard_by(handler, **options) for handler in handlers])
    return Way(f"Dashtam, {name}", does, bus.publish, Happened())


def blinker(handlers: Handlers) -> Way:
    signal = import_module("blinker").Signal()
    for handler in handlers:
        signal.connect(handler)
    return Way("blinker", "one after another; an error stops the rest and is raised", signal.send_async, Told())


def lato(handlers: Handlers) -> Way:
    module = import_module("lato")
    event = type("Happened", (module.Event,), {})
    app = module.Application("benchmark")
    for handler in handlers:
        app.handler(event)(handler)
    does = "one after another in a transaction context, parameters injected; an error stops the rest and is raised"
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

    return Way("pyventus", "at once, in a task each below a background task; errors are logged", publish, Told())


def bubus(handlers: Handlers) -> Way:
    module = import_module("bubus")
    made = type("Happened", (module.BaseEvent,), {})
    bus = module.EventBus()
    for handler in handlers:
        bus.on(made, handler)

    async def publish(event: Callable[[], Any]) -> None:
        await bus.dispatch(event())

    does = "one after another through a queue; a new event each, its results and history kept, a timeout for each"
    return Way("bubus", does, publish, made, partial(bus.stop, clear=True))


def function(handlers: Handlers) -> Way:
    one, two, three = handlers

    async def publish(event: object) -> None:
        await one(event)
        await two(event)
        await three(event)

    return Way("3 awaits in a function", "what one more call costs", publish, Told())


OURS: dict[str, tuple[str, dict[str, Any]]] = {
    "bare": ("one after another; errors are logged and stop nobody", {"isolated": False}),
    "isolated": ("the default: as bare, in a copy of the context each", {}),
    "with a timeout": ("as isolated, each cancelled if it takes too long", {"timeout": 5}),
    "concurrent": ("as isolated, at once, in a task each", {"delivery": Delivery.CONCURRENT}),
}
PEERS = (blinker, lato, pyventus, bubus)


@asynccontextmanager
async def ways(handlers: Handlers) -> AsyncGenerator[list[Awaits | Way]]:
    """Every way there is, each checked to have told all three handlers by the time it says so."""
    made = [function, *(partial(ours, name) for name in OURS), *PEERS]
    ...
@attrs.frozen
class Cost:
    """Seconds of one publish, and how many times the CPU time of the three awaits in the same turn that is."""

    wall: float
    cpu: float
    ratio: float


async def once(way: Awaits | Way, times: int) -> tuple[float, float]:
    gc.collect()
    gc.disable()
    wall, cpu = time.perf_counter(), time.process_time()
    await way.run(times)
    spent = (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times
    gc.enable()
    return spent


async def measured(found: Sequence[Awaits | Way]) -> dict[str, Cost]:
    """The medians of every way, each having as many publishes in a turn as take about `TURN_SECONDS`."""
    times = {way.name: max(1, int(TURN_SECONDS / (await once(way, 20))[0])) for way in found}
    spent: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(TURNS):
        limit = 0.0
        for way in found:
            wall, cpu = await once(way, times[way.name])
            limit = limit or cpu
            spent[way.name].append(Cost(wall, cpu, cpu / limit))
    return {name: Cost(*map(statistics.median, zip(*map(attrs.astuple, costs)))) for name, costs in spent.items()}


async def checked() -> None:
    """Every way has told all three by the time it says so."""
    heard: list[object] = []

    async def hear(event: object) -> None:
        await asyncio.sleep(0)
        heard.append(event)

    async def hear_too(event: object) -> None:
        await hear(event)

    async def hear_as_well(event: object) -> None:
        await hear(event)

    for way in ways((hear, hear_too, hear_as_well)):
        await way.run(1)
        assert len(heard) == 3, f"{way.name} told {len(heard)} of 3"
        heard.clear()


async def main() -> None:
    await checked()
    quick, waiting = ways(QUICK), ways(WAITING)
    costs, waited = await measured(quick), await measured(waiting)
    packages = ", ".join(f"{peer.__name__} {version(peer.__name__)}" for peer in PEERS)
    print(f"Medians of {TURNS} turns, µs a publish; × is its CPU time by that of the limit. {packages}\n")
    print("| publish to 3 handlers | wall | CPU | × | they wait: wall | CPU | × | what it does |")
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    for way in quick:
        cells = " | ".join(
            f"{cost.wall * 1e6:,.2f} | {cost.cpu * 1e6:,.2f} | {cost.ratio:,.1f}"
            for cost in (costs[way.name], waited[way.name])
        )
        print(f"| {way.name} | {cells} | {way.does} |")


if __name__ == "__main__":
    asyncio.run(main())
