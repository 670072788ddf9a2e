"""Dashtam as a service, on a PostgreSQL of its own in `.dashtam/`, with statements of several formats in it.

Run `make run` in the repository, or `python examples/service/main.py --port 8000`.
"""

import argparse
import asyncio
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dashtam_core import Actor, Dashtam, Failure, Settings, UnavailableError, logs
from dashtam_core.accounts import ImportStatement, ListAccounts, ListTransactions
from dashtam_core.identity import (
    OPERATOR,
    CreateApiToken,
    CreateUser,
    ExternalSubject,
    ListApiTokens,
    LogIn,
    RevokeApiToken,
    Role,
)
from dashtam_core.kernel import ANONYMOUS, UnavailableCode
from dashtam_fastapi import ServiceSettings, create_app, serve, until_signalled

HERE = Path(__file__).resolve().parent
DEMO = "demo@example.org"
TOKEN_NAME = "make run"  # noqa: S105 - what the token is called
DATA = Path(os.environ.get("DASHTAM_DATA_DIR") or HERE.parent.parent / ".dashtam")


async def run(host: str, port: int) -> None:
    """Opens the store, takes in the samples as the demo person, and serves until Ctrl-C."""
    task = asyncio.current_task()
    assert task is not None
    print(f"Dashtam starts, with its data in {DATA} …", flush=True)
    with until_signalled(task.cancel):
        settings = Settings(store_url="embedded:", data_dir=DATA, mail_url="console:")
        async with Dashtam.open(settings=settings) as dashtam:
            password = kept_password(DATA / "demo.password")
            demo = await log_in(dashtam, password)
            lines = [*await import_samples(demo), *await contents(demo)]
            token = await new_token(demo)
            print("\n".join(lines), flush=True)
            app = create_app(ServiceSettings(host=host), dashtam=dashtam)
            await serve(app, host, port, lambda url: print("\n".join(welcome(url, password, token)), flush=True))


def kept_password(file: Path) -> str:
    """The demo person's password, made at the first start and readable by its owner alone."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(15))
        fresh.rename(file)
    return file.read_text().strip()


async def log_in(dashtam: Dashtam, password: str) -> Actor:
    """The demo person, an administrator, in a session of their own; their account is made at the first start."""
    nobody, log_in = dashtam.acting_as(ANONYMOUS), LogIn(DEMO, password)
    opened = await nobody.execute(log_in)
    if isinstance(opened, Failure):
        operator = dashtam.acting_as(ExternalSubject("make run", OPERATOR))
        made = await operator.execute(CreateUser(DEMO, password, Role.ADMIN))
        if isinstance(made, Failure):
            file = DATA / "demo.password"
            why = (
                f"the password of {DEMO} is another than {file} says: write it there, or begin anew without {DATA}"
            )
            raise UnavailableError(UnavailableCode.STORE_NOT_CONFIGURED, why)
        opened = await nobody.execute(log_in)
    return dashtam.acting_as((await dashtam.authenticate(opened.unwrap().access_token)).unwrap())


async def new_token(demo: Actor) -> str:
    """An API token for trying things out, in place of the one of the last start."""
    for each in (await demo.ask(ListApiTokens())).unwrap():
        if each.name == TOKEN_NAME:
            await demo.execute(RevokeApiToken(each.token_id))
    return (await demo.execute(CreateApiToken(TOKEN_NAME))).unwrap().token


async def import_samples(demo: Actor) -> list[str]:
    """Takes in every sample; the second time there is nothing new in them."""
    lines = ["", "Statements"]
    for file in sorted((HERE / "statements").iterdir()):
        taken = await demo.execute(ImportStatement(file.read_bytes(), file.name))
        if isinstance(taken, Failure):
            lines.append(f"  {file.name:24} {taken.failure()}")
            continue
        report = taken.unwrap()
        news = (
            "known from an earlier start" if report.already_imported else f"{report.document.added} transactions"
        )
        lines.append(f"  {file.name:24} {report.document.format:10} {news}")
    return lines


async def contents(demo: Actor) -> Iterator[str]:
    """The demo person's accounts with their balances, and the latest transactions."""
    accounts = (await demo.ask(ListAccounts())).unwrap().items
    latest = (await demo.ask(ListTransactions(limit=8))).unwrap().items
    names = {each.account.account_id: each.account.name for each in accounts}
    lines = ["", f"{'Accounts':44}{'balance':>14}{'available':>14}"]
    for each in accounts:
        amounts = {balance.kind.value: balance.amount.text for balance in each.balances}
        money = f"{amounts.get('LEDGER', ''):>14}{amounts.get('AVAILABLE', ''):>14} {each.account.currency}"
        lines.append(f"  {each.account.name:42}{money}")
    lines += ["", "Latest transactions"]
    for row in latest:
        text = (row.description or "")[:34]
        lines.append(
            f"  {row.posted_date}  {text:34}{row.amount.text:>12} {row.amount.currency}  {names[row.account_id]}"
        )
    return iter(lines)


def welcome(url: str, password: str, token: str) -> list[str]:
    """Where to go, and what to try."""
    body = json.dumps({"email": DEMO, "password": password})
    curl = f"  curl -H 'Authorization: Bearer {token}'"
    return [
        "",
        f"API              {url}/v1",
        f"Try it at        {url}/docs   (Authorize with the token)",
        f"Log in           {DEMO} with {password}",
        f"API token        {token}",
        f"Live events      {url}/v1/events?category=imports,balances   (curl -N, with the token)",
        "",
        f"{curl} '{url}/v1/transactions?limit=3'",
        f"  curl -d '{body}' -H 'Content-Type: application/json' {url}/v1/sessions",
        f"{curl} -F file=@examples/service/statements/household.ofx {url}/v1/imports",
        "",
        "Ctrl-C stops it; the data stays.",
    ]


def main() -> int:
    """Reads the options and runs; one clear line if something is not there."""
    options = argparse.ArgumentParser(description="Dashtam with an embedded PostgreSQL and sample statements")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8000, help="0 takes any that is free")
    given = options.parse_args()
    settings = Settings.load()
    if isinstance(settings, Failure):
        print(f"Dashtam could not start: {settings.failure().message}", file=sys.stderr)
        return 2
    chosen = settings.unwrap()
    logs.configure(format=chosen.log_format or "auto", level=chosen.log_level or "warning", secrets=chosen.secrets)
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(run(given.host, given.port))
    except UnavailableError as error:
        advice = " (make run PORT=8001)" if "port" in error.message else ""
        print(f"Dashtam could not start: {error.message}{advice}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
