"""From sloppy SGML and XML to regular text: comments, CDATA, tags in any spelling, and character references."""

import html
import re
import sys
from collections.abc import Iterator
from typing import Final

from dashtam_core.accounts import checkpoint

PIECE: Final = 32 * 1024  # Characters that are read at a time: some two hundred rows.
_STRIDE: Final = 1024 * 1024

_OPENED: Final = ("<!--", "-->"), ("<![CDATA[", "]]>")
_IRREGULAR: Final = re.compile(r"<(?!/?[A-Z][A-Z0-9._-]*>)")
_TAG: Final = re.compile(r"<(?:(/?)\s*+(?:[\w.-]++:)?([A-Za-z][\w.-]*+)(?:\s[^<>]*+)?/?>)?+", re.ASCII)
_REFERENCE: Final = re.compile(r"&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos|nbsp));", re.IGNORECASE)
_NAMED: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_CHARACTERS: Final = re.compile(r"[\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def tag_count(text: str) -> int:
    """How many tags there are at most."""
    return sum(text.count("<", at, at + _STRIDE) for at in range(0, len(text), _STRIDE))


def without_comments(text: str) -> str:
    """The text without comments; what CDATA sections hold is escaped as other text is."""
    parts: list[str] = []
    at = 0
    for start in _declarations(text):
        opened = next((pair for pair in _OPENED if text.startswith(pair[0], start)), None)
        if start < at or opened is None:
            continue
        inside = start + len(opened[0])
        end = text.find(opened[1], inside)
        if end < 0:
            break
        comment = opened is _OPENED[0]
        parts += text[at:start], "" if comment else html.escape(text[inside:end], quote=False)
        at = end + 3
    return "".join([*parts, text[at:]]) if parts else text


def _declarations(text: str) -> Iterator[int]:
    """Where each `<!` stands."""
    for begin in range(0, len(text), _STRIDE):
        at = text.find("<!", begin, begin + _STRIDE + 1)
        while at >= 0:
            yield at
            at = text.find("<!", at + 2, begin + _STRIDE + 1)


def pieces(text: str, start: int) -> Iterator[str]:
    """The text from `start` on, a tag, in regular pieces that each begin with one; others run in between."""
    at = start
    while at < len(text):
        checkpoint()
        end = text.find("<", at + PIECE)
        end = end if end >= 0 else len(text)
        yield _regular(text[at:end].replace("\0", ""))
        at = end


def _regular(text: str) -> str:
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
