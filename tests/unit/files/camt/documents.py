"""Small CAMT documents of our own, and how the tests of the reader read them."""

from dashtam_core.accounts import AccountBatch, ImportFailed, Statement, TransactionData
from dashtam_core.kernel import Failure, Success
from dashtam_files.camt import CamtReader

OWN = "DE02120300000000202051"
OTHER = "DE02500105170137075030"
ACCOUNT = f"<Acct><Id><IBAN>{OWN}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
AMOUNT = '<Amt Ccy="EUR">12.50</Amt>'
DEBIT = "<CdtDbtInd>DBIT</CdtDbtInd>"
CREDIT = "<CdtDbtInd>CRDT</CdtDbtInd>"
BOOKED = "<Sts>BOOK</Sts>"
DAY = "<BookgDt><Dt>2026-01-15</Dt></BookgDt>"
ROOTS = {
    "Stmt": ("053", "BkToCstmrStmt"),
    "Rpt": ("052", "BkToCstmrAcctRpt"),
    "Ntfctn": ("054", "BkToCstmrDbtCdtNtfctn"),
}


def entry(rest: str = "", *, amount: str = AMOUNT, sign: str = DEBIT, status: str = BOOKED, day: str = DAY) -> str:
    return f"<Ntry>{amount}{sign}{status}{day}{rest}</Ntry>"


def details(*parts: str) -> str:
    return "<NtryDtls>" + "".join(f"<TxDtls>{part}</TxDtls>" for part in parts) + "</NtryDtls>"


def balance(code: str, amount: str, day: str, sign: str = "CRDT") -> str:
    return (
        f'<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt>'
        f"<CdtDbtInd>{sign}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def document(*contents: str, tag: str = "Stmt", version: str = "001.08") -> str:
    """A message with one statement for each of the contents."""
    number, message = ROOTS[tag]
    statements = "".join(f"<{tag}><Id>1</Id>{content}</{tag}>" for content in contents)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.{number}.{version}"><{message}>'
        f"<GrpHdr><MsgId>m</MsgId></GrpHdr>{statements}</{message}></Document>\n"
    )


def statement(data: str | bytes) -> Statement:
    match CamtReader().read(data.encode() if isinstance(data, str) else data):
        case Success(read):
            return read
        case Failure(error):
            raise AssertionError(error)


def refusal(data: str | bytes) -> ImportFailed:
    match CamtReader().read(data.encode() if isinstance(data, str) else data):
        case Success(read):
            raise AssertionError(read)
        case Failure(error):
            assert "\n" not in error.message
            return error


def account(data: str | bytes) -> AccountBatch:
    (only,) = statement(data).batch.accounts
    return only


def transaction(one: str) -> TransactionData:
    (only,) = account(document(ACCOUNT + one)).transactions
    return only


def rules(data: str | bytes) -> list[str]:
    return [warning.rule for warning in statement(data).batch.warnings]
