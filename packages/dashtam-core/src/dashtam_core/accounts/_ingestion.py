"""The one way in: what any provider delivers is keyed outside the transaction and stored whole inside it."""

import hashlib
from collections.abc import Sequence
from typing import Final

import attrs

from dashtam_core.accounts._batch import AccountBatch, AccountData, BalanceData, SyncBatch, TransactionData
from dashtam_core.accounts._dedupe import KEY_BYTES, KeyedTransaction, keyed
from dashtam_core.accounts._entities import Account, AccountImport, Balance
from dashtam_core.accounts._repositories import Accounts
from dashtam_core.accounts._types import AccountId, DocumentId
from dashtam_core.identity import Keyring
from dashtam_core.kernel import Clock, new_id

FILE_PROVIDER: Final = "file"
"""The provider of every account that came from statement files, whatever their format."""

_MASK: Final = 4


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
    """One account of a batch, with the rows and balances of all that was said of it."""

    provider: str
    data: AccountData
    account_key: bytes
    rows: tuple[KeyedTransaction, ...]
    balances: tuple[BalanceData, ...]


@attrs.frozen
class Ingestion:
    """Takes in what a provider delivered: each account, balance and transaction once, however often it comes."""

    accounts: Accounts
    keyring: Keyring
    clock: Clock

    def prepare(self, batch: SyncBatch, source: Source, /) -> tuple[PreparedAccount, ...]:
        """One entry for each account, of which a batch may speak several times. Pure computing, for a thread."""
        secret = self.keyring.derive("account-number")
        by_key: dict[bytes, list[AccountBatch]] = {}
        for each in batch.accounts:
            by_key.setdefault(account_key(secret, each.account, source), []).append(each)
        return tuple(_prepared(key, said, source) for key, said in by_key.items())

    async def store(
        self, prepared: Sequence[PreparedAccount], document_id: DocumentId | None = None, /
    ) -> tuple[AccountImport, ...]:
        """What became of each account: how many rows were read, and how many of them are new."""
        accounts = await self.accounts.add_accounts([self._account(each) for each in prepared])
        pairs = list(zip([account.account_id for account in accounts], prepared, strict=True))
        added = await self.accounts.add_transactions(document_id, {id_: each.rows for id_, each in pairs})
        await self.accounts.add_balances(
            [
                Balance(account_id=id_, **attrs.asdict(balance, recurse=False))
                for id_, each in pairs
                for balance in each.balances
            ]
        )
        return tuple(AccountImport(id_, len(each.rows), added[id_]) for id_, each in pairs)

    def _account(self, prepared: PreparedAccount) -> Account:
        data, of_file = prepared.data, prepared.provider == FILE_PROVIDER
        mask = _mask(data.number or (data.provider_account_id if of_file else ""))
        return Account(
            account_id=AccountId(new_id()),
            provider=prepared.provider,
            account_key=prepared.account_key,
            provider_account_id=None if of_file else data.provider_account_id,  # a file's is the number
            name=data.name or _name(data, mask),
            official_name=data.official_name,
            mask=mask,
            account_type=data.account_type,
            currency=data.currency,
            bank_id=data.bank_id,
            institution=data.institution,
            created_at=self.clock.now(),
        )


def account_key(secret: bytes, account: AccountData, source: Source = FILES, /) -> bytes:
    """What an account is known by: 16 bytes, keyed, so that numbers cannot be tried out."""
    text = "".join(f"{len(part)}:{part}" for part in source.identity(account))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=secret, digest_size=KEY_BYTES).digest()


def _prepared(key: bytes, said: Sequence[AccountBatch], source: Source) -> PreparedAccount:
    rows: list[TransactionData] = [row for each in said for row in each.transactions]
    balances = tuple(balance for each in said for balance in each.balances)
    ready = tuple(keyed(rows, stable_ids=source.stable_ids))
    return PreparedAccount(source.provider, said[0].account, key, ready, balances)


def _mask(number: str) -> str | None:
    """The last four characters, of a short number fewer: at most half of it."""
    characters = [each for each in number if each.isalnum()]
    shown = min(_MASK, len(characters) // 2)
    return "".join(characters[-shown:]) if shown else None


def _name(account: AccountData, mask: str | None) -> str:
    kind = account.account_type.value.replace("CREDITCARD", "CREDIT CARD").replace("MONEYMRKT", "MONEY MARKET")
    words = (account.institution, kind.capitalize(), f"••{mask}" if mask else None)
    return " ".join(word for word in words if word)
