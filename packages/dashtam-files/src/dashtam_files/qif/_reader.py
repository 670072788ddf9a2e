"""The reader of QIF, the Quicken Interchange Format: accounts, investments and lists."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from dashtam_core import accounts as model
from dashtam_core.accounts import SecurityType as Kind
from dashtam_core.kernel import Currency, Result, Success, and_then
from dashtam_files._answers import Answer, Warnings, paced, refused, statement
from dashtam_files._text import Decoded, decoded, head
from dashtam_files._values import NO_CURRENCY, Amounts
from dashtam_files.qif._days import DayOrder, decided
from dashtam_files.qif._records import KINDS, Account, Document
from dashtam_files.qif._rows import Rows

_SIGNATURE: Final = re.compile(
    r"(?:\ufeff|\xef\xbb\xbf)?(?:\s++|[#^][^\r\n]*+)*+!\s*+(?:(?:type|option|clear)\s*+:|account\b)", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"(?=(?:\D*\d){6})[\d ./-]{6,40}|[A-Z]{2}\d\d[A-Z0-9 ]{10,40}", re.ASCII)
_ISIN: Final = re.compile(r"[A-Z]{2}[A-Z0-9]{9}\d", re.ASCII)
_SECURITIES: Final = {"stock": Kind.STOCK, "mutualfund": Kind.MUTUALFUND, "bond": Kind.DEBT, "option": Kind.OPTION}
_ALLOWED: Final = {
    "format": ('"qif"', "qif"),
    "date_order": ('"DMY", "MDY" or "YMD"', "DMY|MDY|YMD"),
    "currency": ('a code such as "EUR"', "[A-Za-z]{3}"),
    "account": ("a name or number", r"(?=.*\S)[^\x00-\x1f\x7f]{1,200}"),
}


@attrs.frozen
class QifReader:
    """Reads QIF as Quicken and banks write it, which says neither its currency nor the order of day and month.

    That order is found in the whole document, or given by a profile; one that fits two is READING_AMBIGUOUS.
    """

    name: str = attrs.field(default="qif", init=False)
    date_order: DayOrder | None = None
    currency: Currency = NO_CURRENCY
    # Where the file names none.
    account: str = ""

    def recognizes(self, data: bytes, /) -> bool:
        """Whether the first that is said is one of QIF's headers."""
        return _SIGNATURE.match(head(data)) is not None

    def directed(self, profile: str, /) -> Result[model.StatementReader, model.ImportFailed]:
        """A reader that follows the profile; PROFILE_INVALID says what a profile may hold."""
        given = {"format": ""} | _toml(profile)
        for key, value in given.items():
            if key not in _ALLOWED or not (isinstance(value, str) and re.fullmatch(_ALLOWED[key][1], value)):
                allowed = "; ".join(f"{key} = {values}" for key, (values, _) in _ALLOWED.items())
                why = f"{key[:200]!r} of the profile is wrong, unknown or missing: write {allowed}"
                return refused(model.ImportCode.PROFILE_INVALID, why)
        order, unit = given.get("date_order"), given.get("currency", NO_CURRENCY.code)
        account = given.get("account", "").strip()
        return Success(QifReader(DayOrder(order) if order else None, Currency(unit.upper()), account))

    def read(self, data: bytes, /) -> Answer:
        """The statement; refused are files cut short, too large, or whose days can be read in two ways."""
        if not self.recognizes(data):
            why = "the file does not begin with a header such as !Type:Bank: export it as QIF from your bank"
            return refused(model.ImportCode.FORMAT_UNKNOWN, why)
        source = decoded(data)
        document = Document(Warnings(source), self.account)
        if failure := document.read(source.text.replace("\0", "")):
            return failure
        order = Success(self.date_order) if self.date_order else decided(document.accounts.values())
        return and_then(order, lambda found: self._statement(document, found, source))

    def _statement(self, document: Document, order: DayOrder, source: Decoded) -> Success[model.Statement]:
        accounts, warnings = document.accounts.values(), document.warnings
        securities = {name: _security(name, fields) for name, fields in document.securities.items()}
        rows = Rows(Amounts(_printed(accounts)), order, self.currency, securities, warnings)
        read = (_account(each, f"account {number}", rows) for number, each in enumerate(accounts, 1))
        return statement("QIF", source, read, warnings)


def _toml(profile: str) -> dict[str, Any]:
    try:
        return tomllib.loads(profile)
    except (ValueError, RecursionError):
        return {}


def _printed(accounts: Iterable[Account]) -> Iterator[str]:
    """All amounts, which together prove the decimal mark."""
    for account in accounts:
        for record in paced(account.records):
            for fields in (record.fields, *record.parts):
                yield from (fields[letter] for letter in "T$IQO" if letter in fields)


def _account(account: Account, where: str, rows: Rows) -> model.AccountBatch:
    declared, name = account.fields, account.fields["N"]
    kind = "".join(declared.get("T", "").lower().split())
    number = name if _NUMBER.fullmatch(name) else None
    data = model.AccountData(
        provider_account_id=name,
        account_type=KINDS.get(kind) or KINDS.get(account.kind, model.AccountType.OTHER),
        currency=rows.currency,
        number=number,
        name=None if number else name or None,
    )
    return model.AccountBatch(
        account=rows.warnings.checked(data, where),
        transactions=rows.read(account.records, where),
        balances=tuple(_balance(declared, where, rows)),
    )


def _balance(declared: Mapping[str, str], where: str, rows: Rows) -> Iterator[model.BalanceData]:
    """The balance of the last statement, which Quicken prints in the account's block."""
    amount = rows.money(declared.get("$"), where, "balance_amount_unreadable")
    as_of = rows.calendar_day(declared.get("/"), where, "balance_date_unreadable") if amount else None
    if amount and as_of:
        yield model.BalanceData(kind=model.BalanceKind.LEDGER, as_of=as_of, amount=amount)


def _security(name: str, fields: Mapping[str, str]) -> model.SecurityData:
    symbol, kind = fields.get("S"), "".join(fields.get("T", "").lower().split())
    scheme = model.SecurityScheme.ISIN if symbol and _ISIN.fullmatch(symbol) else model.SecurityScheme.TICKER
    ids = (model.SecurityId(scheme, symbol),) if symbol else ()
    return model.SecurityData(ids=ids, name=name, type=_SECURITIES.get(kind, Kind.OTHER))
