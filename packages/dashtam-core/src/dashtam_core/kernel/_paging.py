"""Pages by keyset: a cursor names the last row seen, so deep pages cost what the first one does."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

import attrs
from returns.result import Success

from dashtam_core.kernel._errors import KernelCode, ValueRefused
from dashtam_core.kernel._result import Result, refused

_MAC_BYTES: Final = 16


@attrs.frozen(slots=True)
class Page[T]:
    """Some items in order, and the cursor that continues after them; None on the last page."""

    items: Sequence[T]
    next_cursor: str | None


@attrs.frozen
class Cursors:
    """Writes and reads opaque cursors, signed so that a changed or foreign one is refused.

    `scope` is what the page belongs to (person, list, filters): a cursor is good for the same scope only.
    """

    key: bytes = attrs.field(repr=False)

    def write(self, position: str, /, *, scope: str) -> str:
        raw = position.encode()
        return _encoded(self._mac(raw, scope) + raw)

    def read(self, cursor: str, /, *, scope: str) -> Result[str, ValueRefused]:
        raw = _decoded(cursor)
        mac, position = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not position or not hmac.compare_digest(mac, self._mac(position, scope)):
            return refused(
                KernelCode.CURSOR_INVALID,
                "this cursor was not issued for this list and these filters: "
                "start again without a cursor, and pass next_cursor on unchanged",
            )
        return Success(position.decode())

    def _mac(self, position: bytes, scope: str) -> bytes:
        return hmac.digest(self.key, scope.encode() + b"\0" + position, hashlib.sha256)[:_MAC_BYTES]


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(cursor: str) -> bytes:
    """The bytes of a cursor that is spelled just as we spell it, or none."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        return b""
    return raw if _encoded(raw) == cursor else b""
