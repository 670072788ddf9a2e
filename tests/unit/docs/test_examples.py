"""The examples of the documentation are programs, and they run."""

import ast
import asyncio
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from traceback import walk_tb
from types import CodeType, ModuleType
from typing import Final

import attrs
import pytest

DOCS: Final = Path(__file__).resolve().parents[3] / "docs"
MARK: Final = "<!-- This example runs in the tests. -->\n"
BLOCK: Final = re.compile(rf"^({re.escape(MARK)})?```python\n((?:(?!```).*\n)*)```$", re.MULTILINE)
MODULE: Final = "an_example_of_the_documentation"


@attrs.frozen
class Block:
    """Python on a page. `line` is where its first line stands there."""

    page: Path
    line: int
    text: str
    marked: bool

    def compiled(self) -> CodeType:
        """Its code with the page's own line numbers; `await` may stand outside of functions."""
        text = "\n" * (self.line - 1) + self.text
        code: CodeType = compile(text, self.page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return code


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in BLOCK.finditer(text):
        yield Block(page, text.count("\n", 0, found.start(2)) + 1, found[2], bool(found[1]))


def run(blocks: Sequence[Block], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs blocks one after another as one module. What goes wrong is told with its page and line."""
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    with asyncio.Runner() as runner:
        for block in blocks:
            try:
                waiting = eval(block.compiled(), vars(module))
                if waiting is not None:
                    runner.run(waiting)
            except Exception as error:
                raise AssertionError(f"{block.page}:{_line(block, error)}: {error!r}") from error


def _line(block: Block, error: Exception) -> int:
    """The last line of the page that was on the way to the error."""
    steps = walk_tb(error.__traceback__)
    lines = [line for frame, line in steps if frame.f_code.co_filename == str(block.page)]
    return lines[-1] if lines else block.line


PAGES: Final = {
    str(page.relative_to(DOCS)): tuple(blocks_of(page))
    for page in sorted(DOCS.rglob("*.md"))
    if "```python" in page.read_text()
}


@pytest.mark.parametrize("name", [name for name, blocks in PAGES.items() if any(block.marked for block in blocks)])
def test_the_examples_of_a_page_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Top to bottom, as one program; what they show they assert."""
    run([block for block in PAGES[name] if block.marked], monkeypatch)


@pytest.mark.parametrize("name", PAGES)
def test_no_example_goes_untried(name: str) -> None:
    """Every block of Python is found and compiles, no mark is misspelled, and in the guides all blocks run."""
    text = (DOCS / name).read_text()
    assert len(PAGES[name]) == text.count("```python")
    assert sum(block.marked for block in PAGES[name]) == text.count("<!--")
    for block in PAGES[name]:
        block.compiled()
        assert block.marked or not name.startswith("guides/")


def test_a_broken_example_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure says which page and which of its lines, also where that line is in an earlier example."""
    page = tmp_path / "page.md"
    first = (
        "import asyncio\n\n\nasync def half(n: int) -> float:\n    return 1 / n\n\n\nassert asyncio.run(half(2))\n"
    )
    second = "await asyncio.sleep(0)\nawait half(0)\n"
    page.write_text(f"# A page\n\n{MARK}```python\n{first}```\n\nText.\n\n{MARK}```python\n{second}```\n")
    blocks = list(blocks_of(page))
    assert [(block.line, block.text) for block in blocks] == [(5, first), (19, second)]
    with pytest.raises(AssertionError, match=r"page\.md:9: ZeroDivisionError"):
        run(blocks, monkeypatch)
    with pytest.raises(AssertionError, match=r"page\.md:20: NameError"):
        run([Block(page, 20, "half\n", marked=True)], monkeypatch)
