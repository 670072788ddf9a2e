"""Source lines of each package beside its budget: lines that are neither blank nor a comment alone."""

import sys
from pathlib import Path

BUDGETS = {
    "dashtam-core": 12_250,
    "its testing kit": 4_100,
    "dashtam-postgres": 2_750,
    "dashtam-fastapi": 1_610,
    "dashtam-files": 3_910,
    "dashtam-embedded": 430,
}
TOTAL = 25_000
TESTS_PER_SOURCE = 1.5
ROOT = Path(__file__).resolve().parent.parent


def lines(folder: Path) -> int:
    """How many lines of the Python files below `folder` count."""
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#")
        for file in folder.rglob("*.py")
        for line in file.read_text().splitlines()
    )


def main() -> int:
    """Prints the table; fails when anything is over its budget."""
    sizes = {folder.name: lines(folder / "src") for folder in sorted((ROOT / "packages").iterdir())}
    sizes["its testing kit"] = lines(ROOT / "packages/dashtam-core/src/dashtam_core/testing")
    sizes["dashtam-core"] -= sizes["its testing kit"]
    source, tests = sum(sizes.values()), lines(ROOT / "tests")
    rows = [(name, sizes[name], budget) for name, budget in BUDGETS.items() if name in sizes]
    rows += [("all packages", source, TOTAL), ("tests", tests, int(source * TESTS_PER_SOURCE))]
    for name, size, budget in rows:
        print(f"{name:18}{size:>8,} of {budget:>7,}  {size / budget:>5.0%}")
    return any(size > budget for _, size, budget in rows)


if __name__ == "__main__":
    sys.exit(main())
