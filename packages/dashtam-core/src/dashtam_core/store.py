"""The port every store implements: one unit of work, with one set of repositories for each room."""

from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

from dashtam_core import messaging
from dashtam_core.accounts import Accounts, Documents, Transactions
from dashtam_core.audit import AuditLog, AuditTrail, PersonKeys
from dashtam_core.container import Binding, provide
from dashtam_core.identity import ApiTokens, People
from dashtam_core.kernel import Subject
from dashtam_core.portfolio import Matches

__all__ = ["REPOSITORIES", "Capability", "OpenStore", "Store", "UnitOfWork"]


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
    def tokens(self) -> ApiTokens: ...

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


type OpenStore = AbstractAsyncContextManager[Store]


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


def _tokens(unit: UnitOfWork) -> ApiTokens:
    return unit.tokens


REPOSITORIES: tuple[Binding, ...] = (
    provide(Accounts).by(_accounts),
    provide(Transactions).by(_transactions),
    provide(Documents).by(_documents),
    provide(Matches).by(_matches),
    provide(ApiTokens).by(_tokens),
    provide(People).by(_people),
)
"""Where a handler's repositories come from: the unit of work of its request."""
