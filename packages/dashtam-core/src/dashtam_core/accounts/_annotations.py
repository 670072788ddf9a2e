"""The person's own layer: what they say of a transaction. No import writes it, and it changes what none does."""

import re
from collections.abc import Sequence
from functools import reduce
from typing import ClassVar, Final

import attrs

from dashtam_core.accounts._arithmetic import EXACT
from dashtam_core.accounts._entities import Annotation, Split, Transaction
from dashtam_core.accounts._errors import TRANSACTION_NOT_FOUND, AccountsCode, AccountsRefused
from dashtam_core.accounts._repositories import TransactionFilter, Transactions
from dashtam_core.accounts._types import TransactionId
from dashtam_core.identity import ACCOUNTS_READ, ACCOUNTS_WRITE
from dashtam_core.kernel import Failure, Money, Permission, Result, Success
from dashtam_core.messaging import Command, Notes, Query

MAX_TAGS: Final = 50
MAX_SPLITS: Final = 100

_NAME: Final = 200
_NOTE: Final = 4_000
_ODD: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""Characters that are no text: controls but for tabs and ends of lines, and halves of surrogate pairs."""


@attrs.frozen
class _OfTransaction:
    resource_type: ClassVar[str] = "transaction"
    resource_field: ClassVar[str] = "transaction_id"
    transaction_id: TransactionId


@attrs.frozen(kw_only=True)
class AnnotateTransaction(_OfTransaction, Command[Annotation, AccountsRefused]):
    """Say what a transaction is to you, in place of all you said before; answers with what is kept.

    Texts are stripped, and empty ones count as not given: up to 200 characters, of a note 4,000. `splits` are in
    the transaction's currency and add up to its amount.
    """

    permission: ClassVar[Permission] = ACCOUNTS_WRITE
    category: str | None = None
    payee: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ()


@attrs.frozen
class ClearAnnotation(_OfTransaction, Command[None, AccountsRefused]):
    """Take back everything you said of a transaction."""

    permission: ClassVar[Permission] = ACCOUNTS_WRITE


@attrs.frozen
class GetTransaction(_OfTransaction, Query[Transaction, AccountsRefused]):
    """One transaction with what you said of it, also one that counts no more."""

    permission: ClassVar[Permission] = ACCOUNTS_READ


@attrs.frozen
class AnnotateTransactionHandler:
    transactions: Transactions
    notes: Notes

    async def apply(self, command: AnnotateTransaction, /) -> Result[Annotation, AccountsRefused]:
        found = await _found(self.transactions, command.transaction_id)
        if isinstance(found, Failure):
            return found
        said = _said(command)
        if (why := _odd(said)) is not None:
            return Failure(AccountsRefused(AccountsCode.ANNOTATION_INVALID, why))
        if (why := _unbalanced(said.splits, found.unwrap().amount)) is not None:
            return Failure(AccountsRefused(AccountsCode.SPLITS_UNBALANCED, why))
        await self.transactions.annotate(said)
        self.notes.about(command.transaction_id, tags=len(said.tags), splits=len(said.splits))
        return Success(said)


@attrs.frozen
class ClearAnnotationHandler:
    transactions: Transactions

    async def apply(self, command: ClearAnnotation, /) -> Result[None, AccountsRefused]:
        found = await _found(self.transactions, command.transaction_id)
        if isinstance(found, Failure):
            return found
        await self.transactions.annotate(Annotation(transaction_id=command.transaction_id))
        return Success(None)


@attrs.frozen
class GetTransactionHandler:
    transactions: Transactions

    async def apply(self, query: GetTransaction, /) -> Result[Transaction, AccountsRefused]:
        return await _found(self.transactions, query.transaction_id)


async def _found(transactions: Transactions, id_: TransactionId) -> Result[Transaction, AccountsRefused]:
    found = await transactions.find(TransactionFilter(transaction_ids=[id_], hidden=True))
    return Success(found[0]) if found else Failure(TRANSACTION_NOT_FOUND)


def _said(command: AnnotateTransaction) -> Annotation:
    """The annotation as it is kept: stripped, and each tag once."""
    return Annotation(
        transaction_id=command.transaction_id,
        category=_stripped(command.category),
        payee=_stripped(command.payee),
        note=_stripped(command.note),
        tags=tuple(dict.fromkeys(tag for tag in map(_stripped, command.tags) if tag)),
        splits=tuple(
            attrs.evolve(each, category=_stripped(each.category), note=_stripped(each.note))
            for each in command.splits
        ),
    )


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None


def _odd(said: Annotation) -> str | None:
    """What is too much, too long or no text."""
    names = [said.category, said.payee, *said.tags, *(each.category for each in said.splits)]
    notes = [said.note, *(each.note for each in said.splits)]
    if len(said.tags) > MAX_TAGS or len(said.splits) > MAX_SPLITS:
        return f"give up to {MAX_TAGS} tags and {MAX_SPLITS} splits"
    if any(len(text or "") > _NAME for text in names) or any(len(text or "") > _NOTE for text in notes):
        return f"give up to {_NAME} characters for a category, payee or tag, {_NOTE:,} for a note"
    if any(_ODD.search(text or "") for text in (*names, *notes)):
        return "there is a control character in the text: leave it out"
    return None


def _unbalanced(splits: Sequence[Split], amount: Money) -> str | None:
    """By how much the splits are more than the amount."""
    if any(each.amount.currency != amount.currency for each in splits):
        return f"a split is in another currency: give all of them in {amount.currency}"
    off = reduce(EXACT.add, (each.amount.amount for each in splits), amount.amount.copy_negate())
    if not splits or not off:
        return None
    much = f"the splits are {format(off, 'f')} {amount.currency} off {amount}"
    return f"{much}: make them add up to the transaction's amount, with its sign"


ROUTES: Final = (
    AnnotateTransaction.handled_by(AnnotateTransactionHandler),
    ClearAnnotation.handled_by(ClearAnnotationHandler),
    GetTransaction.handled_by(GetTransactionHandler),
)
