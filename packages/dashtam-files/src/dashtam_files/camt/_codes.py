"""Bank transaction codes (ISO 20022 external code set) in the words of the model."""

from typing import Final

from dashtam_core.accounts import TransactionType as Type
from dashtam_files.camt._fields import Fields

CODE: Final = "BkTxCd/Domn/Cd=Domn BkTxCd/Domn/Fmly/Cd=Fmly BkTxCd/Domn/Fmly/SubFmlyCd=SubFmly BkTxCd/Prtry/Cd=Own"
_CASH: Final = {"CCRD": Type.ATM, "CNTR": Type.CASH}
"""What a cash withdrawal (CWDL) is, by card or at the counter."""
_SUB_FAMILIES: Final = (
    dict.fromkeys(("CHRG", "FEES", "COMM", "COME", "COMI", "COMT"), Type.SRVCHG)
    | dict.fromkeys(("CDPT", "CHKD", "MIXD"), Type.DEP)
    | {"POSD": Type.POS, "INTR": Type.INT, "DVCA": Type.DIV, "STDO": Type.REPEATPMT}
)
_FAMILIES: Final = (
    dict.fromkeys(("RCDT", "ICDT", "RRCT", "IRCT"), Type.XFER)
    | dict.fromkeys(("RDDT", "IDDT"), Type.DIRECTDEBIT)
    | {"CCRD": Type.POS, "RCHQ": Type.CHECK, "ICHQ": Type.CHECK}
)


def code(fields: Fields) -> str | None:
    """The code as one text: `PMNT-RCDT-ESCT`, else the bank's own."""
    return "-".join(fields[part] for part in ("Domn", "Fmly", "SubFmly") if part in fields) or fields.get("Own")


def kind(fields: Fields, *, debit: bool) -> Type:
    """What kind of booking the ISO code says it is; the bank's own codes say no more than the sign."""
    family, sub = fields.get("Fmly", ""), fields.get("SubFmly", "")
    if sub == "CWDL" and family in _CASH:
        return _CASH[family]
    if sub == "SALA" and not debit:
        return Type.DIRECTDEP
    return _SUB_FAMILIES.get(sub) or _FAMILIES.get(family) or (Type.DEBIT if debit else Type.CREDIT)
