"""The header Idempotency-Key: a request that is sent again changes nothing more, and is answered as before."""

import asyncio
from collections import Counter

import pytest

from api.people import Lines, Person, lines, problem, trail
from dashtam_core import Dashtam
from dashtam_core.messaging import RefusalCode, Refused
from dashtam_fastapi import ProblemError, problem_response

JUNE = lines("DE123", "2026-06-01;-12.50;Coffee", "2026-06-02;1000;Salary")
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


async def test_a_retry_is_answered_as_the_first_time(ann: Person, dashtam: Dashtam, reader: Lines) -> None:
    """Status, body and Location are those of then to the byte, and the file is not even read again."""
    first, again = await ann.upload(JUNE, key=KEY), await ann.upload(JUNE, key=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert reader.reads == 1
    assert [each.entry.phase for each in await trail(dashtam, "ann")] == ["attempted", "succeeded", "replayed"]
    assert (await ann.upload(JUNE)).status_code == 200, "without the key it is another request"


async def test_many_retries_at_once_act_once(ann: Person, dashtam: Dashtam) -> None:
    """Of 50 at the same time one acts; the others get its answer, or are told that it is still running."""
    answers = await asyncio.gather(*(ann.upload(JUNE, key=KEY) for _ in range(50)))
    done = [each for each in answers if each.status_code == 201]
    for each in answers:
        if each.status_code != 201:
            problem(each, 409, "idempotency_key_in_use")
            assert each.headers["retry-after"] == "1"
    assert len({(each.content, each.headers["location"]) for each in done}) == 1
    phases = Counter(each.entry.phase.value for each in await trail(dashtam, "ann"))
    assert (phases["succeeded"], phases["replayed"]) == (1, len(done) - 1)
    assert len((await ann.get("/v1/transactions")).json()["items"]) == 2


async def test_a_key_is_its_senders_own(ann: Person, bob: Person) -> None:
    """The key of one person answers nothing to another, who gets an import of their own."""
    mine, theirs = await ann.upload(JUNE, key=KEY), await bob.upload(JUNE, key=KEY)
    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["import_id"] != theirs.json()["import_id"]
    assert len((await bob.get("/v1/transactions")).json()["items"]) == 2


async def test_a_key_stands_for_one_request(ann: Person) -> None:
    """The same key with another file or another name is refused, and nothing is imported."""
    await ann.upload(JUNE, key=KEY)
    other = lines("DE123", "2026-07-01;-1;Tea")
    problem(await ann.upload(other, key=KEY), 422, "idempotency_key_reused")
    problem(await ann.upload(JUNE, "july.lines", key=KEY), 422, "idempotency_key_reused")
    assert len((await ann.get("/v1/transactions")).json()["items"]) == 2


async def test_a_failure_is_not_kept(ann: Person) -> None:
    """After a refusal, the key is as good as new."""
    problem(await ann.upload(b"FAIL;file_truncated", key=KEY), 422, "file_truncated")
    assert (await ann.upload(JUNE, key=KEY)).status_code == 201


@pytest.mark.parametrize(
    ("one", "other"),
    [("abc", '"abc"'), ('"a\\"b\\\\c"', 'a"b\\c'), ("!~", '"!~"'), ("k" * 255, '"' + "k" * 255 + '"')],
)
async def test_both_forms_of_a_key_are_one(ann: Person, one: str, other: str) -> None:
    """A string of structured fields and its bare text are the same key."""
    first, again = await ann.upload(JUNE, key=one), await ann.upload(JUNE, key=other)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)


@pytest.mark.parametrize(
    "key",
    [
        "",
        '""',
        '"',
        '"abc',
        '"a"b"',
        '"a\\b"',
        '"a b"',
        "a b",
        "a\tb",
        "k" * 256,
        '"' + "k" * 256 + '"',
        "é",
        "\x7f",
    ],
)
async def test_a_malformed_key_is_refused(ann: Person, reader: Lines, key: str) -> None:
    """What is empty, too long or not visible ASCII is named, and the body not looked at."""
    headers = [(b"idempotency-key", key.encode("latin-1"))]
    answer = await ann.http.post("/v1/imports", files={"file": ("june.lines", JUNE)}, headers=headers)
    (error,) = problem(answer, 422, "request_invalid")["errors"]
    assert error["parameter"].lower() == "idempotency-key"
    assert "1 to 255 visible ASCII characters" in error["detail"]
    assert reader.reads == 0


async def test_two_keys_are_refused(ann: Person) -> None:
    """With two keys nobody can say which one counts, even where they are the same."""
    headers = [("idempotency-key", KEY), ("idempotency-key", KEY)]
    answer = await ann.http.post("/v1/imports", files={"file": ("june.lines", JUNE)}, headers=headers)
    assert problem(answer, 422, "request_invalid")["errors"] == [
        {"parameter": "Idempotency-Key", "detail": "give this once"}
    ]


async def test_a_question_takes_no_key(ann: Person) -> None:
    """A header that means nothing to a GET does it no harm."""
    answer = await ann.http.get("/v1/accounts", headers={"idempotency-key": "a b"})
    assert answer.status_code == 200


def test_a_key_in_use_says_when_to_try_again() -> None:
    """The answer is a conflict that will pass in a moment."""
    answer = problem_response(ProblemError.of(Refused(RefusalCode.IDEMPOTENCY_KEY_IN_USE, "wait")))
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
