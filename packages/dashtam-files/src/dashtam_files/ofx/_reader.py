"""The reader of OFX 1 (SGML), OFX 2 (XML) and QFX: documents into accounts (OFX 2.3, sections 11.4 and 13.9)."""

import re
from collections.abc import Iterator
from typing import Final

import attrs

from dashtam_core.accounts import AccountBatch, AccountData, BalanceData, ImportCode
from dashtam_core.accounts import AccountType as Type
from dashtam_core.accounts import BalanceKind as Kind
from dashtam_core.kernel import Currency, DateRange, Money
from dashtam_files._answers import MAX_ROWS, Answer, Refusal, Warnings, refused, statement, too_many
from dashtam_files._text import Decoded, decoded, head
from dashtam_files._values import NO_CURRENCY, Amounts, currency, ofx_day
from dashtam_files.ofx._investments import Investments, Securities
from dashtam_files.ofx._markup import pieces, tag_count, without_comments
from dashtam_files.ofx._outline import Outline, Response
from dashtam_files.ofx._record import record
from dashtam_files.ofx._rows import Rows

MAX_TAGS: Final = 30 * MAX_ROWS
_FORMAT_WITHIN: Final = 65_536

_AMOUNTS: Final = re.compile(
    r"<(?:[\w.-]{1,40}:)?(?:TRNAMT|BALAMT|TOTAL|UNITS|UNITPRICE|MKTVAL|AVAILCASH)\s*>([^<]{1,64})", re.IGNORECASE
)
_SIGNATURE: Final = re.compile(r"OFXHEADER\s*[:=]|<\?OFX\s|<(?:[\w.-]++:)?OFX(?:\s[^<>]*+)?>", re.IGNORECASE)
_BODY: Final = re.compile(
    r"<(?:[\w.-]++:)?(?:OFX|SIGNONMSGSRSV1|BANKMSGSRSV1|CREDITCARDMSGSRSV1|INVSTMTMSGSRSV1)(?:\s[^<>]*+)?>",
    re.IGNORECASE,
)
_VERSION: Final = re.compile(r"""(?i)(?:OFXHEADER|<\?OFX)[^<]{0,300}?VERSION\s*[:=]\s*["']?(\d)(\d\d)(?!\d)""")
_TYPES: Final = {member.value: member for member in Type}
_RETIREMENT: Final = {"INV401K", "INV401KBAL"}
# The element with the amount, and the one with its day.
_BALANCES: Final = {
    Kind.LEDGER: ("LEDGERBAL.BALAMT", "LEDGERBAL.DTASOF"),
    Kind.AVAILABLE: ("AVAILBAL.BALAMT", "AVAILBAL.DTASOF"),
    Kind.CASH: ("INVBAL.AVAILCASH", ".DTASOF"),
    Kind.MARGIN: ("INVBAL.MARGINBALANCE", ".DTASOF"),
}
_CLOSING: Final = frozenset({"FITID", "DTOPEN", "DTCLOSE", "DTNEXT", "BALOPEN", "BALCLOSE", "BALMIN"})


@attrs.frozen
class OfxReader:
    """Reads OFX as banks write it: without closing tags, with wrong headers, odd numbers and empty dates.

    Amounts keep the sign and the digits of TRNAMT, days are those printed. What cannot be read is a warning and is
    left out, never guessed. Nothing in a file can make it raise, recurse or reach the network.
    """

    name: str = attrs.field(default="ofx", init=False)

    def recognizes(self, data: bytes, /) -> bool:
        """Whether an OFX header or root element stands near the beginning."""
        return _SIGNATURE.search(head(data)) is not None

    def read(self, data: bytes, /) -> Answer:
        """The statement; refused are files that are cut short, too large, or hold no OFX after its header."""
        if not self.recognizes(data):
            why = "the file has neither an OFX header nor an <OFX> tag: export it as OFX or QFX from your bank"
            return refused(ImportCode.FORMAT_UNKNOWN, why)
        return _statement(decoded(data))


def _statement(source: Decoded) -> Answer:
    text, warnings = without_comments(source.text), Warnings(source)
    if not (start := _BODY.search(text)):
        why = "the file has an OFX header but no <OFX> section after it: it is damaged, download it again"
        return refused(ImportCode.FILE_UNREADABLE, why)
    if failure := too_many(tag_count(text), MAX_TAGS, "tags"):
        return failure
    if "\0" in text:
        warnings.add("null_characters_removed", "document")
    outline = Outline(Amounts(found[1] for found in _AMOUNTS.finditer(text)), warnings)
    outline.read(pieces(text, start.start()))
    if failure := _refusal(outline):
        return failure
    if not outline.ended:
        warnings.add("end_missing", "document")
    securities = Securities.read(outline.securities, outline.amounts, warnings)
    accounts = _Accounts(outline.amounts, warnings, securities)
    held = (each for each in outline.responses if each.tag or each.rows or each.records)
    return statement(_format(source.text), source, map(accounts.read, held), warnings)


def _refusal(outline: Outline) -> Refusal | None:
    if outline.too_many:
        why = f"the file has more than {outline.too_many}, which is the limit: download a shorter period"
        return refused(ImportCode.FILE_TOO_LARGE, why)
    if outline.ended:
        return None
    if not outline.responses and outline.tags <= 1:
        why = "the file begins as OFX but no OFX follows: it is damaged or of another kind, download it again"
        return refused(ImportCode.FILE_UNREADABLE, why)
    if outline.cut_in or not outline.responses or outline.ends_in_tag:
        place = outline.cut_in.where if outline.cut_in else "a section"
        why = f"the file ends inside {place}, before </OFX>: it was cut short, download it from your bank again"
        return refused(ImportCode.FILE_TRUNCATED, why)
    return None


def _format(text: str) -> str:
    start = text[:_FORMAT_WITHIN]
    name = "QFX" if "<INTU." in start.upper() else "OFX"
    found = _VERSION.search(start)
    return f"{name} {found[1]}.{found[2]}" if found else name


@attrs.frozen
class _Accounts:
    """Makes accounts of responses once the whole document is known."""

    amounts: Amounts
    warnings: Warnings
    securities: Securities

    def read(self, response: Response) -> AccountBatch:
        account = self._account(response)
        rows = response.rows or Rows(response.where, account.currency, self.amounts, self.warnings)
        as_of, _ = ofx_day(response.fields.get(".DTASOF") or response.fields.get("DTEND", ""))
        investments = Investments(rows, self.securities, as_of)
        closings = list[BalanceData]()
        for tag, body in response.records:
            if tag.startswith("STMTTRN"):
                rows.add(tag, body)
            elif tag.endswith("CLOSING"):
                closings += self._closing(response, body, account.currency)
            else:
                investments.add(tag, body)
        return AccountBatch(
            account=account,
            transactions=tuple(rows.read),
            balances=(*self._balances(response, account.currency), *closings),
            holdings=tuple(investments.holdings),
            covered_window=self._window(response),
        )

    def _account(self, response: Response) -> AccountData:
        get = response.fields.get
        number = get("ACCTID")
        account = AccountData(
            provider_account_id=number or "",
            account_type=self._type(response),
            currency=currency(get("CURDEF", "")) or NO_CURRENCY,
            number=number or None,
            bank_id="/".join(filter(None, (get("BANKID") or get("BROKERID"), get("BRANCHID")))) or None,
            institution=response.institution,
            institution_id=response.institution_id,
        )
        return self.warnings.checked(account, response.where, get("CURDEF"))

    def _type(self, response: Response) -> Type:
        fields = response.fields
        if response.tag.startswith("CC") or "CCACCTFROM.ACCTID" in fields:
            return Type.CREDITCARD
        if response.tag == "INVSTMTRS" or "INVACCTFROM.ACCTID" in fields:
            return Type.INVESTMENT if _RETIREMENT.isdisjoint(fields) else Type.RETIREMENT
        known = _TYPES.get((printed := fields.get("ACCTTYPE", "")).upper())
        return self.warnings.unless_read(known, "account_type_unknown", response.where, printed) or Type.OTHER

    def _balances(self, response: Response, unit: Currency) -> Iterator[BalanceData]:
        get = response.fields.get
        for kind, (amount, day) in _BALANCES.items():
            if (printed := get(amount)) is not None:
                place = f"{response.where}, {amount.partition('.')[0]}"
                yield from self._balance(kind, printed, unit, get(day, get("DTEND", "")), place)

    def _closing(self, response: Response, body: str, unit: Currency) -> Iterator[BalanceData]:
        """The balance that a closing statement ends with (OFX 2.3, section 11.5.2).

        What it opened with is left out: the rows in between are not in it, so the two prove nothing.
        """
        closing = record(body, f"{response.where}, CLOSING", self.amounts, self.warnings, _CLOSING)
        printed, dated = closing.fields.get("BALCLOSE", ""), closing.fields.get("DTCLOSE", "")
        own, _, _ = closing.conversion(unit)
        return self._balance(Kind.CLOSING_BOOKED, printed, own, dated, closing.where)

    def _balance(self, kind: Kind, printed: str, unit: Currency, dated: str, place: str) -> Iterator[BalanceData]:
        amount = self.amounts.read(printed)
        as_of, reported_at = ofx_day(dated)
        if amount is None:
            self.warnings.add("balance_amount_unreadable", place, printed)
        elif as_of is None:
            self.warnings.add("balance_date_unreadable", place, dated)
        else:
            yield BalanceData(kind=kind, as_of=as_of, amount=Money(amount, unit), reported_at=reported_at)

    def _window(self, response: Response) -> DateRange | None:
        first, last = response.fields.get("DTSTART"), response.fields.get("DTEND")
        if not first and not last:
            return None
        start, end = ofx_day(first or "")[0], ofx_day(last or "")[0]
        if start is None or end is None or end < start:
            self.warnings.add("covered_window_unreadable", response.where, f"{first} to {last}")
            return None
        return DateRange(start, end)
