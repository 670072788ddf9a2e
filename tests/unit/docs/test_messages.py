"""Every error tells what to do: read off the source, where messages are written."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = Path(__file__).resolve().parents[3] / "packages"
RAISED = re.compile(r"(Assembly|Plugin|Problem|Unavailable|EmbeddedServer|CryptographyMissing)Error$|^stop$")
ADVICE = re.compile(r"[:;.] \S|^(give|name|say|send|set|use) ")
"""Something follows what is wrong, or the message is advice alone."""


def text_of(node: ast.expr) -> str | None:
    """A message as it is written, with {} for each value in it; None for what is no literal."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in parts)  # type: ignore[misc] # text
        case _:
            return None


def messages() -> Iterator[tuple[str, str]]:
    """Each message that is written where an error with a code, or an exception of ours, is made."""
    for file in sorted(PACKAGES.rglob("src/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or "testing" in file.parts:
                continue
            coded = any(re.search(r"Code\.[A-Z_]+$", ast.unparse(each)) for each in node.args)
            if coded or RAISED.search(ast.unparse(node.func)):
                for text in map(text_of, node.args):
                    if text is not None and " " in re.sub(r"[^a-z ]|\{\}", "", text).strip():
                        yield f"{file.name}:{node.lineno}", text


def test_messages_are_found() -> None:
    """The walk sees them in every package."""
    assert len(list(messages())) > 60


@pytest.mark.parametrize(("place", "text"), [pytest.param(*each, id=each[0]) for each in messages()])
def test_a_message_says_what_to_do(place: str, text: str) -> None:
    """After what is wrong and why comes what to do next."""
    assert ADVICE.search(text), f"{place}: {text}"
