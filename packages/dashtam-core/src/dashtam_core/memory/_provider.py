"""A provider that has what it was given: for tests and trials of whatever syncs."""

from collections.abc import Mapping, Sequence

import attrs

from dashtam_core.accounts import SyncBatch
from dashtam_core.connections import ProviderCode, ProviderFailed, SyncRequest
from dashtam_core.kernel import Failure, Result, Success


@attrs.define
class MemoryProvider:
    """Brings, for each credential, its batches one after another; `credentials` may be changed at any time.

    The cursor is how many of them were brought. What comes with a batch in `next_cursor` and `more` is put right.
    """

    credentials: Mapping[str, Sequence[SyncBatch]] = attrs.field(
        factory=dict[str, Sequence[SyncBatch]], repr=False
    )
    name: str = "memory"
    stable_ids: bool = False

    async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        batches = self.credentials.get(request.credential)
        if batches is None:
            return _failed(ProviderCode.CREDENTIAL_REFUSED, "the credential is not known: connect again")
        said = request.cursor or "0"
        brought = int(said) if said.isascii() and said.isdigit() else len(batches) + 1
        if brought > len(batches):
            return _failed(
                ProviderCode.PROVIDER_CURSOR_INVALID, "nothing goes on from this cursor: start again without one"
            )
        batch = batches[brought] if brought < len(batches) else SyncBatch()
        now = min(brought + 1, len(batches))
        return Success(attrs.evolve(batch, next_cursor=str(now), more=now < len(batches)))


def _failed(code: ProviderCode, message: str) -> Failure[ProviderFailed]:
    return Failure(ProviderFailed(code, message))
