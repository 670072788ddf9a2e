"""The stages of the pipeline that speak for the audit trail."""

import logging
import time
from typing import Final, cast

import attrs

from dashtam_core.audit._entries import Phase
from dashtam_core.audit._ports import AuditedUnit
from dashtam_core.audit._recorder import AuditRecorder
from dashtam_core.kernel import Failure, UnavailableCode, UnavailableError
from dashtam_core.messaging import Answer, Call, Next, earlier_answer, error_code, settle

LONGEST_SECONDS: Final = 1800.0
"""How long a message may take until it can no longer commit. Twice that, and the sweeper closes its attempt."""

_log: Final = logging.getLogger(__name__)


@attrs.frozen
class Replay:
    """Answers a retry before anything is attempted: with the first answer, or why its key cannot be used."""

    recorder: AuditRecorder

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        if call.idempotency_key is None:
            return await proceed(call)
        await self.recorder.ready(call)
        async with call.unit as unit:
            earlier = await earlier_answer(call)
            if call.replayed:
                cast("AuditedUnit", unit).trail.add(self.recorder.entry(call, Phase.REPLAYED))
        if earlier is None:
            return await proceed(call)
        if isinstance(earlier, Failure):
            await self.recorder.record(call, Phase.DENIED, error_code(earlier.failure()))
        return earlier


@attrs.frozen
class Attempt:
    """Commits the attempt before anything is done, and the failure after everything was undone.

    Whatever is meant to survive a failure commits together with its entry. An error while the change itself is
    being committed leaves the attempt without an outcome: nobody knows, and the sweeper says so.
    """

    recorder: AuditRecorder

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        if not call.message.audited:
            return await proceed(call)
        await self.recorder.record(call, Phase.ATTEMPTED)
        try:
            answer = await proceed(call)
            if isinstance(answer, Failure):
                await self._failed(call, error_code(answer.failure()))
        except Exception as error:
            if not call.committing:
                await self._raised(call, error)
            raise
        return answer

    async def _failed(self, call: Call, code: str) -> None:
        _check_age(call)
        async with call.unit as unit:
            await settle(call, failed=True)
            cast("AuditedUnit", unit).trail.add(self.recorder.entry(call, Phase.FAILED, code))
            await unit.flush()
            call.committing = True
        call.committed = True

    async def _raised(self, call: Call, error: Exception) -> None:
        """The same for an exception, which its caller hears of whether or not this can be written."""
        call.notes.clear()  # they may be what went wrong
        try:
            await self._failed(call, error_code(error))
        except UnavailableError as unavailable:
            _log.warning("a failure could not be recorded", extra={"code": unavailable.code})


@attrs.frozen
class Outcome:
    """Inside the transaction: the success, or the replay, commits together with the change or not at all."""

    recorder: AuditRecorder

    async def __call__(self, call: Call, proceed: Next, /) -> Answer:
        if not call.message.audited:
            return await proceed(call)
        answer = await proceed(call)
        if not isinstance(answer, Failure):
            _check_age(call)
            phase = Phase.REPLAYED if call.replayed else Phase.SUCCEEDED
            cast("AuditedUnit", call.unit).trail.add(self.recorder.entry(call, phase))
        return answer


def _check_age(call: Call) -> None:
    """Whoever is this late may have been declared lost already: an attempt has one outcome."""
    if time.perf_counter() - call.started > LONGEST_SECONDS:
        raise UnavailableError(
            UnavailableCode.TOO_SLOW,
            f"this took longer than {LONGEST_SECONDS:.0f} seconds and was undone: try again, with less at once",
        )
