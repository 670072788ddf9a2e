"""`dashtam read`: a statement file looked into, and every way it can be refused."""

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from dashtam_core.testing.samples import lines
from unit.cli.toy import BROKEN, CUT, JANUARY, CommandLine, noisy

SILENT = """value_date transaction_date posted_at original_amount original_currency exchange_rate mcc check_number
reference end_to_end_id mandate_id bank_transaction_code category counterparty running_balance investment
provider_transaction_id description payee memo"""
NOTHING: dict[str, Any] = dict.fromkeys(SILENT.split())
ROW: dict[str, Any] = NOTHING | {"currency": "EUR", "reversal": False, "details": []}
JANUARY_VIEW: dict[str, object] = {
    "format": "LINES 1",
    "accounts": [
        {
            "provider_account_id": "DE00 1234",
            "number": "DE00 1234",
            "bank_id": None,
            "institution": None,
            "name": None,
            "account_type": "CHECKING",
            "currency": "EUR",
            "covered_window": None,
            "arithmetic": "unknown",
            "difference": None,
            "balances": [
                {
                    "kind": "LEDGER",
                    "as_of": "2026-01-31",
                    "amount": "987.50",
                    "currency": "EUR",
                    "reported_at": None,
                    "origin": "reported",
                }
            ],
            "transactions": [
                ROW
                | {
                    "posted_date": "2026-01-05",
                    "amount": "-12.50",
                    "provider_transaction_id": "T1",
                    "type": "DEBIT",
                    "status": "POSTED",
                    "description": "Coffee",
                    "payee": "Café",
                    "memo": "Coffee",
                },
                ROW | {"posted_date": "2026-01-07", "amount": "1000.000", "type": "CREDIT", "status": "PENDING"},
            ],
            "holdings": [],
        }
    ],
    "warnings": [{"rule": "date_unreadable", "where": "row 3", "raw": "31.02."}],
}

JANUARY_TABLES = """\
LINES 1: accounts 1, transactions 2, warnings 1

CHECKING DE00 1234 EUR, arithmetic: unknown
balance  as of       amount  currency
LEDGER   2026-01-31  987.50  EUR
date          amount  currency  type            description
2026-01-05    -12.50  EUR       DEBIT           Coffee · Café
2026-01-07  1000.000  EUR       CREDIT PENDING

warning          where  found
date_unreadable  row 3  31.02.
"""


def test_json_is_exactly_what_was_parsed(dashtam: CommandLine) -> None:
    """The document has the agreed keys, as every other view, and nothing else is on stdout."""
    assert dashtam.json("read", "january.lines") == JANUARY_VIEW


def test_tables_show_the_same(dashtam: CommandLine) -> None:
    """Without --json the piped answer is aligned, whole, and says each thing once."""
    result = dashtam("read", "january.lines")
    assert (result.exit_code, result.stdout) == (0, JANUARY_TABLES)


def test_noise_of_a_reader_goes_to_stderr(dashtam: CommandLine) -> None:
    """What a plugin prints does not mix with the answer."""
    assert "noise of the reader" in dashtam("read", "january.lines").stderr


def test_standard_input(dashtam: CommandLine) -> None:
    """The name - stands for standard input."""
    result = dashtam("read", "-", "--json", stdin=JANUARY)
    assert json.loads(result.stdout) == JANUARY_VIEW


def test_no_store_is_needed(dashtam: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that could never be opened does not keep one from reading."""
    monkeypatch.setenv("DASHTAM_STORE_URL", "memory:")
    assert dashtam("read", "january.lines").exit_code == 0


def test_control_characters_do_not_reach_the_terminal(dashtam: CommandLine) -> None:
    """A description that would steer a terminal or break its row is shown without what does so."""
    odd = lines("account;1", "row;2026-01-05;1;a\x1b[31mb\\nc[bold]d")
    result = dashtam("read", "-", stdin=odd)
    assert "a [31mb c[bold]d\n" in result.stdout


def test_wide_texts_are_not_cut(dashtam: CommandLine) -> None:
    """Where no terminal is, a long description stands whole on its line."""
    text = "x" * 3000
    wide = lines("account;1", f"row;2026-01-05;1;{text}")
    assert f" {text}\n" in dashtam("read", "-", stdin=wide).stdout


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("missing.lines", None, "file_unreadable"),
        (".", None, "file_unreadable"),
        ("empty.lines", b" \n", "file_empty"),
        ("letter.txt", b"Dear customer", "format_unknown"),
        ("cut.lines", CUT, "file_truncated"),
        ("large.lines", JANUARY + b" " * 100, "file_too_large"),
    ],
)
def test_a_refused_file(
    *,
    dashtam: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes | None,
    code: str,
    as_json: tuple[str, ...],
) -> None:
    """One line names the file and the code, nothing is on stdout, and the exit code is 2."""
    monkeypatch.setenv("DASHTAM_IMPORT_MAX_BYTES", "50")
    if content is not None:
        Path(name).write_bytes(content)
    result = dashtam("read", name, *as_json)
    *noise, said = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (2, "")
    assert said.startswith(f"dashtam: {name}: [{code}] ")
    assert not [line for line in noise if line != "noise of the reader"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(dashtam: CommandLine) -> None:
    """A file one may not read is refused like a missing one."""
    Path("january.lines").chmod(0)
    result = dashtam("read", "january.lines")
    assert (result.exit_code, "[file_unreadable]" in result.stderr) == (2, True)


def test_too_much_standard_input(dashtam: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for standard input, whose size nobody knows."""
    monkeypatch.setenv("DASHTAM_IMPORT_MAX_BYTES", "50")
    result = dashtam("read", "-", stdin=JANUARY + b" " * 40)
    assert result.exit_code == 2
    assert result.stderr.startswith("dashtam: standard input: [file_too_large] more than 50 bytes")


def test_the_limit_itself_is_allowed(dashtam: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of just as many bytes as allowed is read."""
    monkeypatch.setenv("DASHTAM_IMPORT_MAX_BYTES", str(len(JANUARY)))
    assert dashtam("read", "january.lines").exit_code == 0


@pytest.mark.parametrize("more", [1, 2_000_000])
def test_one_byte_too_many(dashtam: CommandLine, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    """The limit holds to the byte, also for what is read in several pieces."""
    monkeypatch.setenv("DASHTAM_IMPORT_MAX_BYTES", str(1 << 20))
    allowed = JANUARY.ljust(1 << 20)
    assert dashtam("read", "-", stdin=allowed).exit_code == 0
    assert "[file_too_large]" in dashtam("read", "-", stdin=allowed + b" " * more).stderr


def test_a_huge_file_is_not_read(dashtam: CommandLine) -> None:
    """A sparse file of a terabyte is refused by its size alone."""
    with Path("huge.lines").open("wb") as file:
        file.truncate(1 << 40)
    tracemalloc.start()
    assert "[file_too_large]" in dashtam("read", "huge.lines").stderr
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_an_unknown_format_names_the_plugins_left_out() -> None:
    """The reader may be in a plugin that did not load, so those are named."""
    result = CommandLine(noisy(), broken=True)("read", "-", stdin=b"?")
    assert f"dashtam: the plugin {BROKEN.name} is not active: import failed" in result.stderr


def test_a_broken_plugin_does_not_disturb() -> None:
    """A file that can be read says nothing of plugins that are left out."""
    result = CommandLine(noisy(), broken=True)("read", "-", stdin=JANUARY)
    assert (result.exit_code, result.stderr) == (0, "noise of the reader\n")
