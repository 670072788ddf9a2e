"""Lines of code of each package beside its budget, and its docstrings, as cloc tells them apart."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

BUDGETS = {
    "dashtam-core": 11_730,
    "its testing kit": 4_200,
    "dashtam-postgres": 2_700,
    "dashtam-redis": 600,
    "dashtam-fastapi": 1_660,
    "dashtam-files": 3_600,
    "dashtam-embedded": 510,
}
TOTAL = 25_000
TESTS_PER_SOURCE = 1.5
ROOT = Path(__file__).resolve().parent.parent


def lines(folder: Path) -> tuple[int, int]:
    """How many lines of the Python files below `folder` are code, and how many are docstrings."""
    counts = [_counted(file.read_text()) for file in folder.rglob("*.py")]
    return sum(code for code, _ in counts), sum(told for _, told in counts)


def _counted(text: str) -> tuple[int, int]:
    told = set(_docstrings(ast.parse(text)))
    written = [
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    return sum(number not in told for number in written), sum(number in told for number in written)


def _docstrings(module: ast.Module) -> Iterator[int]:
    """The lines of every string that stands alone: of modules, classes, functions and fields."""
    for node in ast.walk(module):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def main() -> int:
    """Prints the table; fails when anything is over its budget."""
    sizes = {folder.name: lines(folder / "src") for folder in sorted((ROOT / "packages").iterdir())}
    kit = lines(ROOT / "packages/dashtam-core/src/dashtam_core/testing")
    core, told = sizes["dashtam-core"]
    sizes |= {"dashtam-core": (core - kit[0], told - kit[1]), "its testing kit": kit}
    source, tests = sum(code for code, _ in sizes.values()), lines(ROOT / "tests")
    rows = [(name, *sizes[name], budget) for name, budget in BUDGETS.items() if name in sizes]
    rows.append(("all packages", source, sum(told for _, told in sizes.values()), TOTAL))
    rows.append(("tests", *tests, int(source * TESTS_PER_SOURCE)))
    print(f"{'':18}{'code':>8}    budget        docstrings")
    for name, code, told, budget in rows:
        print(f"{name:18}{code:>8,} of {budget:>7,}  {code / budget:>5.0%}  {told:>7,}")
    return any(code > budget for _, code, _, budget in rows)


if __name__ == "__main__":
    sys.exit(main())
