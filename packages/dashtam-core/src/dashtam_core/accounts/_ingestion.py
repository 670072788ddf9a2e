"""The one way in: what any provider delivers is keyed outside the transaction and stored whole inside it."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

import attrs

from dashtam_core.accounts._arithmetic import arithmetic
from dashtam_core.accounts._batch import (
    AccountBatch,
    AccountData,
    BalanceData,
    Counterparty,
    HoldingData,
    ReadingWarning,
    SyncBatch,
    TransactionData,
)
from dashtam_core.accounts._dedupe import KEY_BYTES, KeyedTransaction, keyed
from dashtam_core.accounts._entities import Account, AccountImport, Balance, Holding, Transaction
from dashtam_core.accounts._repositories import Accounts, TransactionFilter, Transactions
from dashtam_core.accounts._settling import Found, Settlement, about, grouped, key_of
from dashtam_core.accounts._types import AccountId, AccountType, Arithmetic, DocumentId, TransactionStatus
from dashtam_core.identity import Keyring
from dashtam_core.kernel import Clock, DateRange, Money, Subject, UserId, new_id
from dashtam_core.messaging import Category, DomainEvent, Outgoing

FILE_PROVIDER: Final = "file"
"""The provider of every account that came from statement files, whatever their format."""

_MASK: Final = 4
_SPOKEN: Final = {
    AccountType.CREDITCARD: "CREDIT CARD",
    AccountType.MONEYMRKT: "MONEY MARKET",
    AccountType.OTHER: "ACCOUNT",
}


@attrs.frozen
class Source:
    """Who a batch comes from, and what its ids are worth."""

    provider: str
    stable_ids: bool = False
    """One `provider_transaction_id` means one transaction for ever. Never true of files."""

    def identity(self, account: AccountData, /) -> tuple[str, ...]:
        """What tells this account from every other of one person.

        Banks use one number for a checking and a savings account, or for one account in several currencies; the
        ids of an API stand for one account each.
        """
        if self.provider != FILE_PROVIDER:
            return self.provider, account.provider_account_id
        return (
            FILE_PROVIDER,
            (account.bank_id or account.institution_id or "").strip(),
            (account.number or account.provider_account_id).replace(" ", "").upper(),
            account.account_type.value,
            account.currency.code,
        )


FILES: Final = Source(FILE_PROVIDER)


@attrs.frozen
class PreparedAccount:
    """One account of a batch, with the rows, balances and holdings of all that was said of it.

    Rows are in the order of their keys, in which stores add them.
    """

    source: Source
    data: AccountData
    account_key: bytes
    number_hash: bytes | None
    rows: tuple[KeyedTransaction, ...]
    balances: tuple[BalanceData, ...]
    holdings: tuple[HoldingData, ...]
    windows: tuple[DateRange, ...]
    removed: tuple[str, ...]
    arithmetic: Arithmetic
    difference: Money | None
    is_plain: bool
    """Its rows say nothing of rows that came before."""

    def told(self, account_id: AccountId, added: int, changed: int = 0, removed: int = 0) -> AccountImport:
        return AccountImport(account_id, len(self.rows), added, changed, removed, self.arithmetic, self.difference)


@attrs.frozen
class BalancesChanged(DomainEvent):
    """These accounts of a person have balances that came just now."""

    category: ClassVar[Category | None] = Category.BALANCES
    user_id: UserId
    account_ids: tuple[AccountId, ...]


@attrs.frozen
class Stored:
    """What became of each account, and what was odd about documents as they met."""

    accounts: tuple[AccountImport, ...]
    warnings: tuple[ReadingWarning, ...] = ()


@attrs.frozen
class Ingestion:
    """Takes in what a provider delivered: each account, balance and transaction once, however often it comes."""

    accounts: Accounts
    transactions: Transactions
    keyring: Keyring
    clock: Clock
    subject: Subject
    outgoing: Outgoing

    def prepare(self, batch: SyncBatch, source: Source, /) -> tuple[PreparedAccount, ...]:
        """One entry for each account, of which a batch may speak several times. Pure computing, for a thread."""
        secret = self.keyring.derive("account-number")
        by_key = grouped(batch.accounts, lambda each: account_key(secret, each.account, source))
        return tuple(_prepared(secret, key, said, source) for key, said in by_key.items())

    async def store(
        self, prepared: Sequence[PreparedAccount], document_id: DocumentId | None = None, /, *, again: bool = False
    ) -> Stored:
        """Stores all of it. `again`: the document was read before, and this reading is the better one."""
        ids, known = await self._add_accounts(prepared)
        open_rows = await self.transactions.find(TransactionFilter(waiting=True, hidden=True)) if known else ()
        waiting = grouped(open_rows, lambda row: row.account_id)
        warnings = [odd for id_ in known if not again for odd in await self._cut_days(id_, ids[id_], document_id)]
        plain = {id_: each.rows for id_, each in ids.items() if each.is_plain and id_ not in waiting and not again}
        added = await self.transactions.add(document_id, plain)
        told = {id_: each.told(id_, added[id_]) for id_, each in ids.items() if id_ in plain}
        for id_ in [id_ for id_ in plain if id_ in known and added[id_] < len(plain[id_])]:
            if await self._is_unsettled(id_, plain[id_]):
                settled = await self._settle(id_, ids[id_], (), document_id, again=False)
                told[id_] = attrs.evolve(settled, added=added[id_])
        for id_ in ids.keys() - plain.keys():
            told[id_] = await self._settle(id_, ids[id_], waiting.get(id_, ()), document_id, again=again)
        for id_ in known:
            await self._mark_missing(id_, ids[id_])
        await self._add_positions(ids)
        if with_balance := tuple(id_ for id_, each in ids.items() if each.balances):
            self.outgoing.emit(BalancesChanged(self.subject.user_id, with_balance))
        return Stored(tuple(told[id_] for id_ in ids), tuple(warnings))

    async def _add_accounts(
        self, prepared: Sequence[PreparedAccount]
    ) -> tuple[Mapping[AccountId, PreparedAccount], Collection[AccountId]]:
        """What was prepared by its account, and which of these accounts were there before."""
        wanted = [self._account(each) for each in prepared]
        stored = await self.accounts.add_accounts(wanted)
        ids = {account.account_id: each for account, each in zip(stored, prepared, strict=True)}
        return ids, [id_ for id_ in ids if id_ not in {account.account_id for account in wanted}]

    async def _is_unsettled(self, account_id: AccountId, rows: Sequence[KeyedTransaction]) -> bool:
        """Whether some of these posted rows are kept as pending, in whose place others came, or as given up."""
        wanted = TransactionFilter(account_id=account_id, keys={row.dedupe_key for row in rows}, hidden=True)
        for status in (TransactionStatus.PENDING, TransactionStatus.VOID):
            if await self.transactions.find(attrs.evolve(wanted, status=status), limit=1):
                return True
        return False

    async def _settle(
        self,
        account_id: AccountId,
        prepared: PreparedAccount,
        waiting: Sequence[Transaction],
        document_id: DocumentId | None,
        *,
        again: bool,
    ) -> AccountImport:
        rows, of_file = prepared.rows, prepared.source.provider == FILE_PROVIDER
        of_document = TransactionFilter(account_id=account_id, document_id=document_id)
        every = TransactionFilter(account_id=account_id, hidden=True)
        stored = await self.transactions.find(attrs.evolve(every, keys={row.dedupe_key for row in rows}))
        names = {row.data.replaces for row in rows if row.data.replaces is not None} | {*prepared.removed}
        named = await self.transactions.find(attrs.evolve(every, provider_ids=names)) if names else ()
        settlement = Settlement(
            rows=rows,
            document_id=document_id,
            at=self.clock.now(),
            removed=prepared.removed,
            stable_ids=prepared.source.stable_ids,
            found=Found(
                known={key_of(row): row for row in stored},
                waiting=waiting,
                named=named,
                posted=await self._posted_about(account_id, rows) if of_file else (),
                read_before=await self.transactions.find(of_document) if again else None,
            ),
        )
        settlement.settle()
        await self.transactions.change(list(settlement.changed.values()))
        await self.transactions.add(document_id, {account_id: settlement.added})
        return prepared.told(account_id, settlement.new, settlement.renewed, settlement.taken_back)

    async def _posted_about(
        self, account_id: AccountId, rows: Sequence[KeyedTransaction]
    ) -> Sequence[Transaction]:
        """Those that no pending row is known to have become."""
        days = about(rows)
        if days is None:
            return ()
        every = TransactionFilter(account_id=account_id, from_date=days[0], to_date=days[1], hidden=True)
        found = await self.transactions.find(every)
        taken = {row.superseded_by for row in found if row.status is TransactionStatus.PENDING}
        posted = [row for row in found if row.status is TransactionStatus.POSTED and not row.is_hidden]
        return [row for row in posted if row.transaction_id not in taken]

    async def _cut_days(
        self, account_id: AccountId, prepared: PreparedAccount, document_id: DocumentId | None
    ) -> list[ReadingWarning]:
        """Where two documents each have rows of a day that the other lacks, twins in both cannot be told apart."""
        days = [row.data.posted_date for row in prepared.rows] if document_id is not None else []
        odd: list[ReadingWarning] = []
        for day in sorted({min(days), max(days)} if days else ()):
            on_day = TransactionFilter(account_id=account_id, from_date=day, to_date=day, hidden=True)
            stored = await self.transactions.find(on_day)
            here = {key_of(row) for row in prepared.rows if row.data.posted_date == day}
            there = {key_of(row) for row in stored}
            booked = [row for row in stored if row.status is TransactionStatus.POSTED]
            counting = {key_of(row) for row in booked if not row.is_hidden}
            if here & there and here - there and counting - here:
                odd.append(ReadingWarning("day_cut", f"account {account_id}", day.isoformat()))
        return odd

    async def _mark_missing(self, account_id: AccountId, prepared: PreparedAccount) -> None:
        """Flags what a statement that covers its day is without; on its last day, more may still be posted."""
        sent = {key_of(row) for row in prepared.rows} if prepared.windows else set[tuple[bytes, int]]()
        for window in prepared.windows:
            if window.start < window.end:
                whole = DateRange(window.start, window.end - timedelta(days=1))
                await self.transactions.mark_missing(account_id, whole, sent, self.clock.now())

    async def _add_positions(self, ids: Mapping[AccountId, PreparedAccount]) -> None:
        balances = [(id_, balance) for id_, each in ids.items() for balance in each.balances]
        holdings = [(id_, holding) for id_, each in ids.items() for holding in each.holdings]
        await self.accounts.add_balances([Balance(account_id=id_, **_fields(each)) for id_, each in balances])
        if holdings:
            await self.accounts.add_holdings([Holding(account_id=id_, **_fields(each)) for id_, each in holdings])

    def _account(self, prepared: PreparedAccount) -> Account:
        data, of_file = prepared.data, prepared.source.provider == FILE_PROVIDER
        mask = _mask(data.number or "")
        return Account(
            account_id=AccountId(new_id()),
            provider=prepared.source.provider,
            account_key=prepared.account_key,
            provider_account_id=None if of_file else data.provider_account_id,  # a file's is the number
            name=data.name or _name(data, mask),
            official_name=data.official_name,
            mask=mask,
            number_hash=prepared.number_hash,
            account_type=data.account_type,
            currency=data.currency,
            bank_id=data.bank_id,
            institution=data.institution,
            created_at=self.clock.now(),
        )


def account_key(secret: bytes, account: AccountData, source: Source = FILES, /) -> bytes:
    """What an account is known by: 16 bytes, keyed, so that numbers cannot be tried out."""
    return _hashed(secret, "".join(f"{len(part)}:{part}" for part in source.identity(account)))


def number_hash(secret: bytes, number: str | None, /) -> bytes | None:
    """What a full account number or IBAN is known by, however it is spaced: 16 bytes, keyed."""
    plain = "".join(each for each in number or "" if each.isalnum()).upper()
    return _hashed(secret, f"number:{plain}") if plain else None


def _hashed(secret: bytes, text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=secret, digest_size=KEY_BYTES).digest()


def _prepared(secret: bytes, key: bytes, said: Sequence[AccountBatch], source: Source) -> PreparedAccount:
    data, (verdict, difference) = said[0].account, arithmetic(said)
    rows = [_private(secret, row) for each in said for row in each.transactions]
    removed = tuple(id_ for each in said for id_ in each.removed)
    return PreparedAccount(
        source=source,
        data=data,
        account_key=key,
        number_hash=number_hash(secret, data.number),
        rows=tuple(sorted(_keyed(rows, source), key=key_of)),
        balances=tuple(balance for each in said for balance in each.balances),
        holdings=tuple(holding for each in said for holding in each.holdings),
        windows=tuple(each.covered_window for each in said if each.covered_window is not None),
        removed=removed,
        arithmetic=verdict,
        difference=difference,
        is_plain=not (removed or source.stable_ids) and all(map(_is_plain, rows)),
    )


def _is_plain(row: TransactionData) -> bool:
    return row.status is TransactionStatus.POSTED and row.replaces is None


def _fields(value: BalanceData | HoldingData) -> dict[str, Any]:
    return attrs.asdict(value, recurse=False)


def _keyed(rows: Sequence[TransactionData], source: Source) -> Iterable[KeyedTransaction]:
    """Of twins the posted come first: that one is pending still is told by how many there are of each."""
    if all(row.status is TransactionStatus.POSTED for row in rows):
        return keyed(rows, stable_ids=source.stable_ids)
    order = sorted(range(len(rows)), key=lambda index: rows[index].status is not TransactionStatus.POSTED)
    told = keyed([rows[index] for index in order], stable_ids=source.stable_ids)
    return [attrs.evolve(row, index=order[row.index]) for row in told]


def _private(secret: bytes, row: TransactionData) -> TransactionData:
    """The row without the full account numbers of others."""
    if row.counterparty is None and not row.details:
        return row
    details = [attrs.evolve(each, counterparty=_masked(secret, each.counterparty)) for each in row.details]
    return attrs.evolve(row, counterparty=_masked(secret, row.counterparty), details=tuple(details))


def _masked(secret: bytes, other: Counterparty | None) -> Counterparty | None:
    if other is None or (number := other.account) is None:
        return other
    return attrs.evolve(other, account=None, mask=_mask(number), number_hash=number_hash(secret, number))


def _mask(number: str) -> str | None:
    """The last four characters, of a short number fewer: at most half of it."""
    characters = [each for each in number if each.isalnum()]
    shown = min(_MASK, len(characters) // 2)
    return "".join(characters[-shown:]) if shown else None


def _name(account: AccountData, mask: str | None) -> str:
    kind = _SPOKEN.get(account.account_type, account.account_type.value)
    words = (account.institution, kind.capitalize(), f"••{mask}" if mask else None)
    return " ".join(word for word in words if word)
