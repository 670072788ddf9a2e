"""The port every store implements: one unit of work, with one set of repositories for each room."""

from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

from dashtam_core import messaging
from dashtam_core.accounts import Accounts, Documents
from dashtam_core.container import Binding, provide
from dashtam_core.identity import ApiTokens
from dashtam_core.kernel import Subject


class Capability(StrEnum):
    """What a store promises beyond keeping things; the conformance kit tests what is claimed."""

    TRANSACTIONS = "transactions"
    ROW_LEVEL_SECURITY = "row_level_security"
    BULK_COPY = "bulk_copy"


class UnitOfWork(messaging.UnitOfWork, Protocol):
    """One transaction with the repositories that work in it."""

    @property
    def accounts(self) -> Accounts: ...

    @property
    def documents(self) -> Documents: ...

    @property
    def tokens(self) -> ApiTokens: ...


class Store(Protocol):
    @property
    def capabilities(self) -> frozenset[Capability]: ...

    def unit_of_work(self, subject: Subject, /) -> UnitOfWork:
        """A transaction that will see and write this subject's data only. Does not touch the store yet."""
        ...

    async def ping(self) -> None:
        """Returns if the store can serve; raises `UnavailableError` with what to do if it cannot."""
        ...


type OpenStore = AbstractAsyncContextManager[Store]


def _accounts(unit: UnitOfWork) -> Accounts:
    return unit.accounts


def _documents(unit: UnitOfWork) -> Documents:
    return unit.documents


def _tokens(unit: UnitOfWork) -> ApiTokens:
    return unit.tokens


REPOSITORIES: tuple[Binding, ...] = (
    provide(Accounts).by(_accounts),
    provide(Documents).by(_documents),
    provide(ApiTokens).by(_tokens),
)
"""Where a handler's repositories come from: the unit of work of its request."""
