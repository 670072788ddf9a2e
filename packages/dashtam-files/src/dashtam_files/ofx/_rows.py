"""One STMTTRN or STMTTRNP into a transaction (OFX 2.3, sections 11.4.4.1 and 11.4.5)."""

import re
from decimal import Decimal
from typing import Final

import attrs

from dashtam_core.accounts import Counterparty, TransactionData, TransactionStatus, TransactionType
from dashtam_core.kernel import Currency, Money
from dashtam_files._answers import Warnings
from dashtam_files._text import MAX_FIELD
from dashtam_files._values import Amounts, short_ofx_day
from dashtam_files.ofx._markup import plain
from dashtam_files.ofx._record import Record, record

_OWN: Final = frozenset(
    {"TRNTYPE", "DTPOSTED", "DTUSER", "DTAVAIL", "DTTRAN", "DTEXPIRE", "TRNAMT", "FITID", "SRVRTID", "CHECKNUM"}
    | {"REFNUM", "SIC", "PAYEEID", "NAME", "EXTDNAME", "MEMO", "MEMO2", "CORRECTFITID", "CORRECTACTION"}
)
_TYPES: Final = {member.value: member for member in TransactionType}
_MCC: Final = re.compile(r"(?!0000)\d{4}", re.ASCII)


def _element(tag: str, value: str = r"([^<\s&]{0,255}+)") -> str:
    return rf"<{tag}>{value}\s*+(?:</{tag}>\s*+)?+"


# The row that most files are made of: the usual elements, once each, in the standard's order.
_PLAIN: Final = re.compile(
    r"<STMTTRN>\s*+"
    + _element("TRNTYPE")
    + _element("DTPOSTED")
    + "".join(f"(?:{_element(tag)})?+" for tag in ("DTUSER", "DTAVAIL"))
    + _element("TRNAMT", r"([+-]?[0-9]{1,30}+(?:\.[0-9]{1,2}+)?+)")
    + _element("FITID")
    + "".join(f"(?:{_element(tag)})?+" for tag in ("CHECKNUM", "REFNUM", "SIC"))
    + "".join(f"(?:{_element(tag, f'([^<]{{0,{MAX_FIELD}}}+)')})?+" for tag in ("NAME", "MEMO"))
    + r"</STMTTRN>\s*+"
)


@attrs.define
class Rows:
    """Reads the rows of one statement. `currency` is the account's, in which amounts are unless a row says so."""

    where: str
    currency: Currency
    amounts: Amounts
    warnings: Warnings
    # The transactions, in order. A row without a readable day or amount is reported and left out.
    read: list[TransactionData] = attrs.Factory(list[TransactionData])
    count: int = 0

    def place(self) -> str:
        """Where the next row is."""
        self.count += 1
        return f"{self.where}, transaction {self.count}"

    def run(self, text: str, at: int) -> int:
        """Reads the plain rows that follow each other in the text, and answers where they end.

        What it makes of a row `add` would make too. A row about which anything is to be reported is left to that.
        """
        read, unit, before = self.read, self.currency, len(self.read)
        while found := _PLAIN.match(text, at):
            kind, posted, user, available, amount, id_, check, reference, sic, name, memo = found.groups()
            day, instant = short_ofx_day(posted)
            acted = short_ofx_day(user)[0] if user else None
            valued = short_ofx_day(available)[0] if available else None
            if day is None or kind not in _TYPES or (user and not acted) or (available and not valued):
                break
            name = (plain(name) if "&" in name else name.strip()) or None if name else None
            memo = (plain(memo) if "&" in memo else memo.strip()) or None if memo else None
            read.append(
                TransactionData(
                    posted_date=day,
                    amount=Money(Decimal(amount) or Decimal(amount.lstrip("+-")), unit),
                    type=_TYPES[kind],
                    description=name or memo,
                    payee=name,
                    memo=memo,
                    provider_transaction_id=id_ or None,
                    value_date=valued,
                    transaction_date=acted,
                    posted_at=instant,
                    mcc=_mcc(sic),
                    check_number=check or None,
                    reference=reference or None,
                )
            )
            at = found.end()
        self.count += len(read) - before
        return at

    def add(self, tag: str, body: str) -> None:
        """Reads one row, however it is written. `body` is what stands between its tags."""
        row = record(body, self.place(), self.amounts, self.warnings, _OWN)
        get, pending = row.fields.get, tag == "STMTTRNP"
        booked = row.booked("DTTRAN" if pending else "DTPOSTED")
        if booked is None or (amount := row.amount("TRNAMT")) is None:
            return
        unit, foreign, rate = row.conversion(self.currency)
        money = Money(amount, unit)
        number = row.text("BANKACCTTO.ACCTID", "CCACCTTO.ACCTID")
        payee = get("NAME") or row.text("PAYEE.NAME", "PAYEE", "EXTDNAME")
        memo = " ".join(filter(None, (get("MEMO"), get("MEMO2")))) or None
        self.read.append(
            TransactionData(
                posted_date=booked[0],
                amount=money,
                type=_type(row),
                status=_status(row, pending=pending),
                description=payee or memo,
                payee=payee,
                memo=memo,
                provider_transaction_id=get("FITID"),
                value_date=row.day("DTAVAIL"),
                transaction_date=row.day("DTUSER"),
                posted_at=booked[1],
                original_amount=row.original(money, foreign, rate),
                exchange_rate=rate,
                mcc=_mcc(get("SIC")),
                check_number=get("CHECKNUM"),
                reference=get("REFNUM"),
                counterparty=Counterparty(name=payee, account=number) if number else None,
                replaces=get("CORRECTFITID"),
            )
        )


def _mcc(printed: str | None) -> str | None:
    """A merchant category; placeholders are none."""
    return printed if printed and _MCC.fullmatch(printed) else None


def _type(row: Record) -> TransactionType:
    printed = row.fields.get("TRNTYPE", "")
    return (
        row.unless_read(_TYPES.get(printed.upper()), "transaction_type_unknown", printed) or TransactionType.OTHER
    )


def _status(row: Record, *, pending: bool) -> TransactionStatus:
    """Pending or posted, but void if the row takes another back (OFX 2.3, section 11.4.4.2)."""
    if "CORRECTFITID" in row.fields:
        action = row.fields.get("CORRECTACTION", "")
        if action.upper() == "DELETE":
            return TransactionStatus.VOID
        if action.upper() != "REPLACE":
            row.warn("correction_unknown", action)
    return TransactionStatus.PENDING if pending else TransactionStatus.POSTED
