"""Bringing in what a provider has: asked outside the transaction, stored whole inside it."""

import asyncio
from typing import ClassVar, Final

import attrs

from dashtam_core import accounts as model
from dashtam_core.connections._errors import ProviderCode, ProviderFailed, failed
from dashtam_core.connections._providers import Provider, Providers, SyncRequest
from dashtam_core.identity import ACCOUNTS_WRITE
from dashtam_core.kernel import Failure, Permission, Result, Subject, Success, UserId
from dashtam_core.messaging import Category, Command, DomainEvent, Notes, Outgoing

FETCH_SECONDS: Final = 60.0
"""How long a provider may take for one batch."""


@attrs.frozen
class AccountsSynced(DomainEvent):
    """A provider brought `added` new transactions to these accounts of a person."""

    category: ClassVar[Category | None] = Category.IMPORTS
    user_id: UserId
    provider: str
    account_ids: tuple[model.AccountId, ...]
    added: int


@attrs.frozen
class SyncReport:
    """What a batch brought. Keep `next_cursor` for the next time; with `more`, that is right now."""

    accounts: tuple[model.AccountImport, ...]
    warnings: tuple[model.ReadingWarning, ...]
    next_cursor: str | None
    more: bool

    @property
    def added(self) -> int:
        return sum(account.added for account in self.accounts)


@attrs.frozen
class SyncAccounts(Command[SyncReport, ProviderFailed]):
    """Bring in one batch of what a provider has of a person. The credential is used, and kept nowhere.

    Batch and audit outcome commit together; going on from an older cursor adds nothing twice.
    """

    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    resource_type: ClassVar[str] = "provider"
    provider: str
    credential: str = attrs.field(repr=False)
    cursor: str | None = None

    @property
    def resource_id(self) -> str | None:
        return self.provider[:64]


@attrs.frozen
class PreparedSync:
    """A batch fetched and keyed: all that can be known of it without the store."""

    batch: model.SyncBatch
    accounts: tuple[model.PreparedAccount, ...]


@attrs.frozen
class SyncAccountsHandler:
    providers: Providers
    ingestion: model.Ingestion
    subject: Subject
    outgoing: Outgoing
    notes: Notes

    async def prepare(self, command: SyncAccounts, /) -> Result[PreparedSync, ProviderFailed]:
        found = self.providers.get(command.provider)
        if isinstance(found, Failure):
            return found
        provider = found.unwrap()
        fetched = await _fetched(provider, SyncRequest(credential=command.credential, cursor=command.cursor))
        if isinstance(fetched, Failure):
            return fetched
        batch, source = fetched.unwrap(), model.Source(provider.name, provider.stable_ids)
        if batch.more and batch.next_cursor in {None, command.cursor}:
            stuck = f"{provider.name} has more to bring and stays where it is: report it to its makers"
            return failed(ProviderCode.PROVIDER_UNREADABLE, stuck)
        return Success(PreparedSync(batch, await asyncio.to_thread(self.ingestion.prepare, batch, source)))

    async def apply(self, command: SyncAccounts, prepared: PreparedSync, /) -> Result[SyncReport, ProviderFailed]:
        accounts = (await self.ingestion.store(prepared.accounts)).accounts
        batch = prepared.batch
        report = SyncReport(accounts, batch.warnings, batch.next_cursor, batch.more)
        self.notes.about(command.provider, read=sum(each.read for each in accounts), added=report.added)
        ids = tuple(each.account_id for each in accounts)
        self.outgoing.emit(AccountsSynced(self.subject.user_id, command.provider, ids, report.added))
        return Success(report)


async def _fetched(provider: Provider, request: SyncRequest) -> Result[model.SyncBatch, ProviderFailed]:
    limit = asyncio.timeout(FETCH_SECONDS)
    try:
        async with limit:
            return await provider.fetch(request)
    except TimeoutError:
        if not limit.expired():
            raise
        late = f"{provider.name} did not answer within {FETCH_SECONDS:.0f} seconds: try again later"
        return failed(ProviderCode.PROVIDER_UNAVAILABLE, late)


EVENTS: Final = (AccountsSynced,)
ROUTES: Final = (SyncAccounts.prepared_by(SyncAccountsHandler),)
