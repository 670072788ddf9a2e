"""Every requirement of OWASP ASVS 5.0.0, levels 1 and 2, has tests, or a reason, or a page of ours."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
MAPPING: Final = ROOT / "docs" / "security" / "asvs.yaml"
KINDS: Final = ("tests", "not_applicable", "by_design")
PENDING: Final = "PENDING"
SHORTEST: Final = 20

# The levels of each section, one digit a requirement in its order: V1.2.10 is the tenth of V1.2, of level 3.
STANDARD: Final = """
V1.1 22 V1.2 1111122223 V1.3 112222222223 V1.4 222 V1.5 123
V2.1 122 V2.2 112 V2.3 12223 V2.4 23
V3.1 3 V3.2 113 V3.3 12223 V3.4 11222233 V3.5 11122333 V3.6 3 V3.7 22333
V4.1 12233 V4.2 23333 V4.3 22 V4.4 1222
V5.1 2 V5.2 112333 V5.3 113 V5.4 222
V6.1 122 V6.2 111111112222 V6.3 11223333 V6.4 112233 V6.5 22222333 V6.6 2223 V6.7 33 V6.8 2222
V7.1 222 V7.2 1111 V7.3 22 V7.4 11222 V7.5 223 V7.6 22
V8.1 1233 V8.2 1123 V8.3 133 V8.4 23
V9.1 111 V9.2 1222
V10.1 22 V10.2 223 V10.3 22223 V10.4 1111122222233333 V10.5 22222 V10.6 22 V10.7 222
V11.1 2233 V11.2 22233 V11.3 11233 V11.4 1222 V11.5 23 V11.6 23 V11.7 33
V12.1 12233 V12.2 11 V12.3 22223
V13.1 2333 V13.2 222223 V13.3 2233 V13.4 1222233
V14.1 22 V14.2 12223333 V14.3 122
V15.1 12233 V15.2 12233 V15.3 1222222 V15.4 3333
V16.1 2 V16.2 22222 V16.3 2222 V16.4 222 V16.5 2223
V17.1 23 V17.2 22223333 V17.3 22
"""

# The part of YAML that the file is written in: exactly one of the three kinds, and nothing beside it.
PLAIN: Final = r"[\w(/](?:(?!: | #)[^\n])*[^\s:]\n"
TEXT: Final = r"(?: {4}\S[^\n]*\n)+"
ENTRY: Final = re.compile(
    rf"  level: (?P<level>\d)\n"
    rf"  topic: (?P<topic>{PLAIN})"
    rf"(?:  tests:\n(?P<tests>(?: {{4}}- {PLAIN}(?: {{6}}{PLAIN})*)+)"
    rf"|  not_applicable: >-\n(?P<not_applicable>{TEXT})"
    rf"|  by_design: >-\n(?P<by_design>{TEXT})  shown_in:\n(?P<shown_in>(?: {{4}}- {PLAIN})+))"
)


def standard() -> dict[str, str]:
    """The level of each requirement by its id."""
    words = STANDARD.split()
    sections = zip(words[::2], words[1::2], strict=True)
    return {f"{section}.{number}": level for section, levels in sections for number, level in enumerate(levels, 1)}


def written() -> list[tuple[str, str]]:
    """Each id in the file with what stands below it, in the file's order."""
    text = re.sub(r"^(#.*)?\n", "", MAPPING.read_text(), flags=re.MULTILINE)
    _, *parts = re.split(r"^(\S+):\n", text, flags=re.MULTILINE)
    return list(zip(parts[::2], parts[1::2], strict=True))


@cache
def mapping() -> dict[str, dict[str, str]]:
    """What the file says of each requirement that it is able to say, by key."""
    read = {id_: ENTRY.fullmatch(below) for id_, below in written()}
    return {id_: {k: v for k, v in each.groupdict().items() if v} for id_, each in read.items() if each}


def listed(key: str) -> list[tuple[str, str]]:
    """The items of the lists of this name, each with its requirement."""
    items = [(id_, item) for id_, said in mapping().items() for item in said.get(key, "").split("    - ")[1:]]
    return [(id_, " ".join(item.split())) for id_, item in items]


@cache
def names_in(file: Path) -> set[str]:
    """The tests of a file as pytest names them, read off its source."""
    if not file.is_file():
        return set()
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        outer = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = [each for each in inner if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
        found |= {outer + each.name for each in functions if each.name.startswith("test_")}
    return found


def is_there(test: str) -> bool:
    path, _, name = test.partition("::")
    return name in names_in(ROOT / path)


def is_shown(place: str) -> bool:
    """Whether the file is there, and the heading in it that the place names."""
    path, _, anchor = place.partition("#")
    file = ROOT / path
    if not anchor or not file.is_file():
        return file.is_file()
    headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
    return anchor in [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings]


def test_the_list_is_the_standards() -> None:
    """345 requirements, 70 of them of level 1 and 183 of level 2, as published."""
    assert Counter(standard().values()) == {"1": 70, "2": 183, "3": 92}


def test_every_requirement_is_answered_once() -> None:
    """The file has each of levels 1 and 2 once, in order and in the shape it is read in, and no other."""
    ids = [id_ for id_, level in standard().items() if level != "3"]
    assert [id_ for id_, _ in written()] == ids
    assert [id_ for id_ in ids if id_ not in mapping()] == []


def test_every_level_is_the_standards() -> None:
    """The level beside each requirement is the one it has, and the kinds of answers are told with -s."""
    levels = standard()
    assert [id_ for id_, said in mapping().items() if said["level"] != levels.get(id_)] == []
    kinds = Counter(kind for said in mapping().values() for kind in KINDS if kind in said)
    print(f"\n{sum(kinds.values())} requirements of ASVS 5.0.0: {dict(kinds)}")  # noqa: T201 - told to who asks by -s


def test_every_test_that_is_named_is_there() -> None:
    """Each is a function or a method of that file."""
    named = [(id_, item) for id_, item in listed("tests") if not item.startswith(PENDING)]
    assert [each for each in named if not is_there(each[1])] == []


def test_no_test_is_still_to_be_written() -> None:
    """Nothing in the file is a plan."""
    assert [each for each in listed("tests") if each[1].startswith(PENDING)] == []


def test_every_file_that_is_named_is_there() -> None:
    """What is so by design is shown by a file of ours, and by the section of it that is named."""
    assert [each for each in listed("shown_in") if not is_shown(each[1])] == []


def test_every_reason_is_one() -> None:
    """A reason says why, in more than a word."""
    reasons = [
        (id_, " ".join(said[kind].split()))
        for id_, said in mapping().items()
        for kind in KINDS[1:]
        if kind in said
    ]
    assert [each for each in reasons if len(each[1]) < SHORTEST] == []
