"""Field :86: in the dialects of the banks: who is on the other side, and what it is about."""

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import batched
from typing import Final

# The German and Austrian structure: a business code, then subfields after a sign that the bank chooses.
_CODED: Final = re.compile(r"\s*(\d{3}|(?=[?~^]))([?<>~^#|$!@])(?=[0-3]\d)", re.ASCII)
_SEPA: Final = re.compile(r" (MTLG(?=:)|(?:EREF|KREF|MREF|CRED|DEBT|SVWZ|ABWA|ABWE|COAM|OAMT|IBAN|BIC)(?=\+)).")
_PURPOSE: Final = tuple(str(each) for each in (*range(20, 30), *range(60, 64)))
_FULL_SUBFIELD: Final = 27
_SLASHED: Final = re.compile(
    r"/(TRTP|IBAN|BBAN|BIC|NAME|ADDR|REMI|EREF|MARF|CSID|CNTP|ORDP|BENM|ID|ISDT|PURP|SVCL|ULTD|ULTC|UCRD|UDTR|EXCH"
    r"|CHGS|OCMT|RTRN|RREF|PREF|KREF|CREF|IREF|TRCD|BUSP|CDTRREFTP|CDTRREF|CD|ISSR)/(?:USTD//|STRD/)?"
)
_LABEL: Final = (
    r"((?i:IBAN|REK|Z RACH\.|BIC|NAAM|OMSCHRIJVING|TYT\.|BETALINGSKENM\.|KENMERK|MACHTIGING|INCASSANT)|OD|TNR)"
    r"(?: ID)? ?:"
)
_LABELLED: Final = re.compile(rf"(?<![^\s/;,]){_LABEL}")
# A line of 60 or more with its tag was wrapped, even in a word; so was one that ends in a word between slashes.
_WRAPPED: Final = re.compile(
    rf"\n(?:(?<=[^\n]{{60}}\n)|(?<=/\n)|(?<=/[A-Z]\n)|(?<=/[A-Z]{{2}}\n)|(?<=/[A-Z]{{3}}\n))(?!{_LABEL})"
)
_BIC: Final = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?", re.ASCII)
# An IBAN, or an old Dutch number.
ACCOUNT: Final = re.compile(r"[A-Z]{2}\d\d(?: ?[A-Z0-9]){11,30}|P?\d{9,10}", re.ASCII)

# Where the dialects print what, by subfield, SEPA word, word between slashes, or label: the first with a text.
_PLACES: Final = {
    "business": ("GVC",),
    "name": ("32", "NAME", "NAAM", "OD"),
    "account": ("IBAN", "38", "31", "REK", "Z RACH.", "BBAN"),
    "bic": ("BIC", "30"),
    "memo": ("SVWZ", "REMI", "OMSCHRIJVING", "TYT.", "", "MTLG", "CDTRREF", "BETALINGSKENM."),
    "end_to_end_id": ("EREF", "KENMERK"),
    "mandate_id": ("MREF", "MARF", "MACHTIGING"),
}
_NOTHING: Final = frozenset({"", "NOTPROVIDED", "NONREF"})


def details(text: str) -> dict[str, str]:
    """What a :86: says, by the names above. `business` is the German code (GVC)."""
    found: dict[str, str] = {}
    if not (said := _said(text)):
        return found
    for name, places in _PLACES.items():
        for place in places:
            if place in said and (value := usable(said[place])):
                found[name] = " ".join(value.split()) if "  " in value else value
                break
    account = found.pop("account", "").replace(" ", "")
    if account.strip("0"):
        found["account"] = account
    if "bic" in found and not _BIC.fullmatch(found["bic"]):
        del found["bic"]
    return found


def usable(text: str) -> str | None:
    """The text, None where it says nothing."""
    text = text.strip()
    return text if text not in _NOTHING else None


def _said(text: str) -> dict[str, str]:
    """The text at each place, in whichever dialect."""
    slashed = text[:1] == "/" and _SLASHED.match(text)
    if not slashed and (found := _CODED.match(text)):
        return _coded(text.replace("\n", ""), *found.groups())
    if not slashed and ": " not in text:
        return {}
    words = (_SLASHED if slashed else _LABELLED).split(_WRAPPED.sub("", f"    {text}").replace("\n", " "))
    said = {word.upper(): text for word, part in batched(words[1:], 2, strict=True) if (text := part.strip(" /;"))}
    if "CNTP" in said:  # ING: account, BIC and name
        said = dict(zip(("IBAN", "BIC", "NAME"), said["CNTP"].split("/"), strict=False)) | said
    return said


def _coded(text: str, business: str, sign: str) -> dict[str, str]:
    pieces = _subfields(sign)(text)
    said = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    purpose = _PURPOSE if "29" in said else _PURPOSE[:10]
    words = _SEPA.split(_chained([said[key] for key in purpose if key in said]))
    if "33" in said:
        said["32"] = _chained([said.get("32", ""), said["33"]])
    if business == "000":
        said["31"] = said.get("10", "")  # Triodos
    said.update(zip(words[1::2], words[2::2], strict=True), GVC=business)
    said[""] = words[0]
    return said


@cache
def _subfields(sign: str) -> Callable[[str], list[str]]:
    return re.compile(rf"{re.escape(sign)}([0-367]\d)", re.ASCII).split


def _chained(pieces: Iterable[str]) -> str:
    """Subfields as one text: a full one goes on in the next, unless a SEPA word such as `EREF+` begins there."""
    text = " "
    for piece in pieces:
        text += f" {piece}" if piece[4:5] == "+" else piece
        if len(piece) < _FULL_SUBFIELD:
            text += " "
    return text
