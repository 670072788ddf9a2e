"""What may have come of a simulated run: the trail replayed, and everything else compared with it."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from dashtam_core.accounts import ImportStatement, ListTransactions, Transaction
from dashtam_core.audit import LogState, Phase, RecordedEntry, VerifyAuditLog, open_checkpoint
from dashtam_core.identity import CreateApiToken, EraseUser
from dashtam_core.identity._tokens import TokenDetails
from dashtam_core.kernel import Failure, Page, Success
from dashtam_core.memory._store import _Person
from dashtam_core.messaging import Message, load_json
from dashtam_core.testing.simulation import simulate
from simulation.world import NAMES, PEOPLE, Mark, Marked, Sent, World, rows

ALONE: Final = {(Phase.DENIED,), (Phase.REPLAYED,)}
ENDED: Final = {Phase.SUCCEEDED, Phase.FAILED, Phase.REPLAYED, Phase.INDETERMINATE}


@attrs.define
class Person:
    """What one person has, if the trail is true."""

    days: set[int] = attrs.field(factory=set[int])
    files: set[bytes] = attrs.field(factory=set[bytes])
    marks: list[str] = attrs.field(factory=list[str])
    tokens: list[str] = attrs.field(factory=list[str])
    answers: dict[str, tuple[Message[str, object], str]] = attrs.field(
        factory=dict[str, tuple[Message[str, object], str]]
    )
    events: list[str] = attrs.field(factory=list[str])
    """What waits in the outbox: marks, and the names of other events."""


@attrs.define
class Model:
    """The trail, replayed in the order of its commits."""

    world: World
    people: dict[str, Person] = attrs.field(factory=lambda: {name: Person() for name in NAMES})
    told: set[str] = attrs.field(factory=set[str])
    """Every mark whose event was committed, also of people who are erased since."""

    def replay(self, entry: RecordedEntry, sent: Sent) -> None:
        assert entry.user_id == PEOPLE[sent.name].user_id, "an entry is of who sent it"
        assert entry.action == sent.message.action, "an entry is of what was sent"
        person = self.people[sent.name]
        match entry.phase:
            case Phase.SUCCEEDED:
                self.succeed(person, entry, sent)
            case Phase.FAILED if isinstance(sent.message, Mark) and sent.message.mark in self.world.survived:
                self.mark(person, self.world.survived[sent.message.mark])
            case Phase.REPLAYED:
                assert sent.key in person.answers, "only what was answered is replayed"
                command, answer = person.answers[sent.key]
                assert command == sent.message, "only the same command is replayed"
                assert not isinstance(sent.heard, Success) or sent.heard == Success(answer), "and answered alike"
            case _:
                pass

    def succeed(self, person: Person, entry: RecordedEntry, sent: Sent) -> None:
        match sent.message:
            case Mark() as command:
                made = entry.resource_id or ""
                assert not isinstance(sent.heard, Success) or sent.heard == Success(made), "the answer is its own"
                assert sent.key not in person.answers, "a key has one effect"
                if sent.key is not None:
                    person.answers[sent.key] = command, made
                self.mark(person, made)
            case ImportStatement(data):
                person.events += [] if data in person.files else ["StatementImported"]
                person.files.add(data)
                person.days.update(sent.days)
            case CreateApiToken(name):
                person.tokens.append(name)
            case EraseUser():
                self.people[sent.name] = Person(events=["UserErased"])
            case _:
                pass

    def mark(self, person: Person, made: str) -> None:
        person.marks.append(made)
        person.events.append(made)
        self.told.add(made)


def simulated(seed: int) -> World:
    """One run and all that is to be said of it. What fails says how it came about, and how to see it again."""
    world = World(seed)

    async def main() -> None:
        await world.run()
        check(world)

    try:
        simulate(main(), seed=seed)
    except BaseException as error:
        for node in world.nodes:
            error.add_note(f"faults:\n{node.plan}")
        error.add_note("\n".join(world.trace[-20:]))
        error.add_note(f"again: SIMULATION_SEED={seed} python -m pytest tests/simulation")
        raise
    return world


def check(world: World) -> None:
    """Every promise of the core, over what this run has left."""
    model = Model(world)
    attempts: dict[object, list[Phase]] = defaultdict(list)
    by_number: dict[int, list[Phase]] = defaultdict(list)
    for entry in world.store.trail.entries:
        number = int(entry.request_id or "")
        attempts[entry.attempt_id].append(entry.phase)
        by_number[number].append(entry.phase)
        model.replay(entry, world.sent[number])
    for phases in attempts.values():
        closed = len(phases) == 2 and phases[0] is Phase.ATTEMPTED and phases[1] in ENDED
        assert closed or tuple(phases) in ALONE, f"an attempt has one outcome: {phases}"
    for sent in world.sent:
        heard_truly(sent, by_number[sent.number])
    for name in NAMES:
        assert state(world, name) == expected(model.people[name], name), name
        assert names(world, name, "effect") == Counter(delivered(world, name)), "each effect is applied once"
        nothing_reappears(world, name)
    assert set(world.direct) <= model.told, "nobody hears of what is not committed"
    assert set(world.direct.values()) <= {1}, "nobody hears twice"
    sealed(world)


def heard_truly(sent: Sent, phases: Sequence[Phase]) -> None:
    """Who was answered finds that answer in the trail."""
    if isinstance(sent.message, ListTransactions):
        if isinstance(sent.heard, Success):
            whole_days(sent.name, sent.heard.unwrap())
    elif isinstance(sent.heard, Success):
        assert phases[-1:] in ([Phase.SUCCEEDED], [Phase.REPLAYED]), f"{sent} was acknowledged: {phases}"
    elif isinstance(sent.heard, Failure):
        assert phases[-1:] in ([Phase.FAILED], [Phase.DENIED]), f"{sent} was refused: {phases}"
        assert not isinstance(sent.message, VerifyAuditLog) or Phase.DENIED in phases, sent.heard
    else:
        assert Phase.SUCCEEDED not in phases or not isinstance(sent.heard, ZeroDivisionError), sent


def whole_days(name: str, page: Page[Transaction]) -> None:
    """A reader sees its own rows alone, and each import whole or not at all."""
    seen = Counter(str(each.description) for each in page.items)
    assert seen == Counter({text: len(rows(name, int(text.split()[1]))) for text in seen}), seen
    assert all(text.split()[0] == name for text in seen), "nobody sees what is another's"


def kept(world: World, name: str) -> _Person:
    return world.store.people.get(PEOPLE[name].user_id) or _Person()


def names(world: World, name: str, provider: str) -> Counter[str]:
    return Counter(each.name for each in kept(world, name).accounts.values() if each.provider == provider)


def state(world: World, name: str) -> Mapping[str, object]:
    tables = kept(world, name).transactions.values()
    tokens = world.store.identity.credentials.get(PEOPLE[name].user_id, {}).values()
    return {
        "rows": Counter(row.description for table in tables for row in table.values()),
        "marks": names(world, name, "mark"),
        "tokens": Counter(load_json(each.data, TokenDetails).name for each in tokens),
        "events": Counter(events(world, name)),
        "keys": sorted(key for _, key in kept(world, name).answers),
    }


def expected(person: Person, name: str) -> Mapping[str, object]:
    return {
        "rows": Counter(row.rpartition(";")[2] for day in person.days for row in rows(name, day)),
        "marks": Counter(person.marks),
        "tokens": Counter(person.tokens),
        "events": Counter(person.events),
        "keys": sorted(person.answers),
    }


def events(world: World, name: str) -> list[str]:
    """The outbox of one person: marks, and the names of other events."""
    mine = [event for event in world.store.outbox.events if event.user_id == PEOPLE[name].user_id]
    return [mark_of(event.read(Marked)) if event.name == "Marked" else event.name for event in mine]


def mark_of(event: object) -> str:
    assert isinstance(event, Marked)
    return event.mark


def delivered(world: World, name: str) -> list[str]:
    """The marks whose delivery was neither given up nor taken away."""
    assert all(each.due_at is None for each in world.store.outbox.waiting), "nothing waits that could be delivered"
    dead = {mark_of(each.event.read(Marked)) for each in world.store.outbox.waiting}
    return [mark for mark in events(world, name) if " " in mark and mark not in dead]


def nothing_reappears(world: World, name: str) -> None:
    """No key that opens what was recorded before a person was erased is there again."""
    mine = [entry for entry in world.store.trail.entries if entry.user_id == PEOPLE[name].user_id]
    erased = [n for n, each in enumerate(mine) if each.action == "erase_user" and each.phase is Phase.SUCCEEDED]
    before = {(entry.personal or b"")[:16] for entry in mine[: erased[-1] + 1 if erased else 0]}
    assert not before & {key_id.bytes for key_id in kept(world, name).keys}, "who is erased stays unreadable"


def sealed(world: World) -> None:
    """Every entry has its leaf, and each checkpoint that was given out is a tree of the first leaves."""
    hashes = world.store.trail.leaf_hashes
    verified = world.sent[-1].heard
    assert isinstance(verified, Success), verified
    assert len(set(hashes)) == len(hashes) == len(world.store.trail.entries), "each entry has one leaf"
    given = [sent.heard.unwrap() for sent in world.sent if isinstance(sent.heard, Success)]
    states = [open_checkpoint(each.checkpoint, each.key).unwrap() for each in given if isinstance(each, LogState)]
    for each in [verified.unwrap(), *states]:
        assert root(hashes[: each.tree_size]) == each.root, "a checkpoint that was given out stays true"


def root(hashes: Sequence[bytes]) -> bytes:
    """The Merkle tree hash of RFC 9162, section 2.1.1, over leaves that are hashed already."""
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(hashes[:half]) + root(hashes[half:])).digest()
