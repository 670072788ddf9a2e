"""The mails of identity: what they say, where they go, and what happens when they cannot."""

import asyncio
import io
import re
import ssl
import sys
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import attrs
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dashtam_core.identity import _mail
from dashtam_core.identity._entities import UserStatus
from dashtam_core.identity._errors import IdentityCode
from dashtam_core.identity._mail import ConsoleMailer, Mail
from dashtam_core.identity._smtp import SmtpMailer
from dashtam_core.kernel import UnavailableError

ANN, TOKEN, PASSWORD = "ann@example.org", "dashtam_link_a/b+c", "p@ss/w:rd#1"
URL = "https://app.example/verify#token={token}"
SENDER = "Dashtam <no-reply@dashtam.example>"
MAIL = _mail.verification(ANN, TOKEN, URL)
WITH_TOKEN = (_mail.verification, _mail.password_reset)
ALL = (
    *(write(ANN, TOKEN, url) for write in WITH_TOKEN for url in (URL, None)),
    *(write(ANN) for write in (_mail.address_taken, _mail.password_changed, _mail.session_stolen)),
    _mail.email_changed(ANN, "new@example.org"),
    _mail.factor_changed(ANN, "Factor <b>&\"'x was removed."),
    *(_mail.status_changed(ANN, status) for status in UserStatus),
)


@pytest.mark.parametrize("mail", ALL)
def test_both_parts_say_the_same(mail: Mail) -> None:
    """In plain text and in HTML that is escaped and loads nothing."""
    shown = [unescape(re.sub("</?a.*?>", "", each)) for each in re.findall("<p>(.*)</p>", mail.html)]
    assert shown == mail.text.strip().split("\n\n")
    assert not [each for each in ("src=", "<img", "<script", "url(", "<link", "<b>", "cid:") if each in mail.html]
    assert mail.html.count("href=") == mail.html.count("https://") // 2


@pytest.mark.parametrize(
    ("write", "call", "password"),
    [
        (_mail.verification, "POST /v1/email-verifications,", "with your password as `password`:"),
        (_mail.password_reset, "PUT /v1/password-resets,", "with your new password as `password`:"),
    ],
)
def test_a_token_comes_as_a_link_or_with_what_takes_it(
    write: Callable[[str, str, str | None], Mail], call: str, password: str
) -> None:
    """Nothing in a token breaks the link; without an application the text names the call of the API, whole."""
    linked, told = write(ANN, TOKEN, URL), write(ANN, TOKEN, None)
    link = next(line for line in linked.text.splitlines() if line.startswith("https:"))
    assert link == "https://app.example/verify#token=dashtam_link_a%2Fb%2Bc"
    assert unquote(link).endswith(TOKEN)
    assert f"<a href='{link}'>{link}</a>" in linked.html
    assert TOKEN in told.text.splitlines()
    assert f"Send this token to {call} as `token`, {password}" in told.text.splitlines()
    with pytest.raises(ValueError, match=r"no \{token\} in it"):
        write(ANN, TOKEN, "https://app.example/verify")


def test_a_mail_shows_no_secret() -> None:
    """In `repr`, whoever logs it."""
    assert repr(MAIL) == f"Mail(to='{ANN}')"
    assert "secret" not in repr(SmtpMailer.of("smtp://ann:secret@mail.example.org", SENDER))


@pytest.mark.parametrize(
    "address",
    [
        "", "ann", "ann@", "@example.org", "a@b@c", "ann@example.org\r\nBcc: eve@example.org", "ann@example.org\n",
        "ann@example.org\r", "\nann@example.org", "ann@exam\x00ple.org", "ann@example.org,eve@example.org",
        "ann@example.org;eve@example.org", "Ann <ann@example.org>", "ann @example.org", '"ann"@example.org',
        "ann@example.org\u2028", "ann@example.org\x85", "ann@[127.0.0.1]", "ann(x)@example.org",
        "group:ann@example.org", "ann@\ud800.org",
    ],
)  # fmt: skip # a list of texts
def test_no_address_is_more_than_one(address: str) -> None:
    """Neither a second one nor another header gets into a mail, nor into its text."""
    with pytest.raises(ValueError, match="a mail goes to one address"):
        Mail(address, "s", "t", "h")
    with pytest.raises(ValueError, match="a mail goes to one address"):
        _mail.email_changed(ANN, address)


async def test_the_console_shows_what_would_be_sent() -> None:
    """As text, with the token to go on with."""
    stream = io.StringIO()
    await ConsoleMailer(stream).send(MAIL)
    assert stream.getvalue() == f"To: {ANN}\nSubject: {MAIL.subject}\n\n{MAIL.text}\n"


@attrs.define
class Inbox:
    """Takes mail as a server does; `answers` says what to answer to a command instead."""

    answers: dict[str, str] = attrs.field(factory=dict[str, str])
    logins: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])
    mails: list[tuple[Envelope, EmailMessage]] = attrs.field(factory=list[tuple[Envelope, EmailMessage]])

    async def handle_RCPT(self, _: SMTP, __: Any, envelope: Envelope, address: str, ___: list[str]) -> str:  # noqa: N802 - the name that the server calls
        envelope.rcpt_tos.append(address)
        return self.answers.get("RCPT", "250 OK")

    async def handle_DATA(self, _: SMTP, __: Any, envelope: Envelope) -> str:  # noqa: N802 - the name that the server calls
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope, message_from_bytes(envelope.content, policy=default)))
        return self.answers.get("DATA", "250 OK")

    def authenticate(self, _: SMTP, __: Any, ___: Envelope, ____: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.logins.append((given.login.decode(), given.password.decode()))
        return AuthResult(success=self.logins[-1] == ("ann@x", PASSWORD), handled=False)


@asynccontextmanager
async def serving(inbox: Inbox, *, tls: ssl.SSLContext | None = None, **options: Any) -> AsyncGenerator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop, **options), "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def answering(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncGenerator[int]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's, of an authority that nobody else knows."""
    key, now = Ed25519PrivateKey.generate(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1)
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    basic = x509.BasicConstraints(ca=True, path_length=0)
    certificate = builder.add_extension(names, critical=False).add_extension(basic, critical=True).sign(key, None)
    file = Path(tmp_path_factory.mktemp("tls")) / "both.pem"
    pem = certificate.public_bytes(Encoding.PEM)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + pem)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=pem.decode())


async def failing(mailer: SmtpMailer) -> str:
    """What the operator reads, which says nothing that should not be in a log."""
    with pytest.raises(UnavailableError) as caught:
        await mailer.send(MAIL)
    assert caught.value.code is IdentityCode.MAIL_UNAVAILABLE
    trace = "".join(traceback.format_exception(caught.value))
    assert not [each for each in (TOKEN, PASSWORD, "p%40ss", "a%2Fb", ANN) if each in trace]
    return caught.value.message


async def test_a_mail_arrives_whole() -> None:
    """Both parts, from the configured sender, to one person."""
    inbox = Inbox()
    async with serving(inbox) as port:
        await SmtpMailer.of(f"smtp://127.0.0.1:{port}", SENDER).send(MAIL)
    ((envelope, message),) = inbox.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("no-reply@dashtam.example", [ANN])
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, ANN, MAIL.subject)
    assert message["Message-ID"].endswith("@dashtam.example>")
    assert message["Date"].datetime is not None
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = (part.get_content() for part in message.iter_parts())
    assert (text.replace("\r\n", "\n"), html.replace("\r\n", "\n")) == (MAIL.text, MAIL.html)


@pytest.mark.parametrize("known", [True, False])
async def test_an_address_of_any_script_is_reached(known: bool) -> None:
    """Where the server takes it (RFC 6531); else it is said what the server lacks."""
    inbox, mail = Inbox(), _mail.password_changed("j\u00fcrgen@b\u00fccher.example")
    async with serving(inbox, enable_SMTPUTF8=known) as port:
        mailer = SmtpMailer.of(f"smtp://127.0.0.1:{port}", SENDER)
        with nullcontext() if known else pytest.raises(UnavailableError, match="SMTPUTF8"):
            await mailer.send(mail)
    assert [envelope.rcpt_tos for envelope, _ in inbox.mails] == [[mail.to]] * known


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_password_goes_out_encrypted(scheme: str, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """After STARTTLS or in TLS from the start, to a server whose certificate is verified."""
    inbox, (server, client) = Inbox(), contexts
    starts = scheme == "smtp"
    asking: dict[str, Any] = {
        "authenticator": inbox.authenticate,
        "auth_required": starts,
        "auth_require_tls": starts,
    }
    options = {"tls_context": server, "require_starttls": True} if starts else {"tls": server}
    query = "?starttls=always" if starts else ""
    async with serving(inbox, **options, **asking) as port:
        url = f"{scheme}://ann%40x:{{}}@127.0.0.1:{port}{query}"
        right, wrong = url.format("p%40ss%2Fw%3Ard%231"), url.format("p%40sswrong")
        await SmtpMailer.of(right, SENDER, ssl_context=client).send(MAIL)
        stranger = SmtpMailer.of(wrong, SENDER, ssl_context=client)
        assert "refused the user name or the password" in await failing(stranger)
        assert "not be trusted: check" in await failing(SmtpMailer.of(right, SENDER))
    assert len(inbox.mails) == 1
    assert set(inbox.logins) == {("ann@x", PASSWORD), ("ann@x", "p@sswrong")}


async def test_without_starttls_nothing_is_sent() -> None:
    """A server that does not offer what was asked for gets neither the password nor the mail."""
    inbox = Inbox()
    async with serving(inbox, authenticator=inbox.authenticate, auth_require_tls=False) as port:
        url = f"smtp://ann%40x:{quote(PASSWORD, safe='')}@127.0.0.1:{port}?starttls=always"
        assert "lacks what it takes (STARTTLS" in await failing(SmtpMailer.of(url, SENDER))
    assert (inbox.mails, inbox.logins) == ([], [])


@pytest.mark.parametrize(
    ("command", "said"), [("RCPT", "takes no mail for this address"), ("DATA", "refused the sender or the mail")]
)
async def test_a_refusal_is_told(command: str, said: str) -> None:
    """In words of our own, since the server's may hold what it was sent."""
    inbox = Inbox({command: f"550 no {ANN} {TOKEN}"})
    async with serving(inbox) as port:
        mailer = SmtpMailer.of(f"smtp://127.0.0.1:{port}", SENDER)
        assert f"the mail server 127.0.0.1:{port} {said}" in await failing(mailer)


async def test_a_server_that_hangs_is_given_up() -> None:
    """Whether it never answers, or always a little before it would be too late."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = b"220 x\r\n"
        while not reader.at_eof():
            await asyncio.sleep(0.15)
            writer.write(answer)
            await reader.readline()
            answer = b"250 x\r\n"
        writer.close()

    for answer in (silent, slow):
        async with answering(answer) as port:
            mailer = SmtpMailer.of(f"smtp://127.0.0.1:{port}", SENDER, seconds=0.2)
            assert "did not answer in time" in await failing(mailer)


async def test_a_server_that_is_gone_is_named() -> None:
    """Before the connection or in the middle of it."""

    async def rude(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        writer.close()

    async with answering(rude) as port:
        mailer = SmtpMailer.of(f"smtp://127.0.0.1:{port}", SENDER)
        assert "cannot be reached" in await failing(mailer)
    assert f"the mail server 127.0.0.1:{port} cannot be reached" in await failing(mailer)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.org", ("mail.example.org", 587, False, True, None, "")),
        ("smtp://u:p%2Fw@mail.example.org:2525/", ("mail.example.org", 2525, False, True, "u", "p/w")),
        ("smtps://u:p@mail.example.org", ("mail.example.org", 465, True, False, "u", "p")),
        ("SMTP://relay:25?starttls=never", ("relay", 25, False, False, None, "")),
        ("smtp://u:p@localhost", ("localhost", 587, False, False, "u", "p")),
        ("smtp://u:p@[::1]:25?starttls=never", ("::1", 25, False, False, "u", "p")),
        ("smtp://b\u00fccher.example", ("xn--bcher-kva.example", 587, False, True, None, "")),
    ],
)
def test_a_url_says_which_server(url: str, server: tuple[object, ...]) -> None:
    """With the ports of RFC 8314, and in clear on this machine alone or where nothing is said of who we are."""
    names = ("hostname", "port", "use_tls", "start_tls", "username", "password")
    assert tuple(SmtpMailer.of(url, SENDER).server[each] for each in names) == server


@pytest.mark.parametrize(
    "url",
    [
        "", "mail.example.org", "http://s3cret@host", "smtp://", "smtp://:s3cret@", "smtp://u:s3cret@host/path",
        "smtp://u:s3/cret@host", "smtp://u:s3#cret@host", "smtp://u:25#s3cret@host", "smtp://u:s3?cret@host", "smtp://u:s3cret@host:port",
        "smtp://u:s3cret@host:99999", "smtp://u:s3cret@host?starttls=maybe", "smtp://u:s3cret@host?tls=1",
        "smtp://u:s3cret@host?starttls=never", "smtp://u:s3cret@localhost.example?starttls=never",
        "smtp://u:s3cret@127.0.0.1.example?starttls=never", "smtp://u:s3cret@[::1", "smtp://u:s3cret\u2100@host",
        f"smtp://u:s3cret@{'x' * 70}.example", "smtp://u:s3cret@host?starttls=never&starttls=always",
    ],
)  # fmt: skip # a list of texts
def test_a_url_that_is_none_or_unsafe_is_refused(url: str) -> None:
    """Before anything is sent, and without repeating it."""
    with pytest.raises(ValueError, match=r"URL should be like smtp://|would send the mail server's") as caught:
        SmtpMailer.of(url, SENDER)
    assert "s3" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "sender", ["", "Dashtam", "a@example.org\r\nBcc: eve@example.org", "Dash\ntam <a@example.org>", "a@b, c@d"]
)
def test_a_sender_is_one_address(sender: str) -> None:
    """With or without a name."""
    with pytest.raises(ValueError, match=r"a mail goes to one address|the sender of mails"):
        SmtpMailer.of("smtp://mail.example.org", sender)


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it, when the process starts and not with the first mail."""
    monkeypatch.setitem(sys.modules, "aiosmtplib", None)
    with pytest.raises(UnavailableError, match=r"aiosmtplib: pip install 'dashtam-core\[mail\]'"):
        SmtpMailer.of("smtp://mail.example.org", SENDER)
