"""Writes the entries that stand outside a message's own transaction: attempts, refusals, what failed."""

import asyncio
import json
from typing import Final

import attrs

from dashtam_core.audit._entries import AttemptId, AuditEntry, EntryId, Phase, check_context
from dashtam_core.audit._ports import AuditLog
from dashtam_core.audit._vault import PersonalVault
from dashtam_core.kernel import PUBLIC, Clock, new_id
from dashtam_core.messaging import Call

_MAX_TEXT: Final = 512
"""Characters kept of what a caller says about itself."""


class GroupCommit:
    """Entries written at one time share one commit: who comes while one is under way shares the next.

    Whoever calls returns only after the commit with its entry in it.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting: list[tuple[AuditEntry, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    async def record(self, entry: AuditEntry, /) -> None:
        if not self._idle.is_set():
            written = asyncio.get_running_loop().create_future()
            self._waiting.append((entry, written))
            await written
            return
        self._idle.clear()
        try:
            await self._log.record((entry,))
        finally:
            self._go_on()

    async def close(self) -> None:
        """Returns when nothing is being written any more."""
        await self._idle.wait()

    def _go_on(self) -> None:
        if self._waiting:
            self._task = asyncio.create_task(self._write(), name="dashtam audit")
        else:
            self._idle.set()

    async def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        problem: BaseException | None = None
        try:
            await self._log.record([entry for entry, _ in batch])
        except BaseException as error:
            problem = error
            if not isinstance(error, Exception):
                raise
        finally:
            for _, written in batch:
                if not written.done():  # it is where whoever waited was cancelled
                    written.set_result(None) if problem is None else written.set_exception(problem)
            self._go_on()


@attrs.frozen
class AuditRecorder:
    """Makes entries of calls, and writes those that are committed on their own."""

    group: GroupCommit
    vault: PersonalVault
    clock: Clock

    async def ready(self, call: Call, /) -> None:
        """Finds the person's key, while no transaction is open: entries can be made from here on."""
        if call.seal is None:
            unproven = call.message.permission == PUBLIC
            call.seal = await self.vault.sealing(call.subject.user_id, fresh=unproven)

    async def record(self, call: Call, phase: Phase, code: str | None = None, /) -> None:
        """Writes an entry on its own; committed when this returns."""
        await self.ready(call)
        await self.group.record(self.entry(call, phase, code))

    def entry(self, call: Call, phase: Phase, code: str | None = None, /) -> AuditEntry:
        """The entry of a call that is `ready` and has come so far."""
        first = phase in {Phase.ATTEMPTED, Phase.DENIED}
        if call.notes.context:
            check_context(call.notes.context)
        return AuditEntry(
            entry_id=EntryId(call.call_id if first else new_id()),
            attempt_id=AttemptId(call.call_id),
            occurred_at=self.clock.now(),
            user_id=call.subject.user_id,
            action=call.message.action,
            phase=phase,
            code=code,
            resource_type=call.message.resource_type,
            resource_id=_kept(call.notes.resource_id or call.message.resource_id),
            channel=call.origin.channel,
            request_id=_kept(call.origin.request_id),
            context=dict(call.notes.context),
            personal=_personal(call),
        )


def _kept(text: str | None) -> str | None:
    """Text from outside as every store keeps it, and no more than anybody needs of it."""
    if text is None or (text.isascii() and text.isprintable() and len(text) <= _MAX_TEXT):
        return text
    whole = text[:_MAX_TEXT].encode("utf-8", "replace").decode()
    return "".join(each if each.isprintable() else "\ufffd" for each in whole)


def _personal(call: Call) -> bytes | None:
    told = {"ip_address": call.origin.ip_address, "user_agent": call.origin.user_agent}
    personal = {name: text[:_MAX_TEXT] for name, text in told.items() if text} | call.notes.personal
    if not personal:
        return None
    assert call.seal is not None, "the person's key was asked for before"
    return call.seal(json.dumps(personal).encode())
