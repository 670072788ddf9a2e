"""From an element to its fields in one pass: an outline says which of its descendants are wanted."""

from datetime import date
from typing import Final

import attrs
from lxml import etree

from dashtam_core.accounts import checkpoint
from dashtam_files._answers import OFTEN, Warnings
from dashtam_files._text import MAX_FIELD
from dashtam_files._values import iso_day

type Element = etree._Element  # noqa: SLF001 - the only name lxml has for the type of its elements
type Fields = dict[str, str]
type Outline = dict[str, str | tuple[str, str] | Outline | list[Outline]]
"""By local name: the field its text goes to (an Amt has one for its Ccy too), or what is wanted inside.

What is wanted of an element that repeats is in a list. The name "" is the text of the element itself.
"""
# Fields whose occurrences are the lines of one text; of any other the first counts.
_LINES: Final = frozenset({"Ustrd", "Ref", "AddtlTxInf", "AddtlRmtInf"})


def outline(paths: str, **repeated: Outline) -> Outline:
    """An outline from paths such as `BookgDt/Dt|DtTm=BookgDt`; a field is named like its element unless said."""
    root: Outline = {}
    for path in paths.split():
        names, _, field = path.partition("=")
        _put(root, names.split("/"), repeated.get(field, field))
    return root


def _put(node: Outline, path: list[str], wanted: str | Outline) -> None:
    for name in path[0].split("|"):
        if len(path) > 1:
            below = node.setdefault(name, {})
            assert isinstance(below, dict), "a path goes on below an element, not below a text"
            _put(below, path[1:], wanted)
        elif isinstance(wanted, dict):
            node[name] = [wanted]
        else:
            field = wanted or name
            node[name] = (field, f"{field}.Ccy") if name == "Amt" else field


class _Names(dict[object, str]):
    """The local name of every tag met, whatever its namespace or prefix."""

    def __missing__(self, tag: object) -> str:
        name = self[tag] = str(tag).rpartition("}")[2]
        return name


@attrs.define
class Gatherer:
    """Reads fields, and reports those too long to be kept whole as found `where`."""

    warnings: Warnings
    where: str = "document"
    names: _Names = attrs.field(factory=_Names)

    def warn(self, rule: str, raw: str | None = None) -> None:
        self.warnings.add(rule, self.where, raw)

    def day(self, text: str | None) -> date | None:
        """A day that may be missing."""
        day, _ = iso_day(text)
        return self.warnings.unless_read(day, "date_unreadable", self.where, text) if text else None

    def gather(self, element: Element, wanted: Outline, into: Fields, parts: list[Fields]) -> None:
        """Adds the fields of an element, and to `parts` those of each repeated element in it, in order."""
        names, keep = self.names, self._keep
        for child in element:
            step = wanted.get(names[child.tag])
            if step is None:
                continue
            if type(step) is str:
                text = child.text
                if text and (text := text.strip()) and step not in into and len(text) <= MAX_FIELD:
                    into[step] = text  # as nearly all: saves a call
                else:
                    keep(step, text, into)
            elif type(step) is tuple:
                keep(step[0], child.text, into)
                keep(step[1], child.get("Ccy"), into)
            elif type(step) is dict:
                self.gather(child, step, into, parts)
                if "" in step:
                    keep(names[child.tag], child.text, into)
            elif type(step) is list:
                parts.append({})
                self.gather(child, step[0], parts[-1], [])
                if not len(parts) % OFTEN:
                    checkpoint()

    def _keep(self, field: str, text: str | None, into: Fields) -> None:
        if not text or not (text := text.strip()):
            return
        if field in into:
            if field not in _LINES or len(into[field]) >= MAX_FIELD:
                return
            text = f"{into[field]} {text}"
        into[field] = self.warnings.whole(text, self.where, field)
