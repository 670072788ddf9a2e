"""What is OFX, of which version, in which character set."""

import pytest

from dashtam_core.accounts import StatementReaders
from dashtam_core.kernel import Success
from dashtam_files import OfxReader
from unit.files.documents import HEADER, XML_HEADER, account, document, response, row, rules, statement


@pytest.mark.parametrize(
    "beginning",
    [
        HEADER,
        "\ufeff" + HEADER,
        "\r\n\r\n\n" + HEADER,
        "",
        "\n  \n",
        XML_HEADER,
        '<?xml version="1.0"?>\n<!-- exported 2026 -->\n<?OFX OFXHEADER="200" VERSION="211"?>',
        "<!-- OFXHEADER:100 DATA:OFXSGML VERSION:102 -->\n",
        "OFXHEADER:100 DATA:OFXSGML VERSION:102 SECURITY:NONE ENCODING:USASCII ",
        "ofxheader:100\nversion:102\n",
    ],
)
def test_ofx_is_recognized_by_its_content(beginning: str) -> None:
    """Marks, blank lines, prologs, comments and missing headers do not hide that a file is OFX."""
    data = document(response(), header=beginning).encode()
    assert OfxReader().recognizes(data)
    assert account(data).transactions[0].payee == "Corner Bakery"


@pytest.mark.parametrize(
    "data", [b"", b"date;amount\n", b"%PDF-1.7", b"{1:F01}", b"<Document/>", b"<OFXTRA>", b"\0" * 90]
)
def test_other_content_is_not_recognized(data: bytes) -> None:
    """A file of another kind is left to the other readers, and refused when read all the same."""
    assert not OfxReader().recognizes(data)
    assert not isinstance(OfxReader().read(data), Success)


def test_the_reader_fits_the_port() -> None:
    """The reader can be handed to the core as it is."""
    assert isinstance(StatementReaders([OfxReader()]).read(document(response()).encode()), Success)
    assert OfxReader().name == "ofx"


@pytest.mark.parametrize(
    ("header", "extra", "expected"),
    [
        (HEADER, "", "OFX 1.02"),
        (HEADER, "<INTU.BID>3000\n", "QFX 1.02"),
        (XML_HEADER, "", "OFX 2.20"),
        ('<?xml version="1.0"?><?OFX VERSION="211" OFXHEADER="200"?>', "", "OFX 2.11"),
        ("OFXHEADER:100DATA:OFXSGMLVERSION:102SECURITY:NONE", "", "OFX 1.02"),
        ("<!--OFXHEADER:100 VERSION:160-->", "", "OFX 1.60"),
        ("", "", "OFX"),
        ("", "<INTU.BID>3000\n", "QFX"),
        ('<?xml version="1.0"?>', "", "OFX"),
    ],
)
def test_the_format_names_standard_and_version(header: str, extra: str, expected: str) -> None:
    """The version comes from the OFX header, never from the XML one; Intuit's own tags make it QFX."""
    assert statement(document(response() + extra, header=header)).format == expected


@pytest.mark.parametrize(
    ("codec", "charset", "encoding"),
    [
        ("utf-8", "1252", "utf-8"),
        ("utf-8-sig", "1252", "utf-8"),
        ("cp1252", "1252", "windows-1252"),
        ("cp1252", "NONE", "windows-1252"),
        ("cp1252", "ISO-8859-1", "windows-1252"),
        ("cp1252", "nonsense", "windows-1252"),
        ("cp1252", "unicode_escape", "windows-1252"),
        ("utf-16", "1252", "utf-16"),
        ("utf-16-le", "1252", "utf-16"),
        ("utf-16-be", "1252", "utf-16"),
    ],
)
def test_bytes_win_over_a_header_that_lies(codec: str, charset: str, encoding: str) -> None:
    """The character set is found in the bytes; what it turned out to be is told."""
    data = document(response(row(NAME="Café Zoë")), header=HEADER.replace("1252", charset)).encode(codec)
    assert statement(data).encoding == encoding
    assert account(data).transactions[0].payee == "Café Zoë"
    assert not rules(data)


@pytest.mark.parametrize(
    ("header", "codec", "name", "encoding"),
    [
        (HEADER.replace("1252", "1251"), "cp1251", "Булочная", "windows-1251"),
        (HEADER.replace("1252", "8859-2"), "iso8859-2", "Żabka", "iso-8859-2"),
        (
            "OFXHEADER:100VERSION:102ENCODING:USASCIICHARSET:1250COMPRESSION:NONE",
            "cp1250",
            "Żabka",
            "windows-1250",
        ),
        ('<?xml version="1.0" encoding="ISO-8859-15"?>', "iso8859-15", "Œuvre 5 €", "iso-8859-15"),
        ('<?xml version="1.0" encoding="shift_jis"?>', "shift_jis", "パン屋", "shift_jis"),
    ],
)
def test_a_declared_charset_is_used(header: str, codec: str, name: str, encoding: str) -> None:
    """Where the bytes are not UTF-8 the declared character set reads them."""
    data = document(response(row(NAME=name)), header=header).encode(codec)
    assert account(data).transactions[0].payee == name
    assert statement(data).encoding == encoding


def test_plain_ascii_is_called_so() -> None:
    """A file of ASCII alone is us-ascii whatever it declares."""
    assert statement(document(response())).encoding == "us-ascii"


def test_bytes_without_meaning_are_replaced_and_reported() -> None:
    """A byte that no character set explains costs one character, not the file."""
    data = document(response(row(NAME="Caf#"))).encode().replace(b"#", b"\x81")
    assert account(data).transactions[0].payee == "Caf\ufffd"
    assert rules(data) == ["bytes_undecodable"]


def test_utf_8_cut_inside_a_character_stays_utf_8() -> None:
    """A name that its bank cut by bytes does not turn every other name into gibberish."""
    data = document(response(row(NAME="Café Zoë à la crème") + row(NAME="Caf#"))).encode().replace(b"#", b"\xc3")
    assert [each.payee for each in account(data).transactions] == ["Café Zoë à la crème", "Caf\ufffd"]
    assert statement(data).encoding == "utf-8"
    assert rules(data) == ["bytes_undecodable"]
