"""Field :86: in the dialects of the banks."""

import pytest

from dashtam_core.accounts import Counterparty
from unit.files.mt940.documents import LINE, row

SAID = {
    "German": (
        ":86:166?00GUTSCHRIFT?109310?20EREF+END-2024-000000000000001?21KREF+1",
        "?22MREF+M-77?23SVWZ+Rechnung 4711 vom 5. F?24ebruar?30NOLADE21XXX",
        "?31DE02120300000000202051?32Mustermann GmbH und Co. KG ?33Hamburg",
    ),
    "slashes": (
        ":86:/TRTP/SEPA OVERBOEKING/IBAN/DE02120300000000202051/BIC/NOLADE21XX",
        "X/NAME/Mustermann GmbH und Co. KG Hamburg/MARF/M-77/REMI/Rechn",
        "ung 4711 vom 5. Februar/EREF/END-2024-000000000000001",
    ),
    "slashes of ING": (
        ":86:/EREF/END-2024-000000000000001//MARF/M-77//CSID/NL53ZZZ//CNTP/DE0212",
        "0300000000202051/NOLADE21XXX/Mustermann GmbH und Co. KG Hamburg///RE",
        "MI/USTD//Rechnung 4711 vom 5. Februar/",
    ),
    "labels": (
        ":86:SEPA OVERBOEKING                 IBAN: DE02120300000000202051",
        "BIC: NOLADE21XXX                 NAAM: Mustermann GmbH und Co. KG Hamburg",
        "MACHTIGING: M-77                 OMSCHRIJVING: Rechnung 4711 vom 5. Februar",
        "KENMERK: END-2024-000000000000001",
    ),
}


@pytest.mark.parametrize("lines", SAID.values(), ids=SAID)
def test_every_dialect_tells_the_same(lines: tuple[str, ...]) -> None:
    """The other side, the purpose, the reference and the mandate; the text itself stays as printed."""
    found = row(LINE, *lines)
    name = "Mustermann GmbH und Co. KG Hamburg"
    assert found.counterparty == Counterparty(name=name, account="DE02120300000000202051", bic="NOLADE21XXX")
    assert (found.payee, found.memo) == (name, "Rechnung 4711 vom 5. Februar")
    assert (found.end_to_end_id, found.mandate_id) == ("END-2024-000000000000001", "M-77")
    assert found.description == "\n".join(lines).removeprefix(":86:").strip()


def test_plain_text_is_the_description_alone() -> None:
    """Several lines, and several :86:, are one text."""
    found = row(LINE, ":86:Betaalautomaat 12:30", "pasnr. 001", ":86:ZWOLLE")
    assert found.description == "Betaalautomaat 12:30\npasnr. 001\nZWOLLE"
    assert (found.payee, found.memo, found.counterparty) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "memo", "reference"),
    [
        ("191?00UEBERW?20KREF+A?21MTLG:Datei mit 4 Zahlungen", "Datei mit 4 Zahlungen", None),
        ("166?00GUTSCHRIFT?20EREF+NOTPROVIDED?21SVWZ+Miete", "Miete", None),
        ("166?00G?20EREF+ABCDEFGHIJKLMNOPQRSTUV?21WXYZ?22SVWZ+M", "M", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("166?00G?20SVWZ+335?960.484.75", "335?960.484.75", None),
        ("/EREF/NOTPROVIDED//REMI//CDTRREF/1234/ISDT/2024-01-01", "1234", None),
        ("/REMI//REMI/AFREK. 7", "AFREK. 7", None),
        ("/EREF/NOTPROVIDED//RE\r\nMI/USTD//Factuur\r\n7/", "Factuur 7", None),
        ("166?00G?20Miete?60of another kind", "Miete", None),
        ("166?00G?20Miete?29November?60Dezember", "Miete November Dezember", None),
    ],
)
def test_the_purpose_is_found_among_the_references(text: str, memo: str, reference: str | None) -> None:
    """A full subfield goes on in the next, NOTPROVIDED is none, and an empty word does not hide a filled one."""
    found = row(LINE, f":86:{text}")
    assert (found.memo, found.end_to_end_id) == (memo, reference)


def test_a_bank_code_is_no_bic_and_zeros_are_no_account() -> None:
    """What is not known is None; neither is the number that Triodos prints there."""
    assert row(LINE, ":86:051?00X?3010020030?310000000").counterparty is None
    assert row(LINE, ":86:000>100987654321>20HUUR>310454545454").counterparty == Counterparty(account="0987654321")


def test_text_that_looks_like_a_tag_is_text() -> None:
    """A time that the bank wrapped, a lone dash and unknown tags are part of the :86:."""
    found = row(LINE, ":86:PASNR 001 2024-02-05T17", ":20:15", "-", ":99:more")
    assert found.description == "PASNR 001 2024-02-05T17\n:20:15\n-\n:99:more"
