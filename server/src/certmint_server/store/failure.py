"""What a failure of the database looks like from outside."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from certmint_server.errors import StoreUnavailableError


def unavailable(cause: BaseException | None = None) -> StoreUnavailableError:
    """The error that callers get, with its cause for the log."""
    error = StoreUnavailableError("The registry cannot be reached now. Try again.")
    error.__cause__ = cause
    return error


@contextmanager
def unavailable_on_failure() -> Iterator[None]:
    """Turns whatever the database raises into StoreUnavailableError."""
    try:
        yield
    except SQLAlchemyError as error:
        raise unavailable(error) from error
