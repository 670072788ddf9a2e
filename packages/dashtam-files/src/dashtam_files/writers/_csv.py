"""CSV (RFC 4180), for spreadsheets and programs: every transaction of every account, one a line."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final

import attrs

from dashtam_core.accounts import Account, ExportedAccount, Transaction
from dashtam_core.kernel import amount_text

_ACCOUNT: Final = ("account_id", "account_name", "account_mask", "account_type", "account_currency", "institution")
_FACTS: Final = (
    *("transaction_id", "status", "type", "amount", "currency", "posted_date", "value_date", "transaction_date"),
    *("posted_at", "original_amount", "original_currency", "exchange_rate", "running_balance", "reversal"),
)
_TEXTS: Final = (
    *("description", "payee", "memo", "check_number", "reference", "end_to_end_id", "mandate_id"),
    *("bank_transaction_code", "mcc", "category", "provider_transaction_id"),
)
_MORE: Final = (
    *("counterparty_name", "counterparty_account", "counterparty_bic"),
    *("annotated_category", "annotated_payee", "note", "tags"),
)
_FORMULA: Final = re.compile(r"'*[=+@\t\r-]")


@attrs.frozen
class CsvWriter:
    """Writes one table with a header, in UTF-8 without a mark, its lines ending in CRLF.

    Columns have the names of the model's fields. Days and instants are ISO 8601, amounts plain digits with a point
    and their sign, unknown is an empty cell; `reversal` is `true` or `false`. A spreadsheet would run a text that
    begins with `=`, `+`, `-`, `@`, a tab or a return as a formula: such a cell begins with an apostrophe instead,
    and so does one that begins with apostrophes before one of these. Taking one apostrophe off a cell that begins
    so gives the text back. Numbers, days and our own ids are never touched.
    """

    name: str = attrs.field(default="csv", init=False)
    media_type: str = attrs.field(default="text/csv; charset=utf-8", init=False)
    suffix: str = attrs.field(default=".csv", init=False)

    def write(self, accounts: Iterable[ExportedAccount], /) -> Iterator[str]:
        writer = csv.writer(_Lines(), lineterminator="\r\n")
        yield str(writer.writerow((*_ACCOUNT, *_FACTS, *_TEXTS, *_MORE)))
        for each in accounts:
            first = _account(each.account)
            for row in each.transactions:
                texts = *(getattr(row, name) for name in _TEXTS), *_more(row)
                yield str(writer.writerow((*first, *_facts(row), *map(_harmless, texts))))


class _Lines:
    """Gives each line back, and `writerow` passes it on."""

    def write(self, line: str, /) -> str:
        return line


def _account(account: Account) -> Sequence[str]:
    said = account.name, account.mask, account.account_type.value, account.currency.code, account.institution
    return [str(account.account_id), *map(_harmless, said)]


def _facts(row: Transaction) -> Sequence[str]:
    original = row.original_amount
    return (
        *(str(row.transaction_id), row.status.value, row.type.value),
        *(row.amount.text, _harmless(row.amount.currency.code)),
        *map(_day, (row.posted_date, row.value_date, row.transaction_date, row.posted_at)),
        *((original.text, _harmless(original.currency.code)) if original else ("", "")),
        "" if row.exchange_rate is None else amount_text(row.exchange_rate),
        row.running_balance.text if row.running_balance else "",
        str(row.reversal).lower(),
    )


def _more(row: Transaction) -> Sequence[str | None]:
    other, own = row.counterparty, row.annotation
    return (
        *((other.name, other.account, other.bic) if other else (None,) * 3),
        *((own.category, own.payee, own.note, ", ".join(own.tags)) if own else (None,) * 4),
    )


def _harmless(text: str | None) -> str:
    return f"'{text}" if text and _FORMULA.match(text) else text or ""


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""
