"""The key by which a transaction is known again, so that importing the same thing twice changes nothing.

Neither the bank's id nor a hash of the content is enough: most files carry no usable id, some banks give one id
to different content, and real twins (same day, amount and text) exist everywhere. So a row has a key from its own
bytes alone, and an occurrence: it is the n-th row with this key in its document.
"""

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import attrs

from dashtam_core.accounts._batch import TransactionData
from dashtam_core.accounts._types import TransactionId
from dashtam_core.kernel import Money, new_ids

KEY_BYTES: Final = 16
_PARTING: Final = "\0"
_NO_IDS: Final = {"", "NONREF", "NOTPROVIDED", "NONE", "N/A", "NULL"}


@attrs.frozen(slots=True)
class KeyedTransaction:
    """A row with the key it is known by in its account, ready to be stored."""

    transaction_id: TransactionId
    dedupe_key: bytes
    occurrence: int
    index: int
    data: TransactionData
    superseded_by: TransactionId | None = None
    removed_at: datetime | None = None
    waits_for: str | None = None


def keyed(rows: Sequence[TransactionData], /, *, stable_ids: bool = False) -> Iterator[KeyedTransaction]:
    """One document's rows of one account, each with its key, its occurrence and a new id, in order.

    `stable_ids`: the provider (never a file) promises that one id means one transaction for ever.
    """
    seen: dict[bytes, int] = {}
    for index, (row, id_) in enumerate(zip(rows, new_ids(len(rows)), strict=True)):
        key = dedupe_key(row, stable_ids=stable_ids)
        seen[key] = occurrence = seen.get(key, 0) + 1
        yield KeyedTransaction(TransactionId(id_), key, occurrence, index, row)


def dedupe_key(row: TransactionData, /, *, stable_ids: bool = False) -> bytes:
    """16 bytes from what the provider sent of this row, and of nothing else."""
    bank_id = usable_id(row.provider_transaction_id)
    if bank_id is not None and stable_ids:
        return _digest("provider", bank_id)
    content = (row.posted_date.isoformat(), _amount(row.amount), row.type.value)
    if bank_id is not None:
        return _digest("bank", bank_id, *content)
    return _digest("content", *content, _text(row.description), row.end_to_end_id or "", row.check_number or "")


def usable_id(bank_id: str | None) -> str | None:
    """The bank's id, unless it is one of the fillers that banks print for none."""
    if bank_id is None:
        return None
    stripped = bank_id.strip()
    return None if stripped.upper() in _NO_IDS or not stripped.strip("0") else stripped


def _amount(money: Money) -> str:
    """One spelling for every way to write an amount: 5, 5.0 and 5.00 are the same."""
    if not money.amount:
        return f"0 {money.currency}"
    plain = format(money.amount, "f")
    return f"{plain.rstrip('0').rstrip('.') if '.' in plain else plain} {money.currency}"


def _text(description: str | None) -> str:
    """One spelling for every way to write a description: case, width and runs of spaces do not count."""
    if description is None:
        return ""
    if not description.isascii():
        description = unicodedata.normalize("NFKC", description)
    return " ".join(description.casefold().split())


def _digest(*parts: str) -> bytes:
    """A hash that no two lists of parts share: NUL parts them, and is in none of them."""
    joined = _PARTING.join([part.replace(_PARTING, "") if _PARTING in part else part for part in parts])
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest()[:KEY_BYTES]
