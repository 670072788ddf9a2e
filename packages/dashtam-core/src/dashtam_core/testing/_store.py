"""The suite for stores."""

from dashtam_core.testing._data import DataPromises
from dashtam_core.testing._outbox import OutboxPromises
from dashtam_core.testing._people import AnswerPromises, ErasurePromises, KeyPromises
from dashtam_core.testing._trail import SealingPromises, SweepingPromises, TrailPromises
from dashtam_core.testing._units import UnitPromises


class StoreConformance(
    DataPromises,
    UnitPromises,
    TrailPromises,
    SealingPromises,
    SweepingPromises,
    AnswerPromises,
    KeyPromises,
    ErasurePromises,
    OutboxPromises,
):
    """The promises of the port `Store`. The async fixture `store` yields an open one, empty for each test."""
