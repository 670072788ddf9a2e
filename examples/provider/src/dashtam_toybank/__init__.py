"""Toybank as a provider of Dashtam."""

from dashtam_toybank._provider import Toybank

__all__ = ["Toybank"]
