"""Every code that any package can answer with: one meaning each, the right problem, and a line in the docs."""

import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from pkgutil import walk_packages

import httpx
import pytest
from fastapi import FastAPI

from api.people import SECRET, problem
from api.test_problems import STATUSES
from dashtam_core import UnavailableError
from dashtam_core.kernel import DomainError, ErrorCode, ErrorKind
from dashtam_core.messaging import RefusalCode
from dashtam_fastapi import ProblemError

PAGE = Path(__file__).resolve().parents[2] / "docs/errors.md"
PASSED_ON = {"cursor_invalid", "date_range_invalid"}
"""Codes of the kernel that a room answers with as its own."""
RETRY_AFTER = {RefusalCode.IDEMPOTENCY_KEY_IN_USE: "1"}


def rooms() -> list[type[ErrorCode]]:
    """Every class of codes in the packages that are installed, each of their modules having been imported."""
    names = {each.name.replace("-", "_") for each in distributions() if each.name.startswith("dashtam-")}
    for name in names:
        for module in walk_packages(import_module(name).__path__, f"{name}."):
            if ".migrations." not in module.name:  # Alembic runs these, nobody imports them
                import_module(module.name)
    return [each for each in _below(ErrorCode) if each.__module__.partition(".")[0] in names]


def _below(kind: type[ErrorCode]) -> Iterator[type[ErrorCode]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


CODES = [code for room in rooms() for code in room]


def test_the_walk_finds_the_rooms() -> None:
    """The rooms of the core and of the adapters are among them."""
    found = {each.__name__ for each in rooms()}
    assert {"KernelCode", "RefusalCode", "AuditCode", "IdentityCode", "ImportCode", "ServingCode"} <= found


def test_a_code_means_one_thing() -> None:
    """No two rooms have the same code but for those passed on, which keep their kind; all look like codes."""
    assert {code for code, rooms in Counter(code.value for code in CODES).items() if rooms > 1} == PASSED_ON
    assert len({(code.value, code.kind) for code in CODES}) == len(CODES) - len(PASSED_ON)
    assert all(
        re.fullmatch(r"[a-z]+(_[a-z]+)*", code.value) and isinstance(code.kind, ErrorKind) for code in CODES
    )


@pytest.mark.parametrize("data", ["memory"], indirect=True)
async def test_every_code_is_answered_with_its_problem(app: FastAPI, nobody: httpx.AsyncClient) -> None:
    """Status and code are the error's; its sentence is for the caller, unless it is about our machines."""

    async def fail(code: int) -> None:
        error = CODES[code]
        if error.kind is ErrorKind.UNAVAILABLE:
            raise UnavailableError(error, f"postgresql://dashtam:{SECRET}@db.internal does not answer")
        raise ProblemError.of(DomainError(error, "what, why, and what to do"))

    app.get("/fail/{code}")(fail)
    for index, code in enumerate(CODES):
        answer = await nobody.get(f"/fail/{index}")
        body = problem(answer, STATUSES[code.kind], code.value)
        unavailable = code.kind is ErrorKind.UNAVAILABLE
        assert (body["detail"] == "what, why, and what to do") is not unavailable
        assert answer.headers.get("retry-after") == ("5" if unavailable else RETRY_AFTER.get(code))  # type: ignore[call-overload]
        assert not any(word in answer.text for word in (SECRET, "db.internal", "postgresql", "Traceback", ".py"))


def test_the_page_on_errors_lists_every_code() -> None:
    """Each code stands there once, with its kind and what to do, and none stands there that is not raised."""
    rows = re.findall(
        r"^\| ((?:`[a-z_]+`(?:, )?)+) \| ([A-Z_]+) \| (.+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    )
    listed = [(code, kind) for codes, kind, *_ in rows for code in re.findall(r"`([a-z_]+)`", codes)]
    assert sorted(listed) == sorted({(code.value, code.kind.name) for code in CODES})
    assert all(len(said) > 8 for _, _, *both in rows for said in both)
