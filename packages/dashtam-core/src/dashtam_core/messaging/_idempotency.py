"""A retried command acts once: the answer to a key is kept with the change itself, and given again.

After the IETF draft "The Idempotency-Key HTTP Header Field": a key belongs to one subject and one command; the
same key with another body is refused, and so is a retry that comes while the first is still running.
"""

import asyncio
import re
from datetime import timedelta
from enum import Enum
from typing import Any, Final, Protocol, get_args, get_origin

import attrs

from dashtam_core.kernel import ANONYMOUS, Failure, Success
from dashtam_core.messaging import _codec
from dashtam_core.messaging._messages import Command, Message
from dashtam_core.messaging._pipeline import Answer, Call, Next, RefusalCode, Refused

KEPT_FOR: Final = timedelta(hours=24)
"""How long a key is remembered."""

_KEY: Final = re.compile(r"[!-~]{1,255}")

_INVALID: Final = Refused(
    RefusalCode.IDEMPOTENCY_KEY_INVALID,
    "an idempotency key is 1 to 255 visible ASCII characters without spaces: a UUID does well",
)
_NOT_TAKEN: Final = Refused(
    RefusalCode.IDEMPOTENCY_KEY_NOT_TAKEN,
    "this takes no idempotency key, because its answer is not kept: send it without one",
)
_IN_USE: Final = Refused(
    RefusalCode.IDEMPOTENCY_KEY_IN_USE,
    "the first request with this idempotency key is still running: repeat this one in a moment",
)
_REUSED: Final = Refused(
    RefusalCode.IDEMPOTENCY_KEY_REUSED,
    "this idempotency key came with another request before: use a new key for a new request",
)


@attrs.frozen
class KeptAnswer:
    """What a key was answered with: a digest of the command, and the answer as JSON."""

    fingerprint: bytes
    answer: str


class KeyState(Enum):
    """Whether a key without an answer is there to be used."""

    FREE = "free"
    HELD = "held"


class Answers(Protocol):
    """The kept answers of the acting subject, in one unit of work."""

    async def claim(self, command: str, key: str, /) -> KeptAnswer | KeyState:
        """The answer kept for this key in the last 24 hours; or FREE, and the key is this unit's until it ends.

        HELD if another unit that runs now has claimed it. A store that runs its units one after another never
        says so.
        """
        ...

    async def keep(self, command: str, key: str, kept: KeptAnswer, /) -> None:
        """Keep the answer to a claimed key, together with everything else the unit wrote."""
        ...


async def earlier_answer(call: Call, /) -> Answer | None:
    """What the call's key was answered with before, or why it cannot be used; None if it is this call's to use.

    To be asked inside the call's unit of work.
    """
    key = call.idempotency_key
    assert key is not None, "asked only of a call with a key"
    if not _KEY.fullmatch(key):
        return Failure(_INVALID)
    if not (isinstance(call.message, Command) and call.message.replayable) or call.subject == ANONYMOUS:
        return Failure(_NOT_TAKEN)
    if call.fingerprint is None:
        call.fingerprint = await asyncio.to_thread(_codec.fingerprint, call.message)
    match await call.unit.answers.claim(call.message.action, key):
        case KeyState.FREE:
            return None
        case KeyState.HELD:
            return Failure(_IN_USE)
        case KeptAnswer() as kept if kept.fingerprint != call.fingerprint:
            return Failure(_REUSED)
        case KeptAnswer() as kept:
            call.replayed = True
            return Success(_codec.load(kept.answer, _answer_type(type(call.message))))


async def idempotent(call: Call, proceed: Next, /) -> Answer:
    """The stage inside the transaction that answers a retry, and keeps the answer to what was not one."""
    if call.idempotency_key is None:
        return await proceed(call)
    earlier = await earlier_answer(call)
    if earlier is not None:
        return earlier
    answer = await proceed(call)
    if isinstance(answer, Success):
        assert call.fingerprint is not None, "worked out when the key was claimed"
        kept = KeptAnswer(call.fingerprint, _codec.dump(answer.unwrap()))
        await call.unit.answers.keep(call.message.action, call.idempotency_key, kept)
    return answer


def _answer_type(message: type[Message[Any, Any]]) -> Any:
    """The T of a class that says `Command[T, E]`."""
    for kind in message.__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            if get_origin(base) is Command:
                return get_args(base)[0]
    raise TypeError(f"{message.__name__} does not say what it answers: subclass Command[T, E]")
