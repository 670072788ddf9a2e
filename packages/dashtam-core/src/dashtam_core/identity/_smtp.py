"""Sending mail through a server of the operator's (RFC 6409), encrypted unless it is on this machine."""

import asyncio
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid, parseaddr
from importlib.util import find_spec
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

import attrs

from dashtam_core.identity._errors import IdentityCode
from dashtam_core.identity._mail import Mail, mail_address
from dashtam_core.kernel import UnavailableError

_PORTS: Final = {"smtp": 587, "smtps": 465}
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
_NO_URL: Final = "the mail server's URL should be like smtp://user:password@mail.example.org:587"


@attrs.frozen
class SmtpMailer:
    """Sends each mail over a connection of its own. Certificates are verified; no password goes out in clear."""

    server: Mapping[str, Any] = attrs.field(repr=False)
    sender: str
    domain: str
    seconds: float
    """How long the server may take for each answer; all of them together, three times as long."""

    @classmethod
    def of(
        cls, url: str, sender: str, *, ssl_context: ssl.SSLContext | None = None, seconds: float = 10.0
    ) -> Self:
        """The server at `smtp://user:password@host:587` or `smtps://…:465`; `sender` as in `Name <a@example.org>`.

        `smtp:` begins with STARTTLS or sends nothing, except to this machine itself, where `?starttls=always` asks
        for it. `?starttls=never` takes a server without it that wants no password: others can read what is sent.
        Raises ValueError if either text is not one, and `UnavailableError` if the library is missing.
        """
        if find_spec("aiosmtplib") is None:
            raise _unavailable("sending mail needs the package aiosmtplib: pip install 'dashtam-core[mail]'")
        if not sender.isprintable():
            raise ValueError("the sender of mails is one line of printable characters")
        address = mail_address(parseaddr(sender)[1])
        domain = address.rpartition("@")[2]
        how = {"sender": address, "local_hostname": domain, "timeout": seconds, "tls_context": ssl_context}
        return cls(_read(url) | how, sender, domain, seconds)

    async def send(self, mail: Mail, /) -> None:
        import aiosmtplib

        try:
            async with asyncio.timeout(3 * self.seconds):
                await aiosmtplib.send(self._message(mail), recipients=[mail.to], **self.server)
        except (aiosmtplib.SMTPException, OSError) as error:
            where = f"{self.server['hostname']}:{self.server['port']}"
            raise _unavailable(f"the mail server {where} {_reason(error)}") from None

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage(SMTP)
        message["From"], message["To"], message["Subject"] = self.sender, mail.to, mail.subject
        message["Date"], message["Auto-Submitted"] = formatdate(), "auto-generated"
        message["Message-ID"] = make_msgid(domain=self.domain)
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")
        return message


def _read(url: str) -> dict[str, Any]:
    """What the URL says, as the library takes it. Nothing of the URL is in an error: it holds a password."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        raise ValueError(_NO_URL) from None
    local, tls = host in _LOOPBACK, parts.scheme == "smtps"
    start = {"": not local, "starttls=always": True, "starttls=never": False}.get(parts.query)
    if parts.scheme not in _PORTS or not host or parts.path.strip("/") or parts.fragment or start is None:
        raise ValueError(_NO_URL)
    if parts.username and not (tls or start or local):
        raise ValueError("?starttls=never would send the mail server's password in clear: leave one of them out")
    return {
        "hostname": host,
        "port": port or _PORTS[parts.scheme],
        "use_tls": tls,
        "start_tls": start and not tls,
        "username": unquote(parts.username or "") or None,
        "password": unquote(parts.password or ""),
    }


def _reason(error: Exception) -> str:
    """What is wrong and what to do, in words of our own: a server's may repeat what it was sent."""
    import aiosmtplib

    reasons: list[tuple[type[Exception], str]] = [
        (aiosmtplib.SMTPAuthenticationError, "refused the user name or the password: correct them in its URL"),
        (aiosmtplib.SMTPRecipientsRefused, "takes no mail for this address: check it, and what may be relayed"),
        (aiosmtplib.SMTPResponseException, "refused the sender or the mail: its log says why"),
        (TimeoutError, "did not answer in time: check that it runs and that its port is open"),
        (OSError, "cannot be reached, or not be trusted: check its name, its port and its certificate"),
        (Exception, "lacks what it takes (STARTTLS, AUTH or SMTPUTF8): check its port and its settings"),
    ]
    return next(why for kind, why in reasons if isinstance(error, kind))


def _unavailable(why: str) -> UnavailableError:
    return UnavailableError(IdentityCode.MAIL_UNAVAILABLE, why)
