"""A whole Dashtam under the simulator: people who send commands, processes that die, machines that misbehave."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any, ClassVar, Final

import attrs

from dashtam_core import AssemblyError, Dashtam, Settings, provide
from dashtam_core.accounts import Account, Accounts, ImportStatement, ListTransactions
from dashtam_core.audit import KeyVault, PersonalVault, SealAuditLog, Sealing, VerifyAuditLog
from dashtam_core.identity import (
    ACCOUNTS_WRITE,
    OPERATOR,
    OWNER,
    CreateApiToken,
    EraseUser,
    ExternalSubject,
    Keyring,
    forgetting,
)
from dashtam_core.kernel import (
    Clock,
    DomainError,
    ErrorCode,
    ErrorKind,
    Failure,
    Origin,
    Permission,
    Result,
    Subject,
    Success,
    UnavailableError,
    new_id,
)
from dashtam_core.memory import MemoryEventBus, MemoryStore
from dashtam_core.messaging import (
    Command,
    Deliveries,
    DomainEvent,
    EventBus,
    Message,
    Notes,
    Outgoing,
    Relay,
    RetryDeadLetters,
)
from dashtam_core.store import Store, UnitOfWork
from dashtam_core.testing.faults import Fault, Faults, Strike, faulty
from dashtam_core.testing.samples import LinesPlugin, account, lines
from dashtam_core.testing.simulation import SimulatedClock

SETTINGS: Final = Settings(key="k" * 32)
NAMES: Final = ("ann", "bob", "cem")
PEOPLE: Final = {name: ExternalSubject(name, OWNER | OPERATOR) for name in NAMES}
DAYS: Final = 5


class Code(ErrorCode):
    REFUSED = "refused_on_purpose", ErrorKind.CONFLICT


@attrs.frozen
class Marked(DomainEvent):
    mark: str


@attrs.frozen
class Mark(Command[str, DomainError[Code]]):
    """Leaves one account and one event of a name that is new each time; or fails, as it is told."""

    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "mark"
    mark: str
    ends: str = "well"


class Survivors(dict[str, str]):
    """What the failed command of a mark left all the same, if its failure was committed."""


@attrs.frozen
class MarkHandler:
    accounts: Accounts
    outgoing: Outgoing
    notes: Notes
    survivors: Survivors

    async def apply(self, command: Mark, /) -> Result[str, DomainError[Code]]:
        made = f"{command.mark} {new_id()}"
        await self.accounts.add_accounts([named("mark", made)])
        self.outgoing.emit(Marked(made))
        self.notes.about(made)
        if command.ends == "survived":
            self.outgoing.even_if_failed(Marked(made), effect=lambda: self.effect(made))
            self.survivors[command.mark] = made
        if command.ends == "a bug":
            raise ZeroDivisionError
        return Success(made) if command.ends == "well" else Failure(DomainError(Code.REFUSED, "on purpose"))

    async def effect(self, made: str) -> None:
        await self.accounts.add_accounts([named("mark", made)])


def named(provider: str, name: str) -> Account:
    """An account that no other is taken for."""
    return account("", provider=provider, name=name, account_key=new_id().bytes)


def rows(name: str, day: int) -> list[str]:
    """What the person's bank says of a day, twins included."""
    return [f"row;2026-01-{day + 1:02};-1.00;{name} {day}"] * (1 + day % 3)


@attrs.define
class Sent:
    """One message on its way, and what its sender heard."""

    number: int
    name: str
    message: Message[Any, Any]
    key: str | None = None
    days: Sequence[int] = ()
    allowed: bool = True
    heard: Result[Any, Any] | BaseException | None = None


class Node:
    """One process of the service: it lives until it crashes, and is started again."""

    def __init__(self, world: "World", plan: Faults) -> None:
        self.world, self.plan, self.up = world, plan, asyncio.Event()
        self.dashtam: Dashtam | None = None

    async def run(self) -> None:
        while True:
            with suppress(UnavailableError):
                async with self.open() as self.dashtam:
                    self.up.set()
                    await self.plan.crashed.wait()
            self.world.tell("down")
            self.up.clear()
            self.plan.crash()
            self.plan.restart()

    def open(self, *, workers: bool = True) -> Any:
        plan, world = self.plan, self.world

        def vault(store: Store, keyring: Keyring) -> PersonalVault:
            return faulty(KeyVault(store.unit_of_work, keyring.derive("personal-data")), plan, "vault")

        def bus(vault: PersonalVault) -> EventBus:
            return faulty(MemoryEventBus((forgetting(vault), Marked.heard_by(world.hear))), plan, "bus")

        def relay(deliveries: Deliveries) -> Relay:
            return Relay(
                deliveries, [Marked.delivered_to("effects", world.affect)], max_attempts=3, first_backoff=0.5
            )

        return Dashtam.open(
            settings=SETTINGS,
            store=faulty(world.store, plan),
            plugins=[LinesPlugin()],
            overrides=[
                provide(Clock).value(world.clock),
                provide(Survivors).value(world.survived),
                provide(PersonalVault).by(vault),
                provide(EventBus).by(bus, closing=lambda bus: bus.close(5)),
                provide(Relay).by(relay),
            ],
            routes=[Mark.handled_by(MarkHandler)],
            workers=workers,
        )


class World:
    """Everything that outlives a process, and everybody outside of it."""

    def __init__(self, seed: int) -> None:
        self.drawn = Random(seed)
        self.clock = SimulatedClock()
        self.store = MemoryStore(self.clock)
        self.sent: list[Sent] = []
        self.survived = Survivors()
        self.direct: Counter[str] = Counter()
        self.trace: list[str] = []
        self.nodes = [Node(self, self.plan(seed, number)) for number in range(self.drawn.choice((1, 1, 2)))]

    def plan(self, seed: int, number: int) -> Faults:
        crashes = [Strike("*", Fault.CRASH, self.drawn.randrange(20, 900)) for _ in range(self.drawn.randrange(3))]
        lost = Strike("unit_of_work.__aexit__", Fault.FAIL_AFTER, self.drawn.randrange(1, 100))
        rate = self.drawn.choice((0.0, 0.02, 0.05))
        return Faults.seeded(seed * 10 + number, lost, *crashes, rate=rate, longest_seconds=3)

    async def run(self) -> None:
        """Everybody does what they do; then nothing goes wrong any more, and what is left to do is done."""
        async with asyncio.TaskGroup() as group:
            processes = [group.create_task(node.run()) for node in self.nodes]
            await asyncio.gather(*(self.live(name) for name in NAMES * 2))
            for node in self.nodes:
                node.plan.stop()
            while any(each.due_at for each in self.store.outbox.waiting):  # noqa: ASYNC110 - virtual seconds
                await asyncio.sleep(1)
            for process in processes:
                process.cancel()
        self.clock.advance(timedelta(hours=2))
        async with Node(self, Faults()).open(workers=False) as dashtam:
            sealing = dashtam.container.get(Sealing)
            await sealing.sweep()
            await sealing.seal()
            self.sent.append(Sent(len(self.sent), "ann", VerifyAuditLog()))
            await self.send(dashtam, self.sent[-1])
            await sealing.seal()

    async def live(self, name: str) -> None:
        """One device of one person."""
        for _ in range(self.drawn.randrange(3, 9)):
            sent = self.draw(name)
            for _ in range(self.drawn.randrange(1, 4) if sent.key else 1):
                await self.say(sent)
            await asyncio.sleep(self.drawn.choice((0, 0, self.drawn.random() * 3)))

    def draw(self, name: str) -> Sent:
        """What the person thinks of next."""
        number, first = len(self.sent), self.drawn.randrange(DAYS)
        days = range(first, self.drawn.randrange(first, DAYS) + 1)
        file = lines("account;1", *(row for day in days for row in rows(name, day)))
        ends = self.drawn.choice(("well", "well", "badly", "survived", "a bug"))
        key, body = self.drawn.choice("kl"), self.drawn.choice("kkkkkx")
        choices: list[tuple[int, Sent]] = [
            (6, Sent(number, name, ImportStatement(file), days=days)),
            (6, Sent(number, name, Mark(f"{name} {number} {self.drawn.random()}", ends))),
            (6, Sent(number, name, Mark(f"{name} {body}"), key=key)),
            (2, Sent(number, name, CreateApiToken(f"{name} {number} {self.drawn.random()}"))),
            (1, Sent(number, name, EraseUser())),
            (1, Sent(number, name, RetryDeadLetters())),
            (1, Sent(number, name, SealAuditLog())),
            (1, Sent(number, name, VerifyAuditLog())),
            (1, Sent(number, name, ListTransactions())),
        ]
        return self.drawn.choices([sent for _, sent in choices], [weight for weight, _ in choices])[0]

    async def say(self, sent: Sent) -> None:
        """Sends it to a process that is up; some lose their patience."""
        node = self.drawn.choice(self.nodes)
        await node.up.wait()
        assert node.dashtam is not None
        sent = attrs.evolve(sent, number=len(self.sent), allowed=self.drawn.random() > 0.03)
        self.sent.append(sent)
        sending = asyncio.create_task(self.send(node.dashtam, sent))
        if self.drawn.random() < 0.15:
            for _ in range(self.drawn.randrange(60)):
                await asyncio.sleep(0)
            sending.cancel()
        await asyncio.wait([sending])

    async def send(self, dashtam: Dashtam, sent: Sent) -> None:
        person = PEOPLE[sent.name]
        subject = person if sent.allowed else Subject(person.user_id, frozenset())
        origin = Origin("test", "192.0.2.1", "agent", str(sent.number))
        try:
            sent.heard = await dashtam.run(sent.message, subject, origin, sent.key)
        except (UnavailableError, AssemblyError, ZeroDivisionError, asyncio.CancelledError) as error:
            sent.heard = error
        self.tell(f"{sent.number} {sent.message.action} {type(sent.heard).__name__}")

    async def hear(self, event: Marked) -> None:
        """The direct subscriber."""
        self.tell("direct")
        self.direct[event.mark] += 1

    async def affect(self, event: Marked, unit: UnitOfWork) -> None:
        """The durable subscriber: some events it cannot take, and sometimes it fails when it has written."""
        await unit.accounts.add_accounts([named("effect", event.mark)])
        self.tell("effect")
        if self.drawn.random() < 0.2 or event.mark.split()[1].endswith("7"):
            raise ZeroDivisionError

    def tell(self, what: str) -> None:
        self.trace.append(f"{asyncio.get_running_loop().time():.6f} {what}")
