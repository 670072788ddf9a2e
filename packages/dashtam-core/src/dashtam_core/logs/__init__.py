"""Structured, redacted logging: modules write to the standard library, `configure` renders what they write."""

from dashtam_core.logs._bound import bound, merge_bound
from dashtam_core.logs._lines import Format, configure
from dashtam_core.logs._patterns import remember
from dashtam_core.logs._redact import redact

__all__ = ["Format", "bound", "configure", "merge_bound", "redact", "remember"]
