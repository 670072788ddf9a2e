"""Importing the core costs what it needs, and no more."""

import subprocess
import sys

import pytest

NOT_NEEDED = (
    *(
        "alembic",
        "argon2",
        "asyncpg",
        "fastapi",
        "httpx",
        "pydantic",
        "redis",
        "sqlalchemy",
        "starlette",
        "uvicorn",
    ),
    *("dotenv", "rich", "typer", "hypothesis", "pytest"),
    *("dashtam_embedded", "dashtam_fastapi", "dashtam_files", "dashtam_postgres", "dashtam_core.cli"),
)
OPENED = """
import asyncio
from dashtam_core import Dashtam, Settings
async def main():
    async with Dashtam.open(settings=Settings(), plugins=[]) as dashtam:
        await dashtam.ping()
asyncio.run(main())
"""


def imported(program: str, *names: str) -> list[str]:
    """Which of these modules a fresh interpreter has after the program."""
    told = f"{program}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-I", "-c", told], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("program", ["from dashtam_core import Dashtam", OPENED], ids=["import", "open in memory"])
def test_the_core_needs_no_adapter(program: str) -> None:
    """Neither importing the core nor opening it in memory loads an adapter, a web framework or a terminal."""
    assert imported(program, *NOT_NEEDED) == []


def test_a_room_is_imported_without_the_others() -> None:
    """A plugin that needs values and results does not pay for the application."""
    rooms = ("dashtam_core.kernel", "dashtam_core.messaging", "dashtam_core.app", "pluggy")
    assert imported("import dashtam_core", *rooms) == []
    assert imported("from dashtam_core.kernel import Money", *rooms) == ["dashtam_core.kernel"]
    assert imported("from dashtam_core import Failure", *rooms) == ["dashtam_core.kernel"]


def test_logging_is_loaded_when_it_is_used() -> None:
    """The library for logs pulls in a terminal's, so importing the core leaves it alone."""
    assert imported("from dashtam_core import Dashtam", "structlog") == []


def test_the_question_is_asked_rightly() -> None:
    """A module that is imported is seen."""
    assert imported("from dashtam_core import Dashtam", "attrs", "pluggy", "dashtam_core.memory", "nope") == [
        "attrs",
        "pluggy",
        "dashtam_core.memory",
    ]
