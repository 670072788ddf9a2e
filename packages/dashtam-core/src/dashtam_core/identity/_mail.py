"""The mails that identity sends, and where they go out."""

import re
from html import escape
from typing import Final, Protocol, TextIO
from urllib.parse import quote

import attrs

from dashtam_core.identity._entities import UserStatus

VERIFYING: Final = "POST /v1/email-verifications, as `token`, with your password as `password`:"
RESETTING: Final = "PUT /v1/password-resets, as `token`, with your new password as `password`:"
"""What takes a token where no address of an application is configured, and what goes with it."""

_ADDRESS: Final = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+")
_NOT_YOU: Final = "If this was not you, reset your password at once and end all your sessions."
_IGNORE: Final = "If this was not you, there is nothing to do: without this mail nobody can go on."


def mail_address(text: str, /) -> str:
    """The text, if it is one address alone that is safe in a header; ValueError, if it is not."""
    if not text.isprintable() or _ADDRESS.fullmatch(text) is None:
        raise ValueError("a mail goes to one address such as name@example.org, with nothing before or after it")
    return text


@attrs.frozen
class Mail:
    """A mail to one person, in plain text and in HTML that say the same."""

    to: str = attrs.field(converter=mail_address)
    subject: str = attrs.field(repr=False)
    text: str = attrs.field(repr=False)
    html: str = attrs.field(repr=False)


class Mailer(Protocol):
    """Hands mails to whoever delivers them."""

    async def send(self, mail: Mail, /) -> None:
        """Returns once the mail is taken, and raises `UnavailableError` with MAIL_UNAVAILABLE if it is not."""
        ...


@attrs.frozen
class ConsoleMailer:
    """Writes mails to a terminal instead of sending them, tokens and all: for trying things out."""

    stream: TextIO

    async def send(self, mail: Mail, /) -> None:
        self.stream.write(f"To: {mail.to}\nSubject: {mail.subject}\n\n{mail.text}\n")
        self.stream.flush()


def verification(to: str, token: str, url: str | None) -> Mail:
    """Asks whether the address belongs to whoever registered or wants it. `url` has `{token}` where that goes."""
    opening = "Somebody gave this address to Dashtam as theirs. If it was you, confirm it:"
    return _with_token(to, "Confirm your address", opening, token, url, call=VERIFYING)


def address_taken(to: str) -> Mail:
    """Tells who is registered already that somebody tried again, which is not said to whoever tried."""
    said = "Somebody wanted to register at Dashtam with this address, which has an account already."
    todo = "If it was you, log in, or reset your password if you have forgotten it."
    return _written(to, "You have an account already", said, todo, _IGNORE)


def password_reset(to: str, token: str, url: str | None) -> Mail:
    """Lets whoever reads the address's mail choose a new password. `url` has `{token}` where that goes."""
    opening = "Somebody asked to reset the password of your account at Dashtam. If it was you, choose a new one:"
    return _with_token(to, "Reset your password", opening, token, url, call=RESETTING)


def password_changed(to: str) -> Mail:
    return _written(to, "Your password was changed", "The password of your account was changed.", _NOT_YOU)


def email_changed(to: str, new: str) -> Mail:
    """Goes to the old address, whose owner may not be the one who changed it."""
    said = f"The address of your account was changed to {mail_address(new)}. No more mail comes to this one."
    return _written(to, "Your address was changed", said, "If this was not you, tell whoever runs this service.")


def factor_changed(to: str, what: str) -> Mail:
    """`what` is a sentence, such as "A second factor was removed from your account."."""
    return _written(to, "Your second factor was changed", what, _NOT_YOU)


def status_changed(to: str, status: UserStatus) -> Mail:
    said = {
        UserStatus.LOCKED: "Your account was locked by an administrator: nobody can log in, all sessions ended.",
        UserStatus.DEACTIVATED: "Your account was closed: nobody can log in, and all you have here is kept.",
    }.get(status, "Your account is open again: log in as before.")
    return _written(to, "Your account was changed", said, "If this is news to you, ask whoever runs this service.")


def session_stolen(to: str) -> Mail:
    said = "A session of yours was continued with a token that had been used before, so it was ended."
    return _written(to, "A session was ended", said, "Log in again. If this happens often, change your password.")


def _with_token(to: str, subject: str, opening: str, token: str, url: str | None, *, call: str) -> Mail:
    if url is None:
        return _written(to, subject, opening, f"Send this token to {call}", token, _IGNORE)
    if "{token}" not in url:
        raise ValueError("the URL for links in mails has no {token} in it, so that a link would lead nowhere")
    link = url.replace("{token}", quote(token, safe=""))
    return _written(to, subject, opening, link, "The link works once, and not for long.", _IGNORE, link=link)


def _written(to: str, subject: str, *paragraphs: str, link: str | None = None) -> Mail:
    """Text and HTML of the same paragraphs; nothing in it is loaded from anywhere."""
    shown = [
        f"<a href='{escape(each)}'>{escape(each)}</a>" if each == link else escape(each) for each in paragraphs
    ]
    body = "\n".join(f"<p>{each}</p>" for each in shown)
    head = f"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{escape(subject)}</title>"
    return Mail(to, subject, "\n\n".join(paragraphs) + "\n", f"{head}\n{body}\n</html>\n")
