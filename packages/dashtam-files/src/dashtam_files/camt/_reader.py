"""The reader of CAMT.052 (report), CAMT.053 (statement) and CAMT.054 (notification), every version."""

import re
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode
from dashtam_files._answers import Answer, refused
from dashtam_files._text import head

_SIGNATURE: Final = re.compile(
    r"""<(?:[\w.-]++:)?BkToCstmr(?:Stmt|AcctRpt|DbtCdtNtfctn)|"""
    r"""\sxmlns(?::[\w.-]++)?\s*+=\s*+["'][^"'<>]{0,200}?camt\.05[234]\."""
)


@attrs.frozen
class CamtReader:
    """Reads CAMT of any version, namespace and prefix, bare or in an envelope, with any number of statements.

    An entry (Ntry) is a transaction, the payments in it (TxDtls) are its details; CdtDbtInd alone gives the sign.
    What cannot be read is a warning and is left out, never guessed. No entity is expanded, nothing is fetched.
    """

    name: str = attrs.field(default="camt", init=False)

    def recognizes(self, data: bytes, /) -> bool:
        """Whether the file begins as XML, and names a CAMT message near its beginning."""
        start = head(data)
        return start.lstrip("\ufeff\xef\xbb\xbf\0 \t\r\n")[:1] == "<" and _SIGNATURE.search(start) is not None

    def read(self, data: bytes, /) -> Answer:
        """The statement; refused are files that are cut short, broken, too large, or have a document type."""
        if not self.recognizes(data):
            why = "the file names no camt.052, camt.053 or camt.054 message: export it as CAMT from your bank"
            return refused(ImportCode.FORMAT_UNKNOWN, why)
        from dashtam_files.camt._message import message

        return message(data)
