"""The reader of OFX 1 (SGML), OFX 2 (XML) and QFX statements of bank accounts and credit cards."""

import re
from functools import cache
from importlib.metadata import version
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed, Statement, SyncBatch
from dashtam_core.kernel import Failure, Result, Success
from dashtam_files._accounts import Accounts
from dashtam_files._outline import STATEMENTS, WRAPPERS, Outline
from dashtam_files._text import Decoded, decoded, head, regular, without_comments
from dashtam_files._values import Amounts
from dashtam_files._warnings import Warnings

MAX_ROWS: Final = 1_000_000
MAX_ACCOUNTS: Final = 1_000
MAX_TAGS: Final = 30 * MAX_ROWS

_SIGNATURE: Final = re.compile(r"OFXHEADER\s*[:=]|<\?OFX\s|<(?:[\w.-]++:)?OFX(?:\s[^<>]*+)?>", re.IGNORECASE)
_BODY: Final = re.compile(
    r"<(?:[\w.-]++:)?(?:OFX|SIGNONMSGSRSV1|BANKMSGSRSV1|CREDITCARDMSGSRSV1)(?:\s[^<>]*+)?>", re.IGNORECASE
)
_VERSION: Final = re.compile(
    r"""(?:OFXHEADER|<\?OFX)[^<]{0,300}?VERSION\s*[:=]\s*["']?(\d)(\d\d)(?!\d)""", re.IGNORECASE
)


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

    def read(self, data: bytes, /) -> Result[Statement, ImportFailed]:
        """The statement; refused are files that are cut short, too large, or hold no OFX after its header."""
        if not self.recognizes(data):
            return _refused(
                ImportCode.FORMAT_UNKNOWN,
                "the file has neither an OFX header nor an <OFX> tag: export it as OFX or QFX from your bank",
            )
        source = decoded(data)
        text = without_comments(source.text)
        if not (start := _BODY.search(text)):
            return _refused(
                ImportCode.FILE_UNREADABLE,
                "the file has an OFX header but no <OFX> section after it: it is damaged, download it again",
            )
        if failure := _too_many(text.count("<"), MAX_TAGS, "tags"):
            return failure
        body = regular(text[start.start() :].replace("\0", ""))
        return _too_large(body) or _statement(source, body)


def _statement(source: Decoded, body: str) -> Result[Statement, ImportFailed]:
    warnings = Warnings()
    if source.damaged:
        warnings.add("bytes_undecodable", "document", source.encoding)
    if "\0" in source.text:
        warnings.add("null_characters_removed", "document")
    outline = Outline(warnings)
    outline.read(body)
    if "</OFX>" not in body:
        if failure := _cut_short(body, outline):
            return failure
        warnings.add("end_missing", "document")
    accounts = Accounts(Amounts(body), warnings)
    read = tuple(accounts.read(response) for response in outline.responses if response.has_account)
    if not read:
        warnings.add("no_statement", "document")
    return Success(
        Statement(
            format=_format(source.text, body),
            encoding=source.encoding,
            parser=_parser(),
            batch=SyncBatch(accounts=read, warnings=warnings.all()),
        )
    )


def _too_large(body: str) -> Failure[ImportFailed] | None:
    rows = body.count("<STMTTRN>") + body.count("<STMTTRNP>")
    responses = max(sum(body.count(f"<{tag}>") for tag in tags) for tags in (STATEMENTS, WRAPPERS))
    return _too_many(rows, MAX_ROWS, "transactions") or _too_many(responses, MAX_ACCOUNTS, "accounts")


def _too_many(count: int, limit: int, what: str) -> Failure[ImportFailed] | None:
    if count <= limit:
        return None
    return _refused(
        ImportCode.FILE_TOO_LARGE,
        f"the file has {count:,} {what} and the limit is {limit:,}: download a shorter period",
    )


def _cut_short(body: str, outline: Outline) -> Failure[ImportFailed] | None:
    if not outline.responses and body.count("<") <= 1:
        return _refused(
            ImportCode.FILE_UNREADABLE,
            "the file begins as OFX but no OFX follows: it is damaged or of another kind, download it again",
        )
    half_a_tag = "&lt;" in body[body.rfind(">") :]
    if outline.cut_in or not outline.responses or half_a_tag:
        place = outline.cut_in.where if outline.cut_in else "a section"
        return _refused(
            ImportCode.FILE_TRUNCATED,
            f"the file ends inside {place}, before </OFX>: it was cut short, download it from your bank again",
        )
    return None


def _format(text: str, body: str) -> str:
    name = "QFX" if "<INTU." in body else "OFX"
    found = _VERSION.search(text[:65_536])
    return f"{name} {found[1]}.{found[2]}" if found else name


@cache
def _parser() -> str:
    return f"dashtam-files {version('dashtam-files')}"


def _refused(code: ImportCode, message: str) -> Failure[ImportFailed]:
    return Failure(ImportFailed(code, message))
