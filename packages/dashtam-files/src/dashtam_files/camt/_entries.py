"""One Ntry into a transaction, its TxDtls into the parts of it (ISO 20022 ReportEntry, EntryTransaction)."""

from datetime import date, datetime
from decimal import Context, Decimal
from functools import lru_cache
from typing import Final

import attrs

from dashtam_core.accounts import Counterparty, TransactionData, TransactionPart, TransactionStatus, checkpoint
from dashtam_core.accounts import TransactionType as Type
from dashtam_core.kernel import Currency, Money
from dashtam_files._answers import OFTEN
from dashtam_files._text import MAX_FIELD
from dashtam_files._values import NO_CURRENCY, Amounts, currency, iso_day
from dashtam_files.camt._fields import Element, Fields, Gatherer, outline

_AMOUNTS: Final = (
    "Amt CdtDbtInd AmtDtls/InstdAmt/Amt=InstdAmt AmtDtls/TxAmt/Amt=TxAmt "
    "AmtDtls/InstdAmt|TxAmt|CntrValAmt/CcyXchg/XchgRate"
)
_CODE: Final = "BkTxCd/Domn/Cd=Domn BkTxCd/Domn/Fmly/Cd=Fmly BkTxCd/Domn/Fmly/SubFmlyCd BkTxCd/Prtry/Cd=Own"
_CASH: Final = {"CCRD": Type.ATM, "CNTR": Type.CASH}  # A withdrawal (CWDL), by card or at the counter.
_SUB_FAMILIES: Final = (
    dict.fromkeys(("CHRG", "FEES", "COMM", "COME", "COMI", "COMT"), Type.SRVCHG)
    | dict.fromkeys(("CDPT", "CHKD", "MIXD"), Type.DEP)
    | {"POSD": Type.POS, "INTR": Type.INT, "DVCA": Type.DIV, "STDO": Type.REPEATPMT}
)
_FAMILIES: Final = (
    dict.fromkeys(("RCDT", "ICDT", "RRCT", "IRCT"), Type.XFER)
    | dict.fromkeys(("RDDT", "IDDT"), Type.DIRECTDEBIT)
    | {"CCRD": Type.POS, "RCHQ": Type.CHECK, "ICHQ": Type.CHECK}
)
_PARTY: Final = (
    "RltdPties/{0}/Nm={0} RltdPties/{0}/Pty/Nm={0} RltdPties/{0}/Agt/FinInstnId/Nm={0} "
    "RltdPties/Ultmt{0}/Nm=Ultmt{0} RltdPties/Ultmt{0}/Pty/Nm=Ultmt{0} "
    "RltdPties/{0}Acct/Id/IBAN|BBAN|UPIC={0}Acct RltdPties/{0}Acct/Id/Othr|PrtryAcct/Id={0}Acct "
    "RltdAgts/{0}Agt/FinInstnId/BICFI|BIC={0}Agt RltdAgts/{0}Agt/FinInstnId/CmbndId/BIC={0}Agt "
)
_DETAILS: Final = outline(
    f"{_AMOUNTS} {_CODE} {_PARTY.format('Dbtr')} {_PARTY.format('Cdtr')} "
    "Refs/EndToEndId|MndtId|InstrId|AcctSvcrRef|ChqNb RltdDts/TxDtTm|AccptncDtTm RmtInf/Ustrd "
    "RmtInf/Strd/CdtrRefInf/Ref|CdtrRef=Ref RmtInf/Strd/AddtlRmtInf AddtlTxInf"
)
_ENTRY: Final = outline(
    f"{_AMOUNTS} {_CODE} NtryRef RvslInd AcctSvcrRef AddtlNtryInf Sts/|Cd|Prtry=Sts BookgDt/|Dt|DtTm=BookgDt "
    "ValDt/|Dt|DtTm=ValDt NtryDtls/TxDtls=Details TxDtls=Details",
    Details=_DETAILS,
)
_POSTED, _PENDING = TransactionStatus.POSTED, TransactionStatus.PENDING
_STATUSES: Final = {"BOOK": _POSTED, "PDNG": _PENDING, "FUTR": _PENDING}
_DEBIT: Final = {"DBIT": True, "CRDT": False}
_INVERSE: Final = Context(prec=12)
_NUMBERS: Final = Amounts()


@lru_cache(maxsize=256)
def unit_of(text: str | None) -> Currency | None:
    return currency(text) if text else None


def signed(amount: Decimal, *, debit: bool) -> Decimal:
    """The amount with the sign of CdtDbtInd alone; the standard has none in the amount itself."""
    return amount.copy_abs().copy_negate() if debit and amount else amount.copy_abs()


@attrs.define
class Entries:
    """Reads the entries of one statement. A row without a readable day, amount or sign is reported and left out.

    `own` is the account's number, `day` the only day of the statement: None if it covers more, or says nothing.
    """

    gatherer: Gatherer
    own: str | None
    currency: Currency
    day: date | None
    rows: list[TransactionData] = attrs.Factory(list[TransactionData])
    count: int = 0

    def read(self, element: Element) -> int:
        """Adds the transaction to the rows; answers how many payments are in it."""
        self.count += 1
        if not self.count % OFTEN:
            checkpoint()
        self.gatherer.where += f", entry {self.count}"
        fields: Fields = {}
        parts: list[Fields] = []
        self.gatherer.gather(element, _ENTRY, fields, parts)
        if row := self._row(fields, parts):
            self.rows.append(row)
        return len(parts) or 1

    def _row(self, fields: Fields, parts: list[Fields]) -> TransactionData | None:
        status, money = self._status(fields), self._money(fields)
        posted, instant = self._posted(fields)
        if status is None or money is None or posted is None:
            return None
        debit, reversal = _DEBIT[fields["CdtDbtInd"]], fields.get("RvslInd") in {"true", "1"}
        only = parts[0] if len(parts) == 1 else {}
        part = self._part(only, None, debit=debit is not reversal)
        details = [
            self._part(each, _part_amount(each, money.currency, debit=debit), debit=debit is not reversal)
            for each in parts
            if each is not only
        ]
        original, rate = _original(fields if {"InstdAmt", "TxAmt"} & fields.keys() else only, money)
        coded = fields if "Domn" in fields or "Own" in fields else only
        payee = part.counterparty.name if part.counterparty else None
        said, servicer = fields.get("AddtlNtryInf"), fields.get("AcctSvcrRef")
        return TransactionData(
            posted_date=posted,
            amount=money,
            type=_kind(coded, debit=debit),
            status=status,
            description=_joined(said, part.description) or payee or (details[0].description if details else None),
            payee=payee,
            memo=only.get("Ustrd") or only.get("AddtlTxInf") or said,
            provider_transaction_id=servicer,
            value_date=self.gatherer.day(fields.get("ValDt")),
            transaction_date=self.gatherer.day(only.get("TxDtTm") or only.get("AccptncDtTm")),
            posted_at=instant,
            original_amount=original,
            exchange_rate=rate,
            check_number=only.get("ChqNb"),
            reference=fields.get("NtryRef") or (part.reference if part.reference != servicer else None),
            end_to_end_id=part.end_to_end_id,
            mandate_id=part.mandate_id,
            bank_transaction_code=_code(coded),
            counterparty=part.counterparty,
            reversal=reversal,
            details=tuple(details),
        )

    def _status(self, fields: Fields) -> TransactionStatus | None:
        printed = fields.get("Sts", "BOOK")
        if printed not in _STATUSES:
            self.gatherer.warn("information_only" if printed == "INFO" else "status_unknown", printed)
        return None if printed == "INFO" else _STATUSES.get(printed, TransactionStatus.POSTED)

    def _money(self, fields: Fields) -> Money | None:
        amount = _NUMBERS.read(fields.get("Amt", ""))
        debit = _DEBIT.get(fields.get("CdtDbtInd", ""))
        if amount is None or debit is None:
            rule = "transaction_amount_unreadable" if amount is None else "credit_or_debit_unreadable"
            self.gatherer.warn(rule, fields.get("Amt" if amount is None else "CdtDbtInd"))
            return None
        if amount < 0:
            self.gatherer.warn("amount_sign_ignored", fields["Amt"])
        printed = fields.get("Amt.Ccy")
        unit = unit_of(printed) if printed else self.currency
        if unit is None or unit == NO_CURRENCY:
            self.gatherer.warn("currency_unreadable" if printed else "currency_missing", printed)
        return Money(signed(amount, debit=debit), unit or NO_CURRENCY)

    def _posted(self, fields: Fields) -> tuple[date | None, datetime | None]:
        """The booking day, else the value date, else the only day of the statement; what stands in is reported."""
        printed = fields.get("BookgDt")
        day, instant = iso_day(printed)
        if day is None:
            day = iso_day(fields.get("ValDt"))[0] or self.day
            rule = "booking_date_unreadable" if printed else "booking_date_missing"
            self.gatherer.warn(rule if day else "transaction_date_unreadable", printed)
        return day, instant

    def _part(self, fields: Fields, amount: Money | None, *, debit: bool) -> TransactionPart:
        get = fields.get
        return TransactionPart(
            amount=amount,
            description=_joined(*map(get, ("AddtlTxInf", "Ustrd", "Ref", "AddtlRmtInf"))),
            counterparty=_counterparty(fields, self.own, debit=debit),
            reference=get("Ref") or _provided(get("InstrId")) or get("AcctSvcrRef"),
            end_to_end_id=_provided(get("EndToEndId")),
            mandate_id=_provided(get("MndtId")),
        )


def _part_amount(part: Fields, unit: Currency, *, debit: bool) -> Money | None:
    """The part's amount in the entry's currency; one in another is not its effect on the account."""
    debit = _DEBIT.get(part.get("CdtDbtInd", ""), debit)
    for field in ("Amt", "TxAmt"):
        if field in part and unit_of(part.get(f"{field}.Ccy", unit.code)) == unit:
            amount = _NUMBERS.read(part[field])
            return None if amount is None else Money(signed(amount, debit=debit), unit)
    return None


def _original(fields: Fields, money: Money) -> tuple[Money | None, Decimal | None]:
    """The amount before conversion and the rate, where an amount in another currency is printed."""
    for field in ("InstdAmt", "TxAmt", "Amt"):
        unit = unit_of(fields.get(f"{field}.Ccy"))
        if unit and unit != money.currency and (amount := _NUMBERS.read(fields.get(field, ""))):
            original = Money(signed(amount, debit=money.amount < 0), unit)
            return original, _rate(fields.get("XchgRate"), money.amount / original.amount)
    return None, None


def _rate(printed: str | None, paid: Decimal) -> Decimal | None:
    """The printed rate, or its inverse: banks print either, whatever UnitCcy says, and the amounts tell."""
    rate = _NUMBERS.read(printed) if printed else None
    if rate is None or rate <= 0 or paid <= 0:
        return None
    inverse = _INVERSE.divide(1, rate)
    return min(rate, inverse, key=lambda each: max(each / paid, paid / each))


def _counterparty(fields: Fields, own: str | None, *, debit: bool) -> Counterparty | None:
    """The creditor of a debit, the debtor of a credit; or the other one where that is the account itself."""
    role, opposite = ("Cdtr", "Dbtr") if debit else ("Dbtr", "Cdtr")
    account = fields.get(f"{role}Acct")
    if account and account == own and fields.get(f"{opposite}Acct", own) != own:
        role, account = opposite, fields[f"{opposite}Acct"]
    name, bic = fields.get(role) or fields.get(f"Ultmt{role}"), fields.get(f"{role}Agt")
    return Counterparty(name=name, account=account, bic=bic) if name or account or bic else None


def _code(fields: Fields) -> str | None:
    """The code of ISO 20022's external code set as one text: `PMNT-RCDT-ESCT`, else the bank's own."""
    return "-".join(fields[part] for part in ("Domn", "Fmly", "SubFmlyCd") if part in fields) or fields.get("Own")


def _kind(fields: Fields, *, debit: bool) -> Type:
    """What kind of booking the ISO code says it is; the bank's own codes say no more than the sign."""
    family, sub = fields.get("Fmly", ""), fields.get("SubFmlyCd", "")
    if sub == "CWDL" and family in _CASH:
        return _CASH[family]
    if sub == "SALA" and not debit:
        return Type.DIRECTDEP
    return _SUB_FAMILIES.get(sub) or _FAMILIES.get(family) or (Type.DEBIT if debit else Type.CREDIT)


def _joined(*texts: str | None) -> str | None:
    """What the statement prints, each text once."""
    return " ".join(dict.fromkeys(filter(None, texts)))[:MAX_FIELD] or None


def _provided(text: str | None) -> str | None:
    return None if text == "NOTPROVIDED" else text
