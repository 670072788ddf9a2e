"""The port every store implements: one unit of work, with one set of repositories for each room."""

from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol, cast

from dashtam_core import messaging
from dashtam_core.accounts import Accounts, Documents, Transactions
from dashtam_core.audit import AuditLog, AuditTrail, PersonKeys
from dashtam_core.container import Binding, provide
from dashtam_core.identity import Credentials, IdentityCode, People, PeopleUnit, RateLimiter, RootKeys, Users
from dashtam_core.kernel import Subject, UnavailableError
from dashtam_core.portfolio import Matches

# fmt: off
__all__ = [
    "REPOSITORIES", "Capability", "IdentityStore", "IdentityUnit", "OpenShared", "OpenStore", "OpenStream",
    "Shared", "Store", "UnitOfWork", "identity_store",
]
# fmt: on


class Capability(StrEnum):
    """What a store promises beyond keeping things: the conformance kit tests what can be seen through the port.

    What cannot be seen there is for the adapter's own tests, on a real database.
    """

    TRANSACTIONS = "transactions"
    """A unit is whole or absent, for everybody, whatever ends it. Every store has this one."""
    ROW_LEVEL_SECURITY = "row_level_security"
    """The database keeps people apart by itself, also from code that forgets to. Not in the kit."""
    BULK_COPY = "bulk_copy"
    """Thousands of rows come in faster than one by one. The kit tests that they come in whole, not how fast."""
    IMMUTABLE_AUDIT = "immutable_audit"
    """Entries of the audit trail outlive the process, and nobody it serves can change them.

    That they outlive it is in the kit (the fixture `reopen`); that nobody can change them is not.
    """
    ORDERED_OUTBOX = "ordered_outbox"
    """Events reach each durable subscriber in the order of their commits."""
    IDENTITY = "identity"
    """It keeps people who log in here: it is an `IdentityStore`, and its units are `IdentityUnit`s."""


class UnitOfWork(messaging.UnitOfWork, Protocol):
    """One transaction with the repositories that work in it."""

    @property
    def accounts(self) -> Accounts: ...

    @property
    def transactions(self) -> Transactions: ...

    @property
    def documents(self) -> Documents: ...

    @property
    def matches(self) -> Matches: ...

    @property
    def people(self) -> People: ...

    @property
    def person_keys(self) -> PersonKeys: ...

    @property
    def trail(self) -> AuditTrail: ...


class Store(Protocol):
    """Where everything is kept: units of work for one person each, the audit log, and deliveries for all."""

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def audit(self) -> AuditLog: ...

    @property
    def deliveries(self) -> messaging.Deliveries: ...

    def unit_of_work(self, subject: Subject, /) -> UnitOfWork:
        """A transaction that will see and write this subject's data only. Does not touch the store yet."""
        ...

    async def ping(self) -> None:
        """Returns if the store can serve; raises `UnavailableError` with what to do if it cannot."""
        ...

    async def maintain(self) -> None:
        """Make room ahead and clear what has served its time: kept answers after 24 hours, delivered events."""
        ...


class IdentityUnit(UnitOfWork, PeopleUnit, Protocol):
    """A unit of work of a store with the capability `IDENTITY`."""


class IdentityStore(Store, Protocol):
    """A store with the capability `IDENTITY`."""

    @property
    def limits(self) -> RateLimiter: ...

    @property
    def keys(self) -> RootKeys: ...

    def unit_of_work(self, subject: Subject, /) -> IdentityUnit: ...


def identity_store(store: Store) -> IdentityStore:
    """The store as one that keeps people.

    Raises:
        UnavailableError: it does not.
    """
    if Capability.IDENTITY not in store.capabilities:
        why = "this store keeps no people and no tokens: say who acts yourself, with ExternalSubject"
        raise UnavailableError(IdentityCode.IDENTITY_NOT_KEPT, why)
    return cast("IdentityStore", store)


class Shared(Protocol):
    """What the processes of a deployment share beside the store, which none of them needs to be right.

    Made without asking whether it is there.
    """

    @property
    def cache(self) -> messaging.Cache: ...

    @property
    def limits(self) -> RateLimiter: ...

    @property
    def locks(self) -> messaging.Locks: ...


type OpenStore = AbstractAsyncContextManager[Store]
type OpenShared = AbstractAsyncContextManager[Shared]
type OpenStream = AbstractAsyncContextManager[messaging.EventStream]


def _accounts(unit: UnitOfWork) -> Accounts:
    return unit.accounts


def _transactions(unit: UnitOfWork) -> Transactions:
    return unit.transactions


def _documents(unit: UnitOfWork) -> Documents:
    return unit.documents


def _matches(unit: UnitOfWork) -> Matches:
    return unit.matches


def _people(unit: UnitOfWork) -> People:
    return unit.people


def _users(store: Store, unit: UnitOfWork) -> Users:
    return _keeping_people(store, unit).users


def _credentials(store: Store, unit: UnitOfWork) -> Credentials:
    return _keeping_people(store, unit).credentials


def _keeping_people(store: Store, unit: UnitOfWork) -> IdentityUnit:
    identity_store(store)
    return cast("IdentityUnit", unit)


REPOSITORIES: tuple[Binding, ...] = (
    provide(Accounts).by(_accounts),
    provide(Transactions).by(_transactions),
    provide(Documents).by(_documents),
    provide(Matches).by(_matches),
    provide(People).by(_people),
    provide(Users).by(_users),
    provide(Credentials).by(_credentials),
)
"""Where a handler's repositories come from: the unit of work of its request."""
