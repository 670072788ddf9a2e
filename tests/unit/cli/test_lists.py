"""`dashtam accounts` and `dashtam transactions`: pages, filters and the account one means."""

import shlex
from collections.abc import Sequence
from typing import Any

import pytest

from dashtam_core.testing.samples import lines
from unit.cli.toy import JANUARY, CommandLine, noisy

THREE = lines(
    *("account;DE00 1234", "row;2026-01-05;-12.5;Coffee", "row;2026-01-07;1000;Wages"),
    *("account;DE11 1234", "row;2026-01-06;-1;Tea"),
    *("account;DE22 ABCD", "row;2026-01-08;-2;Cake"),
)


@pytest.fixture
def dashtam() -> CommandLine:
    """The command line with three accounts in its store, two of them with the same last four."""
    found = CommandLine(noisy())
    assert found("import", "-", stdin=THREE).exit_code == 0
    return found


def said(view: dict[str, Any]) -> list[str]:
    return [item["description"] for item in view["items"]]


def test_accounts_as_json(dashtam: CommandLine) -> None:
    """Accounts come in the shape the HTTP API has, with no next page."""
    view = dashtam.json("accounts")
    assert [item["mask"] for item in view["items"]] == ["1234", "1234", "ABCD"]
    assert view["next_cursor"] is None


def test_accounts_as_a_table() -> None:
    """An account has a row for each balance, and its whole id."""
    dashtam = CommandLine(noisy())
    dashtam("import", "-", stdin=JANUARY)
    (item,) = dashtam.json("accounts")["items"]
    titles, shown = dashtam("accounts").stdout.splitlines()
    assert titles.split() == ["account", "type", "balance", "as", "of", "amount", "currency", "id"]
    assert shown.split()[-5:] == ["LEDGER", "2026-01-31", "987.50", "EUR", item["account_id"]]


def test_an_account_without_a_balance_is_shown(dashtam: CommandLine) -> None:
    """No balance was reported, yet the account has its row."""
    assert dashtam("accounts").stdout.count("Checking ••1234") == 2


def test_pages_of_accounts(dashtam: CommandLine) -> None:
    """A page ends with the command for the next one, and that command works."""
    *_, last = dashtam("accounts", "--limit", "2").stdout.splitlines()
    words = shlex.split(last.removeprefix("next page: "))
    assert words[:4] == ["dashtam", "accounts", "--limit", "2"]
    assert [item["mask"] for item in dashtam.json(*words[1:])["items"]] == ["ABCD"]


def test_transactions_as_json(dashtam: CommandLine) -> None:
    """Transactions come the latest first."""
    view = dashtam.json("transactions")
    assert said(view) == ["Cake", "Wages", "Tea", "Coffee"]
    assert view["items"][3]["amount"] == "-12.50"


def test_transactions_as_a_table(dashtam: CommandLine) -> None:
    """Amounts stand to the right, with their currency, the account's name and the end of the id beside them."""
    shown = dashtam("transactions").stdout.splitlines()
    ids = [item["transaction_id"][-8:] for item in dashtam.json("transactions")["items"]]
    assert [line[-8:].strip() for line in shown] == ["id", *ids]
    assert [line[:-8].rstrip() for line in shown] == [
        "date         amount  currency  type    description  account",
        "2026-01-08    -2.00  EUR       DEBIT   Cake         Checking ••ABCD",
        "2026-01-07  1000.00  EUR       CREDIT  Wages        Checking ••1234",
        "2026-01-06    -1.00  EUR       DEBIT   Tea          Checking ••1234",
        "2026-01-05   -12.50  EUR       DEBIT   Coffee       Checking ••1234",
    ]


def test_days(dashtam: CommandLine) -> None:
    """Both days of a range are in it."""
    assert said(dashtam.json("transactions", "--from", "2026-01-06", "--to", "2026-01-07")) == ["Wages", "Tea"]


def test_pages_of_transactions(dashtam: CommandLine) -> None:
    """The next page's command repeats the filters, without which its cursor is refused."""
    filters = ["--account", "abcd", "--from", "2026-01-01", "--to", "2026-02-01", "--limit", "1"]
    assert "next page" not in dashtam("transactions", *filters).stdout
    filters = ["--from", "2026-01-06", "--to", "2026-02-01", "--limit", "2"]
    *_, last = dashtam("transactions", *filters).stdout.splitlines()
    words = shlex.split(last.removeprefix("next page: "))
    assert words[:-2] == ["dashtam", "transactions", *filters]
    assert said(dashtam.json(*words[1:])) == ["Tea"]


@pytest.mark.parametrize("mask", ["ABCD", "abcd"])
def test_an_account_by_its_last_four(dashtam: CommandLine, mask: str) -> None:
    """The mask says which account, in either case."""
    assert said(dashtam.json("transactions", "--account", mask)) == ["Cake"]


def test_an_account_by_its_id(dashtam: CommandLine) -> None:
    """The whole id says which account, and so does a beginning that no other has."""
    ids = [item["account_id"] for item in dashtam.json("accounts")["items"]]
    beginning = next(ids[1][:n] for n in range(1, 37) if sum(id_.startswith(ids[1][:n]) for id_ in ids) == 1)
    assert said(dashtam.json("transactions", "--account", ids[1])) == ["Tea"]
    assert said(dashtam.json("transactions", "--account", beginning.upper())) == ["Tea"]


@pytest.mark.parametrize("text", ["1234", "0"])
def test_an_ambiguous_account(dashtam: CommandLine, text: str) -> None:
    """Where a text fits several accounts, each is listed with its id."""
    result = dashtam("transactions", "--account", text)
    ids = [item["account_id"] for item in dashtam.json("accounts")["items"]]
    fitting = ids if text == "0" else ids[:2]
    assert (result.exit_code, result.stdout) == (2, "")
    assert [id_ for id_ in ids if id_ in result.stderr] == fitting
    assert f"'{text}' fits {len(fitting)} accounts" in result.stderr


@pytest.mark.parametrize("text", ["9999", ""])
def test_an_unknown_account(dashtam: CommandLine, text: str) -> None:
    """A text that fits no account, an empty one too, is refused."""
    result = dashtam("transactions", "--account", text, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "dashtam: no account of yours " in result.stderr


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("transactions", "--limit", "0"), "limit_invalid"),
        (("transactions", "--cursor", "x"), "cursor_invalid"),
        (("transactions", "--from", "2026-02-01", "--to", "2026-01-01"), "date_range_invalid"),
        (("accounts", "--limit", "501"), "limit_invalid"),
        (("accounts", "--cursor", "x"), "cursor_invalid"),
    ],
)
def test_refused_questions(dashtam: CommandLine, args: Sequence[str], code: str) -> None:
    """What the core refuses becomes one line with its code, and exit code 2."""
    result = dashtam(*args, "--json")
    *_, line = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (2, "")
    assert line.startswith(f"dashtam: [{code}] ")


def test_a_day_that_is_none(dashtam: CommandLine) -> None:
    """A day in another form is refused before a store is opened."""
    result = dashtam("transactions", "--from", "yesterday")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "noise of the store" not in result.stderr
    assert "%Y-%m-%d" in result.stderr


def test_many_accounts_are_all_known() -> None:
    """An account beyond the first page of accounts is found by its last four."""
    many = lines(*(said for n in range(501) for said in (f"account;{n:08}", f"row;2026-01-01;{n + 1};row {n}")))
    dashtam = CommandLine(noisy())
    dashtam("import", "-", stdin=many)
    assert said(dashtam.json("transactions", "--account", "0500")) == ["row 500"]
