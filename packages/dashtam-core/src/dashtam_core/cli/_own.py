"""`dashtam transfers`, `duplicates`, `annotate` and `holdings`: what is suggested, and what you say of it."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import attrs
import typer

from dashtam_core import accounts, portfolio
from dashtam_core.accounts import AccountId, Annotation, TransactionId
from dashtam_core.app import Actor
from dashtam_core.cli._exits import stop, value_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._lists import Chosen, From, To, chosen, every_account
from dashtam_core.cli._rows import HOLDING, TRANSACTION, holding_row, short_id, transaction_row
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import document, line, table
from dashtam_core.portfolio import DecideMatch, ForgetDecision, ListMatches, MatchedPair, MatchKind, MatchState

_WHOLE: Final = 36

type _Accounts = Mapping[AccountId, accounts.Account]

Two = tuple[str, str] | None
State = Annotated[MatchState, typer.Option(help="Which to list.")]
One = Annotated[str, typer.Argument(metavar="TRANSACTION", help="Its id, or the end of it as lists show it.")]
Said = Annotated[str | None, typer.Option(help="In your words; an empty text takes it away.")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", help="One of your tags; give it for each, or once empty.")
]
Clear = Annotated[bool, typer.Option("--clear", help="Take back everything you said of it.")]


def matching(kind: MatchKind) -> Callable[..., None]:
    """The command for pairs of one kind."""

    def command(
        ctx: typer.Context,
        *,
        confirm: Annotated[Two, typer.Option(metavar="FIRST SECOND", help=f"This is a {kind}.")] = None,
        reject: Annotated[Two, typer.Option(metavar="FIRST SECOND", help=f"This is no {kind}.")] = None,
        forget: Annotated[Two, typer.Option(metavar="FIRST SECOND", help="What you decided.")] = None,
        state: State = MatchState.SUGGESTED,
        from_day: From = None,
        to_day: To = None,
        as_json: Json = False,
    ) -> None:
        to = {MatchState.CONFIRMED: confirm, MatchState.REJECTED: reject, MatchState.SUGGESTED: forget}
        asked = [(each, two) for each, two in to.items() if two]
        if len(asked) > 1:
            stop("give one of --confirm, --reject and --forget at a time", 2)
        days = {"from_date": from_day and from_day.date(), "to_date": to_day and to_day.date()}

        async def pairs(me: Actor, of: MatchState) -> list[MatchedPair]:
            return [*value_of(await me.ask(ListMatches(kind=kind, state=of, **days)))]

        async def work(me: Actor) -> tuple[list[MatchedPair], _Accounts]:
            for wanted, two in asked:
                known = [id_ for of in MatchState for pair in await pairs(me, of) for id_ in pair.match.ids]
                await _decide(me, kind, wanted, *(_ending(text, known) for text in two))
            return await pairs(me, state), await every_account(me)

        found, known = Host.of(ctx).run(load_settings(), work)
        if as_json:
            document({"items": [portfolio.match_view(each) for each in found]})
        elif not found:
            line(f"no {kind}s are {state} in these days: --from and --to name others")
        else:
            rows = [row for number, pair in enumerate(found, 1) for row in _pair_rows(number, pair, known)]
            table(("", *TRANSACTION, "account", "id"), rows)

    command.__doc__ = f"List the {kind}s among your transactions, or decide about one and list what is left."
    return command


def annotate(
    ctx: typer.Context,
    transaction: One,
    *,
    category: Said = None,
    payee: Said = None,
    note: Said = None,
    tag: Tags = None,
    clear: Clear = False,
    as_json: Json = False,
) -> None:
    """Say what a transaction is to you: what you do not name stays as it is."""
    given: dict[str, Any] = {"category": category, "payee": payee, "note": note, "tags": tag and tuple(tag)}

    async def work(me: Actor) -> Annotation:
        whole = len(transaction) == _WHOLE
        id_ = _ending(transaction, [] if whole else [each async for each in _every_transaction(me)])
        row = value_of(await me.ask(accounts.GetTransaction(id_)))
        if clear:
            value_of(await me.execute(accounts.ClearAnnotation(id_)))
        before = row.annotation if row.annotation and not clear else Annotation(transaction_id=id_)
        said = attrs.asdict(before, recurse=False) | {name: it for name, it in given.items() if it is not None}
        if all(it is None for it in given.values()):
            return before
        return value_of(await me.execute(accounts.AnnotateTransaction(**said)))

    view = accounts.annotation_view(Host.of(ctx).run(load_settings(), work))
    if as_json:
        document(view)
    else:
        splits = ", ".join(f"{each['amount']} {each['category'] or ''}".strip() for each in view["splits"])
        texts = {**view, "tags": ", ".join(view["tags"]), "splits": splits}
        table(("", "said"), [(name, text) for name, text in texts.items() if text])


def list_holdings(ctx: typer.Context, *, account: Chosen = None, as_json: Json = False) -> None:
    """List what your accounts hold, each as of the latest day it told of."""

    async def work(me: Actor) -> tuple[list[accounts.Holding], _Accounts]:
        known = await every_account(me)
        ids = known if account is None else [chosen(account, known.values())]
        return [each for id_ in ids for each in value_of(await me.ask(accounts.ListHoldings(id_)))], known

    held, known = Host.of(ctx).run(load_settings(), work)
    if as_json:
        items = [{"account_id": str(each.account_id), **accounts.holding_view(each)} for each in held]
        document({"items": items})
    else:
        table((*HOLDING, "account"), [(*holding_row(each), known[each.account_id].name) for each in held])


async def _decide(
    me: Actor, kind: MatchKind, state: MatchState, first: TransactionId, second: TransactionId
) -> None:
    if state is MatchState.SUGGESTED:
        value_of(await me.execute(ForgetDecision(kind=kind, first=first, second=second)))
    else:
        value_of(await me.execute(DecideMatch(kind=kind, first=first, second=second, state=state)))


async def _every_transaction(me: Actor) -> AsyncIterator[TransactionId]:
    query: accounts.ListTransactions | None = accounts.ListTransactions(limit=accounts.MAX_LIMIT)
    while query:
        page = value_of(await me.ask(query))
        for row in page.items:
            yield row.transaction_id
        query = attrs.evolve(query, cursor=page.next_cursor) if page.next_cursor else None


def _ending(text: str, known: Iterable[TransactionId]) -> TransactionId:
    """The one of these ids that ends so, or any whole one; without one the command ends."""
    found = sorted({id_ for id_ in known if text and str(id_).endswith(text.lower())})
    if len(found) > 1:
        stop(f"{text!r} ends {len(found)} ids, give more of one: {'; '.join(map(str, found))}", 2)
    try:
        return found[0] if found else TransactionId(UUID(text))
    except ValueError:
        stop(f"no transaction here has an id that ends in {text!r}: copy it from a list, or give it whole", 2)


def _pair_rows(number: int, pair: MatchedPair, known: _Accounts) -> Iterable[tuple[object, ...]]:
    for row in (pair.first, pair.second):
        yield number, *transaction_row(row), known[row.account_id].name, short_id(row.transaction_id)
