"""Personal data kept apart in memory, with a token in its place: nothing to encrypt, and gone once dropped."""

import secrets

from dashtam_core.audit import Seal
from dashtam_core.kernel import UserId


class MemoryVault:
    """Where no data outlives the process. Needs no cryptography."""

    def __init__(self) -> None:
        self._kept: dict[UserId, dict[bytes, bytes]] = {}

    async def sealing(self, user_id: UserId, /, *, fresh: bool = False) -> Seal:  # noqa: ARG002 - always here
        def seal(data: bytes) -> bytes:
            token = secrets.token_bytes(16)
            self._kept.setdefault(user_id, {})[token] = data
            return token

        return seal

    async def open(self, user_id: UserId, sealed: bytes, /) -> bytes | None:
        return self._kept.get(user_id, {}).get(sealed)

    def forget(self, user_id: UserId, /) -> None:
        self._kept.pop(user_id, None)
