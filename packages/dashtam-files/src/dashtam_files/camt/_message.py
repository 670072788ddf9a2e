"""A whole message, parsed slice by slice; here and in the modules below it lxml is needed."""

import codecs
import re
from typing import Final

import attrs
from lxml import etree

from dashtam_core.accounts import AccountBatch, ImportCode, checkpoint
from dashtam_files._answers import MAX_ACCOUNTS, MAX_ROWS, Answer, Refusal, Warnings, refused, statement, too_many
from dashtam_files._text import Decoded, decoded
from dashtam_files.camt._accounts import Account
from dashtam_files.camt._entries import Entries
from dashtam_files.camt._fields import Element, Gatherer

_SLICE: Final = 64 * 1024  # Bytes parsed at once: less than a millisecond, in which no other thread runs.
_DOCTYPE: Final = b"<!DOCTYPE"
_FORMATS: Final = {"Rpt": "CAMT.052", "Stmt": "CAMT.053", "Ntfctn": "CAMT.054"}
_TAGS: Final = [f"{{*}}{name}" for name in ("Ntry", *_FORMATS)]
_VERSION: Final = re.compile(r"camt\.05[234]\.\d{3}\.\d\d")
_EDGES: Final = b"\0\x1a \t\r\n"  # What old systems leave around a file.
_CONTROLS: Final = bytes({*range(32)} - {*b"\t\r\n"})


def message(data: bytes) -> Answer:
    """The statement that a message is, or why it is refused."""
    body, source = _utf_8(data)
    warnings = Warnings(source)
    statements = _Statements(Gatherer(warnings))
    if failure := _fed(body, statements):
        return failure
    if not statements.batches:
        return _unreadable("is a CAMT message without a statement (Stmt, Rpt or Ntfctn) in it")
    return statement(statements.format, source, statements.batches, warnings)


def _unreadable(what: str) -> Refusal:
    return refused(ImportCode.FILE_UNREADABLE, f"the file {what}: download it from your bank again")


def _utf_8(data: bytes) -> tuple[bytes, Decoded]:
    """The document in UTF-8, and how it was encoded; most are in UTF-8, and are not copied into a text."""
    body, decoder = data.removeprefix(codecs.BOM_UTF8).strip(_EDGES), codecs.getincrementaldecoder("utf-8")()
    try:
        if b"\0" not in data[:4]:
            for at in range(0, len(body), _SLICE):
                decoder.decode(body[at : at + _SLICE], final=at + _SLICE >= len(body))
            return body, Decoded("", "us-ascii" if body.isascii() else "utf-8")
    except UnicodeDecodeError:
        pass
    source = decoded(data)
    return source.text.encode("utf-8", "replace").strip(_EDGES), source


def _fed(body: bytes, statements: "_Statements") -> Refusal | None:
    """Parses slice by slice, so that neither a tree of the document nor a long call comes to be."""
    reader = etree.XMLPullParser(
        ("end",),
        tag=_TAGS,
        encoding="utf-8",
        remove_comments=True,
        remove_pis=True,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=False,
        collect_ids=False,
    )
    closing = False
    try:
        for at in range(0, len(body), _SLICE):
            if body.find(_DOCTYPE, max(at - len(_DOCTYPE), 0), at + _SLICE) >= 0:
                return _unreadable("has a document type (DOCTYPE), which may hide content")
            part = body[at : at + _SLICE]
            if len(plain := part.translate(None, _CONTROLS)) < len(part):
                statements.gatherer.warn("control_characters_removed")
            reader.feed(plain)
            for _, element in reader.read_events():
                if failure := statements.take(element):
                    return failure
            checkpoint()
        closing = True
        reader.close()
    except etree.XMLSyntaxError:
        fatal = [each for each in reader.feed_error_log if each.level_name == "FATAL"]
        if fatal or not closing:  # else only a prefix is not declared, most often xsi
            return _broken(fatal, cut=closing and not body.endswith(b">"), where=statements.gatherer.where)
    return None


def _broken(errors: list[etree._LogEntry], *, cut: bool, where: str) -> Refusal:
    if cut or any(each.type_name == "ERR_TAG_NOT_FINISHED" for each in errors):
        message = f"the file ends in or after {where}, before its last tag: it was cut short, download it again"
        return refused(ImportCode.FILE_TRUNCATED, message)
    said = [f" in line {each.line}: {' '.join(each.message.split())[:100]}" for each in errors]
    return _unreadable(f"is no well-formed XML{''.join(said[:1])}")


@attrs.define
class _Statements:
    """Takes entries and statements as the parser ends them, and lets go of what is read."""

    gatherer: Gatherer
    format: str = ""
    batches: list[AccountBatch] = attrs.Factory(list[AccountBatch])
    _entries: Entries | None = None
    _payments: int = 0

    def take(self, element: Element) -> Refusal | None:
        """Reads an element that has ended: a statement, or an entry in one; others say nothing."""
        names, parent = self.gatherer.names, element.getparent()
        name, inside = names[element.tag], "" if parent is None else names[parent.tag]
        self.gatherer.where = f"statement {len(self.batches) + 1}"
        if name == "Ntry" and parent is not None and inside in _FORMATS:
            return self._entry(element, parent)
        known = inside.startswith("BkToCstmr") or self._entries or element.find("{*}Acct") is not None
        if name in _FORMATS and known:
            return self._statement(element, name)
        return None

    def _entry(self, element: Element, statement: Element) -> Refusal | None:
        if self._entries is None:
            self._entries = Account.of(statement, self.gatherer).entries()
        self._payments += self._entries.read(element)
        element.clear(keep_tail=True)
        previous = element.getprevious()  # not the element itself: the parser still writes behind it
        if previous is not None and previous.tag == element.tag:
            statement.remove(previous)
        return too_many(self._payments, MAX_ROWS, "transactions")

    def _statement(self, element: Element, name: str) -> Refusal | None:
        version = _VERSION.search(str(element.tag))
        self.format = self.format or (version[0].upper() if version else _FORMATS[name])
        rows = self._entries.rows if self._entries else ()
        self.batches.append(Account.of(element, self.gatherer).batch(rows))
        self._entries = None
        element.clear(keep_tail=True)
        return too_many(len(self.batches), MAX_ACCOUNTS, "statements")
