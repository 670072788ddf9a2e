"""`dashtam users` and `dashtam keys`: accounts as an administrator sees them, and the key to everything."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dashtam_core import identity
from dashtam_core.app import Actor, key_of
from dashtam_core.cli._exits import stop, value_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._settings import durable, load_settings
from dashtam_core.cli._show import document, line, table
from dashtam_core.identity import OPERATOR, Role, User
from dashtam_core.messaging import Command

users: Final = typer.Typer(help="See to people's accounts.", no_args_is_help=True, rich_markup_mode=None)
keys: Final = typer.Typer(help="See to the key of the store.", no_args_is_help=True, rich_markup_mode=None)

_TITLES: Final = ("user id", "address", "role", "status", "since (UTC)")
_MAX_PAGE: Final = 500


@users.command("create")
def create(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="The address they log in with.")],
    *,
    admin: Annotated[bool, typer.Option("--admin", help="Make them an administrator.")] = False,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.USER,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, envvar="DASHTAM_PASSWORD")
    ],
    as_json: Json = False,
) -> None:
    """Make an account that is usable at once; the password is asked for, or read from DASHTAM_PASSWORD."""
    made = identity.CreateUser(email, password, Role.ADMIN if admin else role)
    user = value_of(Host.of(ctx).run(load_settings(), lambda me: me.execute(made), OPERATOR))
    document(_view(user)) if as_json else table(_TITLES, [_row(user)])


@users.command("list")
def list_users(ctx: typer.Context, as_json: Json = False) -> None:
    """List all accounts, the oldest first."""

    async def work(me: Actor) -> list[User]:
        found, page = list[User](), value_of(await me.ask(identity.ListUsers(_MAX_PAGE)))
        while page.next_cursor:
            found += page.items
            page = value_of(await me.ask(identity.ListUsers(_MAX_PAGE, page.next_cursor)))
        return [*found, *page.items]

    found = Host.of(ctx).run(load_settings(), work, OPERATOR)
    document({"items": [*map(_view, found)]}) if as_json else table(_TITLES, map(_row, found))


@keys.command("rotate")
def rotate_key(
    ctx: typer.Context,
    to: Annotated[Path, typer.Argument(help="The file that the new key is written to; there is none yet.")],
) -> None:
    """Make a new key that opens the store as the old one does, while everything goes on.

    Give it to every process as DASHTAM_KEY or DASHTAM_KEY_FILE, one by one, then run `dashtam keys retire`.
    """
    new = secrets.token_urlsafe(32)
    try:
        to.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        stop(f"{to} cannot be made ({error.strerror}): name a file that is not there, where you may write", 2)
    to.write_text(new + "\n")
    try:
        _with_key(ctx, lambda key: identity.RotateKey(key, new))
    except BaseException:
        to.unlink()
        raise
    line(f"the new key is in {to}; the old one opens the store as well until `dashtam keys retire`")


@keys.command("retire")
def retire_keys(ctx: typer.Context) -> None:
    """Leave the key of this command's settings as the only one that opens the store."""
    line(f"keys that open the store no more: {_with_key(ctx, identity.RetireKeys)}")


def _with_key[T](ctx: typer.Context, command: Callable[[str], Command[T, Any]]) -> T:
    settings = durable(load_settings())
    made = command(key_of(settings) or "")
    return value_of(Host.of(ctx).run(settings, lambda me: me.execute(made), OPERATOR))


def _view(user: User) -> dict[str, object]:
    texts = {"email": str(user.email), "role": user.role.value, "status": user.status.value}
    return {"user_id": user.user_id, **texts, "created_at": user.created_at}


def _row(user: User) -> list[object]:
    return [*(_view(user) | {"created_at": f"{user.created_at:%Y-%m-%d %H:%M:%S}"}).values()]
