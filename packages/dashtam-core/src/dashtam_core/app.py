"""Dashtam, assembled: opened once, acting as many people."""

import hashlib
import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from importlib.util import find_spec
from os import environ
from pathlib import Path
from typing import Any, Final, Self, cast

import attrs

from dashtam_core import accounts, audit, connections, identity, messaging, portfolio
from dashtam_core.accounts import Ingestion, Reading, StatementReaders, StatementWriters
from dashtam_core.audit import (
    Attempt,
    AuditLog,
    AuditRecorder,
    Ed25519Signer,
    GroupCommit,
    KeyVault,
    Outcome,
    PersonalVault,
    Replay,
    Sealing,
)
from dashtam_core.connections import Providers
from dashtam_core.container import AssemblyError, Binding, Container, provide
from dashtam_core.identity import Authenticate, Authorize, IdentityRefused, Keyring, MasterKey, forgetting
from dashtam_core.kernel import (
    ANONYMOUS,
    Clock,
    Failure,
    Origin,
    Result,
    Subject,
    SystemClock,
    UnavailableCode,
    UnavailableError,
    new_id,
)
from dashtam_core.logs import remember
from dashtam_core.memory import MemoryEventBus, MemoryVault
from dashtam_core.messaging import Call as _Call
from dashtam_core.messaging import (
    Command,
    Deliveries,
    DurableSubscription,
    EventBus,
    LogContext,
    Message,
    Next,
    Notes,
    Outgoing,
    Publish,
    Query,
    Refused,
    Relay,
    Route,
    Stage,
    Subscription,
    chain,
    emit,
    idempotent,
    prepare,
    transaction,
)
from dashtam_core.plugins import Plugins
from dashtam_core.settings import MEMORY, Settings
from dashtam_core.store import REPOSITORIES, Capability, Store, UnitOfWork
from dashtam_core.workers import Workers

__all__ = ["DRAIN_SECONDS", "Actor", "Dashtam"]

DRAIN_SECONDS: Final = 5.0
"""How long subscribers that are still being told may take when the application ends."""

_LIBRARY: Final = Origin()
_ROUTES: Final = (
    *messaging.ROUTES,
    *audit.ROUTES,
    *identity.ROUTES,
    *accounts.ROUTES,
    *connections.ROUTES,
    *portfolio.ROUTES,
)
_OF_REQUEST: Final = (Subject, UnitOfWork, Outgoing, Notes)
_KEY_FILE: Final = "master.key"


@attrs.frozen
class _Path:
    """A message's way: its route, and the function that makes its handler for one request."""

    route: Route
    make_handler: Any


class Dashtam:
    """The application. Open it with `Dashtam.open()`, then act as somebody."""

    def __init__(
        self, container: Container, routes: Iterable[Route], plugins: Plugins, settings: Settings
    ) -> None:
        self.store = container.get(Store)
        self.plugins = plugins
        self.container = container
        self.relay = container.get(Relay)
        recorder = container.get(AuditRecorder)
        self.stages: tuple[Stage, ...] = (
            LogContext(settings.slow_seconds),
            Publish(container.get(EventBus), self.relay.wake),
            Authorize(recorder),
            Replay(recorder),
            Attempt(recorder),
            prepare,
            transaction,
            Outcome(recorder),
            idempotent,
            emit,
        )
        self._run: Next = chain(self.stages)
        self._paths: dict[type[Message[Any, Any]], _Path] = {}
        for route in routes:
            self._add(route)
        for plugin, some in plugins.by_plugin("route").items():
            before = dict(self._paths)
            try:
                for route in some:
                    self._add(route)
            except Exception as error:  # noqa: BLE001 - whatever a plugin's factory raises is that plugin's problem
                self._paths = before
                plugins.leave_out(plugin, error)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        settings: Settings | None = None,
        store: Store | None = None,
        plugins: Iterable[object] | None = None,
        overrides: Iterable[Binding] = (),
        routes: Iterable[Route] = (),
        subscriptions: Iterable[Subscription | DurableSubscription] = (),
        workers: bool = True,
    ) -> AsyncGenerator[Self]:
        """Assembles everything, and takes it down at the end.

        Data lives where `store` or `settings.store_url` says, in memory if neither does; `settings` come from the
        environment unless given. `plugins` replaces looking for installed ones, which are left out if they do not
        work. `overrides` bind ports otherwise than by default, `routes` are those of your own messages. `workers`
        seals the audit trail, delivers events and keeps house meanwhile; one process for each store needs them.

        Raises:
            UnavailableError: the store does not answer, is not migrated or is not configured.
            PluginError: plugins that must work do not, or several claim the store; one that is listed is missing.
            AssemblyError: something needs a port that nothing provides, or two messages or events have one name.
        """
        chosen = settings or _settings()
        found = Plugins.installed(chosen.plugins) if plugins is None else Plugins.of(plugins)
        own, known, told = tuple(overrides), (*_ROUTES, *routes), tuple(subscriptions)
        found.reserve("dashtam_routes", known)
        found.reserve("dashtam_subscriptions", told)
        fit(found, chosen, own)
        strict = plugins is not None or chosen.plugins_strict
        if strict:
            found.strict()
        opening = _given(store) if store is not None else found.open_store(_with_url(chosen))
        if Keyring not in {binding.port for binding in own}:  # looked for before any store is opened
            own = (provide(Keyring).value(_keyring(chosen, given=store is not None)), *own)
        opened: list[Store] = []
        bindings = (
            provide(Store).by(opened.pop, ping=_ping),
            *_defaults(chosen, found, (*found.subscriptions, *told)),
            *(binding for some in found.by_plugin("binding").values() for binding in some),
            *own,
        )
        container = Container(bindings, request_ports=_OF_REQUEST)
        for route in known:
            container.check(route.factory)  # what does not fit is found before any store is opened
        async with opening as data:
            opened.append(data)
            try:
                dashtam = cls(container, known, found, chosen)
                found.strict() if strict else found.warn()
                await dashtam.relay.register()
                async with dashtam.working() if workers else nullcontext():
                    yield dashtam
            finally:
                await container.aclose()

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """Runs the background work while the block lasts."""
        async with Workers(self.store, self.container.get(Sealing), self.relay).running():
            yield

    def acting_as(self, subject: Subject, /, origin: Origin = _LIBRARY) -> "Actor":
        """Dashtam as one person sees it. `origin` is where they ask from, as the audit trail will tell."""
        return Actor(self, subject, origin)

    async def authenticate(self, token: str, /) -> Result[Subject, IdentityRefused | Refused]:
        """Who a bearer token belongs to."""
        return await self.acting_as(ANONYMOUS).ask(Authenticate(token))

    async def ping(self) -> None:
        """Returns if everything needed to serve is there; raises what is wrong with the first that is not."""
        for problem in (await self.container.ping()).values():
            if problem is not None:
                raise problem

    async def run(
        self,
        message: Message[Any, Any],
        subject: Subject,
        origin: Origin = _LIBRARY,
        idempotency_key: str | None = None,
    ) -> Result[Any, Any]:
        """Takes any message through the pipeline; `Actor` has the typed doors."""
        path = self._paths.get(type(message))
        if path is None:
            self.plugins.check("route", type(message).action)
            raise AssemblyError(f"no handler is registered for {type(message).__name__}: add its route")
        unit, outgoing, notes = self.store.unit_of_work(subject), Outgoing(), Notes()
        handler = path.make_handler({Subject: subject, UnitOfWork: unit, Outgoing: outgoing, Notes: notes})
        call = _Call(
            message, path.route, subject, handler, unit, outgoing, notes, origin, new_id(), idempotency_key
        )
        return await self._run(call)

    def _add(self, route: Route) -> None:
        name = route.message.__name__
        if route.message in self._paths:
            raise AssemblyError(f"{name} has two handlers: a message has exactly one")
        for said, what in (("permission", "which it needs, or PUBLIC"), ("resource_type", "what it is about")):
            if not hasattr(route.message, said):
                raise AssemblyError(f"{name} names no {said}: say {what}")
        self._paths[route.message] = _Path(route, self.container.maker(route.factory))


@attrs.frozen
class Actor:
    """One person's view of Dashtam: what they send is done as them, and they see what is theirs."""

    dashtam: Dashtam
    subject: Subject
    origin: Origin = _LIBRARY

    async def execute[T, E](
        self, command: Command[T, E], /, *, idempotency_key: str | None = None
    ) -> Result[T, E | Refused]:
        """Change something. With a key, a retry within 24 hours changes nothing and gets the first answer."""
        answer = await self.dashtam.run(command, self.subject, self.origin, idempotency_key)
        return cast("Result[T, E | Refused]", answer)

    async def ask[T, E](self, query: Query[T, E], /) -> Result[T, E | Refused]:
        """Read something."""
        return cast("Result[T, E | Refused]", await self.dashtam.run(query, self.subject, self.origin))


def fit(plugins: Plugins, settings: Settings, overrides: Iterable[Binding] = ()) -> None:
    """Keep from plugins what the core has itself, and leave out what cannot be assembled. Makes nothing."""
    defaults = (Binding(Store, object, ping=_ping), Binding(Keyring, object), *_defaults(settings, plugins, ()))
    plugins.reserve("dashtam_routes", _ROUTES)
    plugins.reserve("dashtam_bindings", (*defaults, *(Binding(port, object) for port in _OF_REQUEST)))
    bindings, routes = plugins.by_plugin("binding"), plugins.by_plugin("route")
    pending, taken, errors = [*bindings | routes], list[Binding](), dict[str, AssemblyError]()
    for plugin in pending * len(pending):  # one may need what a later one binds
        if plugin in pending:
            some = bindings.get(plugin, [])
            try:
                container = Container((*defaults, *taken, *some, *overrides), request_ports=_OF_REQUEST)
                for route in routes.get(plugin, ()):
                    container.check(route.factory)
                taken += some
                pending.remove(plugin)
            except AssemblyError as error:
                errors[plugin] = error
    for plugin in pending:
        plugins.leave_out(plugin, errors[plugin])


def _defaults(
    settings: Settings, plugins: Plugins, subscriptions: Sequence[Subscription | DurableSubscription]
) -> tuple[Binding, ...]:
    """What every port is bound to unless somebody says otherwise."""
    durable = [each for each in subscriptions if isinstance(each, DurableSubscription)]
    direct = [each for each in subscriptions if isinstance(each, Subscription)]

    def bus(vault: PersonalVault) -> MemoryEventBus:
        return MemoryEventBus((forgetting(vault), *direct))

    def relay(deliveries: Deliveries) -> Relay:
        return Relay(deliveries, durable)

    return (
        provide(Clock).by(SystemClock),
        provide(StatementReaders).value(StatementReaders(plugins.readers, settings.import_max_bytes)),
        provide(StatementWriters).value(StatementWriters(plugins.writers)),
        provide(Reading).by(Reading, closing=_close_reading),
        provide(Ingestion).by(Ingestion),
        provide(Providers).value(Providers(plugins.providers)),
        provide(EventBus).by(bus, closing=lambda bus: bus.close(DRAIN_SECONDS)),
        provide(accounts.Paging).by(accounts.Paging),
        provide(AuditLog).by(_audit_log),
        provide(Deliveries).by(_deliveries),
        provide(PersonalVault).by(_vault),
        provide(GroupCommit).by(GroupCommit, closing=GroupCommit.close),
        provide(AuditRecorder).by(AuditRecorder),
        provide(Sealing).by(_sealing),
        provide(Relay).by(relay),
        *REPOSITORIES,
    )


async def _close_reading(reading: Reading) -> None:
    reading.close()


async def _ping(store: Store) -> None:
    await store.ping()


def _audit_log(store: Store) -> AuditLog:
    return store.audit


def _deliveries(store: Store) -> Deliveries:
    return store.deliveries


def _vault(store: Store, keyring: Keyring) -> PersonalVault:
    if find_spec("cryptography") is None and Capability.IMMUTABLE_AUDIT not in store.capabilities:
        return MemoryVault()
    return KeyVault(store.unit_of_work, keyring.derive("personal-data"))


def _sealing(log: AuditLog, keyring: Keyring, clock: Clock) -> Sealing:
    seed = keyring.derive("audit-checkpoint")
    return Sealing(log, lambda: Ed25519Signer.from_seed(_log_name(seed), seed), clock)


def _log_name(seed: bytes) -> str:
    """What the trail under one key is called: always the same, and telling nothing of the key."""
    return f"dashtam/{hashlib.sha256(b'name' + seed).hexdigest()[:16]}"


@asynccontextmanager
async def _given(data: Store) -> AsyncGenerator[Store]:
    """A store somebody else opened, and will close; if it cannot serve, they hear of it now."""
    await data.ping()
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
        kept = _kept_secret(settings.data_dir / _KEY_FILE)
        remember(kept.decode())
        return MasterKey(kept)
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
