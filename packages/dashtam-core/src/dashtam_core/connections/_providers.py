"""The port through which the API of a bank, a broker or an aggregator comes in."""

from collections.abc import Mapping
from typing import Protocol

import attrs

from dashtam_core.accounts import SyncBatch
from dashtam_core.connections._errors import ProviderCode, ProviderFailed, failed
from dashtam_core.kernel import Result, Success


@attrs.frozen(kw_only=True)
class SyncRequest:
    """What a provider is asked: whose data, and from where on."""

    credential: str = attrs.field(repr=False)
    """What the provider knows the person by: an access token, an access URL, an API key."""
    cursor: str | None = None
    """`next_cursor` of the last batch; without one everything is wanted that the provider has."""


class Provider(Protocol):
    """Asks one API for one person's accounts. Async, and shared by everybody: what is asked is in the request."""

    @property
    def name(self) -> str:
        """What the provider is called in accounts, commands and logs: lower case letters, digits and hyphens."""
        ...

    @property
    def stable_ids(self) -> bool:
        """Whether one `provider_transaction_id` means one transaction for ever. If in doubt, it does not.

        Without stable ids, twins are told apart by their number in a batch: deliver each day whole in one batch.
        """
        ...

    async def fetch(self, request: SyncRequest, /) -> Result[SyncBatch, ProviderFailed]:
        """What is new since the cursor, or a part of it with `more`. Asking again brings the same again.

        What the provider or the network does wrong is a failure that says what to do; odd fields are warnings of
        the batch. Nothing of a credential may be in either.
        """
        ...


@attrs.frozen
class Providers:
    """Every provider at hand, by name."""

    by_name: Mapping[str, Provider] = attrs.field(factory=dict[str, Provider])

    def get(self, name: str, /) -> Result[Provider, ProviderFailed]:
        found = self.by_name.get(name)
        if found is not None:
            return Success(found)
        known = ", ".join(sorted(self.by_name)) or "none"
        message = (
            f"no provider is called {name[:64]!r} (there is {known}): correct the name or install its package"
        )
        return failed(ProviderCode.PROVIDER_UNKNOWN, message)
