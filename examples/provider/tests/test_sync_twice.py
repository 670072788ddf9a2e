"""The program prints what the README says."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def test_the_program_prints_what_the_readme_shows() -> None:
    """To the byte."""
    shown = re.findall(r"```text\n(.*?)```", (HERE / "README.md").read_text("utf-8"), re.DOTALL)
    command = [sys.executable, "-X", "utf8", "-W", "error", "sync_twice.py"]
    assert [subprocess.check_output(command, cwd=HERE, encoding="utf-8")] == shown
