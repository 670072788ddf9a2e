"""From a file's bytes to regular text: character sets, comments, CDATA, sloppy tags and character references."""

import codecs
import html
import re
import sys
from typing import Final

import attrs

MAX_FIELD: Final = 10_000
"""Most characters kept of one element."""

_UTF_16: Final = {
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
    b"O\0": "utf-16-le",
    b"\0O": "utf-16-be",
}
_DECLARED: Final = re.compile(
    rb"""(?:CHARSET\s*[:=]\s*["']?|encoding\s*=\s*["'])([\w-]+?)(?=[\s"'<?]|COMPRESSION|$)""", re.IGNORECASE
)
_LEGACY: Final = re.compile(
    r"cp125\d|iso8859-\d+|cp437|cp85\d|koi8-[ru]|shift_jis|euc_jp|euc_kr|gb2312|gbk|gb18030|big5"
)
_HEAD: Final = 16 * 1024

_MARKUP: Final = re.compile(r"<!--|<!\[CDATA\[")
_IRREGULAR: Final = re.compile(r"<(?!/?[A-Z][A-Z0-9._-]*>)")
_TAG: Final = re.compile(r"<(?:(/?)\s*+(?:[\w.-]++:)?([A-Za-z][\w.-]*+)(?:\s[^<>]*+)?/?>)?+", re.ASCII)
_REFERENCE: Final = re.compile(r"&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos|nbsp));", re.IGNORECASE)
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_CHARACTERS: Final = re.compile(r"[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@attrs.frozen
class Decoded:
    """A file's text. `encoding` is an IANA name in lower case; `damaged`: some bytes meant nothing in it."""

    text: str
    encoding: str
    damaged: bool = False


def head(data: bytes) -> str:
    """The beginning of the file, roughly: enough to recognize a format by."""
    codec = _UTF_16.get(data[:2], "latin-1")
    return data[:_HEAD].decode(codec, "replace")


def decoded(data: bytes) -> Decoded:
    """The file's text. Bytes win over a header that lies: mark, valid UTF-8, declared set, Windows-1252."""
    if codec := _UTF_16.get(data[:2]):
        text = data.decode(codec, "replace")
        return Decoded(text.removeprefix("\ufeff"), "utf-16", "\ufffd" in text)
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.isascii():
        return Decoded(data.decode("ascii"), "us-ascii")
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        return _mostly_utf_8(data) or _legacy(data)


def _mostly_utf_8(data: bytes) -> Decoded | None:
    """UTF-8 that a bank cut inside a character, as fields of fixed width are; no other set looks like it."""
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    foreign = len(text) - len(text.encode("ascii", "ignore")) - broken
    return Decoded(text, "utf-8", damaged=True) if foreign > 3 * broken else None


def _legacy(data: bytes) -> Decoded:
    codec = _declared(data[:_HEAD]) or "cp1252"
    try:
        return Decoded(data.decode(codec), _iana(codec))
    except UnicodeDecodeError:
        return Decoded(data.decode("cp1252", "replace"), "windows-1252", damaged=True)


def _declared(start: bytes) -> str | None:
    if not (found := _DECLARED.search(start)):
        return None
    name = found[1].decode("ascii", "replace").lower()
    name = f"cp{name}" if name.isdigit() else name.replace("windows-", "cp")
    name = f"iso-{name}" if name.startswith("8859") else name
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        return None
    # Like browsers: text labelled Latin-1 holds the quotation marks and euro signs of Windows-1252.
    return codec if _LEGACY.fullmatch(codec) and codec != "iso8859-1" else None


def _iana(codec: str) -> str:
    for ours, theirs in (("cp125", "windows-125"), ("iso8859", "iso-8859"), ("cp", "ibm"), ("euc_", "euc-")):
        if codec.startswith(ours):
            return codec.replace(ours, theirs)
    return codec


def without_comments(text: str) -> str:
    """The text without comments; what CDATA sections hold is escaped as other text is."""
    parts: list[str] = []
    at = 0
    while found := _MARKUP.search(text, at):
        comment = found[0] == "<!--"
        end = text.find("-->" if comment else "]]>", found.end())
        if end < 0:
            break
        parts += text[at : found.start()], "" if comment else html.escape(text[found.end() : end], quote=False)
        at = end + 3
    return "".join([*parts, text[at:]]) if parts else text


def regular(text: str) -> str:
    """The text with every tag as `<NAME>` or `</NAME>`, in capitals, and `<` nowhere else.

    Attributes, prefixes and the slash of an empty element go: an empty element is one without a value.
    """
    return _TAG.sub(_regular_tag, text) if _IRREGULAR.search(text) else text


def _regular_tag(found: re.Match[str]) -> str:
    return f"<{found[1]}{found[2].upper()}>" if found[2] else "&lt;"


def plain(value: str) -> str:
    """A value as a person reads it: its ends stripped, its character references resolved, once.

    Known are the five of XML, numbers, and `&nbsp;`, which OFX 1 lists (section 2.3.2.1) and banks write in
    OFX 2 as well; any other stays as printed. No document type is read, so no entity can be defined.
    """
    return (_REFERENCE.sub(_character, value) if "&" in value else value).strip()


def _character(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name:
        return _NAMED[name.lower()]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(code) if code <= sys.maxunicode and _CHARACTERS.match(chr(code)) else found[0]
