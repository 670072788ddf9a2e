"""Dashtam, assembled: opened once, acting as many people."""

import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from os import environ
from pathlib import Path
from typing import Any, Final, Self, cast

import attrs

from dashtam_core import accounts, identity
from dashtam_core.accounts import StatementReaders
from dashtam_core.container import AssemblyError, Binding, Container, provide
from dashtam_core.identity import Authenticate, IdentityRefused, Keyring, MasterKey, authorize
from dashtam_core.kernel import (
    ANONYMOUS,
    Clock,
    Failure,
    Result,
    Subject,
    SystemClock,
    UnavailableCode,
    UnavailableError,
)
from dashtam_core.memory import MemoryEventBus
from dashtam_core.messaging import Call as _Call
from dashtam_core.messaging import (
    Command,
    EventBus,
    Message,
    Next,
    Outgoing,
    Publish,
    Query,
    Refused,
    Route,
    Stage,
    Subscription,
    chain,
    prepare,
    transaction,
)
from dashtam_core.plugins import Plugins
from dashtam_core.settings import MEMORY, Settings
from dashtam_core.store import REPOSITORIES, Store, UnitOfWork

_KEY_FILE: Final = "master.key"


@attrs.frozen
class _Path:
    """A message's way: its route, and the function that makes its handler for one request."""

    route: Route
    make_handler: Any


class Dashtam:
    """The application. Open it with `Dashtam.open()`, then act as somebody."""

    def __init__(self, data: Store, container: Container, routes: Iterable[Route], plugins: Plugins) -> None:
        self.store = data
        self.plugins = plugins
        stages: tuple[Stage, ...] = (Publish(container.get(EventBus)), authorize, prepare, transaction)
        self._run: Next = chain(stages)
        self._paths: dict[type[Message[Any, Any]], _Path] = {}
        for route in routes:
            self._add(route, container)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: Settings | None = None,
        store: Store | None = None,
        plugins: Iterable[object] | None = None,
        overrides: Iterable[Binding] = (),
        subscriptions: Iterable[Subscription] = (),
    ) -> AsyncGenerator[Self]:
        """Assembles everything, and takes it down at the end.

        Data lives where `store` or `settings.store_url` says, in memory if neither does; `settings` come from the
        environment unless given. `plugins` replaces looking for installed ones. `overrides` bind ports otherwise
        than by default.

        Raises:
            UnavailableError: the store does not answer, is not migrated or is not configured.
            PluginError: plugins claim the same thing, or one that is asked for is missing.
            AssemblyError: something needs a port that nothing provides.
        """
        chosen = settings or _settings()
        found = Plugins.installed(chosen.plugins) if plugins is None else Plugins.of(plugins).strict()
        opening = _given(store) if store is not None else found.open_store(_with_url(chosen))
        own = tuple(overrides)
        if Keyring not in {binding.port for binding in own}:  # looked for before any store is opened
            own = (provide(Keyring).value(_keyring(chosen, given=store is not None)), *own)
        bindings = (*_defaults(chosen, found, subscriptions), *own)
        container = Container(bindings, request_ports=(Subject, UnitOfWork, Outgoing))
        async with opening as data:
            yield cls(data, container, (*identity.ROUTES, *accounts.ROUTES), found)

    def acting_as(self, subject: Subject, /) -> "Actor":
        """Dashtam as one person sees it."""
        return Actor(self, subject)

    async def authenticate(self, token: str, /) -> Result[Subject, IdentityRefused | Refused]:
        """Who a bearer token belongs to."""
        return await self.acting_as(ANONYMOUS).ask(Authenticate(token))

    async def ping(self) -> None:
        """Returns if everything needed to serve is there; raises `UnavailableError` if not."""
        await self.store.ping()

    async def run(self, message: Message[Any, Any], subject: Subject) -> Result[Any, Any]:
        """Takes any message through the pipeline; `Actor` has the typed doors."""
        path = self._paths.get(type(message))
        if path is None:
            raise AssemblyError(f"no handler is registered for {type(message).__name__}: add its route")
        unit, outgoing = self.store.unit_of_work(subject), Outgoing()
        handler = path.make_handler({Subject: subject, UnitOfWork: unit, Outgoing: outgoing})
        return await self._run(_Call(message, path.route, subject, handler, unit, outgoing))

    def _add(self, route: Route, container: Container) -> None:
        name = route.message.__name__
        if route.message in self._paths:
            raise AssemblyError(f"{name} has two handlers: a message has exactly one")
        if not hasattr(route.message, "permission"):
            raise AssemblyError(f"{name} names no permission: say which it needs, or PUBLIC")
        self._paths[route.message] = _Path(route, container.maker(route.factory))


@attrs.frozen
class Actor:
    """One person's view of Dashtam: what they send is done as them, and they see what is theirs."""

    dashtam: Dashtam
    subject: Subject

    async def execute[T, E](self, command: Command[T, E], /) -> Result[T, E | Refused]:
        """Change something."""
        return cast("Result[T, E | Refused]", await self.dashtam.run(command, self.subject))

    async def ask[T, E](self, query: Query[T, E], /) -> Result[T, E | Refused]:
        """Read something."""
        return cast("Result[T, E | Refused]", await self.dashtam.run(query, self.subject))


def _defaults(settings: Settings, plugins: Plugins, subscriptions: Iterable[Subscription]) -> tuple[Binding, ...]:
    """What every port is bound to unless somebody says otherwise."""
    return (
        provide(Clock).by(SystemClock),
        provide(StatementReaders).value(StatementReaders(plugins.readers, settings.import_max_bytes)),
        provide(EventBus).value(MemoryEventBus(subscriptions)),
        provide(accounts.Paging).by(accounts.Paging),
        *REPOSITORIES,
    )


@asynccontextmanager
async def _given(data: Store) -> AsyncGenerator[Store]:
    """A store somebody else opened, and will close."""
    yield data


def _settings(variables: Mapping[str, str] = environ) -> Settings:
    read = Settings.read(variables)
    if isinstance(read, Failure):
        refused = read.failure()
        raise UnavailableError(refused.code, refused.message)
    return read.unwrap()


def _with_url(settings: Settings) -> Settings:
    return attrs.evolve(settings, store_url=settings.store_url or MEMORY)


def _keyring(settings: Settings, *, given: bool) -> MasterKey:
    """Over the configured secret; for data that lasts no longer than this process, over a new one."""
    if settings.master_key is not None:
        return MasterKey(settings.master_key.encode())
    if settings.store_scheme == "embedded" and not given:
        return MasterKey(_kept_secret(settings.data_dir / _KEY_FILE))
    if settings.store_scheme in {None, "memory"} and not given:
        return MasterKey(secrets.token_bytes(32))
    raise UnavailableError(
        UnavailableCode.STORE_NOT_CONFIGURED,
        "DASHTAM_MASTER_KEY is not set, and account numbers are matched by a hash with it: set it once, keep it, "
        "and make it with python -c 'import secrets; print(secrets.token_urlsafe(32))'",
    )


def _kept_secret(file: Path) -> bytes:
    """The secret beside an embedded store, made the first time it is needed. Exclusive creation settles a race."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        fresh = file.with_name(f".{_KEY_FILE}.{secrets.token_hex(8)}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(32))
        try:
            file.hardlink_to(fresh)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return file.read_text().strip().encode()
