"""`dashtam transfers`, `dashtam duplicates`, `dashtam annotate` and `dashtam holdings`."""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest

from dashtam_core.accounts import AccountId, Holding, SecurityData
from dashtam_core.identity import ExternalSubject
from dashtam_core.kernel import new_id
from dashtam_core.testing.samples import eur, lines
from unit.cli.toy import CommandLine, noisy

TWO = lines(
    *("account;DE00 1234", "row;2026-01-05;-50;out", "row;2026-01-07;-4.5;coffee"),
    *("account;DE11 9999", "row;2026-01-06;50;in"),
    *("account;XX22 1234", "row;2026-01-07;-4.5;coffee again"),
)


@pytest.fixture
def dashtam() -> CommandLine:
    """The command line with a transfer and a duplicate in its store."""
    found = CommandLine(noisy())
    assert found("import", "-", stdin=TWO).exit_code == 0
    return found


def pairs(view: dict[str, Any]) -> list[str]:
    return [f"{each['first']['description']} > {each['second']['description']}" for each in view["items"]]


def ids(dashtam: CommandLine) -> dict[str, str]:
    return {each["description"]: each["transaction_id"] for each in dashtam.json("transactions")["items"]}


@pytest.mark.parametrize(("command", "pair"), [("transfers", "out > in"), ("duplicates", "coffee > coffee again")])
def test_pairs_are_listed_decided_and_forgotten(dashtam: CommandLine, command: str, pair: str) -> None:
    """By the ends of their ids as the list shows them; a decision is answered with what is left."""
    titles, *shown = dashtam(command).stdout.splitlines()
    assert titles.split()[-2:] == ["account", "id"]
    both = [row.split()[-1] for row in shown]
    assert pairs(dashtam.json(command)) == [pair]
    for option, state in (("--confirm", "confirmed"), ("--reject", "rejected"), ("--confirm", "confirmed")):
        assert pairs(dashtam.json(command, option, *both)) == []
        assert pairs(dashtam.json(command, "--state", state)) == [pair]
    assert pairs(dashtam.json(command, "--forget", *both)) == [pair]


def test_pairs_as_a_table(dashtam: CommandLine) -> None:
    """Both transactions of a pair stand beneath each other, with one number."""
    of = ids(dashtam)
    assert dashtam("transfers").stdout.splitlines() == [
        "   date        amount  currency  type    description  account          id",
        f"1  2026-01-05  -50.00  EUR       DEBIT   out          Checking ••1234  {of['out'][-8:]}",
        f"1  2026-01-06   50.00  EUR       CREDIT  in           Checking ••9999  {of['in'][-8:]}",
    ]


@pytest.mark.parametrize("command", ["transfers", "duplicates"])
def test_no_pairs_are_a_line(dashtam: CommandLine, command: str) -> None:
    """Where there is nothing to list, a line says so in place of an empty table; JSON has no items."""
    nowhere = (command, "--from", "2020-01-01", "--to", "2020-01-31")
    for state in ("suggested", "confirmed"):
        told = f"no {command} are {state} in these days: --from and --to name others"
        assert dashtam(*nowhere, "--state", state).stdout.splitlines() == [told]
    assert dashtam.json(*nowhere) == {"items": []}


def test_pairs_of_days(dashtam: CommandLine) -> None:
    """Days narrow the list, and what they cannot be is refused with its code."""
    assert pairs(dashtam.json("transfers", "--from", "2026-01-06", "--to", "2026-01-06")) == ["out > in"]
    assert pairs(dashtam.json("transfers", "--from", "2026-01-07")) == []
    refused = dashtam("transfers", "--from", "2026-01-07", "--to", "2026-01-06")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "dashtam: [match_days_invalid] " in refused.stderr


def test_whole_ids_name_any_two(dashtam: CommandLine) -> None:
    """What is not suggested can be confirmed by whole ids; what makes no sense is refused."""
    of = ids(dashtam)
    assert pairs(dashtam.json("transfers", "--confirm", of["coffee"], of["in"], "--state", "confirmed")) == [
        "coffee > in"
    ]
    refused = dashtam("transfers", "--confirm", of["in"], of["out"])
    assert "dashtam: [match_impossible] " in refused.stderr


@pytest.mark.parametrize("text", ["", "zzzz", "0000"])
def test_an_id_that_no_transaction_has(dashtam: CommandLine, text: str) -> None:
    """An end that no id here has is refused."""
    for refused in (dashtam("transfers", "--confirm", text, text), dashtam("annotate", text, "--note", "x")):
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert f"ends in '{text}'" in refused.stderr


def test_an_id_that_several_have(dashtam: CommandLine) -> None:
    """An end that several ids have is refused with the whole of each."""
    more = lines("account;DE00 1234", *(f"row;2026-01-08;-{number};row {number}" for number in range(1, 18)))
    dashtam("import", "-", stdin=more)
    of = list(ids(dashtam).values())
    many = next(end for end in "0123456789abcdef" if sum(id_.endswith(end) for id_ in of) > 1)
    refused = dashtam("annotate", many, "--note", "x")
    assert refused.exit_code == 2
    assert [id_ for id_ in of if (id_ in refused.stderr) is not id_.endswith(many)] == []


def test_one_decision_at_a_time(dashtam: CommandLine) -> None:
    """Two options that contradict each other are refused before anything is opened."""
    refused = dashtam("transfers", "--confirm", "a", "b", "--reject", "a", "b")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "noise of the store" not in refused.stderr


def test_an_annotation_is_changed_field_by_field(dashtam: CommandLine) -> None:
    """What is not named stays, an empty text takes away, and without options it is shown."""
    of = ids(dashtam)["coffee"]
    said = dashtam.json("annotate", of[-8:], "--category", "Food", "--tag", "b", "--tag", "a", "--note", "x")
    assert (said["category"], said["tags"], said["note"], said["payee"]) == ("Food", ["b", "a"], "x", None)
    said = dashtam.json("annotate", of, "--payee", "Bar", "--note", "", "--tag", "")
    assert (said["category"], said["tags"], said["note"], said["payee"]) == ("Food", [], None, "Bar")
    assert dashtam.json("annotate", of) == said
    assert dashtam("annotate", of).stdout.split() == ["said", "category", "Food", "payee", "Bar"]
    assert dashtam.json("annotate", of, "--clear", "--note", "new")["payee"] is None
    assert dashtam.json("annotate", of, "--clear")["note"] is None
    assert dashtam.json("annotate", of)["note"] is None


def test_an_annotation_of_nobodys_transaction(dashtam: CommandLine) -> None:
    """An id that is not there is refused with its code."""
    refused = dashtam("annotate", str(new_id()), "--note", "x")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "dashtam: [transaction_not_found] " in refused.stderr


def test_holdings(dashtam: CommandLine) -> None:
    """Of every account or of one, in the shape the HTTP API has, and as a table."""
    items = dashtam.json("accounts")["items"]
    held = Holding(
        account_id=AccountId(new_id()),
        security=SecurityData(name="World"),
        as_of=date(2026, 1, 1),
        units=Decimal(2),
    )

    async def hold() -> None:
        mine = ExternalSubject("local")
        async with dashtam.store.unit_of_work(mine) as unit:
            for item, value in zip(items, ("10", "20", "30"), strict=True):
                of = attrs.evolve(held, account_id=AccountId(UUID(item["account_id"])), market_value=eur(value))
                await unit.accounts.add_holdings([of])

    asyncio.run(hold())
    found = dashtam.json("holdings")["items"]
    assert [each["account_id"] for each in found] == [item["account_id"] for item in items]
    assert [each["market_value"]["amount"] for each in found] == ["10.00", "20.00", "30.00"]
    assert dashtam.json("holdings", "--account", "9999")["items"] == found[1:2]
    *_, last = dashtam("holdings").stdout.splitlines()
    assert last.split() == ["World", "2026-01-01", "2", "30.00", "EUR", "Checking", "••1234"]
