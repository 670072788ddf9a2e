"""Small OFX documents of our own, and how the tests of the reader read them."""

from collections.abc import Iterable, Mapping

from dashtam_core.accounts import (
    AccountBatch,
    ImportCode,
    ImportFailed,
    ReadingWarning,
    Statement,
    TransactionData,
)
from dashtam_core.kernel import Failure, Success
from dashtam_files import OfxReader

HEADER = "OFXHEADER:100\r\nDATA:OFXSGML\r\nVERSION:102\r\nENCODING:USASCII\r\nCHARSET:1252\r\n\r\n"
XML_HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n<?OFX OFXHEADER="200" VERSION="220" SECURITY="NONE"?>\n'
SIGN_ON = (
    "<SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><FI><ORG>Harbour Bank<FID>7</FI></SONRS>"
    "</SIGNONMSGSRSV1>"
)
ROW = "<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260115<TRNAMT>-12.50<FITID>a1<NAME>Corner Bakery</STMTTRN>"
ACCOUNT = "<BANKACCTFROM><BANKID>021<ACCTID>4417<ACCTTYPE>CHECKING</BANKACCTFROM>"
FUND = "<SECID><UNIQUEID>922908769<UNIQUEIDTYPE>CUSIP</SECID>"
FUND_LISTED = f"<MFINFO><SECINFO>{FUND}<SECNAME>Total Fund<TICKER>TOTFX<UNITPRICE>5</SECINFO></MFINFO>"
BUY = (
    "<BUYMF><INVBUY><INVTRAN><FITID>t1<DTTRADE>20260114160000[-5:EST]<DTSETTLE>20260116<MEMO>Bought</INVTRAN>"
    f"{FUND}<UNITS>2.5<UNITPRICE>100.10<COMMISSION>1.00<FEES>0.25<LOAD>0.50<TAXES>0.10<TOTAL>-252.10<SUBACCTSEC>CASH"
    "<SUBACCTFUND>CASH</INVBUY><BUYTYPE>BUY</BUYMF>"
)
POSITION = (
    f"<POSMF><INVPOS>{FUND}<HELDINACCT>CASH<POSTYPE>LONG<UNITS>12.5<UNITPRICE>101.00<MKTVAL>1262.50<DTPRICEASOF>20260130"
    "<MEMO>close</INVPOS><REINVDIV>Y</POSMF>"
)


def row(**fields: str) -> str:
    """One STMTTRN without closing tags; a field given replaces the usual one, an empty one leaves it out."""
    usual = {
        "TRNTYPE": "DEBIT",
        "DTPOSTED": "20260115",
        "TRNAMT": "-12.50",
        "FITID": "a1",
        "NAME": "Corner Bakery",
    }
    return (
        "<STMTTRN>\n"
        + "".join(f"<{tag}>{text}\n" for tag, text in (usual | fields).items() if text)
        + "</STMTTRN>\n"
    )


def response(rows: str = ROW, *, currency: str = "USD", account: str = ACCOUNT, rest: str = "") -> str:
    """One bank statement response."""
    return (
        f"<STMTTRNRS><TRNUID>0<STATUS><CODE>0<SEVERITY>INFO</STATUS><STMTRS><CURDEF>{currency}\n{account}"
        f"<BANKTRANLIST><DTSTART>20260101<DTEND>20260131\n{rows}</BANKTRANLIST>{rest}</STMTRS></STMTTRNRS>"
    )


def invested(rows: str = "", rest: str = "", listed: str = FUND_LISTED) -> str:
    """An investment statement and, after it, a list of securities."""
    return (
        f"{HEADER}<OFX>{SIGN_ON}<INVSTMTMSGSRSV1><INVSTMTTRNRS><TRNUID>0<STATUS><CODE>0<SEVERITY>INFO</STATUS><INVSTMTRS>"
        f"<DTASOF>20260131120000[-5:EST]<CURDEF>USD<INVACCTFROM><BROKERID>broker.example<ACCTID>I-77</INVACCTFROM>"
        f"<INVTRANLIST><DTSTART>20260101<DTEND>20260130{rows}</INVTRANLIST>{rest}</INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1>"
        f"<SECLISTMSGSRSV1><SECLIST>{listed}</SECLIST></SECLISTMSGSRSV1></OFX>"
    )


def document(*responses: str, header: str = HEADER) -> str:
    return f"{header}<OFX>{SIGN_ON}<BANKMSGSRSV1>{''.join(responses)}</BANKMSGSRSV1></OFX>\r\n"


def statement(data: str | bytes) -> Statement:
    match OfxReader().read(data.encode() if isinstance(data, str) else data):
        case Success(read):
            return read
        case Failure(error):
            raise AssertionError(error)


def refusal(data: str | bytes) -> ImportFailed:
    match OfxReader().read(data.encode() if isinstance(data, str) else data):
        case Success(read):
            raise AssertionError(read)
        case Failure(error):
            assert isinstance(error.code, ImportCode)
            assert "\n" not in error.message
            return error


def account(data: str | bytes) -> AccountBatch:
    (only,) = statement(data).batch.accounts
    return only


def transactions(rows: str, *, currency: str = "USD") -> tuple[TransactionData, ...]:
    return account(document(response(rows, currency=currency))).transactions


def transaction(**fields: str) -> TransactionData:
    (only,) = transactions(row(**fields))
    return only


def warnings(data: str | bytes) -> tuple[ReadingWarning, ...]:
    return statement(data).batch.warnings


def rules(data: str | bytes) -> list[str]:
    return [warning.rule for warning in warnings(data)]


def xml_row(fields: Mapping[str, str]) -> str:
    return "<STMTTRN>" + "".join(f"<{tag}>{text}</{tag}>" for tag, text in fields.items()) + "</STMTTRN>"


def sgml_row(fields: Mapping[str, str]) -> str:
    return "<STMTTRN>" + "".join(f"<{tag}>{text}\r\n" for tag, text in fields.items()) + "</STMTTRN>"


def many(count: int) -> Iterable[str]:
    return (row(FITID=f"n{number}") for number in range(count))
