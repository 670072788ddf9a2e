"""`dashtam events`: what could not be delivered, and another try."""

from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

import attrs
import typer

from dashtam_core import messaging
from dashtam_core.app import Actor
from dashtam_core.cli._exits import stop, value_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import document, line, table
from dashtam_core.identity import OPERATOR

events: Final = typer.Typer(
    help="See to events that could not be delivered.", no_args_is_help=True, rich_markup_mode=None
)

_TITLES: Final = ("event id", "event", "subscriber", "attempts>", "problem", "given up at (UTC)")


@events.command("dead")
def list_dead(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many to show.")] = 100,
    as_json: Json = False,
) -> None:
    """List deliveries that were given up, the latest first, and how much waits."""

    async def work(me: Actor) -> tuple[Sequence[messaging.DeadLetter], messaging.OutboxLag]:
        dead = value_of(await me.ask(messaging.ListDeadLetters(limit)))
        return dead, await me.dashtam.container.get(messaging.Deliveries).lag()

    dead, lag = Host.of(ctx).run(load_settings(), work, OPERATOR)
    if as_json:
        document({"items": [_view(each) for each in dead], "lag": attrs.asdict(lag)})
        return
    table(_TITLES, [_row(each) for each in dead])
    waits = f"waiting {lag.waiting}, held back {lag.held_back}, dead {lag.dead}"
    line(f"{waits}, oldest {lag.oldest_seconds:.0f} seconds")


@events.command("retry")
def retry(
    ctx: typer.Context,
    event_id: Annotated[UUID | None, typer.Argument(metavar="EVENT_ID", help="One event; else all.")] = None,
    as_json: Json = False,
) -> None:
    """Have what was given up delivered again, by whatever process delivers."""
    retried = messaging.RetryDeadLetters(event_id)
    count = value_of(Host.of(ctx).run(load_settings(), lambda me: me.execute(retried), OPERATOR))
    if event_id is not None and not count:
        stop(f"no delivery of the event {event_id} was given up: copy its id from `dashtam events dead`", 2)
    document({"retried": count}) if as_json else line(f"deliveries to be tried again: {count}")


@events.command("forget")
def forget(
    ctx: typer.Context,
    subscriber: Annotated[str, typer.Argument(help="A durable subscriber that is gone for good, by its name.")],
) -> None:
    """Keep no events any more for a subscriber that no program registers."""
    forgotten = messaging.ForgetSubscriber(subscriber)
    value_of(Host.of(ctx).run(load_settings(), lambda me: me.execute(forgotten), OPERATOR))
    line(f"nothing is kept for {subscriber} any more")


def _view(each: messaging.DeadLetter) -> dict[str, object]:
    return {
        "event_id": each.event.event_id,
        "event": each.event.name,
        "user_id": each.event.user_id,
        "subscriber": each.subscriber,
        "attempts": each.attempts,
        "problem": each.problem,
        "failed_at": each.failed_at,
    }


def _row(each: messaging.DeadLetter) -> tuple[object, ...]:
    at = f"{each.failed_at:%Y-%m-%d %H:%M:%S}"
    return each.event.event_id, each.event.name, each.subscriber, each.attempts, each.problem, at
