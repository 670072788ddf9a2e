"""The programs print what the README says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHOWN = re.findall(r"`python (\w+\.py)`.*?```text\n(.*?)```", (HERE / "README.md").read_text("utf-8"), re.DOTALL)


def test_both_programs_are_shown() -> None:
    """The README has the output of each."""
    assert [name for name, _ in SHOWN] == ["main.py", "own_engine.py"]


@pytest.mark.parametrize(("name", "printed"), SHOWN)
def test_a_program_prints_what_is_shown(name: str, printed: str) -> None:
    """To the byte, and with a good end."""
    command = [sys.executable, "-X", "utf8", "-W", "error", name]
    done = subprocess.run(command, cwd=HERE, capture_output=True, check=False, encoding="utf-8")
    assert (done.stdout, done.returncode) == (printed, 0), done.stderr
