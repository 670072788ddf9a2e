"""The reader of OFX 1 (SGML), OFX 2 (XML) and QFX statements of bank accounts and credit cards."""

import re
from typing import Final

import attrs

from dashtam_core.accounts import ImportCode, ImportFailed, Statement, SyncBatch
from dashtam_core.kernel import Failure, Result, Success
from dashtam_files._amounts import Amounts
from dashtam_files._answers import MAX_ROWS, parser, refused, too_many
from dashtam_files._text import decoded, head
from dashtam_files._warnings import Warnings
from dashtam_files.ofx._accounts import Accounts
from dashtam_files.ofx._markup import pieces, tag_count, without_comments
from dashtam_files.ofx._outline import Outline
from dashtam_files.ofx._securities import Securities

MAX_TAGS: Final = 30 * MAX_ROWS
_FORMAT_WITHIN: Final = 65_536

_SIGNATURE: Final = re.compile(r"OFXHEADER\s*[:=]|<\?OFX\s|<(?:[\w.-]++:)?OFX(?:\s[^<>]*+)?>", re.IGNORECASE)
_BODY: Final = re.compile(
    r"<(?:[\w.-]++:)?(?:OFX|SIGNONMSGSRSV1|BANKMSGSRSV1|CREDITCARDMSGSRSV1|INVSTMTMSGSRSV1)(?:\s[^<>]*+)?>",
    re.IGNORECASE,
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
            return refused(
                ImportCode.FORMAT_UNKNOWN,
                "the file has neither an OFX header nor an <OFX> tag: export it as OFX or QFX from your bank",
            )
        source = decoded(data)
        text = without_comments(source.text)
        warnings = Warnings()
        if source.damaged:
            warnings.add("bytes_undecodable", "document", source.encoding)
        form = _format(source.text)
        return _statement(form, source.encoding, text, warnings)


def _statement(form: str, encoding: str, text: str, warnings: Warnings) -> Result[Statement, ImportFailed]:
    if not (start := _BODY.search(text)):
        return refused(
            ImportCode.FILE_UNREADABLE,
            "the file has an OFX header but no <OFX> section after it: it is damaged, download it again",
        )
    if failure := too_many(tag_count(text), MAX_TAGS, "tags"):
        return failure
    if "\0" in text:
        warnings.add("null_characters_removed", "document")
    outline = Outline(Amounts.of_elements(text), warnings)
    outline.read(pieces(text, start.start()))
    if failure := _refusal(outline):
        return failure
    if not outline.ended:
        warnings.add("end_missing", "document")
    securities = Securities.read(outline.securities, outline.amounts, warnings)
    accounts = Accounts(outline.amounts, warnings, securities)
    read = tuple(accounts.read(response) for response in outline.responses if response.has_account)
    if not read:
        warnings.add("no_statement", "document")
    batch = SyncBatch(accounts=read, warnings=warnings.all())
    return Success(Statement(format=form, encoding=encoding, parser=parser(), batch=batch))


def _refusal(outline: Outline) -> Failure[ImportFailed] | None:
    if outline.too_many:
        return refused(
            ImportCode.FILE_TOO_LARGE,
            f"the file has more than {outline.too_many}, which is the limit: download a shorter period",
        )
    if outline.ended:
        return None
    if not outline.responses and outline.tags <= 1:
        return refused(
            ImportCode.FILE_UNREADABLE,
            "the file begins as OFX but no OFX follows: it is damaged or of another kind, download it again",
        )
    if outline.cut_in or not outline.responses or outline.ends_in_tag:
        place = outline.cut_in.where if outline.cut_in else "a section"
        return refused(
            ImportCode.FILE_TRUNCATED,
            f"the file ends inside {place}, before </OFX>: it was cut short, download it from your bank again",
        )
    return None


def _format(text: str) -> str:
    start = text[:_FORMAT_WITHIN]
    name = "QFX" if "<INTU." in start.upper() else "OFX"
    found = _VERSION.search(start)
    return f"{name} {found[1]}.{found[2]}" if found else name
