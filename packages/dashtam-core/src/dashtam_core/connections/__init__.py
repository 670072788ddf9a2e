"""Banks and brokers that are asked over their API: the port `Provider`, and the command that syncs with one."""

from dashtam_core.connections._errors import ProviderCode, ProviderFailed
from dashtam_core.connections._providers import Provider, Providers, SyncRequest
from dashtam_core.connections._sync import EVENTS, ROUTES, AccountsSynced, SyncAccounts, SyncReport

# fmt: off
__all__ = [
    "EVENTS", "ROUTES", "AccountsSynced", "Provider", "ProviderCode", "ProviderFailed", "Providers",
    "SyncAccounts", "SyncReport", "SyncRequest",
]
# fmt: on
