"""OFX 2.2, for everything from Quicken to GnuCash: one statement response for each account."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Context, Decimal
from itertools import chain
from typing import Final
from xml.sax.saxutils import escape

import attrs

from dashtam_core import accounts as model
from dashtam_core.accounts import BalanceKind as Kind
from dashtam_core.accounts import ExportedAccount, Transaction
from dashtam_core.kernel import Currency
from dashtam_files.writers._shared import BOOKED, days_of, one_line, rows_of, told

_HEADER: Final = (
    '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n'
    '<?OFX OFXHEADER="200" VERSION="220" SECURITY="NONE" OLDFILEUID="NONE" NEWFILEUID="NONE"?>\n<OFX>\n'
)
_OK: Final = "<STATUS><CODE>0</CODE><SEVERITY>INFO</SEVERITY></STATUS>"
_AVAILABLE: Final = (Kind.AVAILABLE, Kind.CLOSING_AVAILABLE, Kind.INTERIM_AVAILABLE)
_TYPES: Final = {"SAVINGS", "MONEYMRKT", "CD"}
_NO_BALANCE: Final = "<LEDGERBAL><BALAMT>0</BALAMT><DTASOF>19000101120000</DTASOF></LEDGERBAL>\n"
_NAME, _MEMO, _FITID, _CHECKNUM, _REFNUM, _BANKID, _BRANCHID = 32, 255, 255, 12, 32, 9, 22
_RATIO: Final = Context(prec=16)


@attrs.frozen
class OfxWriter:
    """Writes OFX 2.2 (sections 11.4.2 and 11.4.3) in UTF-8 that strict readers take.

    ACCTID is 16 digits of the account's id here and the last four of its number, which is never stored: the same
    in every export, another for each account. FITID is the bank's id where the account has it once, else ours.
    LEDGERBAL is zero on 1 January 1900 if no booked balance is known. Days are noon, so that no time zone moves
    them. Units outside ISO 4217 are `XXX`, loans credit lines, other accounts for checking. A cut NAME is whole in
    MEMO; ids too long for OFX, instants and void rows are left out. Pending rows stand in BANKTRANLISTP.
    """

    name: str = attrs.field(default="ofx", init=False)
    media_type: str = attrs.field(default="application/x-ofx", init=False)
    suffix: str = attrs.field(default=".ofx", init=False)

    def write(self, accounts: Iterable[ExportedAccount], /) -> Iterator[str]:
        every = tuple(accounts)
        server = _tag("DTSERVER", _day(max(chain(*map(days_of, every)), default=date(1970, 1, 1))))
        yield f"{_HEADER}<SIGNONMSGSRSV1><SONRS>{_OK}{server}<LANGUAGE>ENG</LANGUAGE></SONRS></SIGNONMSGSRSV1>\n"
        for kind in ("BANK", "CREDITCARD"):
            some = [each for each in every if _is_card(each.account) is (kind == "CREDITCARD")]
            if some:
                yield f"<{kind}MSGSRSV1>\n"
                yield from chain.from_iterable(map(_response, some))
                yield f"</{kind}MSGSRSV1>\n"
        yield "</OFX>\n"


def _response(each: ExportedAccount) -> Iterator[str]:
    kind, account = "CCSTMT" if _is_card(each.account) else "STMT", each.account
    yield f"<{kind}TRNRS>{_tag('TRNUID', str(account.account_id))}{_OK}<{kind}RS>"
    yield f"{_tag('CURDEF', _iso(account.currency))}{_account(account)}\n"
    if rows := rows_of(each, model.TransactionStatus.POSTED):
        ids = Counter(map(_bank_id, rows))
        span = _tag("DTSTART", _day(rows[0].posted_date)) + _tag("DTEND", _day(rows[-1].posted_date))
        yield f"<BANKTRANLIST>{span}\n"
        yield from (_posted(row, account.currency, unique=ids[_bank_id(row)] == 1) for row in rows)
        yield "</BANKTRANLIST>\n"
    if rows := rows_of(each, model.TransactionStatus.PENDING):
        yield f"<BANKTRANLISTP>{_tag('DTASOF', _day(rows[-1].posted_date))}\n"
        yield from (_pending(row, account.currency) for row in rows)
        yield "</BANKTRANLISTP>\n"
    yield _balance("LEDGERBAL", told(each, *BOOKED)) or _NO_BALANCE
    yield _balance("AVAILBAL", told(each, *_AVAILABLE))
    yield f"</{kind}RS></{kind}TRNRS>\n"


def _account(account: model.Account) -> str:
    mask = "".join(filter(str.isalnum, one_line(account.mask)))[-4:]
    number = _tag("ACCTID", "-".join(filter(None, (account.account_id.hex[-16:], mask))))
    if _is_card(account):
        return f"<CCACCTFROM>{number}</CCACCTFROM>"
    bank, _, branch = one_line(account.bank_id).partition("/")
    other = "CREDITLINE" if account.balance_type == "LIABILITY" else "CHECKING"
    kind = _tag("ACCTTYPE", account.account_type if account.account_type in _TYPES else other)
    of = _tag("BANKID", bank[:_BANKID].strip() or "UNKNOWN") + _tag("BRANCHID", branch[:_BRANCHID].strip())
    return f"<BANKACCTFROM>{of}{number}{kind}</BANKACCTFROM>"


def _posted(row: Transaction, unit: Currency, *, unique: bool) -> str:
    fields = (
        _tag("TRNTYPE", row.type if row.type != "HOLD" else "OTHER"),  # a hold is always pending
        _tag("DTPOSTED", _day(row.posted_date)),
        _tag("DTUSER", _day(row.transaction_date)),
        _tag("DTAVAIL", _day(row.value_date)),
        _tag("TRNAMT", row.amount.text),
        _tag("FITID", (unique and _bank_id(row)) or str(row.transaction_id)),
        _tag("CHECKNUM", _whole(row.check_number, _CHECKNUM)),
        _tag("REFNUM", _whole(row.reference, _REFNUM)),
        _tag("SIC", row.mcc if row.mcc and re.fullmatch("[0-9]{1,6}", row.mcc) else ""),
    )
    return f"<STMTTRN>{''.join(fields)}{_texts(row)}{_conversion(row, unit)}</STMTTRN>\n"


def _pending(row: Transaction, unit: Currency) -> str:
    fields = _tag("TRNTYPE", row.type), _tag("DTTRAN", _day(row.posted_date)), _tag("TRNAMT", row.amount.text)
    reference = _tag("REFNUM", _whole(row.reference, _REFNUM))
    return f"<STMTTRNP>{''.join(fields)}{reference}{_texts(row)}{_conversion(row, unit)}</STMTTRNP>\n"


def _texts(row: Transaction) -> str:
    """NAME and MEMO. What is a memo and nothing else has no name."""
    description, memo = one_line(row.description), one_line(row.memo)
    full = one_line(row.payee) or (description if description != memo else "")
    name = full[:_NAME].strip()
    also = (full if name != full else "", memo, description if description != full else "")
    return _tag("NAME", name) + _tag("MEMO", " / ".join(dict.fromkeys(filter(None, also)))[:_MEMO].strip())


def _conversion(row: Transaction, unit: Currency) -> str:
    """CURRENCY for a row in another unit than its account, ORIGCURRENCY for one converted (section 5.2).

    CURRATE must be there: where none was given it is that of the two amounts, or else 1.
    """
    original, rate = row.original_amount, row.exchange_rate
    if row.amount.currency != unit:
        tag, symbol = "CURRENCY", _iso(row.amount.currency)
    elif original and original.amount and row.amount.amount and original.currency.exponent is not None:
        tag, symbol = "ORIGCURRENCY", original.currency.code
        rate = rate or abs(_RATIO.divide(row.amount.amount, original.amount))
    else:
        return ""
    return f"<{tag}>{_tag('CURRATE', format(rate or Decimal(1), 'f'))}{_tag('CURSYM', symbol)}</{tag}>"


def _balance(tag: str, known: model.Balance | None) -> str:
    if known is None:
        return ""
    return f"<{tag}>{_tag('BALAMT', known.amount.text)}{_tag('DTASOF', _day(known.as_of))}</{tag}>\n"


def _bank_id(row: Transaction) -> str:
    return _whole(model.usable_id(row.provider_transaction_id), _FITID)


def _whole(text: str | None, limit: int) -> str:
    """The text as it is, or nothing where OFX has no room for it: a part of an id is another id."""
    return text if text and len(text) <= limit and text == one_line(text) else ""


def _is_card(account: model.Account) -> bool:
    return account.account_type is model.AccountType.CREDITCARD


def _iso(unit: Currency) -> str:
    return unit.code if unit.exponent is not None else "XXX"


def _day(day: date | None) -> str:
    return f"{day.isoformat().replace('-', '')}120000" if day else ""


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""
