"""Redis and Valkey for Dashtam: what the processes of a deployment share."""

from dashtam_redis._shared import RedisShared, open_shared
from dashtam_redis._stream import RedisEventStream, open_stream

__all__ = ["RedisEventStream", "RedisShared", "open_shared", "open_stream"]
