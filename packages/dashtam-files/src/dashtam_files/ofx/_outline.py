"""A document walked once: which statement responses there are, what each holds, and what else was said."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import attrs

from dashtam_files._answers import MAX_ACCOUNTS, MAX_ROWS, Warnings
from dashtam_files._values import Amounts, currency
from dashtam_files.ofx._markup import plain
from dashtam_files.ofx._rows import Rows

_STATEMENTS: Final = frozenset({"STMTRS", "CCSTMTRS", "INVSTMTRS", "STMTENDRS", "CCSTMTENDRS"})
# A `STMTTRNRS` holds a `STMTRS`, or a status alone.
_RESPONSES: Final = _STATEMENTS | {f"{tag.removesuffix('RS')}TRNRS" for tag in _STATEMENTS}
_NOT_READ: Final = frozenset({"ACCTINFORS", "LOANSTMTRS", "INVOOLIST"})
_AGGREGATES: Final = frozenset(
    {"STATUS", "FI", "BANKACCTFROM", "CCACCTFROM", "INVACCTFROM", "BANKTRANLIST", "BANKTRANLISTP", "INVTRANLIST"}
    | {"LEDGERBAL", "AVAILBAL", "INVBAL", "BALLIST", "BAL", "INVPOSLIST", "INVOOLIST", "INV401K", "INV401KBAL"}
)
_TOKEN: Final = re.compile(r"<(/?)([A-Z0-9._-]+)>([^<]*)")

_SECURITIES: Final = ("MFINFO", "STOCKINFO", "DEBTINFO", "OPTINFO", "OTHERINFO")
_INVESTMENTS: Final = (
    "(?:BUY|SELL)(?:DEBT|MF|OPT|OTHER|STOCK)|INCOME|REINVEST|INVEXPENSE|JRNLFUND|JRNLSEC|MARGININTEREST|RETOFCAP|SPLIT"
    f"|TRANSFER|CLOSUREOPT|POS(?:MF|STOCK|DEBT|OPT|OTHER)|{'|'.join(_SECURITIES)}"
)
_OUTSIDE: Final = (
    r"BANKTRANLISTP?|INVTRANLIST|INVPOSLIST|INVBANKTRAN|LEDGERBAL|AVAILBAL|INVBAL|BALLIST|SECLIST|[A-Z]*STMTRS"
    r"|[A-Z]*STMTENDRS|[A-Z]*STMT(?:END)?TRNRS|[A-Z0-9]+MSGSRSV\d|OFX"
)


class _Records(NamedTuple):
    """What is read as a whole in a section: where one begins, and what ends one, closed or not."""

    begin: re.Pattern[str]
    edge: re.Pattern[str]

    @classmethod
    def of(cls, tags: str) -> "_Records":
        return cls(re.compile(f"<({tags})>"), re.compile(f"</?(?:({tags})|{_OUTSIDE})>"))


_ROWS: Final = _Records.of("STMTTRNP?")
_ALL: Final = _Records.of(f"STMTTRNP?|(?:CC)?CLOSING|{_INVESTMENTS}")
# Where the words of investments and of closing statements may be: elsewhere a bank's own elements share them.
_WITH_ALL: Final = frozenset({"INVSTMTRS", "INVTRANLIST", "SECLIST", "STMTENDRS", "CCSTMTENDRS"})


@attrs.define
class Response:
    """One statement response. `tag` is its aggregate, empty where the bank sent a status only."""

    where: str
    institution: str | None
    institution_id: str | None
    tag: str = ""
    # The first value of each element, by its name and by its aggregate's too: `BALAMT`, `LEDGERBAL.BALAMT`.
    fields: dict[str, str] = attrs.Factory(dict[str, str])
    # The rows that could be read at once: those of banks, where the currency comes first as it should.
    rows: Rows | None = None
    # The tag and the text of all others, in order.
    records: list[tuple[str, str]] = attrs.Factory(list[tuple[str, str]])


@attrs.define
class Outline:
    """Walks a document once, without a tree: nesting costs nothing and a tag never closed does no harm."""

    amounts: Amounts
    warnings: Warnings
    responses: list[Response] = attrs.Factory(list[Response])
    # The tag and the text of each entry in a list of securities.
    securities: list[tuple[str, str]] = attrs.Factory(list[tuple[str, str]])
    cut_in: Response | None = None  # The response in which the document ends.
    ended: bool = False  # Whether `</OFX>` was found.
    tags: int = 0  # How many stand outside of rows.
    ends_in_tag: bool = False  # Whether the document breaks off inside a tag.
    _count: int = 0
    _kinds: _Records = _ROWS
    _open: Response | None = None
    _inside: str = ""
    _bank: dict[str, str] = attrs.Factory(dict[str, str])
    _status: dict[str, str] = attrs.Factory(dict[str, str])

    @property
    def too_many(self) -> str | None:
        """What the document has more of than is read."""
        if self._count > MAX_ROWS:
            return f"{MAX_ROWS:,} transactions"
        return f"{MAX_ACCOUNTS:,} accounts" if len(self.responses) > MAX_ACCOUNTS else None

    def read(self, pieces: Iterable[str]) -> None:
        """Reads on until there is too much. A record that is not whole is looked at again at twice its size."""
        rest, fresh, size, piece = "", list[str](), 0, ""
        for piece in pieces:
            fresh.append(piece)
            size += len(piece)
            if size >= len(rest):
                rest, fresh, size = self._walk("".join([rest, *fresh])), [], 0
            if self.too_many:
                return
        self.ends_in_tag = "&lt;" in piece[piece.rfind(">") + 1 :]
        row_open = bool(self._walk("".join([rest, *fresh]), is_last=True))
        self._enter("")
        self.cut_in = self._open or (self.responses[-1] if row_open and self.responses else None)

    def _walk(self, text: str, *, is_last: bool = False) -> str:
        """Reads the text up to a record that does not end in it, and answers the text from there on."""
        at = 0
        while True:
            found = self._kinds.begin.search(text, at)
            end = found.start() if found else len(text)
            if at < end and (at := self._between(text, at, end)) < end:
                continue  # the section has other records
            if not found:
                return ""
            after = self._run(text, at) if found[1] == "STMTTRN" else at
            if after == at:
                edge = self._kinds.edge.search(text, found.end())
                if edge is None and not is_last:
                    return text[at:]
                self._record(found[1], text[found.end() : edge.start() if edge else len(text)])
                if edge is None:
                    return text[at:]
                after = edge.end() if edge[1] and text[edge.start() + 1] == "/" else edge.start()
            at = after

    def _run(self, text: str, at: int) -> int:
        """Reads the plain rows from here on, if there are any, and answers where they end."""
        rows = self._rows_of(self._holder())
        if rows is None:
            return at
        before = rows.count
        at = rows.run(text, at)
        self._count += rows.count - before
        return at

    def _record(self, tag: str, body: str) -> None:
        self._count += 1
        if tag in _SECURITIES:
            self.securities.append((tag, body))
            return
        response = self._holder()
        if tag.startswith("STMTTRN") and (rows := self._rows_of(response)):
            rows.add(tag, body)
        else:
            response.records.append((tag, body))

    def _holder(self) -> Response:
        return self._open or (self.responses[-1] if self.responses else self._respond(""))

    def _rows_of(self, response: Response) -> Rows | None:
        """What reads a bank's rows at once: not before their currency is known, and never out of order."""
        if response.rows is None and not response.records and response.tag != "INVSTMTRS":
            unit = currency(response.fields.get("CURDEF", ""))
            response.rows = Rows(response.where, unit, self.amounts, self.warnings) if unit else None
        return response.rows

    def _between(self, text: str, at: int, end: int) -> int:
        """Reads what stands between records. Ends before `end` where others are records from there on."""
        for token in _TOKEN.finditer(text, at, end):
            slash, tag, value = token.groups()
            self.tags += 1
            if slash:
                self._end(tag)
            elif tag in _RESPONSES:
                self._respond(tag)
            elif tag in _AGGREGATES:
                self._enter(tag)
            elif tag in _NOT_READ or tag.endswith("TRNRS") or tag in {"SONRS", "SECLIST"}:
                self._leave(tag)
            else:
                self._element(tag, plain(value))
                continue
            if tag in _NOT_READ and not slash:
                self.warnings.add("section_not_read", self._where, tag)
            kinds = _ALL if tag in _WITH_ALL else _ROWS if tag in _RESPONSES else self._kinds
            if kinds is not self._kinds:
                self._kinds = kinds
                return token.end()
        return end

    def _respond(self, tag: str) -> Response:
        self._enter("")
        if self._open is None or self._open.tag or tag not in _STATEMENTS:
            where = f"statement {len(self.responses) + 1}"
            self._open = Response(where, self._bank.get("ORG"), self._bank.get("FID"))
            self.responses.append(self._open)
        if tag in _STATEMENTS:
            self._open.tag = tag
        return self._open

    def _leave(self, tag: str) -> None:
        self._enter("")
        self._open = None
        if tag == "SONRS":
            self._bank.clear()

    def _end(self, tag: str) -> None:
        self.ended = self.ended or tag == "OFX"
        if tag in _AGGREGATES:
            self._enter("")
        elif tag in _RESPONSES or "MSGSRSV" in tag or tag == "OFX":
            self._leave(tag)

    def _enter(self, aggregate: str) -> None:
        if self._inside == "STATUS":
            self._check_status()
        self._inside = aggregate
        if self._open is not None and aggregate:
            self._open.fields.setdefault(aggregate, "")

    def _element(self, tag: str, value: str) -> None:
        value = self.warnings.whole(value, self._where, tag)
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
