"""`dashtam read` and `dashtam import`: statement files, looked into or taken in."""

from typing import Annotated

import typer

from dashtam_core import accounts
from dashtam_core.accounts import ImportFailed, ImportReport, ImportStatement, StatementReaders
from dashtam_core.app import Actor
from dashtam_core.cli._exits import EXIT_CODES
from dashtam_core.cli._files import contents, explain, name_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._rows import BALANCE, TRANSACTION, balance_row, transaction_row
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import aside, document, line, table
from dashtam_core.kernel import Failure, Result, Success, amount_text, and_then
from dashtam_core.messaging import Refused

type _Imported = Result[ImportReport, ImportFailed | Refused]


def read(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A statement file, or - for standard input.")],
    as_json: Json = False,
) -> None:
    """Show what a statement file holds; nothing is stored."""
    settings = load_settings()
    plugins = Host.of(ctx).plugins(settings)
    with aside():
        readers = StatementReaders(plugins.readers, settings.import_max_bytes)
        result = and_then(contents(file, settings.import_max_bytes), readers.read)
    match result:
        case Success(statement):
            document(_view(statement)) if as_json else _show(statement)
        case Failure(error):
            explain(file, error, plugins)
            raise SystemExit(EXIT_CODES[error.code.kind])


def import_files(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="Statement files, - for standard input.")],
    as_json: Json = False,
) -> None:
    """Take statement files into the store; importing one again changes nothing."""
    settings = load_settings()

    async def work(me: Actor) -> list[tuple[str, _Imported]]:
        return [(file, await _imported(me, file, settings.import_max_bytes)) for file in files]

    done = Host.of(ctx).run(settings, work)
    rows = [_import_row(file, result.unwrap()) for file, result in done if isinstance(result, Success)]
    if as_json:
        document({"imports": [_import_view(file, result) for file, result in done]})
    elif rows:
        table(("file", "format", "new>", "skipped>", "warnings>", ""), rows)
    failures = [result.failure() for _, result in done if isinstance(result, Failure)]
    raise SystemExit(max((EXIT_CODES[error.code.kind] for error in failures), default=0))


async def _imported(me: Actor, file: str, limit: int) -> _Imported:
    result: _Imported
    match contents(file, limit):
        case Success(data):
            result = await me.execute(ImportStatement(data, filename=name_of(file)))
        case Failure() as result:
            pass
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


def _import_row(file: str, report: ImportReport) -> tuple[object, ...]:
    """What the file changes now: one imported before adds nothing, whatever it did then."""
    done, known = report.document, report.already_imported
    new, skipped = (0, done.added + done.skipped) if known else (done.added, done.skipped)
    said = f"already imported on {done.imported_at.date()}" if known else None
    return file, done.format, new, skipped, len(done.warnings), said


def _show(statement: accounts.Statement) -> None:
    batch = statement.batch
    rows = sum(len(each.transactions) for each in batch.accounts)
    line(
        f"{statement.format}: accounts {len(batch.accounts)}, transactions {rows}, warnings {len(batch.warnings)}"
    )
    for each in batch.accounts:
        line()
        line(f"{each.account.account_type} {each.account.provider_account_id} {each.account.currency}")
        if each.balances:
            table(BALANCE, map(balance_row, each.balances))
        if each.transactions:
            table(TRANSACTION, map(transaction_row, each.transactions))
    if batch.warnings:
        line()
        table(("warning", "where", "found"), [(each.rule, each.where, each.raw) for each in batch.warnings])


def _view(statement: accounts.Statement) -> dict[str, object]:
    return {
        "format": statement.format,
        "accounts": [_account_view(each) for each in statement.batch.accounts],
        "warnings": [accounts.warning_view(each) for each in statement.batch.warnings],
    }


def _account_view(batch: accounts.AccountBatch) -> dict[str, object]:
    return {
        "provider_account_id": batch.account.provider_account_id,
        "currency": batch.account.currency.code,
        "account_type": batch.account.account_type,
        "balances": [_balance_view(each) for each in batch.balances],
        "transactions": [_transaction_view(each) for each in batch.transactions],
    }


def _balance_view(balance: accounts.BalanceData) -> dict[str, object]:
    amount = amount_text(balance.amount.amount)
    return {"kind": balance.kind, "as_of": balance.as_of.isoformat(), "amount": amount}


def _transaction_view(row: accounts.TransactionData) -> dict[str, object]:
    return {
        "posted_date": row.posted_date.isoformat(),
        "amount": amount_text(row.amount.amount),
        "currency": row.amount.currency.code,
        "provider_transaction_id": row.provider_transaction_id,
        "type": row.type,
        "status": row.status,
        "description": row.description,
        "payee": row.payee,
        "memo": row.memo,
    }
