"""A simulator: one seed decides in which order a concurrent program runs, and decides it again the same way.

The program runs on an event loop of its own, in which time is virtual: whatever is ready runs in an order drawn
from the seed, and when nothing is, time leaps to what is due next. An hour of sleeping costs nothing.

    def test_two_transfers(seed):
        simulate(transfers(MemoryStore(SimulatedClock())), seed=seed)

What does not follow the seed: ids and secrets (`os.urandom`), `datetime.now()`, the module `time`, and the order
of a set of strings (`PYTHONHASHSEED`). Ask a `Clock` for the time, and compare runs by other things than ids.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import attrs

LIMIT_SECONDS: Final = 86_400.0
"""Virtual seconds after which a simulation that has not ended never will."""


class StuckError(Exception):
    """A simulation came to where nothing can happen any more, or time ran out."""


def simulate[T](main: Coroutine[Any, Any, T], /, *, seed: int, limit_seconds: float = LIMIT_SECONDS) -> T:
    """What `main` answers, run in the order that `seed` decides. The module `random` is seeded meanwhile, too.

    `asyncio.to_thread` runs its function in the loop, at a moment drawn like any other; sockets, processes and
    signals are refused with `NotImplementedError`. Whatever is raised carries the seed in a note.

    Raises:
        StuckError: every task waits for another, or `limit_seconds` of virtual time have passed.
    """
    loop = SimulatedLoop(seed, limit_seconds)
    before = random.getstate()
    random.seed(seed)
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            answer = runner.run(main)
        loop.check()
    except BaseException as error:
        error.add_note(f"simulated with seed {seed}, {loop.steps} steps, {loop.time():.6f} virtual seconds")
        raise
    finally:
        random.setstate(before)
    return answer


@attrs.define
class SimulatedClock:
    """A `Clock` that shows the virtual time of the simulation it is asked in."""

    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    """What it shows at the start, aware, in UTC."""

    def now(self) -> datetime:
        return self.start + timedelta(seconds=asyncio.get_running_loop().time())

    def advance(self, by: timedelta) -> None:
        """Put it forward, which wakes nobody."""
        self.start += by


class SimulatedLoop(asyncio.BaseEventLoop):
    """The event loop of a simulation: CPython's own, with another queue, and itself in place of the network."""

    def __init__(self, seed: int, limit_seconds: float = LIMIT_SECONDS) -> None:
        super().__init__()
        self.steps = 0
        """How many callbacks have run."""
        self._drawn = random.Random(seed)  # noqa: S311 - a seed is to be repeated, not to be secret
        self._now = 0.0
        self._limit = limit_seconds
        self._ready = _Shuffled(self._draw)
        self._selector = self
        self._unhandled: dict[str, Any] | None = None
        self._numbers = count()
        self.set_task_factory(self._task)
        self.set_exception_handler(self._remember)

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now

    def check(self) -> None:
        """Raises what went wrong where nobody was waiting for it, first of all."""
        if self._unhandled is not None:
            raise self._unhandled.get("exception") or RuntimeError(self._unhandled["message"])

    def select(self, timeout: float | None) -> tuple[()]:
        """Lets time pass until something is due."""
        if timeout is None:
            raise StuckError(f"nothing is ready and nothing is due: {self._waiting()}")
        self._now += timeout
        if self._now > self._limit:
            self._limit += LIMIT_SECONDS  # for closing
            raise StuckError(f"no end after {self._now:.0f} virtual seconds: {self._waiting()}")
        return ()

    def run_in_executor[*Ts, T](
        self,
        executor: Executor | None,  # noqa: ARG002 - there are no threads, whose ever
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Runs the function when its turn comes, in this thread."""
        done: asyncio.Future[T] = self.create_future()
        self.call_soon(_settle, done, lambda: func(*args))
        return done

    def _waiting(self) -> str:
        tasks = sorted(asyncio.all_tasks(self), key=hash)
        return "; ".join(f"{task.get_name()} waits in {task.get_stack(limit=1)}" for task in tasks)

    def _draw(self, number: int) -> int:
        self.steps += 1
        return int(self._drawn.random() * number)

    def _task(self, _: asyncio.AbstractEventLoop, work: Any, **more: Any) -> "_Task":
        return _Task(work, next(self._numbers), loop=self, **more)

    def _remember(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._unhandled = self._unhandled or context

    def _process_events(self, _: tuple[()]) -> None:
        """There is no network, and so no news of it."""

    def _write_to_self(self) -> None:
        """There is no other thread, and so nobody to wake from the outside."""


class _Shuffled(deque[asyncio.Handle]):
    """What is ready to run. The next is any of them."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        super().__init__()
        self._draw = draw

    def popleft(self) -> asyncio.Handle:
        self.rotate(-self._draw(len(self)))
        return super().popleft()


class _Task(asyncio.Task[Any]):
    """A task that is found in a set at the same place in every run."""

    def __init__(self, work: Coroutine[Any, Any, Any], number: int, **more: Any) -> None:
        self._number = number
        super().__init__(work, **more)

    def __hash__(self) -> int:
        return self._number


def _settle[T](done: asyncio.Future[T], work: Callable[[], T]) -> None:
    if done.cancelled():
        return
    try:
        done.set_result(work())
    except Exception as error:  # noqa: BLE001 - it is raised where the answer is awaited
        done.set_exception(error)
