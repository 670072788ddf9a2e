"""What settings make of the parts: mails with the links that are set, or none, and a list of one's own."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.exceptions import InvalidTag

from dashtam_core import Dashtam, Settings, UnavailableError, provide
from dashtam_core.audit import PersonalVault
from dashtam_core.identity import (
    OPERATOR,
    OWNER,
    Argon2Hasher,
    ChangeEmail,
    ChangePassword,
    CreateUser,
    EmailAddress,
    ExportUser,
    ExternalSubject,
    IdentityCode,
    ListUsers,
    LogIn,
    Mailer,
    PasswordHasher,
    RegisterUser,
    RequestPasswordReset,
    Role,
    User,
    UserStatus,
    Verdict,
)
from dashtam_core.identity._notices import Mailing, PasswordChanged, PasswordResetRequested, UserRegistered
from dashtam_core.identity._sessions import _under
from dashtam_core.identity._smtp import SmtpMailer
from dashtam_core.kernel import ANONYMOUS, Failure, KernelCode, Subject, UserId, new_id
from dashtam_core.memory import MemoryStore
from dashtam_core.messaging import DomainEvent
from dashtam_core.testing.samples import NOON, document

KEY = "k" * 32
PASSWORD = "violet harbour gravel 77"
OPERATING = ExternalSubject("operator", OPERATOR)
ANN, BEN = "ann@example.org", "ben@example.org"
VERIFY, RESET = "https://a.example/verify#{token}", "https://a.example/reset#{token}"


async def test_mails_have_the_links_that_are_set(capsys: pytest.CaptureFixture[str]) -> None:
    """Printed where no server sends them: one to prove an address, one to choose a password."""
    settings = Settings(key=KEY, mail_url="console:", verify_url=VERIFY, reset_url=RESET)
    told = list[UserId]()

    async def tell(event: UserRegistered, _: object) -> None:
        told.append(event.user_id)

    own = [UserRegistered.delivered_to("another", tell)]
    async with Dashtam.open(
        settings=settings, store=MemoryStore(), plugins=(), subscriptions=own, workers=False
    ) as dashtam:
        (await dashtam.acting_as(ANONYMOUS).execute(RegisterUser(ANN, PASSWORD))).unwrap()
        (await dashtam.acting_as(OPERATING).execute(CreateUser(BEN))).unwrap()
        await dashtam.relay.deliver()
    printed = re.findall(r"To: (\S+)|https://a\.example/(\w+)#dashtam_mail_", capsys.readouterr().err)
    assert [to or path for to, path in printed] == [ANN, "verify", BEN, "reset"]
    assert len(told) == 1, "whoever else subscribed hears of it too"


@pytest.mark.parametrize("event", [UserRegistered, PasswordResetRequested, PasswordChanged])
async def test_who_is_gone_is_mailed_nothing(capsys: pytest.CaptureFixture[str], event: type[DomainEvent]) -> None:
    """What happened to an account that was erased since is delivered, and no error."""
    settings, store = Settings(key=KEY, mail_url="console:"), MemoryStore()
    async with Dashtam.open(settings=settings, store=store, plugins=(), workers=False) as dashtam:
        tell = {each.event: each.subscriber for each in dashtam.container.get(Mailing).subscriptions()}[event]
        made: Any = event
        async with store.unit_of_work(ANONYMOUS) as unit:
            await tell(made(user_id=UserId(new_id())), unit)
    assert "To:" not in capsys.readouterr().err


async def test_without_a_mailer_nothing_is_begun_that_takes_a_mail() -> None:
    """Neither by a person nor by an operator, who can still make an account with its password."""
    async with Dashtam.open(settings=Settings(key=KEY), store=MemoryStore(), plugins=()) as dashtam:
        nobody, operator = dashtam.acting_as(ANONYMOUS), dashtam.acting_as(OPERATING)
        refusals = [
            await nobody.execute(RegisterUser(ANN, PASSWORD)),
            await nobody.execute(RequestPasswordReset(ANN)),
            await dashtam.acting_as(ExternalSubject("ann")).execute(ChangeEmail(ANN)),
            await operator.execute(CreateUser(ANN)),
        ]
        assert {each.failure().code for each in refusals} == {IdentityCode.MAIL_NOT_CONFIGURED}
        assert (await operator.execute(CreateUser(ANN, PASSWORD))).unwrap().email.text == ANN


async def test_where_strangers_may_not_register_others_are_mailed(capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody who is invited, and a person who wants another address."""
    settings, store = Settings(key=KEY, mail_url="console:", registration=False), MemoryStore()
    async with Dashtam.open(settings=settings, store=store, plugins=(), workers=False) as dashtam:
        closed = await dashtam.acting_as(ANONYMOUS).execute(RegisterUser(BEN, PASSWORD))
        assert closed.failure().code is IdentityCode.REGISTRATION_CLOSED
        ann = (await dashtam.acting_as(OPERATING).execute(CreateUser(ANN))).unwrap()
        (await dashtam.acting_as(Subject(ann.user_id, OWNER)).execute(ChangeEmail(BEN))).unwrap()
        unknown = await dashtam.acting_as(ExternalSubject("somebody")).execute(ChangeEmail(BEN))
        assert unknown.failure().code is IdentityCode.USER_UNKNOWN
        await dashtam.relay.deliver()
    assert re.findall(r"To: (\S+)", capsys.readouterr().err) == [ANN, BEN]


async def test_two_stores_know_one_address_by_different_names() -> None:
    """Whoever reads one of them cannot look for an address there that they know."""
    stores = [MemoryStore(), MemoryStore()]
    for store in stores:
        async with Dashtam.open(settings=Settings(key=KEY), store=store, plugins=()) as dashtam:
            (await dashtam.acting_as(OPERATING).execute(CreateUser(ANN, PASSWORD))).unwrap()
    assert len({name for store in stores for name in store.identity.addresses}) == 2


async def test_a_mail_server_is_as_it_is_set() -> None:
    """Mail comes from whom the settings name; a server that cannot be one is told of at the start."""
    settings = Settings(key=KEY, mail_url="smtp://localhost:2525", mail_from="Bank <mail@bank.example>")
    async with Dashtam.open(settings=settings, store=MemoryStore(), plugins=(), workers=False) as dashtam:
        mailer = dashtam.container.get(Mailer)
        assert isinstance(mailer, SmtpMailer)
        assert mailer.sender == settings.mail_from
    with pytest.raises(UnavailableError, match="DASHTAM_MAIL_URL") as caught:
        async with Dashtam.open(settings=Settings(key=KEY, mail_url="pigeon:"), store=MemoryStore(), plugins=()):
            pass
    assert caught.value.code is KernelCode.SETTING_INVALID


async def test_a_list_of_ones_own_is_refused_beside_the_shipped_one(tmp_path: Path) -> None:
    """A password that only the file has is refused as those that everybody guesses are."""
    file = tmp_path / "ours.txt"
    file.write_text(f"{PASSWORD}\n")
    for path, refused in ((None, False), (file, True)):
        settings = Settings(key=KEY, password_blocklist=path)
        async with Dashtam.open(settings=settings, store=MemoryStore(), plugins=()) as dashtam:
            made = await dashtam.acting_as(OPERATING).execute(CreateUser(ANN, PASSWORD))
            assert isinstance(made, Failure) is refused


@attrs.define(eq=False)
class Slow(Argon2Hasher):
    """Something happens while it looks at a password."""

    memory_kib: int = 8
    meanwhile: Callable[[], Awaitable[object]] | None = None

    async def verify(self, encoded: str | None, password: str, /) -> Verdict:
        verdict, meanwhile = await super().verify(encoded, password), self.meanwhile
        self.meanwhile = None
        if meanwhile:
            await meanwhile()
        return verdict


@pytest.mark.parametrize("change", ["log in", "change again"])
async def test_a_password_that_is_replaced_meanwhile_opens_nothing(change: str) -> None:
    """Whoever comes in with the old one at the moment when it is changed is too late."""
    ports = [provide(PasswordHasher).value(hasher := Slow())]
    settings = Settings(key=KEY)
    async with Dashtam.open(settings=settings, store=MemoryStore(), plugins=(), overrides=ports) as dashtam:
        user = (await dashtam.acting_as(OPERATING).execute(CreateUser(ANN, PASSWORD))).unwrap()
        ann, nobody = dashtam.acting_as(Subject(user.user_id, OWNER)), dashtam.acting_as(ANONYMOUS)
        hasher.meanwhile = lambda: ann.execute(ChangePassword(PASSWORD, "seven lanterns over tundra"))
        if change == "log in":
            refused = (await nobody.execute(LogIn(ANN, PASSWORD))).failure()
        else:
            refused = (await ann.execute(ChangePassword(PASSWORD, "the thief took this one"))).failure()
        assert refused.code in {IdentityCode.CREDENTIALS_WRONG, IdentityCode.PASSWORD_WRONG}
        (await nobody.execute(LogIn(ANN, "seven lanterns over tundra"))).unwrap()


async def test_what_comes_before_a_log_in_is_not_answered_again() -> None:
    """An answer that is kept for whoever repeats a request would open a session to anybody with its number."""
    async with Dashtam.open(settings=Settings(key=KEY), store=MemoryStore(), plugins=()) as dashtam:
        (await dashtam.acting_as(OPERATING).execute(CreateUser(ANN, PASSWORD))).unwrap()
        nobody = dashtam.acting_as(ANONYMOUS)
        for command in (LogIn(ANN, PASSWORD), RegisterUser(BEN, PASSWORD)):
            refused = (await nobody.execute(command, idempotency_key="1")).failure()
            assert "idempotency key" in refused.message


def test_a_successor_is_kept_so_that_its_predecessor_alone_opens_it() -> None:
    """Whoever reads the store without the token that was used learns nothing of the next one."""
    sealed = _under("one").encrypt(bytes(12), b"the next", None)
    assert _under("one").decrypt(bytes(12), sealed, None) == b"the next"
    with pytest.raises(InvalidTag):
        _under("another").decrypt(bytes(12), sealed, None)


async def test_accounts_are_listed_in_pages_of_their_size() -> None:
    """One account at least and 500 at most; after a page that is full by chance there is no other."""
    store = MemoryStore()
    for number in range(501):
        one = User(UserId(new_id()), EmailAddress(f"{number}@x.org"), Role.USER, UserStatus.ACTIVE, NOON)
        store.identity.users[one.user_id] = one
    async with Dashtam.open(settings=Settings(key=KEY), store=store, plugins=()) as dashtam:
        operator = dashtam.acting_as(OPERATING)
        sizes = {limit: (await operator.ask(ListUsers(limit))).unwrap() for limit in (-1, 0, 1, 500, 501)}
        assert {limit: len(page.items) for limit, page in sizes.items()} == {-1: 1, 0: 1, 1: 1, 500: 500, 501: 500}
        last = (await operator.ask(ListUsers(1, sizes[500].next_cursor))).unwrap()
        assert (len(last.items), last.next_cursor) == (1, None)


async def test_hashing_ends_with_the_application() -> None:
    """Its threads take no more work afterwards."""
    async with Dashtam.open(settings=Settings(key=KEY), store=MemoryStore(), plugins=()) as dashtam:
        hasher = dashtam.container.get(PasswordHasher)
        await hasher.hash(PASSWORD)
    with pytest.raises(RuntimeError, match="shutdown"):
        await hasher.hash(PASSWORD)


async def test_what_is_sealed_is_told_opened() -> None:
    """A statement file as text where it is that, and else in base 64."""
    store, ann = MemoryStore(), ExternalSubject("ann")
    async with Dashtam.open(settings=Settings(key=KEY), store=store, plugins=()) as dashtam:
        seal = await dashtam.container.get(PersonalVault).sealing(ann.user_id)
        async with store.unit_of_work(ann) as unit:
            for digit, content in (("1", b"caf\xc3\xa9"), ("2", b"caf\xe9")):
                await unit.documents.add(document(digit), seal(content))
        told = (await dashtam.acting_as(ann).ask(ExportUser())).unwrap()
    assert [each["content"] for each in told["import_document"]] == ["caf\xe9", "Y2Fm6Q=="]
