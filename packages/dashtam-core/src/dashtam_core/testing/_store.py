"""The suite for stores."""

from dashtam_core.testing._data import DataPromises
from dashtam_core.testing._identity import IdentityPromises, RateLimiterConformance
from dashtam_core.testing._lasting import LastingPromises
from dashtam_core.testing._outbox import OutboxPromises
from dashtam_core.testing._people import PersonPromises
from dashtam_core.testing._trail import TrailPromises
from dashtam_core.testing._units import UnitPromises


class StoreConformance(
    DataPromises,
    UnitPromises,
    TrailPromises,
    PersonPromises,
    IdentityPromises,
    RateLimiterConformance,
    OutboxPromises,
    LastingPromises,
):
    """The promises of the port `Store`, and of all that is reached through it.

    Those are `UnitOfWork`, `Accounts`, `Transactions`, `Documents`, `Matches`, `People`, `PersonKeys`, `Users`,
    `Credentials`, `RootKeys`, `AuditTrail`, `AuditLog`, `Outbox`, `Deliveries` and `Answers`: none is implemented
    alone, so none has a suite of its own.

    The async fixture `store` yields an open one, empty for each test. Where data outlives the process, the fixture
    `reopen` gives an async function that closes the store and answers with one on the same data.
    A test whose promise goes with a capability is skipped, by its name, for a store that does not claim it.
    """
