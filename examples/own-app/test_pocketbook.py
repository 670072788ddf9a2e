"""Pocketbook's users in Dashtam: each sees their own, and may do what Pocketbook lets them."""

import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from httpx import codes
from pocketbook import app

HERE = Path(__file__).parent
JUNE = {"file": (HERE / "june.ofx").read_bytes()}
ANN, BEN, GUEST = (httpx.BasicAuth(name, f"{name}'s") for name in ("ann", "ben", "guest"))


@pytest.fixture
async def client() -> AsyncGenerator[httpx.AsyncClient]:
    """Pocketbook while it runs, with nothing in it."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://pocketbook") as client,
    ):
        yield client


async def test_a_user_finds_what_they_imported(client: httpx.AsyncClient) -> None:
    """The router acts as the user of the application; the second import of a file is the first one's report."""
    first = await client.post("/money/v1/imports", files=JUNE, auth=ANN)
    again = await client.post("/money/v1/imports", files=JUNE, auth=ANN)
    assert (first.status_code, again.status_code) == (codes.CREATED, codes.OK)
    assert first.json()["import_id"] == again.json()["import_id"]
    page = (await client.get("/money/v1/transactions", auth=ANN)).json()
    assert [row["amount"] for row in page["items"]] == ["500.00", "-500.00", "-3.20", "-3.20", "2480.00"]


async def test_users_do_not_see_each_other(client: httpx.AsyncClient) -> None:
    """Through the router, and through the application's own page."""
    await client.post("/money/v1/imports", files=JUNE, auth=ANN)
    assert (await client.get("/money/v1/accounts", auth=BEN)).json()["items"] == []
    assert (await client.get("/worth", auth=ANN)).json() == {"EUR": "8604.16"}
    assert (await client.get("/worth", auth=BEN)).json() == {}


async def test_a_guest_may_look_and_not_write(client: httpx.AsyncClient) -> None:
    """What a user may do is the application's to say, and Dashtam's to hold to."""
    refused = await client.post("/money/v1/imports", files=JUNE, auth=GUEST)
    assert (refused.status_code, refused.json()["code"]) == (codes.FORBIDDEN, "permission_denied")
    assert (await client.get("/worth", auth=GUEST)).status_code == codes.OK


@pytest.mark.parametrize("path", ["/hello", "/worth", "/money/v1/accounts"])
async def test_nobody_comes_in_without_the_applications_own_log_in(client: httpx.AsyncClient, path: str) -> None:
    """The application's refusal counts for its pages and for the router."""
    assert (await client.get(path)).status_code == codes.UNAUTHORIZED
    assert (await client.get(path, auth=("ann", "wrong"))).status_code == codes.UNAUTHORIZED


async def test_one_page_describes_both(client: httpx.AsyncClient) -> None:
    """The router's resources are in the application's own description."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert {"/hello", "/worth", "/money/v1/accounts"} <= set(paths)


def test_the_demo_prints_what_the_readme_shows() -> None:
    """To the byte."""
    shown = re.findall(r"```text\n(.*?)```", (HERE / "README.md").read_text("utf-8"), re.DOTALL)
    command = [sys.executable, "-X", "utf8", "-W", "error", "demo.py"]
    assert [subprocess.check_output(command, cwd=HERE, encoding="utf-8")] == shown
