"""One :61: with its :86: into a transaction."""

import re
from calendar import isleap
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final

from dashtam_core.accounts import Counterparty, TransactionData, TransactionStatus, TransactionType, checkpoint
from dashtam_core.kernel import Currency, Money
from dashtam_files._amounts import Amounts
from dashtam_files._text import MAX_FIELD
from dashtam_files._warnings import Warnings
from dashtam_files.mt940._details import ACCOUNT, details, usable

# Value date, entry date, mark, the currency's third letter, amount, type, references, further details: SWIFT's
# 6!n[4!n]2a[1!a]15d1!a3!c16x[//16x][34x], where banks leave out the comma or pad the type and the reference.
_ENTRY: Final = re.compile(
    r"\s*(\d{6})(?:\d{4})? *(R?[CD]|E[CD])[A-Z]? *(\d[\d.,]{0,29})"
    r"(?:[A-Z] {3}|([A-Z][A-Z0-9][A-Z0-9 ]{2}))?([^\n]*)\s*([^\0]*)",
    re.ASCII,
)
_DEBIT_MARKS: Final = frozenset({"D", "RC", "ED"})

# What a booking is, where the code is certain: SWIFT's, those of Dutch banks, and the German ones (GVC).
_TYPES: Final = {
    code: TransactionType(kind)
    for kind, codes in (
        ("ATM", "-NGM -NGEA"),
        ("CHECK", "-NCHK -NTCK -001 -002"),
        ("DIRECTDEBIT", "-NDDT -NIC -NINC -004 -005 -104 -105 -107"),
        ("DIRECTDEP", "+053 +153"),
        ("DIV", "+NDIV"),
        ("FEE", "-NCHG -NCOM -NBRF -808"),
        ("INT", "+NINT -NINT +NRNT -NRNT +814 -814"),
        ("POS", "-NBA -NBEA"),
        ("REPEATPMT", "-NSTO -NPO -008 -117"),
    )
    for code in codes.split()
}


@lru_cache(4096)
def day_of(text: str) -> date | None:
    """The day YYMMDD. German banks count 30 days to a month: a 30th of February is its last day."""
    try:
        year, month, day = int(f"{19 if text > '80' else 20}{text[:2]}"), int(text[2:4]), int(text[4:])
        return date(year, month, 28 + isleap(year) if text[2:] in {"0229", "0230"} else day)
    except ValueError:
        return None


def money(text: str, unit: Currency, *, debit: bool) -> Money | None:
    """The amount with the digits as printed. A lone mark is the decimal mark."""
    try:
        amount: Decimal | None = Decimal(text.replace(",", "."))
    except InvalidOperation:
        amount = Amounts().read(text)
    return None if amount is None else Money(amount.copy_negate() if debit and amount else amount, unit)


def transactions(
    entries: list[list[str]], unit: Currency, where: str, warnings: Warnings
) -> Iterator[TransactionData]:
    """The rows, in order. One without a readable day or amount is reported and left out."""
    for number, (line, *texts) in enumerate(entries, 1):
        if number % 256 == 0:
            checkpoint()
        text = "\n".join(texts)
        if len(text) > MAX_FIELD:
            warnings.add("text_cut", f"{where}, transaction {number}", text)
            text = text[:MAX_FIELD]
        if row := _transaction(line[:MAX_FIELD], text, unit):
            yield row
        else:
            what = "amount" if day_of(line[:6]) else "date"
            warnings.add(f"transaction_{what}_unreadable", f"{where}, transaction {number}", line.split("\n")[0])


def _transaction(line: str, text: str, unit: Currency) -> TransactionData | None:
    if not (found := _ENTRY.match(line)):
        return None
    value, mark, number, code, references, extra = found.groups()
    debit = mark in _DEBIT_MARKS
    amount, day = money(number, unit, debit=debit), day_of(value)
    if amount is None or day is None:
        return None
    customer, _, bank = references.partition("//")
    if customer[15:16] == " ":  # Rabobank prints a name beyond the 16 characters.
        customer, extra = customer[:16], f"{customer[16:].strip()}\n{extra}".strip()
    code, reference, said = code and code.rstrip(), usable(customer), details(text)
    if extra and extra[0] not in "/:":  # Not of codes such as `/TRCD/00100/` or `:NS:01`.
        _complete(said, reference, extra, text)
    get = {key: text for key, text in said.items() if text}.get
    name, account, bic = get("name"), get("account"), get("bic")
    return TransactionData(
        posted_date=day,
        amount=amount,
        type=_type(get("business"), code, "-" if debit else "+"),
        status=TransactionStatus.PENDING if mark[0] == "E" else TransactionStatus.POSTED,
        description=text.strip() or extra.rstrip() or None,
        payee=name,
        memo=get("memo"),
        provider_transaction_id=usable(bank),
        value_date=day,
        check_number=reference if code == "NCHK" and reference and reference.isdecimal() else None,
        reference=reference,
        end_to_end_id=get("end_to_end_id"),
        mandate_id=get("mandate_id"),
        bank_transaction_code=code,
        counterparty=Counterparty(name=name, account=account, bic=bic) if name or account or bic else None,
        reversal=mark[0] == "R",
    )


@lru_cache(4096)
def _type(business: str | None, code: str | None, sign: str) -> TransactionType:
    """By the German business code, else the code of :61: (where S, F and N say who sent it on), else the sign."""
    known = _TYPES.get(f"{sign}{business}") or _TYPES.get(f"{sign}N{code[1:] if code else ''}")
    return known or (TransactionType.DEBIT if sign == "-" else TransactionType.CREDIT)


def _complete(said: dict[str, str], reference: str | None, extra: str, text: str) -> None:
    """Adds what Dutch banks print in :61: alone: the other account, then its holder; else a text is the memo."""
    first = extra.partition("\n")[0].strip()
    if ACCOUNT.fullmatch(first):
        said.setdefault("account", first)
    elif reference and (ACCOUNT.fullmatch(reference) or text.partition("\n")[0] == f"{reference} {first}"):
        said.setdefault("account", reference)
        said.setdefault("name", first)
    else:
        said.setdefault("memo", " ".join(extra.split()))
