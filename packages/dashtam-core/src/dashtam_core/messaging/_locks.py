"""One at a time, among all processes of a deployment."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs


@attrs.frozen
class Lease:
    """A lock that is held for a while. Whoever was held up may still believe it is theirs when it is not."""

    name: str
    token: int
    """The fencing token, greater with each holder: what is guarded refuses a smaller one than it has seen."""


class Locks(Protocol):
    """Locks with a name, each held by one at a time for all processes of a deployment."""

    def hold(
        self, name: str, /, *, seconds: float, wait: float = 0.0
    ) -> AbstractAsyncContextManager[Lease | None]:
        """Hold a lock while the block lasts, `seconds` at most; None if others had it for the `wait` seconds.

        It is given back at the end of the block, unless it has passed to somebody else meanwhile; who is cancelled
        while taking it has nothing.

        Raises:
            UnavailableError: nobody can say who holds it. The block was not entered.
        """
        ...
