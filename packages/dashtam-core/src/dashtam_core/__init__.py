"""Dashtam: a kernel for financial data aggregation.

async with Dashtam.open() as dashtam:
    me = dashtam.acting_as(ExternalSubject("auth0|1"))
    await me.execute(ImportStatement(data))
"""

from dashtam_core.app import Actor, Dashtam
from dashtam_core.container import AssemblyError, provide
from dashtam_core.kernel import Failure, Result, Success, UnavailableError
from dashtam_core.plugins import PluginError, hookimpl
from dashtam_core.settings import Settings

__all__ = [
    "Actor",
    "AssemblyError",
    "Dashtam",
    "Failure",
    "PluginError",
    "Result",
    "Settings",
    "Success",
    "UnavailableError",
    "hookimpl",
    "provide",
]
