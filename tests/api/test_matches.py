"""`/v1/transfers` and `/v1/duplicates`."""

import asyncio
from typing import Any

import pytest
from pydantic import TypeAdapter

from api.people import Person, lines, problem, trail
from dashtam_core import Dashtam
from dashtam_core.kernel import new_id
from dashtam_fastapi._matches import MatchList


@pytest.fixture(params=["transfers", "duplicates"])
async def url(request: pytest.FixtureRequest, ann: Person) -> str:
    """A list with one suggestion in it, `one` and `two`."""
    transfer = request.param == "transfers"
    await ann.upload(lines("DE00 1234", "2026-01-01;-50;one"))
    await ann.upload(
        lines("XX99 9999", "2026-01-02;50;two") if transfer else lines("XX99 1234", "2026-01-02;-50;two")
    )
    return f"/v1/{request.param}"


async def listed(person: Person, url: str, **query: str) -> list[dict[str, Any]]:
    answer = await person.get(url, **query)
    TypeAdapter(MatchList).validate_json(answer.content, strict=True)
    return [*answer.json()["items"]]


async def one(person: Person, url: str) -> str:
    """The address of the only suggestion."""
    (pair,) = await listed(person, url)
    return f"{url}/{pair['first']['transaction_id']}/{pair['second']['transaction_id']}"


async def test_a_suggestion_is_decided_and_forgotten(ann: Person, url: str) -> None:
    """It moves to the list of its state, with the time of the decision, and back."""
    address = await one(ann, url)
    for state in ("confirmed", "rejected"):
        put = await ann.http.put(address, json={"state": state})
        assert (put.status_code, put.content) == (204, b"")
        (pair,) = await listed(ann, url, state=state)
        assert (pair["kind"], pair["state"], pair["decided_at"] is None) == (url[4:-1], state, False)
        assert [pair[side]["description"] for side in ("first", "second")] == ["one", "two"]
        assert await listed(ann, url) == []
    assert (await ann.http.delete(address)).status_code == 204
    (pair,) = await listed(ann, url)
    assert (pair["state"], pair["decided_at"]) == ("suggested", None)
    problem(await ann.http.delete(address), 404, "match_not_found")


async def test_a_confirmed_duplicate_is_hidden(ann: Person, url: str) -> None:
    """The second is left out of the list of transactions, and of a transfer neither is."""
    address = await one(ann, url)
    await ann.http.put(address, json={"state": "confirmed"})
    shown = [row["description"] for row in (await ann.get("/v1/transactions")).json()["items"]]
    transfer, (first, second) = "transfers" in url, address.split("/")[-2:]
    assert shown == (["two", "one"] if transfer else ["one"])
    hidden = (await ann.get(f"/v1/transactions/{second}")).json()
    assert hidden["superseded_by"] == (None if transfer else first)
    await ann.http.delete(address)
    assert len((await ann.get("/v1/transactions")).json()["items"]) == 2


async def test_what_makes_no_sense_is_refused(ann: Person, url: str) -> None:
    """A transaction with itself, rows that are not there, and another state or member."""
    address = await one(ann, url)
    first = address.split("/")[3]
    itself, nothing = f"{url}/{first}/{first}", f"{url}/{first}/{new_id()}"
    problem(await ann.http.put(itself, json={"state": "confirmed"}), 422, "match_impossible")
    problem(await ann.http.put(nothing, json={"state": "confirmed"}), 404, "match_not_found")
    for body, pointer in (
        ({"state": "suggested"}, "#/state"),
        ({}, "#/state"),
        ({"state": "confirmed", "x": 1}, "#/x"),
    ):
        (error,) = problem(await ann.http.put(address, json=body), 422, "request_invalid")["errors"]
        assert error["pointer"] == pointer
    problem(await ann.get(url, **{"from": "2026-01-02", "to": "2026-01-01"}), 422, "match_days_invalid")
    problem(await ann.get(url, state="perhaps"), 422, "request_invalid")


async def test_a_leg_is_in_one_transfer(ann: Person) -> None:
    """A second transfer with it is a conflict."""
    await ann.upload(lines("DE00 1234", "2026-01-01;-50;one", "2026-01-01;-50;other"))
    await ann.upload(lines("XX99 9999", "2026-01-02;50;two"))
    rows = {
        row["description"]: row["transaction_id"] for row in (await ann.get("/v1/transactions")).json()["items"]
    }
    for text, status in (("one", 204), ("other", 409), ("one", 204)):
        address = f"/v1/transfers/{rows[text]}/{rows['two']}"
        assert (await ann.http.put(address, json={"state": "confirmed"})).status_code == status


async def test_two_at_once_do_not_take_one_leg(ann: Person) -> None:
    """However many transfers with a leg are confirmed at the same time, one is."""
    await ann.upload(lines("DE00 1234", *(f"2026-01-01;-50;{number}" for number in range(8))))
    await ann.upload(lines("XX99 9999", "2026-01-02;50;two"))
    come, *outs = [row["transaction_id"] for row in (await ann.get("/v1/transactions")).json()["items"]]
    urls = [f"/v1/transfers/{out}/{come}" for out in outs]
    done = await asyncio.gather(*(ann.http.put(url, json={"state": "confirmed"}) for url in urls))
    assert sorted(each.status_code for each in done) == [204] + [409] * 7


async def test_nobody_else_sees_or_decides_anything(ann: Person, bob: Person, url: str) -> None:
    """Neither a suggestion nor a decision is told to another, or taken from them."""
    address = await one(ann, url)
    assert await listed(bob, url) == []
    problem(await bob.http.put(address, json={"state": "rejected"}), 404, "match_not_found")
    await ann.http.put(address, json={"state": "confirmed"})
    assert await listed(bob, url, state="confirmed") == []
    problem(await bob.http.delete(address), 404, "match_not_found")
    assert len(await listed(ann, url, state="confirmed")) == 1


async def test_decisions_are_in_the_trail(ann: Person, url: str, dashtam: Dashtam) -> None:
    """Each attempt with its outcome, by the kind of pair and the ids."""
    address = await one(ann, url)
    await ann.http.put(address, json={"state": "confirmed"})
    await ann.http.delete(address)
    said = [(each.entry.action, each.entry.phase.value) for each in await trail(dashtam, "ann")][-4:]
    assert said == [
        (action, phase) for action in ("decide_match", "forget_decision") for phase in ("attempted", "succeeded")
    ]
