"""Importing the core, beside importing the three libraries that it is built on.

Run: `.venv/bin/python benchmarks/bench_import.py`. Each program runs in a fresh interpreter, interleaved with the
others. Prints the CPU (user and system) and wall milliseconds of a start, medians of the repeats less those of an
empty program, and the ratio to the limit in CPU of the same repeat; and, where the core misses its goal, which
modules take the most of their own time in `-X importtime`, medians too.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

REPEATS = 21
TRACES = 7
SHOWN = 12
GOAL = 1.3
EMPTY, LIMIT, CORE = "pass", "import attrs, returns.result, pluggy", "from dashtam_core import Dashtam"
DASHTAM = str(Path(sys.executable).with_name("dashtam"))
PROGRAMS = {
    EMPTY: ("-c", EMPTY),
    LIMIT: ("-c", LIMIT),
    "the same and asyncio": ("-c", f"import asyncio\n{LIMIT}"),
    "import dashtam_core": ("-c", "import dashtam_core"),
    "import dashtam_core.kernel": ("-c", "import dashtam_core.kernel"),
    CORE: ("-c", CORE),
    "import dashtam_core.accounts": ("-c", "import dashtam_core.accounts"),
    "dashtam --help": (DASHTAM, "--help"),
    "dashtam plugins": (DASHTAM, "plugins"),
}
LINE = re.compile(r"import time: +(\d+) \| +\d+ \| +(\S+)")

type Spent = tuple[float, float]


def started(arguments: tuple[str, ...]) -> Spent:
    """CPU and wall milliseconds of one interpreter, from its start to its end."""
    command = [sys.executable, "-I", *arguments]
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    wall = time.perf_counter()
    process = os.posix_spawn(sys.executable, command, os.environ, file_actions=silent)
    _, status, used = os.wait4(process, 0)
    wall = time.perf_counter() - wall
    assert status == 0, f"{arguments} ended with {status}"
    return (used.ru_utime + used.ru_stime) * 1e3, wall * 1e3


def measured() -> dict[str, list[Spent]]:
    """What each program took in each repeat, after one that warms up."""
    spent: dict[str, list[Spent]] = defaultdict(list)
    for repeat in range(REPEATS + 1):
        for name, arguments in PROGRAMS.items():
            taken = started(arguments)
            if repeat:
                spent[name].append(taken)
    return spent


def traced(program: str) -> dict[str, float]:
    """Milliseconds of its own for every module that a program imports."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(TRACES):
        command = [sys.executable, "-I", "-X", "importtime", "-c", program]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        for own, module in LINE.findall(told):
            found[module].append(int(own) / 1e3)
    return {module: statistics.median(each) for module, each in found.items()}


def report(spent: dict[str, list[Spent]]) -> float:
    """Prints the table; answers the ratio of the core."""
    empty = [statistics.median(column) for column in zip(*spent[EMPTY], strict=True)]
    print(f"{REPEATS} starts each; an empty one takes {empty[0]:.1f} ms CPU, and is taken off")
    print(f"{'':40}{'CPU ms':>8}{'wall ms':>9}{'ratio (CPU)':>13}")
    ratios: dict[str, float] = {}
    for name in list(PROGRAMS)[1:]:
        cpu, wall = (statistics.median(column) for column in zip(*spent[name], strict=True))
        pairs = zip(spent[name], spent[LIMIT], strict=True)
        ratios[name] = statistics.median((each - empty[0]) / (base - empty[0]) for (each, _), (base, _) in pairs)
        print(f"{name:40}{cpu - empty[0]:8.1f}{wall - empty[1]:9.1f}{ratios[name]:12.2f}x")
    return ratios[CORE]


def explain() -> None:
    """Prints where the time goes: what each package takes beyond the limit, and its most expensive modules."""
    known = traced(LIMIT)
    added = {module: own for module, own in traced(CORE).items() if module not in known}
    packages: dict[str, float] = defaultdict(float)
    for module, own in added.items():
        packages[module.partition(".")[0]] += own
    print(f"\n{len(added)} modules beyond the limit, ms of their own (-X importtime)")
    for title, some in (("by package", packages), ("by module", added)):
        print(f"{title}:")
        for name in sorted(some, key=lambda each: -some[each])[:SHOWN]:
            print(f"  {some[name]:6.2f}  {name}")


if __name__ == "__main__":
    ratio = report(measured())
    print(f"the core takes {ratio:.2f} times the limit; the goal is {GOAL} at most")
    if ratio > GOAL:
        explain()
