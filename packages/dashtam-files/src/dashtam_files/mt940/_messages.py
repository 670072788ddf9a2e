"""The text of a file into its messages and their fields, whatever stands around them."""

import re
from collections.abc import Iterator
from itertools import batched
from typing import Final

import attrs

from dashtam_core.accounts import checkpoint
from dashtam_files._text import MAX_FIELD

_TAG: Final = re.compile(
    r"\n(:(?:20|25P?|28C?|6[02][FM]?|61|64|65|86|13D|34F|90[CD]):"
    r"|[ \t]?-(?:\}[^\n]*|XXX)?[ \t]*(?=\n|\Z)|\{[1-5]:)"
)
_CLOCK: Final = re.compile(r"\d\d:[0-5]\d:[0-5]\d(?!\d)", re.ASCII)
_TYPE: Final = re.compile(r"2:[IO](\d{3})", re.ASCII)
_BEGINNINGS: Final = frozenset({":20", "{1:", "{2:", "{3:", "{4:", "{5:"})
_HEADERS: Final = frozenset({":25", ":28", ":60"})
_AFTER_ROWS: Final = frozenset({":62", ":64", ":65", ":90"})


@attrs.define
class Message:
    """Fields by the first three characters of their tags. An entry is a :61:, then every :86: after it."""

    fields: dict[str, str] = attrs.field(factory=dict[str, str])
    balances: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])
    entries: list[list[str]] = attrs.field(factory=list[list[str]])
    closed: bool = False
    dash: str = ""  # A lone dash, and what follows it.

    @property
    def is_statement(self) -> bool:
        return bool(self.balances or self.entries or ":25" in self.fields)

    @property
    def type(self) -> str:
        """What its envelope or its fields say, such as `940`."""
        envelope = _TYPE.search(self.fields.get("{1:", "") + "2:" + self.fields.get("{2:", ""))
        return envelope[1] if envelope else "942" if ":34" in self.fields else "940"

    def add(self, tag: str, said: str) -> None:
        kind = tag[:3]
        if kind == ":61":
            self.entries.append([said])
        elif kind == ":86":
            if self.entries and not self.closed:
                self.entries[-1].append(said)
        else:
            self.closed = self.closed or kind in _AFTER_ROWS
            if kind[1] == "6":
                self.balances.append((tag, said.partition("\n")[0]))
            self.fields.setdefault(kind, said)


def messages(text: str) -> Iterator[Message]:
    """The messages, in order, of a text whose lines end in a line feed."""
    message = Message()
    for tag, said in _fields(text):
        kind = tag[:3]
        if kind[0] not in ":{":
            message.dash = tag + said
            continue
        begins = kind in _BEGINNINGS or (kind in _HEADERS and (message.closed or message.dash))
        if begins and message.is_statement:
            yield message
            message = Message()
        elif message.dash:
            message.add(":86:", message.dash)  # It was text, as the message goes on.
            message.dash = ""
        message.add(tag, said)
    if message.is_statement:
        yield message


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Each tag with what follows it: also a lone dash, and a block of the envelope such as `{2:`."""
    text, start, tag, said = f"\n{text}", 0, "-", ""
    while start < len(text):
        checkpoint()
        end = text.find("\n", start + 16_384)
        end = end if end > 0 else len(text)
        more, *pieces = _TAG.split(text[start:end])
        said += more if len(said) <= MAX_FIELD else ""
        for next_tag, next_said in batched(pieces, 2, strict=True):
            if tag == ":86:" and next_tag[1:2] == "2" and _CLOCK.match(said[-2:] + next_tag + next_said[:3]):
                said += f"\n{next_tag}{next_said}"  # A time that was wrapped, as in `17` and `:20:15`.
                continue
            yield tag, said
            tag, said = next_tag, next_said
        start = end
    yield tag, said
