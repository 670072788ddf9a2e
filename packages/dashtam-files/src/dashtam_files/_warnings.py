"""What was read around, kept within bounds."""

from typing import Final

from dashtam_core.accounts import ReadingWarning

MAX_WARNINGS: Final = 1_000
_MAX_RAW: Final = 200


class Warnings:
    """Collects warnings in order; beyond the limit it only counts, and the last one then says how many."""

    def __init__(self) -> None:
        self._kept: list[ReadingWarning] = []
        self._more = 0

    def add(self, rule: str, where: str, raw: str | None = None) -> None:
        if len(self._kept) < MAX_WARNINGS - 1:
            self._kept.append(ReadingWarning(rule, where, raw[:_MAX_RAW] if raw else None))
        else:
            self._more += 1

    def all(self) -> tuple[ReadingWarning, ...]:
        if not self._more:
            return tuple(self._kept)
        return (*self._kept, ReadingWarning("more_warnings", "document", f"{self._more} more"))
