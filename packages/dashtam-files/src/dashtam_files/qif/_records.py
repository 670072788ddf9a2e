"""From a document's lines to its accounts and their records, whatever else stands between them."""

import re
from typing import Final

import attrs

from dashtam_core.accounts import AccountType as Type
from dashtam_core.accounts import ImportCode
from dashtam_files._answers import MAX_ACCOUNTS, MAX_ROWS, Refusal, Warnings, paced, refused, too_many
from dashtam_files._text import MAX_FIELD

_INVESTMENTS: Final = dict.fromkeys(("invst", "port", "mutual", "401(k)/403(b)"), Type.INVESTMENT)
KINDS: Final = (
    _INVESTMENTS
    | {"401(k)/403(b)": Type.RETIREMENT, "bank": Type.CHECKING, "cash": Type.WALLET, "ccard": Type.CREDITCARD}
    | {"otha": Type.OTHER, "othl": Type.LOAN, "oths": Type.OTHER}
)
_PASSED_OVER: Final = frozenset({"cat", "class", "memorized", "budget", "invitem", "template", "tag", "payee"})
_LINE: Final = re.compile(r"[^\r\n]+")


@attrs.define
class Record:
    """Its texts by their letters, without the empty ones. `action` is the N of an investment, `parts` a split."""

    fields: dict[str, str] = attrs.Factory(dict[str, str])
    parts: list[dict[str, str]] = attrs.Factory(list[dict[str, str]])


@attrs.define
class Account:
    """What `!Account` says of it, and its records in order. `kind` is that of its first section."""

    fields: dict[str, str]
    kind: str = ""
    records: list[Record] = attrs.Factory(list[Record])


@attrs.define
class Document:
    """Walks the lines once. `unnamed` is the name of accounts for which the document has none."""

    warnings: Warnings
    unnamed: str
    accounts: dict[str, Account] = attrs.Factory(dict[str, Account])
    securities: dict[str, dict[str, str]] = attrs.Factory(dict[str, dict[str, str]])
    # What the section holds: rows of an account of this kind, or `!account` or `security`.
    _kind: str = ""
    _listed: list[str] = attrs.Factory(list[str])
    _record: Record = attrs.Factory(Record)
    _rows: int = 0

    def read(self, text: str) -> Refusal | None:
        """Everything in the text; a refusal if that is too much, or its last transaction is half there."""
        for found in paced(_LINE.finditer(text)):
            self._line(found[0].strip())
            if self._rows > MAX_ROWS or len(self.accounts) > MAX_ACCOUNTS:
                break
        failure = self._cut_short()
        self._end()
        accounts = too_many(len(self.accounts), MAX_ACCOUNTS, "accounts")
        # Those without a section were only listed.
        self.accounts = {name: each for name, each in self.accounts.items() if each.kind}
        return too_many(self._rows, MAX_ROWS, "transactions") or accounts or failure

    def _line(self, line: str) -> None:
        if line.startswith("^"):
            self._end()
        elif line.startswith("!"):
            self._end()
            self._begin("".join(line.lower().split()))
        elif line and self._kind:
            self._field(line[0], line[1:].strip())

    def _begin(self, header: str) -> None:
        if header.startswith(("!option:", "!clear:")):
            return
        kind = header.removeprefix("!type:")
        self._kind = "" if kind in _PASSED_OVER else kind
        if kind == "!account":
            self._listed.clear()
        elif kind in KINDS:
            self._section()

    def _section(self) -> Account:
        """The account of the section. Of a list of several none is known to be meant."""
        name = self._listed[0] if len(self._listed) == 1 else self.unnamed
        account = self.accounts.setdefault(name or f"!{self._kind}", Account({"N": name}))
        account.kind = account.kind or self._kind
        return account

    def _field(self, code: str, text: str) -> None:
        fields, parts = self._record.fields, self._record.parts
        if len(text) > MAX_FIELD:
            text = self.warnings.whole(text, "document", code)
        if code == "S" and self._kind != "security":
            parts.append({})
            self._rows += 1
        if code == "M" and code in fields and len(fields[code]) + len(text) < MAX_FIELD:
            fields[code] += f" {text}"
        elif text:
            # U is T with room for larger amounts, and comes first.
            (parts[-1] if parts and code in "SE$" else fields).setdefault("T" if code == "U" else code, text)

    def _end(self) -> None:
        record, self._record = self._record, Record()
        fields, name = record.fields, record.fields.get("N", "")
        if self._kind == "!account" and name:
            self._listed.append(name)
            self.accounts.setdefault(name, Account({})).fields.update(fields)
        elif self._kind == "security" and name:
            self.securities.setdefault(name, fields)
        elif (self._kind in KINDS and (fields or record.parts)) or fields.keys() >= {"D", "T"}:
            self._rows += 1
            if self._kind in _INVESTMENTS and name:
                fields["action"] = fields.pop("N")
            self._section().records.append(record)

    def _cut_short(self) -> Refusal | None:
        """Many banks leave out the last `^`; a transaction without its day or its amount was cut."""
        if self._kind not in KINDS or self._record == Record() or self._record.fields.keys() >= {"D", "T"}:
            return None
        why = "the file ends inside its last transaction: it was cut short, download it again"
        return refused(ImportCode.FILE_TRUNCATED, why)
