"""What every suite of expectations has in common: a test's docstring is its promise, and a failure cites it."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, Final

import pytest

from dashtam_core.store import Capability

_NEEDS: Final = "needs_capability"

type _Test = Callable[..., Any]


def needs(capability: Capability, /) -> Callable[[_Test], _Test]:
    """Skips a test for every store that does not claim this capability; the test takes the fixture `store`."""

    def marked(test: _Test) -> _Test:
        setattr(test, _NEEDS, capability)
        return test

    return marked


class Conformance:
    """The promises of one port, a test each. Subclass a suite with the fixture that it asks for."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, test in list(vars(cls).items()):
            if name.startswith("test_") and callable(test):
                setattr(cls, name, _citing(test))


def _citing(test: _Test) -> _Test:
    """The same test, whose failure says which promise was broken."""
    if iscoroutinefunction(test):

        @wraps(test)
        async def awaited(*args: Any, **fixtures: Any) -> None:
            __tracebackhide__ = True
            with _promised(test, fixtures):
                await test(*args, **fixtures)

        return awaited

    @wraps(test)
    def called(*args: Any, **fixtures: Any) -> None:
        __tracebackhide__ = True
        with _promised(test, fixtures):
            test(*args, **fixtures)

    return called


@contextmanager
def _promised(test: _Test, fixtures: dict[str, Any]) -> Generator[None]:
    __tracebackhide__ = True
    needed: Capability | None = getattr(test, _NEEDS, None)
    if needed is not None and needed not in fixtures["store"].capabilities:
        pytest.skip(f"{type(fixtures['store']).__name__} does not claim {needed}")
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        if test.__doc__:
            error.add_note(f"The promise: {' '.join(test.__doc__.split())}")
        raise
