"""What a deployment of the service decides, read from `DASHTAM_…` variables and `.env`."""

from typing import Final, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from dashtam_core import Failure, Result, Success
from dashtam_core.kernel import KernelCode, ValueRefused
from dashtam_core.settings import IMPORT_MAX_BYTES, PREFIX

_ENV_FILE: Final = ".env"


class ServiceSettings(BaseSettings):
    """Settings of the service. Variables that it does not know are the core's, and left to it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=_ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True, strict=True
    )

    host: str = "127.0.0.1"
    """The address to listen on. Anything but this machine's own wants a proxy with TLS in front."""
    port: int = Field(default=8000, ge=1, le=65535)
    trusted_proxies: str = ""
    """Addresses or networks (CIDR) of proxies whose X-Forwarded-For is believed, with commas; none by default."""
    import_max_bytes: int = Field(default=IMPORT_MAX_BYTES, ge=1)
    """The largest statement file that is taken, in bytes."""
    rate_limit: int = Field(default=600, ge=0)
    """Requests a minute of one person; a tenth of that for an address nobody is verified at. 0: no limit."""

    @classmethod
    def read(cls) -> Result[Self, ValueRefused]:
        """Settings from the environment, and from `.env` in the working directory for what is not in it."""
        try:
            return Success(cls())
        except ValidationError as error:
            return Failure(_refused(error))


def _refused(error: ValidationError) -> ValueRefused:
    """The first wrong value in one line. No setting of the service is a secret, so it is shown."""
    first = error.errors()[0]
    name = PREFIX + str(first["loc"][0]).upper()
    return ValueRefused(KernelCode.SETTING_INVALID, f"{name} is {str(first['input'])[:32]!r}: {first['msg']}")
