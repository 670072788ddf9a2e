"""The securities that a document names, in its list and in its rows (OFX 2.3, sections 13.8.1 and 13.8.5)."""

from collections.abc import Iterable
from typing import Final

import attrs

from dashtam_core.accounts import SecurityData, SecurityId, SecurityScheme, SecurityType
from dashtam_files._amounts import Amounts, currency
from dashtam_files._warnings import Warnings
from dashtam_files.ofx._record import Record, record

SEEN_THROUGH: Final = frozenset({"INVBUY", "INVSELL", "INVTRAN", "INVPOS", "SECINFO", "SECID"})
"""Aggregates whose elements are taken for those of the record they are in."""
_SCHEMES: Final = {member.value: member for member in SecurityScheme}
_MOST_TELLING: Final = list(SecurityScheme)
_TYPES: Final = {
    "MF": SecurityType.MUTUALFUND,
    "STOCK": SecurityType.STOCK,
    "DEBT": SecurityType.DEBT,
    "OPT": SecurityType.OPTION,
}


@attrs.frozen
class Securities:
    """The entries of a document's SECLIST, by UNIQUEID."""

    _listed: dict[str, SecurityData]

    @classmethod
    def read(cls, entries: Iterable[tuple[str, str]], amounts: Amounts, warnings: Warnings) -> "Securities":
        """Of several entries with one id the first counts."""
        listed: dict[str, SecurityData] = {}
        for number, (tag, body) in enumerate(entries, 1):
            entry = record(body, f"security {number}", amounts, warnings, own=frozenset(), through=SEEN_THROUGH)
            if id_ := entry.text("UNIQUEID"):
                listed.setdefault(id_, _security(entry, id_, tag.removesuffix("INFO")))
        return cls(listed)

    def named_by(self, row: Record, tag: str) -> SecurityData | None:
        """The security of a row or a position: as it is listed, else as far as the row tells."""
        if not (id_ := row.text("UNIQUEID")):
            return None
        kind = tag.removeprefix("BUY").removeprefix("SELL").removeprefix("POS")
        return self._listed.get(id_) or _security(row, id_, "OPT" if tag == "CLOSUREOPT" else kind)


def _security(named: Record, id_: str, kind: str) -> SecurityData:
    scheme = _SCHEMES.get((named.text("UNIQUEIDTYPE") or "").upper(), SecurityScheme.OTHER)
    ids = {SecurityId(scheme, id_)}
    if ticker := named.text("TICKER"):
        ids.add(SecurityId(SecurityScheme.TICKER, ticker))
    symbol = named.text("CURRENCY.CURSYM") if named.text("SECNAME") else None
    return SecurityData(
        ids=tuple(sorted(ids, key=lambda each: _MOST_TELLING.index(each.scheme))),
        name=named.text("SECNAME"),
        type=_TYPES.get(kind, SecurityType.OTHER),
        currency=currency(symbol) if symbol else None,
    )
