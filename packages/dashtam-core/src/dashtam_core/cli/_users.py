"""`dashtam users` and `dashtam keys`: accounts as an administrator sees them, and the key to everything."""

import secrets
from pathlib import Path
from typing import Annotated, Final

import typer

from dashtam_core import identity
from dashtam_core.app import Actor, key_of
from dashtam_core.cli._exits import stop, value_of
from dashtam_core.cli._host import Host, Json
from dashtam_core.cli._settings import load_settings
from dashtam_core.cli._show import document, line, note, table
from dashtam_core.identity import OPERATOR, Role, User

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
    document(_view(user)) if as_json else table(_TITLES, [[*_view(user).values()]])


@users.command("list")
def list_users(ctx: typer.Context, as_json: Json = False) -> None:
    """List all accounts, the oldest first."""

    async def work(me: Actor) -> list[User]:
        found, cursor = list[User](), None
        while not found or cursor:
            page = value_of(await me.ask(identity.ListUsers(_MAX_PAGE, cursor)))
            found, cursor = [*found, *page.items], page.next_cursor
            if not page.items:
                break
        return found

    rows = [_view(each) for each in Host.of(ctx).run(load_settings(), work, OPERATOR)]
    document({"items": rows}) if as_json else table(_TITLES, [[*row.values()] for row in rows])


@keys.command("rotate")
def rotate_key(
    ctx: typer.Context,
    to: Annotated[Path, typer.Argument(help="The file that the new key is written to; there is none yet.")],
) -> None:
    """Make a new key that opens the store as the old one does, while everything goes on.

    Give it to every process as DASHTAM_KEY or DASHTAM_KEY_FILE, one by one, then run `dashtam keys retire`.
    """
    settings, new = load_settings(), secrets.token_urlsafe(32)
    try:
        to.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        stop(f"{to} cannot be made ({error.strerror}): name a file that is not there, where you may write", 2)
    to.write_text(new + "\n")
    value_of(
        Host.of(ctx).run(
            settings, lambda me: me.execute(identity.RotateKey(key_of(settings) or "", new)), OPERATOR
        )
    )
    line(f"the new key is in {to}; the old one opens the store as well until `dashtam keys retire`")


@keys.command("retire")
def retire_keys(ctx: typer.Context) -> None:
    """Leave the key of this command's settings as the only one that opens the store."""
    settings = load_settings()
    retired = identity.RetireKeys(key_of(settings) or "")
    count = value_of(Host.of(ctx).run(settings, lambda me: me.execute(retired), OPERATOR))
    line(f"keys that open the store no more: {count}")
    if not count:
        note("no other key opened it")


def _view(user: User) -> dict[str, object]:
    since = f"{user.created_at:%Y-%m-%d %H:%M:%S}"
    texts = (str(user.email), user.role.value, user.status.value, since)
    return {"user_id": user.user_id, **dict(zip(("email", "role", "status", "created_at"), texts, strict=True))}
