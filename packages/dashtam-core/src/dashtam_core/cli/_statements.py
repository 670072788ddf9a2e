"""`dashtam read` and `dashtam import`: statement files, looked into or taken in."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

import attrs
import typer

from dashtam_core import accounts
from dashtam_core.app import Actor
from dashtam_core.cli._exits import EXIT_CODES, stop
from dashtam_core.cli._files import contents, explain, name_of, text_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._rows import BALANCE, HOLDING, TRANSACTION, balance_row, holding_row, transaction_row
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import aside, document, line, table
from dashtam_core.kernel import Failure, Result, Success, and_then
from dashtam_core.messaging import Refused

type _Read = Result[bytes, accounts.ImportFailed | accounts.AccountsRefused | Refused]
type _Imported = Result[accounts.ImportReport, accounts.ImportFailed | accounts.AccountsRefused | Refused]


Profile = Annotated[str | None, typer.Option(metavar="P", help="A TOML file that says how a CSV or QIF is meant.")]


def read(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A statement file, or - for standard input.")],
    profile: Profile = None,
    as_json: Json = False,
) -> None:
    """Show what a statement file holds, and whether it adds up; nothing is stored."""
    settings = load_settings()
    plugins = Host.of(ctx).plugins(settings)
    meant = None if profile is None else text_of(profile)
    with aside():
        readers = accounts.StatementReaders(plugins.readers, settings.import_max_bytes)
        result = and_then(contents(file, settings.import_max_bytes), lambda data: readers.read(data, meant))
    match result:
        case Success(statement):
            document(_view(statement)) if as_json else _show(statement)
        case Failure(error):
            explain(file, error, plugins)
            raise SystemExit(EXIT_CODES[error.code.kind])


def import_files(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Statement files, - for standard input.")],
    profile: Profile = None,
    again: Annotated[
        bool, typer.Option("--again", help="Read files imported before once more; FILE is then an import's id.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take statement files into the store; importing one again changes nothing."""
    settings = load_settings()
    meant = None if profile is None else text_of(profile)

    async def work(me: Actor) -> list[tuple[str, _Imported]]:
        done: list[tuple[str, _Imported]] = []
        for file in files:
            name = None if again else name_of(file)
            data = await _kept(me, file) if again else contents(file, settings.import_max_bytes)
            done.append((file, await _imported(me, file, data, accounts.ImportStatement(b"", name, meant, again))))
        return done

    done = Host.of(ctx).run(settings, work)
    rows = [_import_row(file, result.unwrap()) for file, result in done if isinstance(result, Success)]
    if as_json:
        document({"imports": [_import_view(file, result) for file, result in done]})
    elif rows:
        table(("file", "format", "new>", "changed>", "skipped>", "adds up", "warnings>", ""), rows)
    failures = [result.failure() for _, result in done if isinstance(result, Failure)]
    raise SystemExit(max((EXIT_CODES[error.code.kind] for error in failures), default=0))


async def _kept(me: Actor, document_id: str) -> Result[bytes, accounts.AccountsRefused | Refused]:
    """The bytes of a file that was imported before."""
    try:
        wanted = accounts.DocumentId(UUID(document_id))
    except ValueError:
        stop(f"{document_id!r} is no id of an import: an import prints its id with --json", 2)
    return await me.ask(accounts.ReadDocument(wanted))


async def _imported(me: Actor, file: str, data: _Read, command: accounts.ImportStatement) -> _Imported:
    result: _Imported
    if isinstance(data, Failure):
        result = data
    else:
        result = await me.execute(attrs.evolve(command, data=data.unwrap()))
    if isinstance(result, Failure):
        explain(file, result.failure(), me.dashtam.plugins)
    return result


def _import_view(file: str, result: _Imported) -> dict[str, object]:
    match result:
        case Success(report):
            view = dict(accounts.import_view(report.document))
            return view | {"filename": name_of(file), "already_imported": report.already_imported}
        case Failure(error):
            return {"filename": name_of(file), "error": {"code": error.code, "message": error.message}}


def _import_row(file: str, report: accounts.ImportReport) -> tuple[object, ...]:
    """What the file changes now: one imported before adds nothing, whatever it did then."""
    done, known = report.document, report.already_imported
    rows = sum(account.read for account in done.accounts)
    changed = sum(account.changed for account in done.accounts)
    counts = (0, 0, rows) if known else (done.added, changed, done.skipped)
    said = f"already imported on {done.imported_at.date()}" if known else None
    return file, done.format, *counts, _sums(done), len(done.warnings), said


def _sums(done: accounts.ImportDocument) -> str:
    """Each verdict once, with what is missing where the statement does not add up."""
    said = [(account.arithmetic, account.difference) for account in done.accounts]
    return ", ".join(dict.fromkeys(f"{verdict} ({off})" if off else verdict.value for verdict, off in said))


def _show(statement: accounts.Statement) -> None:
    batch = statement.batch
    rows = sum(len(each.transactions) for each in batch.accounts)
    counts = f"accounts {len(batch.accounts)}, transactions {rows}, warnings {len(batch.warnings)}"
    line(f"{statement.format}: {counts}")
    for each in batch.accounts:
        line()
        verdict, off = accounts.arithmetic([each])
        sums = f"{verdict} (off by {off})" if off else verdict.value
        account = each.account
        line(f"{account.account_type} {account.provider_account_id} {account.currency}, arithmetic: {sums}")
        if each.balances:
            table(BALANCE, map(balance_row, each.balances))
        if each.transactions:
            table(TRANSACTION, map(transaction_row, each.transactions))
        if each.holdings:
            table(HOLDING, map(holding_row, each.holdings))
    if batch.warnings:
        line()
        table(("warning", "where", "found"), [(each.rule, each.where, each.raw) for each in batch.warnings])


def _view(statement: accounts.Statement) -> dict[str, object]:
    return {
        "format": statement.format,
        "accounts": [_account_view(each) for each in statement.batch.accounts],
        "warnings": [accounts.warning_view(each) for each in statement.batch.warnings],
    }


def _account_view(batch: accounts.AccountBatch) -> Mapping[str, object]:
    verdict, difference = accounts.arithmetic([batch])
    account, window = batch.account, batch.covered_window
    told = ("provider_account_id", "number", "bank_id", "institution", "name", "account_type")
    return {name: getattr(account, name) for name in told} | {
        "currency": account.currency.code,
        "covered_window": window and {"start": window.start, "end": window.end},
        "arithmetic": verdict,
        "difference": accounts.money_view(difference),
        "balances": [accounts.balance_view(each) for each in batch.balances],
        "transactions": [accounts.row_view(each) for each in batch.transactions],
        "holdings": [accounts.holding_view(each) for each in batch.holdings],
    }
