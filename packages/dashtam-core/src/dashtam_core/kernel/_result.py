"""An operation's answer as a value: a `Success` or a `Failure`, no exception for what a user can cause."""

from collections.abc import Callable

from returns.result import Failure, Success

from dashtam_core.kernel._errors import KernelCode, ValueRefused

type Result[T, E] = Success[T] | Failure[E]


def refused(code: KernelCode, message: str, /) -> Failure[ValueRefused]:
    """The answer to text that is not the value it should be."""
    return Failure(ValueRefused(code, message))


def and_then[T, E, U, F](result: Result[T, E], step: Callable[[T], Result[U, F]], /) -> Result[U, E | F]:
    """The next step's answer, or the first failure."""
    match result:
        case Success(value):
            return step(value)
        case Failure(error):
            return Failure(error)


def map_success[T, E, U](result: Result[T, E], change: Callable[[T], U], /) -> Result[U, E]:
    """The same answer with its value changed; a failure stays as it is."""
    match result:
        case Success(value):
            return Success(change(value))
        case Failure(error):
            return Failure(error)


def map_failure[T, E, F](result: Result[T, E], change: Callable[[E], F], /) -> Result[T, F]:
    """The same answer with its error changed; a success stays as it is."""
    match result:
        case Success(value):
            return Success(value)
        case Failure(error):
            return Failure(change(error))
