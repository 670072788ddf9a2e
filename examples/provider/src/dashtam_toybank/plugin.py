"""What this package adds to Dashtam: the provider `toybank`."""

import os
from collections.abc import Iterable

from dashtam_core.connections import Provider
from dashtam_core.plugins import hookimpl
from dashtam_toybank._provider import ADDRESS, Toybank


@hookimpl
def dashtam_providers() -> Iterable[Provider]:
    return (Toybank(os.environ.get("TOYBANK_URL", ADDRESS)),)
