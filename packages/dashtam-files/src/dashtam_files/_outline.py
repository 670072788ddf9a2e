"""A document without its rows: which statement responses there are, what each holds, and what else was said."""

import re
from typing import Final

import attrs

from dashtam_files._text import MAX_FIELD, plain
from dashtam_files._warnings import Warnings

STATEMENTS: Final = frozenset({"STMTRS", "CCSTMTRS", "INVSTMTRS"})
WRAPPERS: Final = frozenset({"STMTTRNRS", "CCSTMTTRNRS", "INVSTMTTRNRS"})
_NOT_READ: Final = frozenset({"INVSTMTRS", "ACCTINFORS", "STMTENDRS", "CCSTMTENDRS", "LOANSTMTRS", "SECLIST"})
_AGGREGATES: Final = frozenset(
    {"STATUS", "FI", "BANKACCTFROM", "CCACCTFROM", "BANKTRANLIST", "BANKTRANLISTP", "BALLIST", "BAL"}
    | {"LEDGERBAL", "AVAILBAL"}
)
_ROW: Final = re.compile(r"<STMTTRN(P?)>")
_ROW_END: Final = re.compile(r"</STMTTRNP?>")
_TOKEN: Final = re.compile(r"<(/?)([A-Z0-9._-]+)>([^<]*)")
# What cannot be inside a row, so ends one that is never closed.
_OUTSIDE_ROW: Final = re.compile(
    r"</?(?:BANKTRANLISTP?|LEDGERBAL|AVAILBAL|BALLIST|[A-Z]*STMTRS|[A-Z]*STMTTRNRS|[A-Z0-9]+MSGSRSV\d|OFX)>"
)


@attrs.define
class Response:
    """One statement response. `tag` is its aggregate, empty where the bank sent a status only."""

    where: str
    institution: str | None
    institution_id: str | None
    tag: str = ""
    fields: dict[str, str] = attrs.Factory(dict[str, str])
    """The first value of each element, by its name and by its aggregate's too: `BALAMT`, `LEDGERBAL.BALAMT`."""
    rows: list[tuple[bool, str]] = attrs.Factory(list[tuple[bool, str]])
    """Whether it is pending, and the text between the tags of each STMTTRN and STMTTRNP."""

    @property
    def has_account(self) -> bool:
        return self.tag != "INVSTMTRS" and bool(self.tag or self.rows)


@attrs.define
class Outline:
    """Walks a document once, without a tree: nesting costs nothing and a tag never closed does no harm."""

    warnings: Warnings
    responses: list[Response] = attrs.Factory(list[Response])
    cut_in: Response | None = None
    """The response in which the document ends."""
    _open: Response | None = None
    _inside: str = ""
    _bank: dict[str, str] = attrs.Factory(dict[str, str])
    _status: dict[str, str] = attrs.Factory(dict[str, str])

    def read(self, body: str) -> None:
        before, *parts = _ROW.split(body)
        self._read_between(before)
        row_open = False
        for kind, part in zip(parts[::2], parts[1::2], strict=True):
            end = _ROW_END.search(part) or _OUTSIDE_ROW.search(part)
            row_open = end is None
            response = self._open or (self.responses[-1] if self.responses else self._respond(""))
            response.rows.append((kind == "P", part[: end.start()] if end else part))
            if end and (after := part[end.start() if end.re is _OUTSIDE_ROW else end.end() :].strip()):
                self._read_between(after)
        self._enter("")
        self.cut_in = self._open or (self.responses[-1] if row_open else None)

    def _read_between(self, text: str) -> None:
        for token in _TOKEN.finditer(text):
            slash, tag, value = token.groups()
            if slash:
                self._end(tag)
            elif tag in WRAPPERS or tag in STATEMENTS:
                self._respond(tag)
            elif tag in _NOT_READ or tag.endswith("TRNRS") or tag == "SONRS":
                self._leave(tag)
            elif tag in _AGGREGATES:
                self._enter(tag)
            else:
                self._element(tag, plain(value))

    def _respond(self, tag: str) -> Response:
        self._enter("")
        if self._open is None or self._open.tag or tag not in STATEMENTS:
            where = f"statement {len(self.responses) + 1}"
            self._open = Response(where, self._bank.get("ORG"), self._bank.get("FID"))
            self.responses.append(self._open)
        if tag in STATEMENTS:
            self._open.tag = tag
        self._note_unread(tag)
        return self._open

    def _leave(self, tag: str) -> None:
        self._enter("")
        self._open = None
        if tag == "SONRS":
            self._bank.clear()
        self._note_unread(tag)

    def _note_unread(self, tag: str) -> None:
        if tag in _NOT_READ:
            self.warnings.add("section_not_read", self._where, tag)

    def _end(self, tag: str) -> None:
        if tag in _AGGREGATES:
            self._enter("")
        elif tag in WRAPPERS or tag in STATEMENTS or "MSGSRSV" in tag or tag == "OFX":
            self._enter("")
            self._open = None

    def _enter(self, aggregate: str) -> None:
        if self._inside == "STATUS":
            self._check_status()
        self._inside = aggregate

    def _element(self, tag: str, value: str) -> None:
        if len(value) > MAX_FIELD:
            self.warnings.add("text_cut", self._where, tag)
            value = value[:MAX_FIELD]
        if self._inside == "STATUS":
            self._status.setdefault(tag, value)
        elif self._open is not None:
            self._open.fields.setdefault(tag, value)
            self._open.fields.setdefault(f"{self._inside}.{tag}", value)
        elif tag in {"ORG", "FID"} and value:
            self._bank.setdefault(tag, value)

    def _check_status(self) -> None:
        status, self._status = self._status, {}
        if (status.get("SEVERITY") or status.get("CODE", "")).upper() not in {"INFO", "WARN", "0", ""}:
            said = " ".join(filter(None, (status.get("CODE"), status.get("MESSAGE"))))
            self.warnings.add("bank_reported_error", self._where, said)

    @property
    def _where(self) -> str:
        return self._open.where if self._open else "document"
