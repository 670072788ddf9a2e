"""Which character set a file is in, where it says nothing or nothing true."""

import pytest

from dashtam_files._text import decoded


@pytest.mark.parametrize(
    ("text", "codec", "encoding"),
    [
        ("Płatność kartą Żabka", "cp1250", "windows-1250"),
        ("PRZELEW ŁÓDŹ za ubezpieczenie", "cp1250", "windows-1250"),
        ("Příchozí platba od Růžena", "cp1250", "windows-1250"),
        ("Crème brûlée, où ça", "cp1252", "windows-1252"),
        ("Kjøp på Bærum søndag", "cp1252", "windows-1252"),
        ("Perché più caffè così", "cp1252", "windows-1252"),
        ("¿Dónde está? 2 m² à 3€", "cp1252", "windows-1252"),
        ("Übergröße für Müller", "cp1252", "windows-1252"),
    ],
)
def test_letters_tell_central_europe_from_the_west(text: str, codec: str, encoding: str) -> None:
    """A file in a legacy set is read in the one whose letters make words."""
    found = decoded(text.encode(codec))
    assert (found.text, found.encoding) == (text, encoding)
