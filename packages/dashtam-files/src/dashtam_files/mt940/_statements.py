"""One message into an account with its rows and balances, and whether they add up."""

import re
from calendar import isleap
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation, localcontext
from functools import lru_cache
from typing import Final

import attrs

from dashtam_core import accounts as model
from dashtam_core.accounts import BalanceKind, TransactionData, TransactionStatus, TransactionType
from dashtam_core.kernel import Currency, Money
from dashtam_files._answers import Warnings, paced
from dashtam_files._text import MAX_FIELD
from dashtam_files._values import NO_CURRENCY, Amounts
from dashtam_files.mt940._details import ACCOUNT, details, usable
from dashtam_files.mt940._messages import Message

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

# SWIFT's 1!a6!n3!a15d. Its decimal mark is never left out: without it the line was cut.
_BALANCE: Final = re.compile(r"\s*([CD])(\d{6})([A-Z]{3})?\s*(\d{1,30}[.,]\d{0,8})\s*", re.ASCII)
_UNIT: Final = re.compile(r"\s*(?:[CD]\d{6}|\d{1,9})?(?P<unit>[A-Z]{3})[CD]?\d", re.ASCII)
_NUMBER: Final = re.compile(r"(.*\d)[\s/]*(?P<unit>[A-Z]{3})", re.ASCII)
_KINDS: Final = {
    ":60": BalanceKind.OPENING_BOOKED,
    ":62": BalanceKind.CLOSING_BOOKED,
    ":64": BalanceKind.CLOSING_AVAILABLE,
    ":65": BalanceKind.EXPECTED,
}


@attrs.define
class Statements:
    """Reads messages in their order, as a page of a statement begins where the one before it ended."""

    warnings: Warnings
    _where: str = ""
    _page: Money | None = None

    def read(self, message: Message, number: int) -> model.AccountBatch:
        self._where = f"statement {number}"
        account = self._account(message)
        balances = self._balances(message, account.currency)
        rows = tuple(self._transactions(message.entries, account.currency))
        with localcontext(prec=80):
            self._check(message, balances, sum(row.amount.amount for row in rows))
        return model.AccountBatch(account=account, transactions=rows, balances=tuple(balances.values()))

    def _account(self, message: Message) -> model.AccountData:
        """`BLZ/number`, `BIC/number` or an IBAN, each without the currency that some banks add to it."""
        printed = message.fields.get(":25", "").strip().partition("\n")[0][:MAX_FIELD].rstrip()
        alone = _NUMBER.fullmatch(printed)
        texts = [*(text for _, text in message.balances), *(message.fields.get(tag, "") for tag in (":90", ":34"))]
        named = next(filter(None, map(_UNIT.match, texts)), alone)
        unit = named["unit"] if named else None
        bank, _, number = (alone[1] if alone and alone["unit"] == unit else printed).rpartition("/")
        if not unit:
            self.warnings.add("currency_missing", self._where)
        if not printed:
            self.warnings.add("account_id_missing", self._where)
        return model.AccountData(
            provider_account_id=printed,
            account_type=model.AccountType.CHECKING,
            currency=Currency(unit) if unit else NO_CURRENCY,
            number=(number.replace(" ", "") if ACCOUNT.fullmatch(number) else number) or None,
            bank_id=bank or None,
        )

    def _balances(self, message: Message, unit: Currency) -> dict[str, model.BalanceData]:
        """By the beginning of the tag, but by the day for :65:. Of two alike the last counts."""
        balances: dict[str, model.BalanceData] = {}
        for tag, text in message.balances:
            found, kind = _BALANCE.fullmatch(text), tag[:3]
            as_of = _day(found[2]) if found else None
            own = Currency(found[3]) if found and found[3] else unit
            if found and as_of and (amount := _money(found[4], own, debit=found[1] == "D")):
                key = found[2] if kind == ":65" else kind
                balances[key] = model.BalanceData(kind=_KINDS[kind], as_of=as_of, amount=amount)
            else:
                self.warnings.add("balance_unreadable", f"{self._where}, {tag}", text)
        return balances

    def _transactions(self, entries: list[list[str]], unit: Currency) -> Iterator[TransactionData]:
        """The rows, in order. One without a readable day or amount is reported and left out."""
        for number, (line, *texts) in enumerate(paced(entries), 1):
            text = "\n".join(texts)
            if len(text) > MAX_FIELD:
                text = self.warnings.whole(text, f"{self._where}, transaction {number}", text)
            if row := _transaction(line[:MAX_FIELD], text, unit):
                yield row
            else:
                rule = f"transaction_{'amount' if _day(line[:6]) else 'date'}_unreadable"
                self.warnings.add(rule, f"{self._where}, transaction {number}", line.split("\n")[0])

    def _check(self, message: Message, balances: dict[str, model.BalanceData], total: Decimal | int) -> None:
        """Opening balance and rows make the closing balance; a page opens with what the one before closed with."""
        opening, closing = balances.get(":60"), balances.get(":62")
        if opening and closing and opening.amount.currency == closing.amount.currency:
            if difference := closing.amount.amount - opening.amount.amount - total:
                self.warnings.add("balance_mismatch", self._where, format(difference, "f"))
        elif not closing and message.type not in {"941", "942"}:
            self.warnings.add("closing_balance_missing", self._where)
        tags = dict(message.balances)
        if ":60M:" in tags and opening and self._page not in {None, opening.amount}:
            self.warnings.add("page_missing", self._where, str(opening.amount))
        self._page = closing.amount if ":62M:" in tags and closing else None


@lru_cache(4096)
def _day(text: str) -> date | None:
    """The day YYMMDD. German banks count 30 days to a month: a 30th of February is its last day."""
    try:
        year, month, day = int(f"{19 if text > '80' else 20}{text[:2]}"), int(text[2:4]), int(text[4:])
        return date(year, month, 28 + isleap(year) if text[2:] in {"0229", "0230"} else day)
    except ValueError:
        return None


def _money(text: str, unit: Currency, *, debit: bool) -> Money | None:
    """The amount with the digits as printed. A lone mark is the decimal mark."""
    try:
        amount: Decimal | None = Decimal(text.replace(",", "."))
    except InvalidOperation:
        amount = Amounts().read(text)
    return None if amount is None else Money(amount.copy_negate() if debit and amount else amount, unit)


def _transaction(line: str, text: str, unit: Currency) -> TransactionData | None:
    if not (found := _ENTRY.match(line)):
        return None
    value, mark, number, code, references, extra = found.groups()
    debit = mark in _DEBIT_MARKS
    amount, day = _money(number, unit, debit=debit), _day(value)
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
        counterparty=model.Counterparty(name=name, account=account, bic=bic) if name or account or bic else None,
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
