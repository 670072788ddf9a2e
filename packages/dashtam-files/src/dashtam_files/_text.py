"""From a file's bytes to its text: which character set they are in, whatever the file says."""

import codecs
import re
from typing import Final

import attrs

MAX_FIELD: Final = 10_000  # Most characters kept of one element.

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
# What Polish ą ł ż, and Czech and Slovak ě ř ů beside š and ž, look like in Windows-1252.
_CENTRAL: Final = re.compile(r"[A-Za-z][¹³¿]|[¹³¿][a-z]|£[A-ZÓ]|[A-Za-z]\ufffd")
_CARON: Final = re.compile(r"\w[šž]|[ŠŽšž]\w")
_AMONG: Final = re.compile(r"\w[ìøù]\w")


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
    codec = _declared(data[:_HEAD]) or _guessed(data)
    try:
        return Decoded(data.decode(codec), _iana(codec))
    except UnicodeDecodeError:
        return Decoded(data.decode("cp1252", "replace"), "windows-1252", damaged=True)


def _guessed(data: bytes) -> str:
    """Windows-1252, unless letters of Central Europe would turn into signs that stand in no word."""
    text = data[: 8 * _HEAD].decode("cp1252", "replace")
    return "cp1250" if _CENTRAL.search(text) or (_CARON.search(text) and _AMONG.search(text)) else "cp1252"


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
